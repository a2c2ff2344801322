"""What each exporter costs at each size, on one cluster, one after the other.

usage: cost.py none REASON    writes the result of a run in which nothing was measured
       cost.py                measures; SIZES and ONLY choose a part, which has a file of its own
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import exporters
import plan
import report
from cluster import Cluster, Watch, Window
from exporters import Exporter, Pace, Place, Unavailable
from page import Round, judge, lags, last_round
from plan import Plan, Series
from process import Failed, Running
from report import Extra, Row

IDLE_SECONDS = 15.0
SETTLE_SECONDS = 15.0  # after a cluster has grown


@dataclass
class Measured:
    """What one exporter did, with what the idle cluster would have done still in it."""

    row: Row
    window: Window
    cycles: int
    used: float
    first_good_s: float
    packed_mb: float

    def without(self, idle: Window) -> Extra:
        own = self.window.beyond(idle)
        self.row.requests_per_cycle = round(own.requests.total() / self.cycles, 1)
        # Less than the idle cluster's own ups and downs is not known.
        if own.cpu > 0:
            self.row.broker_cpu_s_per_cycle = round(own.cpu / self.cycles, 3)
        kinds = {it: round(n / self.cycles, 1) for it, n in own.requests.most_common()}
        others = self.window.busy - self.window.cpu - self.used
        return Extra(
            self.first_good_s,
            self.packed_mb,
            others / self.window.seconds,
            {it: n for it, n in kinds.items() if n},
        )


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


@dataclass
class Cycles:
    """What a row of scrapes saw."""

    walls: list[float]
    rounds: list[Round]
    sent_bytes: int

    def count(self) -> int:
        """Refreshes: on a busy machine a round may be late or given up."""
        if not self.rounds:
            return len(self.walls)
        done = len({it.at for it in self.rounds}) - 1
        if not done:
            raise Failed("it did not refresh while it was measured")
        return done

    def round_wall(self) -> float:
        return mean([it.seconds for it in self.rounds[1:]] or self.walls)


def measure(
    exporter: Exporter, place: Place, cluster: Cluster, row: Row, truth: dict[Series, int]
) -> Measured:
    """Raises Failed, Unavailable or OSError when there are no numbers."""
    pace = exporter.paces[row.size]
    with Running(exporter, place, pace) as running:
        first_good_s = running.first_good_scrape(truth)
        if pace.interval:
            time.sleep(pace.interval)  # the first round has more to do than others
        before = round_of(running)
        watch = Watch(cluster)
        cpu = running.cpu()
        cycles = run_cycles(running, pace, before)
        used = running.cpu() - cpu
        window = watch.end()
        last = running.scrape()
        text = last.text()
        fault = judge(lags(exporter, text), truth).fault()
        if last.status != 200 or fault:
            raise Failed(f"the page after the measurement: status {last.status}, {fault}")
        row.round_wall_s = round(cycles.round_wall(), 4)
        row.cpu_s_per_cycle = round(used / cycles.count(), 4)
        row.rss_peak_mb = round(running.rss_peak_mb(), 1)
        row.page_mb = round(len(text) / 1e6, 3)
        row.scrape_wall_s = round(mean(cycles.walls), 4)
        sent_mb = cycles.sent_bytes / 1e6
        return Measured(row, window, cycles.count(), used, first_good_s, sent_mb)


def round_of(running: Running) -> Round | None:
    """Only an exporter that works in the background is scraped for it."""
    return (
        last_round(running.exporter, running.scrape().text()) if running.exporter.round_at else None
    )


def run_cycles(running: Running, pace: Pace, before: Round | None) -> Cycles:
    """Each scrape ends an interval: as many refreshes as scrapes, unless some fail."""
    seen = Cycles([], [before] if before else [], 0)
    begun = time.monotonic()
    for cycle in range(pace.cycles):
        time.sleep(max(0.0, begun + (cycle + 1) * pace.interval - time.monotonic()))
        found = running.scrape()
        if found.status != 200:
            raise Failed(f"a scrape was answered with {found.status} {found.failure}".strip())
        seen.walls.append(found.seconds)
        seen.sent_bytes = len(found.body)
        if running.exporter.round_at:
            own = last_round(running.exporter, found.text())
            if not own:
                raise Failed("the page does not say how long a round takes")
            seen.rounds.append(own)
    return seen


class Run:
    """Rows are written as they come, so that an interrupted run says how far it came."""

    def __init__(self, sizes: list[str], chosen: list[Exporter], out: Path) -> None:
        self.plans = {size: plan.of_size(plan.SIZES[size]) for size in sizes}
        self.chosen = chosen
        self.out = out
        self.rows = {
            (size, it.name): Row(it.name, size, made.partitions(), made.groups(), len(made.commits))
            for size, made in self.plans.items()
            for it in chosen
        }
        self.extras: dict[tuple[str, str], Extra] = {}

    def fail(self, reason: str) -> None:
        """Says of every row that has nothing yet why it has nothing."""
        for row in self.rows.values():
            if row.cpu_s_per_cycle is None and row.error is None:
                row.error = reason
        self.write()

    def write(self) -> None:
        part = self.out.with_suffix(".new")
        part.write_text(json.dumps([asdict(it) for it in self.rows.values()], indent=1) + "\n")
        part.replace(self.out)

    def measure_all(self, cluster: Cluster, place: Place) -> None:
        for size, made in self.plans.items():
            begun = time.monotonic()
            cluster.fill(made)
            time.sleep(SETTLE_SECONDS)
            print(
                f"\n{size}: {made.partitions()} partitions, {made.groups()} groups,"
                f" {len(made.commits)} lag series, filled in {time.monotonic() - begun:.0f} s",
                flush=True,
            )
            self.measure_size(size, made, cluster, place)

    def measure_size(self, size: str, made: Plan, cluster: Cluster, place: Place) -> None:
        truth = made.truth()
        before = cluster.idle(IDLE_SECONDS)
        for exporter in self.chosen:
            row = self.rows[(size, exporter.name)]
            try:
                exporter.binary()
                measured = measure(exporter, place, cluster, row, truth)
            except (Failed, Unavailable, OSError) as error:
                row.error = str(error)
                print(report.progress(row, None), flush=True)
                self.write()
                if isinstance(
                    error, Failed
                ):  # what it left the brokers to do is not the next one's
                    before = cluster.idle(IDLE_SECONDS)
                continue
            after = cluster.idle(IDLE_SECONDS)
            extra = measured.without(before.with_(after))
            before = after
            self.extras[(size, exporter.name)] = extra
            print(report.progress(row, extra), flush=True)
            self.write()


def main() -> None:
    sizes, chosen, is_part = exporters.choose()
    folder = Path(os.environ["BENCH_FOLDER"])
    # A part of a run would put numbers of different days side by side.
    run = Run(sizes, chosen, folder / ("part.json" if is_part else "result.json"))
    if sys.argv[1:2] == ["none"]:
        run.fail(sys.argv[2])
        return
    cluster = Cluster()
    place = Place(cluster.bootstrap, int(os.environ["BENCH_PORT"]), folder / "exporter")
    try:
        run.measure_all(cluster, place)
    finally:
        run.fail("the run ended before this was measured")
    print(report.tables(list(run.rows.values()), run.extras, brokers=len(cluster.pids)))
    print(f"\nwritten to {run.out}")
    if any(row.error for row in run.rows.values() if row.exporter.startswith("kafka-optimizer")):
        raise SystemExit("cost.py: error: this exporter has a row without numbers")


if __name__ == "__main__":
    main()
