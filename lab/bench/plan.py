"""What the cluster holds while exporters are measured, and so what each of them has to say."""

from __future__ import annotations

from dataclasses import dataclass, field

Series = tuple[str, str, int]  # group, topic, partition

PARTITIONS_OF_TOPIC = 50


@dataclass(frozen=True)
class Size:
    """Each group reads one topic out of each slot."""

    topics: int
    groups: int
    slots: int


SIZES = {
    "S": Size(topics=20, groups=50, slots=1),
    "M": Size(topics=200, groups=500, slots=2),
    "L": Size(topics=400, groups=1000, slots=4),
}

# First topic and number of topics of each slot. A larger size only adds to a smaller one, so one
# cluster grows from size to size.
SLOTS = [(0, 20), (20, 180), (200, 100), (300, 100)]


@dataclass
class Plan:
    """Topics with the records of their partitions, and the commits of groups."""

    replicas: dict[str, int] = field(default_factory=dict)
    records: dict[str, list[int]] = field(default_factory=dict)
    commits: dict[Series, int] = field(default_factory=dict)

    def truth(self) -> dict[Series, int]:
        """The lag of each series."""
        return {it: self.records[it[1]][it[2]] - offset for it, offset in self.commits.items()}

    def groups(self) -> int:
        return len({group for group, _, _ in self.commits})

    def partitions(self) -> int:
        return sum(len(it) for it in self.records.values())

    def text(self) -> str:
        """As Fill.java reads it."""
        lines = []
        for topic, records in self.records.items():
            counts = " ".join(str(it) for it in records)
            lines.append(f"topic {topic} {self.replicas[topic]} {counts}")
        by_group: dict[str, list[str]] = {}
        for (group, topic, partition), offset in self.commits.items():
            by_group.setdefault(group, []).append(f"{topic}:{partition}:{offset}")
        lines += [f"group {group} {' '.join(parts)}" for group, parts in by_group.items()]
        return "\n".join(lines) + "\n"


def of_size(size: Size) -> Plan:
    """Lags of 1 to 14 that differ from partition to partition and from group to group."""
    plan = Plan()
    for topic in range(size.topics):
        name = topic_name(topic)
        plan.replicas[name] = 1
        plan.records[name] = [10 + (7 * topic + it) % 5 for it in range(PARTITIONS_OF_TOPIC)]
    for group in range(size.groups):
        for first, count in SLOTS[: size.slots]:
            topic = first + group % count
            for partition in range(PARTITIONS_OF_TOPIC):
                series = (f"bench-group-{group:04}", topic_name(topic), partition)
                plan.commits[series] = (group + topic + partition) % 10
    return plan


def topic_name(number: int) -> str:
    return f"bench-topic-{number:04}"


def of_stall() -> Plan:
    """1,500 series with a lag of 6, half of one replica and half of three."""
    plan = Plan()
    for topic, replicas in [("stall-one-replica", 1), ("stall-three-replicas", 3)]:
        plan.replicas[topic] = replicas
        plan.records[topic] = [10] * 25
        for group in range(30):
            for partition in range(25):
                plan.commits[(f"stall-group-{group:02}", topic, partition)] = 4
    return plan
