"""Tables for people, of what was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cost import Extra, Row

OURS = "kafka-optimizer"  # the row that exports what the peers do
TARGET_SIZE = "L"


def table(head: list[str], lines: list[list[str]]) -> str:
    """Markdown, aligned, the first column to the left."""
    widths = [max(len(line[at]) for line in [head, *lines]) for at in range(len(head))]

    def row(cells: list[str]) -> str:
        padded = [
            cell.ljust(width) if at == 0 else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(cells, widths))
        ]
        return "| " + " | ".join(padded) + " |"

    rule = [
        ("-" * width if at == 0 else "-" * (width - 1) + ":") for at, width in enumerate(widths)
    ]
    return "\n".join([row(head), row(rule), *(row(it) for it in lines)])


def number(value: float | None) -> str:
    """Three digits that count."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def progress(row: Row, extra: Extra | None) -> str:
    if row.error or not extra:
        return f"  {row.exporter:20} {row.size}  no numbers: {row.error}"
    kinds = ", ".join(f"{it} {number(n)}" for it, n in list(extra.requests.items())[:6])
    return (
        f"  {row.exporter:20} {row.size}  CPU {number(row.cpu_s_per_cycle)} s a cycle,"
        f" peak {number(row.rss_peak_mb)} MB, round {number(row.round_wall_s)} s,"
        f" scrape {number(row.scrape_wall_s)} s,"
        f" requests {number(row.requests_per_cycle)} ({kinds})"
    )


HEAD = [
    "exporter",
    "size",
    "round, s",
    "CPU per cycle, s",
    "requests per cycle",
    "broker CPU per cycle, s",
    "peak RSS, MB",
    "page, MB",
    "page as sent, MB",
    "scrape, s",
    "first good scrape, s",
    "other work, cores",
]


def costs(rows: list[Row], extras: dict[tuple[str, str], Extra]) -> str:
    lines = []
    for row in rows:
        extra = extras.get((row.size, row.exporter))
        values = [
            row.round_wall_s,
            row.cpu_s_per_cycle,
            row.requests_per_cycle,
            row.broker_cpu_s_per_cycle,
            row.rss_peak_mb,
            row.page_mb,
            extra.packed_mb if extra else None,
            row.scrape_wall_s,
            extra.first_good_s if extra else None,
            extra.others_cores if extra else None,
        ]
        lines.append([row.exporter, row.size, *(number(it) for it in values)])
    return table(HEAD, lines)


@dataclass(frozen=True)
class Best:
    """A value of a peer, and where it comes from."""

    value: float
    said: str


@dataclass(frozen=True)
class Target:
    """A bound for this exporter at L: fixed, or a share of the best peer's value."""

    name: str
    value: Callable[[Row], float | None]
    share: float | None = None
    bound: float | None = None
    recorded: tuple[tuple[str, float], ...] = ()

    def judged(self, ours: Row, peers: list[Row]) -> list[str]:
        value, bound, against = self.value(ours), self.bound, "–"
        if self.share is not None:
            best = self.best(peers)
            bound = best.value * self.share
            if value:
                against = f"1/{best.value / value:.1f} of {best.said}"
        met = value is not None and bound is not None and value <= bound
        return [self.name, number(value), number(bound), against, "met" if met else "missed"]

    def best(self, peers: list[Row]) -> Best:
        """A peer without numbers in this run stands there with its recorded ones."""
        found = {it.exporter: self.value(it) for it in peers}
        values = [Best(it, f"{name}'s {number(it)}") for name, it in found.items() if it]
        values += [
            Best(it, f"{name}'s {number(it)}, recorded")
            for name, it in self.recorded
            if not found.get(name)
        ]
        return min(values, key=lambda it: it.value)


# CPU and peak RSS at L of peers, measured once on such a machine with a cluster of Kafka 4.4.
RECORDED_CPU = (("kminion", 2.31), ("kafka_exporter", 40.6), ("klag-exporter", 9.4))
RECORDED_RSS = (("kminion", 583.0), ("kafka_exporter", 596.0), ("klag-exporter", 1762.0))


def targets(rows: list[Row], brokers: int) -> str:
    ours = next((it for it in rows if (it.exporter, it.size) == (OURS, TARGET_SIZE)), None)
    if not ours:
        return f"The targets are for size {TARGET_SIZE}, which was not measured."
    peers = [it for it in rows if it.size == TARGET_SIZE and not it.exporter.startswith(OURS)]
    wanted = [
        Target("CPU per cycle, s", lambda row: row.cpu_s_per_cycle, 1 / 10, recorded=RECORDED_CPU),
        Target("peak RSS, MB", lambda row: row.rss_peak_mb, 1 / 4, recorded=RECORDED_RSS),
        Target("requests per cycle", lambda row: row.requests_per_cycle, bound=8 * brokers),
        Target("round, s", lambda row: row.round_wall_s, bound=1),
        Target("scrape, s", lambda row: row.scrape_wall_s, bound=0.1),
    ]
    head = ["target at L", "measured", "at most", "against the best peer", "verdict"]
    return table(head, [it.judged(ours, peers) for it in wanted])


def tables(rows: list[Row], extras: dict[tuple[str, str], Extra], brokers: int) -> str:
    parts = [costs(rows, extras), targets(rows, brokers)]
    failed = [f"{it.exporter} {it.size}: {it.error}" for it in rows if it.error]
    if failed:
        parts.append("Without numbers:\n" + "\n".join(failed))
    return "\n" + "\n\n".join(parts)
