"""Tables for people, of what was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

OURS = "kafka-optimizer"  # the row that exports what the peers do
TARGET_SIZE = "L"


@dataclass
class Row:
    """A row of result.json, with its keys in order."""

    exporter: str
    size: str
    partitions: int
    groups: int
    lag_series: int
    round_wall_s: float | None = None
    cpu_s_per_cycle: float | None = None
    requests_per_cycle: float | None = None
    broker_cpu_s_per_cycle: float | None = None
    rss_peak_mb: float | None = None
    page_mb: float | None = None
    scrape_wall_s: float | None = None
    error: str | None = None


@dataclass
class Extra:
    """What is printed beside result.json's keys."""

    first_good_s: float
    packed_mb: float
    others_cores: float
    requests: dict[str, float]


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
class Target:
    """A bound for this exporter at L: fixed, or a share of the best peer's value."""

    name: str
    value: Callable[[Row], float | None]
    share: float = 1.0
    bound: float | None = None
    recorded: tuple[tuple[str, float], ...] = ()

    def judged(self, ours: Row, peers: list[Row]) -> list[str]:
        value = self.value(ours)
        said = [self.name, number(value)]
        if self.bound is not None:
            return [*said, f"at most {number(self.bound)}", verdict(value, self.bound), "–", "–"]
        measured = [(it, row.exporter) for row in peers if (it := self.value(row)) is not None]
        names = {name for _, name in measured}
        recorded = [(it, name) for name, it in self.recorded if name not in names]
        return [*said, *self.against(value, measured), *self.against(value, recorded)]

    def against(self, value: float | None, peers: list[tuple[float, str]]) -> list[str]:
        if not value or not peers:
            return ["–", "–"]
        best, name = min(peers)
        wanted, found = 1 / self.share, best / value
        return [
            f"1/{found:.1f} of {name}'s {number(best)}, wanted 1/{wanted:.0f}",
            verdict(value, best * self.share),
        ]


def verdict(value: float | None, bound: float) -> str:
    return "met" if value is not None and value <= bound else "missed"


# At L, measured once before on such a machine, with a cluster of Kafka 4.4. Not of this run, they
# only say what a peer that cannot be built here might have shown.
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
    head = [
        "target at L",
        "measured",
        "best peer of this run",
        "verdict",
        "best recorded of the others",
        "verdict",
    ]
    return table(head, [it.judged(ours, peers) for it in wanted])


def tables(rows: list[Row], extras: dict[tuple[str, str], Extra], brokers: int) -> str:
    parts = [costs(rows, extras), targets(rows, brokers)]
    failed = [f"{it.exporter} {it.size}: {it.error}" for it in rows if it.error]
    if failed:
        parts.append("Without numbers:\n" + "\n".join(failed))
    return "\n" + "\n\n".join(parts)
