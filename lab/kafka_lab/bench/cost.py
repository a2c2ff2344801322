"""What each exporter costs at each size, on one cluster, one after the other."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ..errors import LabError
from ..results import write_json
from . import report
from .brokers import Brokers, Watch, Window
from .exporter_process import NotMeasuredError, RunningExporter, running_exporter
from .exporters import Choice, Exporter, NotBuiltError, Pace, Place
from .page import Round, compare, lags, last_round
from .plan import SIZES, Plan, Series, plan_of_size
from .report import Extra, Row

IDLE_SECONDS = 15.0
SETTLE_SECONDS = 15.0  # after a cluster has grown
NOT_REACHED = "the run ended before this was measured"


@dataclass
class Cycles:
    """What a row of scrapes found."""

    walls: list[float]
    rounds: list[Round]
    sent_bytes: int

    def count(self) -> int:
        """Refreshes: on a busy machine a round may be late or given up."""
        if not self.rounds:
            return len(self.walls)
        refreshes = len({round.time for round in self.rounds}) - 1
        if not refreshes:
            raise NotMeasuredError("it did not refresh while it was measured")
        return refreshes

    def round_wall(self) -> float:
        return mean([round.seconds for round in self.rounds[1:]] or self.walls)


@dataclass
class Measurement:
    """What one exporter did; the window still holds what idle brokers would have done."""

    row: Row
    window: Window
    cycles: int
    exporter_cpu: float
    first_good_s: float
    sent_mb: float

    def finish(self, idle: Window) -> Extra:
        """Adds to the row what the brokers did because of it."""
        own = self.window.minus_idle(idle)
        self.row.requests_per_cycle = round(sum(own.requests.values()) / self.cycles, 1)
        # Less than the idle cluster's own ups and downs is not known.
        if own.cpu > 0:
            self.row.broker_cpu_s_per_cycle = round(own.cpu / self.cycles, 3)

        by_count = sorted(own.requests.items(), key=lambda item: -item[1])
        kinds = {kind: round(count / self.cycles, 1) for kind, count in by_count}
        others = self.window.busy - self.window.cpu - self.exporter_cpu
        return Extra(
            self.first_good_s,
            self.sent_mb,
            others / self.window.seconds,
            {kind: count for kind, count in kinds.items() if count},
        )


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def measure(
    exporter: Exporter, place: Place, brokers: Brokers, row: Row, right: dict[Series, int]
) -> Measurement:
    """Fills the row; raises `NotMeasuredError` when there are no numbers."""
    pace = exporter.paces[row.size]
    with running_exporter(exporter, place, pace) as running:
        first_good_s = running.first_good_scrape(right)
        if pace.interval:
            time.sleep(pace.interval)  # the first round has more to do than others
        before = last_round(exporter, running.scrape().text()) if exporter.round_time else None

        watch = Watch(brokers)
        cpu = running.cpu()
        cycles = run_cycles(running, pace, before)
        exporter_cpu = running.cpu() - cpu
        window = watch.end()

        last = running.scrape()
        text = last.text()
        problem = compare(lags(exporter, text), right).problem()
        if last.status != 200 or problem:
            raise NotMeasuredError(
                f"the page after the measurement: status {last.status}, {problem}"
            )

        row.round_wall_s = round(cycles.round_wall(), 4)
        row.cpu_s_per_cycle = round(exporter_cpu / cycles.count(), 4)
        row.rss_peak_mb = round(running.rss_peak_mb(), 1)
        row.page_mb = round(len(text) / 1e6, 3)
        row.scrape_wall_s = round(mean(cycles.walls), 4)
        sent_mb = cycles.sent_bytes / 1e6
        return Measurement(row, window, cycles.count(), exporter_cpu, first_good_s, sent_mb)


def run_cycles(running: RunningExporter, pace: Pace, before: Round | None) -> Cycles:
    """Each scrape ends an interval: as many refreshes as scrapes, unless some fail."""
    cycles = Cycles([], [before] if before else [], 0)
    begun = time.monotonic()
    for cycle in range(pace.cycles):
        time.sleep(max(0.0, begun + (cycle + 1) * pace.interval - time.monotonic()))
        found = running.scrape()
        if found.status != 200:
            words = f"a scrape was answered with {found.status} {found.failure}"
            raise NotMeasuredError(words.strip())
        cycles.walls.append(found.seconds)
        cycles.sent_bytes = len(found.body)

        if running.exporter.round_time:
            last = last_round(running.exporter, found.text())
            if not last:
                raise NotMeasuredError("the page does not say how long a round takes")
            cycles.rounds.append(last)
    return cycles


@dataclass(frozen=True)
class Key:
    size: str
    exporter: str


class CostRun:
    """Rows are written as they come, so that an interrupted run says how far it came."""

    def __init__(self, choice: Choice, out: Path) -> None:
        self._plans = {size: plan_of_size(SIZES[size]) for size in choice.sizes}
        self._exporters = choice.exporters
        self._out = out
        self._rows = {
            Key(size, exporter.name): Row(
                exporter.name, size, plan.partitions(), plan.groups(), len(plan.commits)
            )
            for size, plan in self._plans.items()
            for exporter in choice.exporters
        }
        self._extras: dict[Key, Extra] = {}
        self._brokers = 0

    def fail(self, reason: str) -> None:
        """Says of every row without numbers why it has none, until they come."""
        rows = [
            asdict(row) | ({"error": reason} if row.is_empty() else {})
            for row in self._rows.values()
        ]
        write_json(self._out, rows)

    def measure_all(self, brokers: Brokers, place: Place) -> None:
        self._brokers = brokers.count()
        for size, plan in self._plans.items():
            begun = time.monotonic()
            brokers.fill(plan)
            time.sleep(SETTLE_SECONDS)
            print(
                f"\n{size}: {plan.partitions()} partitions, {plan.groups()} groups,"
                f" {len(plan.commits)} lag series, filled in {time.monotonic() - begun:.0f} s",
                flush=True,
            )
            self._measure_size(size, plan, brokers, place)

    def _measure_size(self, size: str, plan: Plan, brokers: Brokers, place: Place) -> None:
        right = plan.lags()
        before = brokers.idle(IDLE_SECONDS)
        for exporter in self._exporters:
            key = Key(size, exporter.name)
            row = self._rows[key]
            try:
                exporter.binary(place)
                measurement = measure(exporter, place, brokers, row, right)
            except (LabError, OSError) as error:
                row.error = str(error)
                # What it left the brokers to do is not the next one's.
                if not isinstance(error, NotBuiltError):
                    before = brokers.idle(IDLE_SECONDS)
            else:
                after = brokers.idle(IDLE_SECONDS)
                self._extras[key] = measurement.finish(before.plus(after))
                before = after

            print(report.progress(row, self._extras.get(key)), flush=True)
            self.fail(NOT_REACHED)

    def report(self) -> None:
        extras = {(key.size, key.exporter): extra for key, extra in self._extras.items()}
        print(report.tables(list(self._rows.values()), extras, self._brokers))
        print(f"\nwritten to {self._out}")

        if any(row.error for row in self._rows.values() if row.exporter.startswith(report.OURS)):
            raise LabError("this exporter has a row without numbers, see above")
