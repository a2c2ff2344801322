"""Rows of result.json, and what the referee says of a scenario."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from world import Fault, Run, World, seconds

Spans = list[tuple[float, float]]


@dataclass
class Row:
    """A row of result.json; None where a value does not exist."""

    scenario: str
    passed: bool = False
    alert: str | None = None
    optimizer: str | None = None
    verdict: str | None = None
    fault_to_alert_s: float | None = None
    alert_to_action_s: float | None = None
    action_to_recovery_s: float | None = None
    records_lost: int | None = None
    under_min_isr_by_us: int | None = None


@dataclass
class Story:
    """What a scenario leaves behind for its row."""

    row: Row

    def tell(self, world: World, run: Run, fault: float, recovered: str | None = None) -> None:
        """Fills the row from a run. `recovered`: has a series when users are well again."""
        row = self.row
        row.optimizer, row.verdict = run["optimizer"], run["verdict"]
        acted = seconds(run["written_at"])
        if run["trigger"] == "alert":
            row.alert = run["cause"]
            fired = world.first_at(world.firing(run["cause"]), fault)
            row.fault_to_alert_s = apart(fault, fired)
            row.alert_to_action_s = apart(fired, acted)
        if recovered and acted:
            row.action_to_recovery_s = apart(acted, world.first_at(recovered, acted))


def apart(earlier: float | None, later: float | None) -> float | None:
    return None if earlier is None or later is None else round(later - earlier, 1)


def write(path: Path, rows: list[Row]) -> None:
    new = path.with_suffix(".new")
    new.write_text(json.dumps([asdict(it) for it in rows], indent=1) + "\n")
    os.replace(new, path)


# ---- partitions under their minimum, by whose doing


def under_by_us(timeline: Path, acted: Spans, faults: list[Fault]) -> tuple[int, int]:
    """Partitions that fell short while one of our changes was under way, and looks taken then.

    Ours is the time from a run's first write to the last line of its journal. What the scenario
    itself did to a broker is not ours: from the moment before it, until the first look after its
    end at which every replica was in sync.
    """
    looks = [it for it in map(look, timeline.read_text().splitlines()) if it]
    excused = [(it.since, healed(looks, it)) for it in faults]
    ours = [under for at, _, under in looks if within(at, acted) and not within(at, excused)]
    return len({partition for under in ours for partition in under}), len(ours)


def look(line: str) -> tuple[float, int, list[str]] | None:
    at, said, *words = line.split(" ")
    if said != "ok":
        return None
    return int(at) / 1000, int(words[0]), [it for it in words[1].split(",") if it]


def healed(looks: list[tuple[float, int, list[str]]], fault: Fault) -> float:
    if fault.until is None:
        return float("inf")
    whole = (at for at, incomplete, _ in looks if at > fault.until and incomplete == 0)
    return next(whole, float("inf"))


def within(at: float, spans: Spans) -> bool:
    return any(begin <= at <= end for begin, end in spans)


def acted(run: Run) -> tuple[float, float] | None:
    begin = seconds(run["written_at"])
    if begin is None:
        return None
    lines = [seconds(it["at"]) or begin for it in run["journal"]]
    return begin, max(lines, default=begin)
