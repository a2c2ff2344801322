"""Tables for people, of what was measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

OURS = "kafka-optimizer"  # the row that exports what the peers do; others of ours begin with it
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

    def is_empty(self) -> bool:
        """Neither measured nor known to have failed."""
        return self.cpu_s_per_cycle is None and self.error is None


@dataclass
class Extra:
    """What is printed beside result.json's keys."""

    first_good_s: float
    sent_mb: float  # the page as sent, with gzip
    others_cores: float  # what everything else on the machine used
    requests: dict[str, float]


def table(head: list[str], lines: list[list[str]]) -> str:
    """Markdown, aligned, the first column to the left."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *lines)]

    def row(cells: list[str]) -> str:
        first, *others = (
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(cells, widths))
        )
        return "| " + " | ".join([first, *others]) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join([row(head), row(rule), *(row(line) for line in lines)])


def number(value: float | None) -> str:
    """With three significant digits."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def progress(row: Row, extra: Extra | None) -> str:
    if row.error or not extra:
        return f"  {row.exporter:20} {row.size}  no numbers: {row.error}"
    first_kinds = list(extra.requests.items())[:6]
    kinds = ", ".join(f"{name} {number(count)}" for name, count in first_kinds)
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
            extra.sent_mb if extra else None,
            row.scrape_wall_s,
            extra.first_good_s if extra else None,
            extra.others_cores if extra else None,
        ]
        lines.append([row.exporter, row.size, *(number(value) for value in values)])
    return table(HEAD, lines)


@dataclass(frozen=True)
class Peer:
    """Another exporter's value."""

    value: float
    name: str


@dataclass(frozen=True)
class Target:
    """What this exporter has to reach at L: a fixed bound, or a share of the best peer's value."""

    name: str
    value: Callable[[Row], float | None]
    share: float = 1.0
    bound: float | None = None
    recorded: tuple[Peer, ...] = ()

    def cells(self, ours: Row, peers: list[Row]) -> list[str]:
        value = self.value(ours)
        first = [self.name, number(value)]
        if self.bound is not None:
            return [*first, f"at most {number(self.bound)}", verdict(value, self.bound), "–", "–"]

        measured = [
            Peer(found, row.exporter) for row in peers if (found := self.value(row)) is not None
        ]
        names = {peer.name for peer in measured}
        recorded = [peer for peer in self.recorded if peer.name not in names]
        return [*first, *self._against(value, measured), *self._against(value, recorded)]

    def _against(self, value: float | None, peers: list[Peer]) -> list[str]:
        if not value or not peers:
            return ["–", "–"]
        best = min(peers, key=lambda peer: peer.value)
        wanted, found = 1 / self.share, best.value / value
        return [
            f"1/{found:.1f} of {best.name}'s {number(best.value)}, wanted 1/{wanted:.0f}",
            verdict(value, best.value * self.share),
        ]


def verdict(value: float | None, bound: float) -> str:
    return "met" if value is not None and value <= bound else "missed"


# At L, measured once on such a machine, with a cluster of Kafka 4.4. They are not of this run, and
# only say what a peer that cannot be built here might have shown.
RECORDED_CPU = (Peer(2.31, "kminion"), Peer(40.6, "kafka_exporter"), Peer(9.4, "klag-exporter"))
RECORDED_RSS = (
    Peer(583.0, "kminion"),
    Peer(596.0, "kafka_exporter"),
    Peer(1762.0, "klag-exporter"),
)


def targets(rows: list[Row], brokers: int) -> str:
    ours = next((it for it in rows if it.exporter == OURS and it.size == TARGET_SIZE), None)
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
    return table(head, [target.cells(ours, peers) for target in wanted])


def tables(rows: list[Row], extras: dict[tuple[str, str], Extra], brokers: int) -> str:
    parts = [costs(rows, extras), targets(rows, brokers)]
    failed = [f"{row.exporter} {row.size}: {row.error}" for row in rows if row.error]
    if failed:
        parts.append("Without numbers:\n" + "\n".join(failed))
    return "\n" + "\n\n".join(parts)
