"""Partitions below min.insync.replicas, and whose doing that was."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Fault:
    """Something that a scenario did to a broker; `until` is None while it goes on."""

    what: str
    since: float
    until: float | None = None


@dataclass(frozen=True)
class Span:
    begin: float
    end: float

    def holds(self, time: float) -> bool:
        return self.begin <= time <= self.end


@dataclass(frozen=True)
class Observation:
    """What the referee saw at one moment."""

    time: float
    out_of_sync: int  # partitions with a replica that is not in sync
    under_minimum: tuple[str, ...]  # partitions below min.insync.replicas


@dataclass(frozen=True)
class UnderMinimum:
    partitions: int
    observations: int


def under_minimum_by_us(
    observations: list[Observation], acted: list[Span], faults: list[Fault]
) -> UnderMinimum:
    """Partitions that fell below their minimum while a run was changing something.

    What a scenario itself did to a broker does not count: from the moment before it, until the
    first observation after its end at which every replica was in sync.
    """
    excused = [Span(fault.since, recovered(observations, fault)) for fault in faults]

    def counts(time: float) -> bool:
        by_us = any(span.holds(time) for span in acted)
        return by_us and not any(span.holds(time) for span in excused)

    ours = [seen for seen in observations if counts(seen.time)]
    partitions = {partition for seen in ours for partition in seen.under_minimum}
    return UnderMinimum(len(partitions), len(ours))


def recovered(observations: list[Observation], fault: Fault) -> float:
    if fault.until is None:
        return math.inf
    for seen in observations:
        if seen.time > fault.until and seen.out_of_sync == 0:
            return seen.time
    return math.inf


def read_timeline(file: Path) -> list[Observation]:
    lines = file.read_text().splitlines()
    return [seen for seen in map(parse_observation, lines) if seen]


def parse_observation(line: str) -> Observation | None:
    """From `MILLISECONDS ok COUNT PARTITION,...`; None where the referee got no answer."""
    time, _, rest = line.partition(" ")
    outcome, _, found = rest.partition(" ")
    if outcome != "ok":
        return None
    count, _, partitions = found.partition(" ")
    names = tuple(name for name in partitions.split(",") if name)
    return Observation(int(time) / 1000, int(count), names)
