"""What the cluster holds while exporters are measured, and so what each of them has to show."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

Series = tuple[str, str, int]  # group, topic, partition

PARTITIONS_PER_TOPIC = 50


@dataclass(frozen=True)
class Slot:
    """A range of topics, out of which each group reads one."""

    first: int
    topics: int


@dataclass(frozen=True)
class Size:
    topics: int
    groups: int
    slots: int  # how many topics each group reads


SIZES = {
    "S": Size(topics=20, groups=50, slots=1),
    "M": Size(topics=200, groups=500, slots=2),
    "L": Size(topics=400, groups=1000, slots=4),
}

# A larger size only adds to a smaller one, so that one cluster grows from size to size.
SLOTS = [Slot(0, 20), Slot(20, 180), Slot(200, 100), Slot(300, 100)]


@dataclass
class Plan:
    """Topics with the records of their partitions, and the offsets that groups have committed."""

    replicas: dict[str, int] = field(default_factory=dict)
    records: dict[str, list[int]] = field(default_factory=dict)
    commits: dict[Series, int] = field(default_factory=dict)

    def lags(self) -> dict[Series, int]:
        return {
            (group, topic, partition): self.records[topic][partition] - offset
            for (group, topic, partition), offset in self.commits.items()
        }

    def groups(self) -> int:
        return len({group for group, _, _ in self.commits})

    def partitions(self) -> int:
        return sum(len(records) for records in self.records.values())

    def text(self) -> str:
        """As Fill.java reads it."""
        lines = []
        for topic, records in self.records.items():
            counts = " ".join(str(count) for count in records)
            lines.append(f"topic {topic} {self.replicas[topic]} {counts}")

        commits: defaultdict[str, list[str]] = defaultdict(list)
        for (group, topic, partition), offset in self.commits.items():
            commits[group].append(f"{topic}:{partition}:{offset}")
        lines += [f"group {group} {' '.join(words)}" for group, words in commits.items()]
        return "\n".join(lines) + "\n"


def plan_of_size(size: Size) -> Plan:
    """Lags of 1 to 14 that differ from partition to partition and from group to group."""
    plan = Plan()
    for topic in range(size.topics):
        name = topic_name(topic)
        plan.replicas[name] = 1
        partitions = range(PARTITIONS_PER_TOPIC)
        plan.records[name] = [10 + (7 * topic + partition) % 5 for partition in partitions]

    for group in range(size.groups):
        for slot in SLOTS[: size.slots]:
            topic = slot.first + group % slot.topics
            for partition in range(PARTITIONS_PER_TOPIC):
                series = (f"bench-group-{group:04}", topic_name(topic), partition)
                plan.commits[series] = (group + topic + partition) % 10
    return plan


def topic_name(number: int) -> str:
    return f"bench-topic-{number:04}"


def plan_of_freeze() -> Plan:
    """1,500 series with a lag of 6, half of them of one replica and half of three."""
    plan = Plan()
    for topic, replicas in [("stall-one-replica", 1), ("stall-three-replicas", 3)]:
        plan.replicas[topic] = replicas
        plan.records[topic] = [10] * 25
        for group in range(30):
            for partition in range(25):
                plan.commits[(f"stall-group-{group:02}", topic, partition)] = 4
    return plan
