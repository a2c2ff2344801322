"""What most scenarios share: an alert fires, a run answers it, and the run ends with a verdict."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from ..errors import require
from ..following import elapsed
from ..optimizer import Run, RunSummary
from ..prometheus import selector
from .cluster import ClusterState, HealCluster
from .referee import BrokerConfig, DynamicValue
from .result import Row

# From the moderate level for brokers that start with 4 threads in each pool.
TUNED = {
    "num.io.threads": DynamicValue("8", "8"),
    "num.network.threads": DynamicValue("8", "8"),
}


# Seconds from an alert to the first write: notification, baseline, guard, and one more check.
ANSWER_MAX = 20.0


@dataclass(frozen=True)
class Recovery:
    """How to see that users are well again: an expression that has a series from then on."""

    expression: Callable[[Run], str]

    @classmethod
    def when(cls, expression: str) -> Recovery:
        return cls(lambda run: expression)

    @classmethod
    def at_a_quarter_of_the_baseline(cls, metric: str, **labels: str) -> Recovery:
        def expression(run: Run) -> str:
            return f"{selector(metric, **labels)} < {(run.before or 0) / 4}"

        return cls(expression)


@dataclass(frozen=True)
class Expectation:
    """The alert that has to fire, and how its run has to end."""

    alert: str
    states: Collection[str]
    verdicts: Collection[str] | None = None  # None: any
    rollback_reason: str | None = None  # None: any
    recovery: Recovery | None = None
    timeout: float = 150


def improved(alert: str, recovery: Recovery, timeout: float = 150) -> Expectation:
    """The run helps, and is kept."""
    return Expectation(
        alert, states={"kept"}, verdicts={"improved"}, recovery=recovery, timeout=timeout
    )


def expect(
    cluster: HealCluster,
    row: Row,
    expectation: Expectation,
    fault: float,
    meanwhile: Callable[[RunSummary], None] | None = None,
) -> Run:
    """Follows the alert to its run and the run to its end, and fills the row.

    `meanwhile` is what the scenario does once the run exists. It gets the run.
    """
    found = cluster.follower.alert_to_run(expectation.alert, fault, timeout=180)
    if meanwhile:
        meanwhile(found)
    run = cluster.follower.reach(found.id, expectation.states, expectation.timeout)
    record(cluster, row, run, fault, expectation.recovery)

    _require_one_of("verdict", run.verdict, expectation.verdicts, run)
    reasons = {expectation.rollback_reason} if expectation.rollback_reason else None
    _require_one_of("rollback reason", run.rollback_reason, reasons, run)
    return run


def record(
    cluster: HealCluster, row: Row, run: Run, fault: float, recovery: Recovery | None = None
) -> None:
    """Fills the row from a run."""
    moments = cluster.follower.moments(run, fault)
    row.optimizer, row.verdict = run.optimizer, run.verdict
    if run.trigger == "alert":
        row.alert = run.cause
    row.fault_to_alert_s = elapsed(fault, moments.fired, 1)
    row.alert_to_action_s = elapsed(moments.fired, moments.written, 1)
    if recovery and moments.written:
        recovered = cluster.prometheus.first_time(recovery.expression(run), moments.written)
        row.action_to_recovery_s = elapsed(moments.written, recovered, 1)


def require_prompt(cluster: HealCluster, row: Row) -> None:
    """The run of the row was not kept waiting."""
    took = row.alert_to_action_s
    require(took is not None and took <= ANSWER_MAX, f"answered after {took} s")
    cluster.progress.say(f"answered {took} s after the alert; at most {ANSWER_MAX:.0f} s is usual")


def require_complete(
    cluster: HealCluster, run: Run, before: ClusterState, broker: str, tuned: BrokerConfig
) -> None:
    """A kept run has all of its values in force, a rolled back one has left none."""
    wanted = before.with_broker(broker, tuned) if run.state == "kept" else before
    found = cluster.state()
    require(found == wanted, f"run {run.id} is {run.state}; found {found} instead of {wanted}")
    why = run.rollback_reason or run.verdict
    cluster.progress.say(f"run {run.id} is {run.state} ({why}), completely")


def require_state(cluster: HealCluster, wanted: ClusterState) -> None:
    found = cluster.state()
    require(found == wanted, f"found {found} instead of {wanted}")


def _require_one_of(what: str, found: str | None, wanted: Collection[str] | None, run: Run) -> None:
    if wanted is not None and found not in wanted:
        names = " or ".join(sorted(wanted))
        require(False, f"the {what} is {found} instead of {names}: {run.explanation()}")
