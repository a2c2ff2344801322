"""What each exporter shows while a broker hangs: 1,500 lag series, each of them 6.

Broker 3 is frozen for 20 s. Each exporter is scraped every second, from before that until 60 s
after.
A series is healthy when neither its partition's leader nor its group's coordinator was broker 3.

usage: frozen.py none REASON    writes the result of a run in which nothing was measured
       frozen.py                measures; ONLY chooses a part, which is kept apart from whole runs
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

import exporters
import plan
import report
from cluster import Cluster, Placement
from exporters import Exporter, Place, Unavailable
from page import judge, lags
from plan import Series
from process import Failed, Running

BROKER = 3
BEFORE, FROZEN, AFTER = 10, 20, 60
PATIENCE = 30.0
LATE_MAX = 2.0


@dataclass
class Moment:
    """One scrape. Times are seconds since the broker froze."""

    at: float
    wall_s: float
    status: int
    series: int
    wrong: int
    missing_healthy: int
    missing_stalled: int

    def is_right(self) -> bool:
        return self.status == 200 and not (
            self.wrong or self.missing_healthy or self.missing_stalled
        )


@dataclass
class Result:
    """A row of result.json. `right_again_s` counts from the resume; null: not within the time."""

    exporter: str
    scrapes: int | None = None
    scrape_wall_max_s: float | None = None
    scrapes_failed: int | None = None
    wrong_max: int | None = None
    wrong_from_s: float | None = None
    wrong_until_s: float | None = None
    missing_healthy_max: int | None = None
    missing_stalled_max: int | None = None
    right_again_s: float | None = None
    error: str | None = None
    moments: list[Moment] = field(default_factory=list)

    def sum_up(self) -> None:
        seen = self.moments
        answered = [it for it in seen if it.status == 200]
        self.scrapes = len(seen)
        self.scrape_wall_max_s = max(it.wall_s for it in seen)
        self.scrapes_failed = len(seen) - len(answered)
        self.wrong_max = max((it.wrong for it in answered), default=0)
        self.missing_healthy_max = max((it.missing_healthy for it in answered), default=0)
        self.missing_stalled_max = max((it.missing_stalled for it in answered), default=0)
        wrong = [it.at for it in answered if it.wrong]
        if wrong:
            self.wrong_from_s, self.wrong_until_s = wrong[0], wrong[-1]
        bad = [at for at, it in enumerate(seen) if not it.is_right()]
        if not bad:
            self.right_again_s = 0.0
        elif bad[-1] + 1 < len(seen):
            again = seen[bad[-1] + 1]
            self.right_again_s = round(max(0.0, again.at + again.wall_s - FROZEN), 1)


def healthy(placement: Placement, truth: dict[Series, int]) -> set[Series]:
    return {
        (group, topic, partition)
        for group, topic, partition in truth
        if BROKER not in (placement.leaders[(topic, partition)], placement.coordinators[group])
    }


class Freeze:
    """Pauses the broker at a moment and resumes it later, whatever a scrape does meanwhile."""

    def __init__(self, container: str, at: float) -> None:
        self.container = container
        self.due = {"pause": at, "unpause": at + FROZEN}
        self.done: dict[str, float] = {}
        now = time.monotonic()
        self.timers = [
            threading.Timer(due - now, self.docker, [order]) for order, due in self.due.items()
        ]
        for timer in self.timers:
            timer.start()

    def docker(self, order: str) -> None:
        asked = ["docker", order, self.container]
        if subprocess.run(asked, check=False, capture_output=True).returncode == 0:
            self.done[order] = time.monotonic()

    def end(self) -> None:
        """The broker runs on, also when the watch was cut short."""
        for timer in self.timers:
            timer.cancel()
            timer.join()
        asked = ["docker", "inspect", "-f", "{{.State.Paused}}", self.container]
        if "true" in subprocess.run(asked, check=True, capture_output=True, text=True).stdout:
            self.docker("unpause")

    def check(self) -> None:
        """An engine that is late, as on a machine with too much to do, makes another experiment."""
        for order, due in self.due.items():
            late = self.done.get(order, math.inf) - due
            if late > LATE_MAX:
                raise Failed(f"{order} of broker {BROKER} was {late:.1f} s late")


def watch(
    running: Running, container: str, truth: dict[Series, int], well: set[Series]
) -> list[Moment]:
    """One scrape after the other: one that hangs delays the next, as it would Prometheus's."""
    frozen_at = time.monotonic() + BEFORE
    freeze = Freeze(container, frozen_at)
    moments = []
    try:
        while (now := time.monotonic()) < frozen_at + FROZEN + AFTER:
            moments.append(look(running, now - frozen_at, truth, well))
            time.sleep(max(0.0, now + 1 - time.monotonic()))
    finally:
        freeze.end()
    freeze.check()
    return moments


def look(running: Running, at: float, truth: dict[Series, int], well: set[Series]) -> Moment:
    found = running.scrape(PATIENCE)
    verdict = judge(lags(running.exporter, found.text()), truth)
    return Moment(
        at=round(at, 1),
        wall_s=round(found.seconds, 3),
        status=found.status,
        series=verdict.series,
        wrong=verdict.wrong,
        missing_healthy=len(verdict.missing & well),
        missing_stalled=len(verdict.missing - well),
    )


def measure(exporter: Exporter, cluster: Cluster, place: Place, result: Result) -> None:
    made = plan.of_stall()
    truth = made.truth()
    exporter.binary()
    # Each begins on the same ground: every leader where it belongs.
    well = healthy(cluster.fill(made), truth)
    with Running(exporter, place, exporter.paces["stall"]) as running:
        running.first_good_scrape(truth)
        result.moments = watch(running, cluster.containers[BROKER - 1], truth, well)
    result.sum_up()


HEAD = [
    "exporter",
    "scrapes",
    "longest, s",
    "failed",
    "wrong values",
    "seen from, to, s",
    "healthy missing",
    "stalled missing",
    "right again, s after the resume",
]


def table(results: list[Result]) -> str:
    lines = []
    for it in results:
        span = "–"
        if it.wrong_from_s is not None:
            span = f"{it.wrong_from_s:.0f}, {it.wrong_until_s:.0f}"
        again = (
            "not seen"
            if it.scrapes and it.right_again_s is None
            else report.number(it.right_again_s)
        )
        counts = [it.wrong_max, it.missing_healthy_max, it.missing_stalled_max]
        wrong, well, stalled = (report.number(n) for n in counts)
        wall, failed = report.number(it.scrape_wall_max_s), report.number(it.scrapes_failed)
        cells = [report.number(it.scrapes), wall, failed, wrong, span, well, stalled, again]
        lines.append([it.exporter, *cells])
    return report.table(HEAD, lines)


def ours_is_right(result: Result) -> list[str]:
    """What this exporter promises, where it did not keep it."""
    if result.error or result.scrape_wall_max_s is None:
        return [f"not measured: {result.error}"]
    broken = []
    if result.scrapes_failed:
        broken.append(f"{result.scrapes_failed} scrapes failed")
    if result.wrong_max:
        broken.append(f"{result.wrong_max} wrong values")
    if result.missing_healthy_max:
        broken.append(f"{result.missing_healthy_max} values of healthy brokers missing")
    if result.scrape_wall_max_s >= 0.1:
        broken.append(f"a scrape took {result.scrape_wall_max_s} s")
    return broken


def write(results: list[Result], out: Path) -> None:
    part = out.with_suffix(".new")
    part.write_text(json.dumps([asdict(it) for it in results], indent=1) + "\n")
    part.replace(out)


def main() -> None:
    _, chosen, is_part = exporters.choose()
    folder = Path(os.environ["BENCH_FOLDER"])
    out = folder / ("part.json" if is_part else "result.json")
    not_yet = sys.argv[2] if sys.argv[1:2] == ["none"] else "the run ended before this was measured"
    results = [Result(it.name, error=not_yet) for it in chosen]
    write(results, out)
    if sys.argv[1:2] == ["none"]:
        return
    cluster = Cluster()
    place = Place(cluster.bootstrap, int(os.environ["BENCH_PORT"]), folder / "exporter")
    for exporter, result in zip(chosen, results):
        result.error = None
        try:
            measure(exporter, cluster, place, result)
        except (Failed, Unavailable, OSError) as error:
            result.error = str(error)
        said = result.error or f"{result.scrapes} scrapes, {result.wrong_max} wrong at most"
        print(f"  {exporter.name:20} {said}", flush=True)
        write(results, out)
    print(f"\n{table(results)}\n\nwritten to {out}")
    broken = [
        f"{it.exporter}: {why}"
        for it in results
        if "optimizer" in it.exporter
        for why in ours_is_right(it)
    ]
    if broken:
        raise SystemExit("frozen.py: error: " + "; ".join(broken))


if __name__ == "__main__":
    main()
