"""Plays the scenarios, one after the other, and writes result.json.

usage: heal.py none    writes the result of a run in which nothing was played
       heal.py         plays; ONLY chooses by slug, and `consumers` both that begin so
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from dataclasses import replace
from pathlib import Path

import judge
from cleaning import make_clean, make_well
from judge import Row, Story
from scenarios import SCENARIOS, Scenario
from world import Failed, World

RESULT = Path(os.environ["HEAL_FOLDER"]) / "result.json"
CLEANING_LIMIT = 300
WARM_UP = 30  # a cold JVM is slow by itself


class Interrupted(BaseException):
    """Someone wants the whole to end."""


def chosen() -> list[Scenario]:
    only = [it.strip() for it in os.environ.get("ONLY", "").split(",") if it.strip()]
    fits = {
        it: [s for s in SCENARIOS if s.slug == it or s.slug.startswith(f"{it}-")] for it in only
    }
    if unknown := [it for it, found in fits.items() if not found]:
        known = ", ".join(it.slug for it in SCENARIOS)
        sys.exit(f"heal: no scenario {', '.join(unknown)}; there are {known}")
    return [it for it in SCENARIOS if not only or any(it in found for found in fits.values())]


def play(world: World, scenario: Scenario) -> tuple[Row, str | None]:
    """One scenario, from a clean cluster to a clean one. Returns its row, and what went wrong."""
    story = Story(Row(scenario.slug))
    world.told = time.monotonic()
    world.deadline = world.told + scenario.limit
    print(f"\n{scenario.slug}: {scenario.about}", flush=True)
    world.referee.ask("check")  # what came before is not this scenario's
    why = attempt(lambda: scenario.play(world, story))
    take_note(world, story)
    world.deadline = time.monotonic() + CLEANING_LIMIT
    left = attempt(lambda: make_clean(world))
    lost = attempt(lambda: hold_against(world, story))
    faults = [it for it in (why, left and f"not left clean: {left}", lost) if it]
    row = replace(story.row, passed=not faults)
    return row, "; ".join(faults) or None


def attempt(work) -> str | None:
    """What went wrong, if anything did; one scenario's failure is not the next one's."""
    try:
        work()
    except Failed as failure:
        return str(failure)
    except Interrupted:
        raise
    except Exception:
        return "a fault of the scenario: " + traceback.format_exc(limit=-3)
    return None


def take_note(world: World, story: Story) -> None:
    """The runs of the scenario, whole, for whoever looks into a failure."""
    try:
        runs = [world.run(it["id"]) for it in world.runs() if it["id"] not in SEEN]
    except (OSError, ValueError):
        runs = []
    (world.folder / f"{story.row.scenario}.json").write_text(json.dumps(runs, indent=1) + "\n")


SEEN: set[int] = set()


def hold_against(world: World, story: Story) -> None:
    """No acknowledged record lost, and no partition short of replicas by our doing."""
    runs = [world.run(it["id"]) for it in world.runs() if it["id"] not in SEEN]
    SEEN.update(it["id"] for it in runs)
    spans = [it for it in map(judge.acted, runs) if it]
    under, looks = judge.under_by_us(world.referee.timeline, spans, world.faults)
    said = dict(it.split("=") for it in world.referee.ask("check").split())
    story.row.records_lost = int(said["lost"])
    story.row.under_min_isr_by_us = under
    world.say(
        f"{said['acknowledged']} records acknowledged, {said['lost']} lost;"
        f" {under} partitions under min.insync.replicas in {looks} looks while we acted"
    )
    if said["lost"] != "0" or under:
        raise Failed(f"{said['lost']} acknowledged records lost, {under} partitions short by us")


def main() -> int:
    scenarios = chosen()
    rows = {it.slug: Row(it.slug) for it in scenarios}
    judge.write(RESULT, list(rows.values()))
    if sys.argv[1:] == ["none"]:
        return 0

    def interrupt(*_: object) -> None:
        raise Interrupted

    signal.signal(signal.SIGTERM, interrupt)
    signal.signal(signal.SIGINT, interrupt)
    world = World.from_environment()
    begun = time.monotonic()
    world.told, world.deadline = begun, begun + CLEANING_LIMIT
    make_well(world)
    world.sleep(WARM_UP)
    lines = []
    for scenario in scenarios:
        at = time.monotonic()
        row, why = play(world, scenario)
        rows[row.scenario] = row
        judge.write(RESULT, list(rows.values()))
        took = time.monotonic() - at
        lines.append(
            f"{'passed' if row.passed else 'FAILED'}  {took:4.0f} s  {row.scenario}"
            + (f": {why}" if why else "")
        )
        print(f"  {lines[-1]}", flush=True)
    world.referee.end()
    print(f"\n{len(lines)} scenarios in {time.monotonic() - begun:.0f} s\n" + "\n".join(lines))
    print(f"results are in {RESULT}")
    return 0 if all(it.passed for it in rows.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
