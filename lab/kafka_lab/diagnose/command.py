"""Gives a cluster one bottleneck after the other, and reads what `analyze` says of it.

The optimizer only observes. What it is asked for is fixed beforehand: the report is read once, a
while after the first finding, and not again until it fits.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path

from ..cleanup import exclusive
from ..engine import running_engine
from ..errors import LabError
from ..heal.cleanup import clean_up
from ..heal.cluster import HealCluster
from ..heal.command import heal_cluster, heal_stack
from ..heal.scenarios.scenario import EACH
from ..load import Load
from ..paths import TARGET
from ..rendering import Windows
from ..settings import Settings
from ..stack import Stack
from .bottlenecks import LAST, PAIRS, SINGLE, Bottleneck, both
from .report import Report, read_report
from .result import NOTHING, Row, healthy_row, problems, row_of, write

HEALTHY_READINGS = 10
HEALTHY_EVERY = 15.0  # seconds
# Seconds from the fault to its first finding, at most, and from there to the reading: symptoms come
# and go while a fault develops.
FOUND_WITHIN = 150.0
READ_AFTER = 45.0
LIMIT = 420.0


def diagnose(settings: Settings) -> int:
    """The exit code: 0 when every cause was found, and nothing on a healthy cluster."""
    offset = settings.diagnose_port_offset
    stack = Stack.named("diagnose", "kafka-optimizer-diagnose", offset, Windows.HEAL)
    result = stack.folder / "result.json"

    with ExitStack() as cleanups:
        lock = TARGET / "diagnose.lock"
        cleanups.enter_context(exclusive(lock, "another make diagnose is running"))
        write(result, [])  # an older run's result must not remain
        cleanups.enter_context(running_engine(keep=settings.keep))
        cleanups.enter_context(heal_stack(stack, settings))
        cluster = cleanups.enter_context(heal_cluster(stack, settings))
        cluster.waiter.limit(LIMIT)
        cleanups.enter_context(cluster.mode("observe"))

        found = DiagnoseSession(cluster, settings.only, result).play()

    print(f"results are in {result}")
    for problem in found:
        print(f"MISSED: {problem}")
    return 1 if found else 0


class DiagnoseSession:
    """All bottlenecks on one cluster. `only`: causes, `none` and `pairs`; all if it is empty."""

    def __init__(self, cluster: HealCluster, only: Sequence[str], result: Path) -> None:
        self._cluster = cluster
        self._only = only
        self._result = result
        self._url = cluster.optimizer.url
        self._rows: list[Row] = []

    def play(self) -> list[str]:
        """What was missed."""
        found: list[str] = []
        if self._wants(NOTHING):
            found += self._healthy()
        for one in SINGLE:
            found += self._single(one)
        if self._wants("pairs"):
            for first, second in PAIRS:
                found += self._pair(first, second)
        for one in LAST:
            found += self._single(one)
        return found

    def _wants(self, name: str) -> bool:
        return not self._only or name in self._only

    def _healthy(self) -> list[str]:
        """A cluster with load, some of it through three replicas, and a group that keeps up."""
        cluster = self._cluster
        cluster.progress.headline(f"none: a healthy cluster with load, {HEALTHY_READINGS} times")
        cluster.progress.restart()
        cluster.waiter.limit(LIMIT)
        cluster.referee.create_topic("heal-healthy", EACH * 4, 3)
        cluster.start_load(Load(topic="heal-healthy", producers=12, rate=300, pinned=False))

        rows = []
        for _ in range(HEALTHY_READINGS):
            cluster.waiter.sleep(HEALTHY_EVERY)
            report = read_report(self._url)
            cluster.progress.say(str(report))
            rows.append(healthy_row(report))
        self._clean_up()
        return self._judged(rows, 1)

    def _single(self, one: Bottleneck) -> list[str]:
        if not self._wants(one.cause):
            return []
        report = self._reading(one.cause, one.about, one.fault(self._cluster))
        return self._judged([row_of(one.cause, report)], 1)

    def _pair(self, first: Bottleneck, second: Bottleneck) -> list[str]:
        name = f"{first.cause} and {second.cause}"
        faults = both(self._cluster, first, second)
        report = self._reading(name, f"{first.about}; {second.about}", faults)
        rows = [row_of(it.cause, report) for it in (first, second)]
        return self._judged(rows, 2)

    def _judged(self, rows: list[Row], rank_max: int) -> list[str]:
        self._rows += rows
        write(self._result, self._rows)
        return problems(rows, rank_max)

    def _reading(self, name: str, about: str, fault: AbstractContextManager[None]) -> Report:
        """The cluster is clean before and after. A fault that could not be made is none found."""
        cluster = self._cluster
        cluster.progress.headline(f"{name}: {about}")
        cluster.progress.restart()
        cluster.waiter.limit(LIMIT)
        report = Report(None, ())
        try:
            with fault:
                report = self._developed()
                cluster.progress.say(str(report))
        except LabError as error:
            cluster.progress.say(f"FAILED: {error}")
        self._clean_up()
        return report

    def _developed(self) -> Report:
        url, waiter = self._url, self._cluster.waiter
        waiter.until("a finding", lambda: read_report(url).findings, FOUND_WITHIN)
        waiter.sleep(READ_AFTER)
        return read_report(url)

    def _clean_up(self) -> None:
        """The next bottleneck begins when nothing of this one is found any more."""
        cluster = self._cluster
        cluster.waiter.limit(LIMIT)
        try:
            clean_up(cluster)
            cluster.waiter.until(
                "a green cluster", lambda: not read_report(self._url).findings, 240
            )
        except LabError as error:
            cluster.progress.say(f"left behind: {read_report(self._url)} ({error})")
