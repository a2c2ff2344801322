"""What Kafka's kafka-producer-perf-test.sh prints."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import LabError

NUMBER = r"([\d.]+(?:E\d+)?)"
# One line for each five seconds, and one at the end, which has the percentiles.
SUMMARY = re.compile(
    rf"(\d+) (?:steady state )?records sent, {NUMBER} records/sec \({NUMBER} MB/sec\),"
    rf" {NUMBER} ms avg latency, {NUMBER} ms max latency,"
    r" (\d+) ms 50th, (\d+) ms 95th, (\d+) ms 99th, (\d+) ms 99.9th"
)


@dataclass(frozen=True)
class ToolSummary:
    records: int
    records_per_second: float
    mean_ms: float
    max_ms: float
    p50_ms: float
    p99_ms: float


def parse_summary(text: str) -> ToolSummary:
    """The last summary: with warm-up records it is the one of what came after them."""
    found = SUMMARY.findall(text)
    if not found:
        raise LabError(f"Kafka's tool printed no summary: {text.strip()[-300:]}")

    records, rate, _mb, mean, maximum, p50, _p95, p99, _p999 = found[-1]
    return ToolSummary(
        records=int(records),
        records_per_second=float(rate),
        mean_ms=float(mean),
        max_ms=float(maximum),
        p50_ms=float(p50),
        p99_ms=float(p99),
    )
