"""What each exporter shows while a broker hangs: 1,500 lag series, each of them 6.

Broker 3 is frozen for 20 s. Each exporter is scraped every second, from 10 s before until 60 s
after. A series is healthy when broker 3 neither leads its partition nor coordinates its group.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..docker import Docker
from ..errors import LabError
from ..results import write_json
from . import report
from .brokers import Brokers, Placement
from .exporter_process import NotMeasuredError, RunningExporter, running_exporter
from .exporters import FREEZE, Choice, Exporter, Place
from .page import compare, lags
from .plan import Series, plan_of_freeze

BROKER = 3
BEFORE, FROZEN, AFTER = 10, 20, 60
SCRAPE_TIMEOUT = 30.0
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
        problems = self.wrong or self.missing_healthy or self.missing_stalled
        return self.status == 200 and not problems


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

    def summarize(self) -> None:
        moments = self.moments
        answered = [moment for moment in moments if moment.status == 200]
        self.scrapes = len(moments)
        self.scrape_wall_max_s = max(moment.wall_s for moment in moments)
        self.scrapes_failed = len(moments) - len(answered)
        self.wrong_max = max((moment.wrong for moment in answered), default=0)
        self.missing_healthy_max = max((it.missing_healthy for it in answered), default=0)
        self.missing_stalled_max = max((it.missing_stalled for it in answered), default=0)

        wrong = [moment.at for moment in answered if moment.wrong]
        if wrong:
            self.wrong_from_s, self.wrong_until_s = wrong[0], wrong[-1]
        self.right_again_s = right_again(moments)


def right_again(moments: list[Moment]) -> float | None:
    """Seconds from the resume until every later page was right."""
    bad = [index for index, moment in enumerate(moments) if not moment.is_right()]
    if not bad:
        return 0.0
    if bad[-1] + 1 == len(moments):
        return None
    again = moments[bad[-1] + 1]
    return round(max(0.0, again.at + again.wall_s - FROZEN), 1)


def healthy(placement: Placement, right: dict[Series, int]) -> set[Series]:
    return {
        (group, topic, partition)
        for group, topic, partition in right
        if BROKER not in (placement.leaders[(topic, partition)], placement.coordinators[group])
    }


class Freeze:
    """Pauses the broker at a moment and resumes it later, whatever a scrape does meanwhile."""

    def __init__(self, container: str, begin: float) -> None:
        self._container = container
        self._docker = Docker()
        self._due = {"pause": begin, "unpause": begin + FROZEN}
        self._done: dict[str, float] = {}
        self._timers = [
            self._at(self._due["pause"], self._pause),
            self._at(self._due["unpause"], self._unpause),
        ]

    @staticmethod
    def _at(moment: float, work: Callable[[], None]) -> threading.Timer:
        timer = threading.Timer(moment - time.monotonic(), work)
        timer.start()
        return timer

    def _pause(self) -> None:
        self._docker.pause(self._container)
        self._done["pause"] = time.monotonic()

    def _unpause(self) -> None:
        self._docker.unpause(self._container)
        self._done["unpause"] = time.monotonic()

    def end(self) -> None:
        """The broker runs on, also when the watch was cut short."""
        for timer in self._timers:
            timer.cancel()
            timer.join()
        if self._docker.inspect(self._container, "{{.State.Paused}}") == "true":
            self._unpause()

    def require_punctuality(self) -> None:
        """An engine that is late, as on a busy machine, makes another experiment of it."""
        for order, due in self._due.items():
            late = self._done.get(order, math.inf) - due
            if late > LATE_MAX:
                raise NotMeasuredError(f"{order} of broker {BROKER} was {late:.1f} s late")


def watch(
    running: RunningExporter, container: str, right: dict[Series, int], well: set[Series]
) -> list[Moment]:
    """One scrape after the other: one that hangs delays the next, as it would Prometheus's."""
    frozen_at = time.monotonic() + BEFORE
    freeze = Freeze(container, frozen_at)
    moments = []
    try:
        while (now := time.monotonic()) < frozen_at + FROZEN + AFTER:
            moments.append(scrape_once(running, now - frozen_at, right, well))
            time.sleep(max(0.0, now + 1 - time.monotonic()))
    finally:
        freeze.end()
    freeze.require_punctuality()
    return moments


def scrape_once(
    running: RunningExporter, at: float, right: dict[Series, int], well: set[Series]
) -> Moment:
    found = running.scrape(SCRAPE_TIMEOUT)
    comparison = compare(lags(running.exporter, found.text()), right)
    return Moment(
        at=round(at, 1),
        wall_s=round(found.seconds, 3),
        status=found.status,
        series=comparison.series,
        wrong=comparison.wrong,
        missing_healthy=len(comparison.missing & well),
        missing_stalled=len(comparison.missing - well),
    )


def measure(exporter: Exporter, brokers: Brokers, place: Place, result: Result) -> None:
    plan = plan_of_freeze()
    right = plan.lags()
    exporter.binary(place)
    # Each begins with the preferred leaders.
    well = healthy(brokers.fill(plan), right)
    with running_exporter(exporter, place, exporter.paces[FREEZE]) as running:
        running.first_good_scrape(right)
        result.moments = watch(running, brokers.containers[BROKER - 1], right, well)
    result.summarize()


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
    return report.table(HEAD, [_cells(result) for result in results])


def _cells(result: Result) -> list[str]:
    span = "–"
    if result.wrong_from_s is not None:
        span = f"{result.wrong_from_s:.0f}, {result.wrong_until_s:.0f}"
    again = report.number(result.right_again_s)
    if result.scrapes and result.right_again_s is None:
        again = "not seen"
    return [
        result.exporter,
        report.number(result.scrapes),
        report.number(result.scrape_wall_max_s),
        report.number(result.scrapes_failed),
        report.number(result.wrong_max),
        span,
        report.number(result.missing_healthy_max),
        report.number(result.missing_stalled_max),
        again,
    ]


def broken_promises(result: Result) -> list[str]:
    """What this exporter promises and did not keep."""
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


class FrozenRun:
    """Rows are written as they come, so that an interrupted run says how far it came."""

    def __init__(self, choice: Choice, out: Path) -> None:
        self._choice = choice
        self._out = out
        self._results = [Result(exporter.name) for exporter in choice.exporters]

    def fail(self, reason: str) -> None:
        """Says of every row without scrapes why it has none, until they come."""
        rows = [
            asdict(row) | ({} if row.error or row.moments else {"error": reason})
            for row in self._results
        ]
        write_json(self._out, rows)

    def measure_all(self, brokers: Brokers, place: Place) -> None:
        for exporter, result in zip(self._choice.exporters, self._results):
            try:
                measure(exporter, brokers, place, result)
            except (LabError, OSError) as error:
                result.error = str(error)
            words = result.error or f"{result.scrapes} scrapes, {result.wrong_max} wrong at most"
            print(f"  {exporter.name:20} {words}", flush=True)
            self.fail("the run ended before this was measured")

    def report(self) -> None:
        print(f"\n{table(self._results)}\n\nwritten to {self._out}")
        broken = [
            f"{result.exporter}: {promise}"
            for result in self._results
            if result.exporter.startswith(report.OURS)
            for promise in broken_promises(result)
        ]
        if broken:
            raise LabError("; ".join(broken))
