"""Plays the scenarios, one after the other, and writes target/heal/result.json as it goes."""

from __future__ import annotations

import json
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from ..cleanup import exclusive, uninterrupted
from ..commands import run
from ..engine import build_everything, install_packages, kafka_client_libraries, running_engine
from ..errors import LabError
from ..optimizer import Run, RunSummary
from ..paths import LAB, TARGET
from ..progress import Progress
from ..rendering import Windows
from ..results import write_atomically
from ..settings import Settings
from ..stack import Stack
from ..waiting import Waiter
from .cleanup import clean_up, settle
from .cluster import FIRST_MINUTE, HealCluster
from .referee import Referee
from .replicas import Span, read_timeline, under_minimum_by_us
from .result import Row, write
from .scenarios import Scenario, chosen

CLEANUP_LIMIT = 300.0


def heal(settings: Settings) -> int:
    """The exit code: 0 when every scenario passed."""
    scenarios = chosen(settings.only)
    stack = Stack.named("heal", "kafka-optimizer-heal", settings.heal_port_offset, Windows.HEAL)
    rows = {scenario.slug: Row(scenario.slug) for scenario in scenarios}
    result = stack.folder / "result.json"

    with ExitStack() as cleanups:
        cleanups.enter_context(exclusive(TARGET / "heal.lock", "another make heal is running"))
        # A run that fails before its first scenario must not leave an older run's result.
        write(result, rows.values())
        cleanups.enter_context(running_engine(keep=settings.keep))
        cleanups.enter_context(heal_stack(stack, settings))
        cluster = cleanups.enter_context(heal_cluster(stack, settings))

        session = Session(cluster, rows, result)
        for scenario in scenarios:
            session.play(scenario)
        session.summarize()
    return 0 if all(row.passed for row in rows.values()) else 1


@contextmanager
def heal_stack(stack: Stack, settings: Settings) -> Iterator[None]:
    """The stack, with the Java helpers built. KEEP leaves it up, to look around in."""
    progress = Progress()
    try:
        install_packages()
        stack.clear(keep=["result.json"])
        image = build_everything(settings, progress)
        classes = _compile_helpers(stack.folder)
        overrides = [LAB / "heal/compose.yml"]
        stack.prepare(image, overrides, {"HEAL_CLASSES": str(classes)})

        progress.headline("Starting three brokers, Prometheus, Alertmanager and the optimizer")
        progress.restart()
        stack.start(Waiter(progress))
        yield
    finally:
        with uninterrupted():
            _save_log(stack)
            if not settings.keep:
                stack.project.remove()


def _compile_helpers(folder: Path) -> Path:
    """For the containers' Java too, which may be older than this machine's."""
    classes = folder / "classes"
    sources = [str(source) for source in sorted((LAB / "heal").glob("*.java"))]
    classpath = f"{kafka_client_libraries()}/*"
    command = ["javac", "--release", "17", "-cp", classpath, "-d", str(classes), *sources]
    run(command, timeout=180)
    return classes


def _save_log(stack: Stack) -> None:
    """For whoever looks into a failure."""
    if stack.project.script.exists():
        log = stack.project.logs("kafka-optimizer", 5000)
        (stack.folder / "optimizer.log").write_text(log)


@contextmanager
def heal_cluster(stack: Stack, settings: Settings) -> Iterator[HealCluster]:
    """With the referee running, warmed up and calm."""
    classpath = f"{stack.folder / 'classes'}:{kafka_client_libraries()}/*"
    referee = Referee(stack.ports.bootstrap_servers(), classpath, stack.folder)
    try:
        waiter = Waiter(Progress("  "))
        waiter.limit(CLEANUP_LIMIT)
        cluster = HealCluster(stack, referee, waiter, seed=settings.seed)
        settle(cluster)
        # Of watching the brokers, which begins when they answer; a cold JVM is slow by itself, too.
        waiter.sleep(FIRST_MINUTE)
        yield cluster
    finally:
        referee.stop()


class Session:
    """All scenarios of one `make heal`, on one cluster."""

    def __init__(self, cluster: HealCluster, rows: dict[str, Row], result: Path) -> None:
        self._cluster = cluster
        self._rows = rows
        self._result = result
        self._summary: list[str] = []
        self._judged: set[int] = set()  # runs of earlier scenarios
        self._begun = time.monotonic()

    def play(self, scenario: Scenario) -> None:
        """One scenario, from a clean cluster to a clean one."""
        begun = time.monotonic()
        row = self._rows[scenario.slug]
        problems = self._problems(scenario, row)
        self._rows[scenario.slug] = replace(row, passed=not problems)
        write(self._result, self._rows.values())

        word = "FAILED" if problems else "passed"
        line = f"{word}  {time.monotonic() - begun:4.0f} s  {scenario.slug}"
        self._summary.append(": ".join([line, "; ".join(problems)] if problems else [line]))
        print(f"  {self._summary[-1]}", flush=True)

    def _problems(self, scenario: Scenario, row: Row) -> list[str]:
        """What went wrong. One scenario's failure does not stop the others."""
        cluster = self._cluster
        cluster.progress.headline(f"{scenario.slug}: {scenario.about}")
        cluster.progress.restart()

        cluster.waiter.limit(scenario.seconds_max)
        cluster.referee.check_records()  # what came before does not count here
        played = attempt(lambda: scenario.play(cluster, row))
        saved = attempt(lambda: self._save_runs(scenario.slug))

        cluster.waiter.limit(CLEANUP_LIMIT)
        cleaned = attempt(lambda: clean_up(cluster))
        judged = attempt(lambda: self._judge(row))

        if cleaned:
            cleaned = f"not left clean: {cleaned}"
        return [problem for problem in (played, saved, cleaned, judged) if problem]

    def _new_runs(self) -> list[RunSummary]:
        return [it for it in self._cluster.optimizer.runs() if it.id not in self._judged]

    def _save_runs(self, slug: str) -> None:
        """The scenario's runs with their journals, for whoever looks into a failure."""
        runs = [self._cluster.optimizer.run_json(it.id) for it in self._new_runs()]
        path = self._cluster.stack.folder / f"{slug}.json"
        write_atomically(path, json.dumps(runs, indent=1) + "\n")

    def _judge(self, row: Row) -> None:
        """No acknowledged record is lost, and no partition is short of replicas by our doing."""
        cluster = self._cluster
        found = self._new_runs()
        self._judged.update(run.id for run in found)
        runs = [cluster.optimizer.run(run.id) for run in found if run.written is not None]

        observations = read_timeline(cluster.referee.timeline)
        spans = [span for span in map(acting_span, runs) if span]
        under = under_minimum_by_us(observations, spans, cluster.faults)
        records = cluster.referee.check_records()
        row.records_lost = records.lost
        row.under_min_isr_by_us = under.partitions

        words = (
            f"{records.lost} of {records.acknowledged} acknowledged records lost;"
            f" {under.partitions} partitions under min.insync.replicas"
            f" in {under.observations} observations while a run was changing something"
        )
        cluster.progress.say(words)
        if records.lost or under.partitions:
            raise LabError(words)

    def summarize(self) -> None:
        took = time.monotonic() - self._begun
        print(f"\n{len(self._summary)} scenarios in {took:.0f} s")
        print("\n".join(self._summary))
        print(f"results are in {self._result}")


def attempt(work: Callable[[], None]) -> str | None:
    """What went wrong, if anything did."""
    try:
        work()
    except LabError as error:
        return str(error)
    except Exception:
        return "a fault of the lab: " + traceback.format_exc(limit=-3)
    return None


def acting_span(run: Run) -> Span | None:
    """From a run's first write to its last journal line."""
    if run.written is None:
        return None
    return Span(run.written, max((line.time for line in run.journal), default=run.written))
