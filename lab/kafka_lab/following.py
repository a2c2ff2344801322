"""Follows an alert to its run, and the run to its end. Says what happens as it happens."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from .errors import LabError, require
from .optimizer import ENDED, Optimizer, Run, RunSummary, Step
from .progress import Progress
from .prometheus import Prometheus
from .waiting import Waiter

VALUE_LENGTH = 60  # characters of a step's value that are shown


@dataclass(frozen=True)
class Moments:
    """When what happened, in Unix seconds; None where it did not, or is not known."""

    fault: float
    fired: float | None
    stored: float
    written: float | None
    effective: float | None
    ended: float | None


class RunReporter:
    """Prints each state and each step of a run once."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._state = ""
        self._steps: set[str] = set()

    def report(self, run: Run) -> None:
        for step in run.steps:
            text = described(step)
            if text and text not in self._steps:
                self._steps.add(text)
                self._progress.say(f"  step {text}")

        state = f"{run.state} ({run.hold}: {run.note or ''})" if run.hold else run.state
        if state != self._state:
            self._state = state
            self._progress.say(f"  run {run.id}: {state}")


def described(step: Step) -> str | None:
    """A step that is in force or undone, in words."""
    before, after = shortened(step.before), shortened(step.after or "none")
    # The key of a container is the id of the one it is cloned from.
    what = step.subject if len(step.key) > VALUE_LENGTH else f"{step.subject}: {step.key}"
    match step.state:
        case "applied":
            return f"{what} {before} -> {after}"
        case "undone":
            return f"{what} back from {after} to {before}"
        case _:
            return None


def shortened(value: str) -> str:
    """An election names every partition."""
    return value if len(value) <= VALUE_LENGTH else value[: VALUE_LENGTH - 3] + "..."


@dataclass(frozen=True)
class Follower:
    prometheus: Prometheus
    optimizer: Optimizer
    waiter: Waiter
    reporters: dict[int, RunReporter] = field(default_factory=dict)  # by run

    def alert_to_run(
        self,
        alert: str,
        since: float,
        broker: str | None = None,
        timeout: float = 120,
        detail: Callable[[], str] | None = None,
    ) -> RunSummary:
        """Waits until the alert fires and the optimizer has a run for it."""
        labels = {"broker_id": broker} if broker else {}
        target = f"broker {broker}" if broker else None

        def fires() -> bool:
            return self.prometheus.is_firing(alert, **labels)

        self.waiter.until(f"{alert} to fire", fires, timeout, detail)
        where = f" for broker {broker}" if broker else ""
        self.waiter.progress.say(f"ALERT {alert} fires{where}")

        def runs() -> list[RunSummary]:
            return self.optimizer.runs_caused_by(alert, since, target)

        return self.waiter.until(f"a run for {alert}", runs, 90)[0]

    def reach(self, id: int, states: Collection[str], timeout: float = 150) -> Run:
        """Follows a run into one of the states; fails when it ends in another one."""
        reporter = self.reporters.setdefault(id, RunReporter(self.waiter.progress))

        def reached() -> Run | None:
            run = self.optimizer.run(id)
            reporter.report(run)
            if run.state in states:
                return run
            may_expire = run.state == "kept" and "expired" in states
            if run.has_ended() and not may_expire:
                raise LabError(f"run {id} ended as {run.state}: {run.explanation()}")
            return None

        wanted = " or ".join(sorted(states))
        return self.waiter.until(f"run {id} to be {wanted}", reached, timeout)

    def roll_back(self, id: int) -> Run:
        """Orders a kept run back. It stays kept until the optimizer gets to the order."""
        self.optimizer.roll_back(id)
        ends = ENDED - {"kept"}

        def ended() -> Run | None:
            run = self.optimizer.run(id)
            return run if run.state in ends else None

        run = self.waiter.until(f"run {id} to be rolled back", ended)
        require(run.state == "rolled_back", f"run {id} is {run.state}: {run.explanation()}")
        return run

    def moments(self, run: Run, fault: float, broker: str | None = None) -> Moments:
        labels = {"broker_id": broker} if broker else {}
        fired = None
        if run.trigger == "alert":
            fired = self.prometheus.fired_at(run.cause, fault, **labels)
        return Moments(fault, fired, run.created, run.written, run.effective, run.ended)


def elapsed(earlier: float | None, later: float | None, digits: int) -> float | None:
    if earlier is None or later is None:
        return None
    return round(later - earlier, digits)
