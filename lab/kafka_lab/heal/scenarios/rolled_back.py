"""The change does not help, or cannot be judged: it is rolled back, or nothing is done at all."""

from __future__ import annotations

import random
import time

from ...errors import require
from ...load import Load
from ...optimizer import Order, Run, RunSummary
from ..cluster import ClusterState, HealCluster
from ..expectation import (
    TUNED,
    Expectation,
    expect,
    record,
    require_complete,
    require_state,
)
from ..referee import DynamicValue
from ..result import Row
from .scenario import Scenario, ended_run, tune_order


def drift(cluster: HealCluster, row: Row) -> None:
    """a person sets a tuned key during the run: that value stays, untouched until it is released"""
    before = cluster.state()
    fault = time.time()
    cluster.referee.create_topic("heal-tune-2-drift", ["1"], 3)

    def set_by_hand(run: RunSummary) -> None:
        cluster.follower.reach(run.id, {"settling", "observing"})
        cluster.waiter.sleep(4)
        cluster.referee.set_config("2", "num.io.threads", "6")
        cluster.progress.say("set by hand: num.io.threads=6 on broker 2; the run had set 8")

    expectation = Expectation(
        "LabTune", states={"rolled_back"}, rollback_reason="externally_changed"
    )
    expect(cluster, row, expectation, fault, set_by_hand)
    foreign = before.with_broker("2", {"num.io.threads": DynamicValue("6", "6")})
    require_state(cluster, foreign)

    # Its next attempt waits for the release, and would take the order in.
    cluster.referee.delete_topic("heal-tune-2-drift")
    cluster.waiter.until("the alert's runs to end", lambda: not _waiting_runs(cluster), 100)
    _require_quarantine(cluster, foreign)


def _waiting_runs(cluster: HealCluster) -> list[RunSummary]:
    return [run for run in cluster.optimizer.runs() if run.state in {"queued", "held"}]


def _require_quarantine(cluster: HealCluster, foreign: ClusterState) -> None:
    """An order is refused until the quarantine is released."""
    cluster.waiter.sleep(5)  # the cooldown, which would refuse the order first
    order = _give_order(cluster, tune_order("2"))
    require(order.hold == "externally_changed", f"the order is {order.state}: {order.note}")
    require_state(cluster, foreign)

    released = ", ".join(cluster.optimizer.release_quarantine())
    cluster.progress.say(f"the foreign value stays, an order is refused; released: {released}")
    order = _give_order(cluster, tune_order("2", rehearse=True))
    require(order.state == "rehearsed", f"after the release it is {order.state}: {order.note}")


def _give_order(cluster: HealCluster, order: Order) -> Run:
    """One that is refused, or only rehearsed."""
    id = cluster.optimizer.order(order)
    return cluster.waiter.until("the order to be answered", lambda: ended_run(cluster, id), 30)


def no_such_broker(cluster: HealCluster, row: Row) -> None:
    """alerts for brokers that do not exist, one made up and one of a rule, change nothing"""
    before = cluster.state()
    fault = time.time()
    # Anyone may post to Alertmanager; Prometheus does not know this alert.
    labels = {
        "alertname": "LabTune",
        "kafka_cluster": "main",
        "broker_id": "98",
        "severity": "warning",
        "remediation": "tune-brokers",
    }
    cluster.alertmanager.post(labels, ends=fault + 60)
    cluster.referee.create_topic("heal-nobody-99", ["1"], 3)

    # Held, for the reason that fits.
    unknown = expect(cluster, row, Expectation("LabTuneNobody", {"held"}, timeout=30), fault)
    _require_hold(unknown, "unknown_target")
    posted = cluster.waiter.until(
        "a run for the made-up alert",
        lambda: cluster.optimizer.runs_caused_by("LabTune", fault),
        30,
    )
    made_up = cluster.follower.reach(posted[0].id, {"held"}, 30)
    _require_hold(made_up, "not_confirmed")

    # Both are cancelled with their alerts.
    cluster.referee.delete_topic("heal-nobody-99")
    for run in (unknown, made_up):
        cancelled = cluster.follower.reach(run.id, {"cancelled"}, 100)
        require(cancelled.written is None, f"run {run.id} wrote something")
    require_state(cluster, before)


def _require_hold(run: Run, hold: str) -> None:
    require(run.hold == hold, f"run {run.id} is held for {run.hold}, not {hold}: {run.note}")


def frozen_broker(cluster: HealCluster, row: Row) -> None:
    """the tuned broker freezes for 20 s in the middle of the run, and comes back"""
    before = cluster.state()
    fault = time.time()
    cluster.referee.create_topic("heal-tune-2-frozen", ["1"], 3)

    def freeze(run: RunSummary) -> None:
        cluster.follower.reach(run.id, {"settling", "observing"})
        cluster.waiter.sleep(random.uniform(2, 14))
        with cluster.frozen_brokers("broker 2 is frozen", "2"):
            cluster.waiter.sleep(20)
        cluster.progress.say("broker 2 goes on")

    expectation = Expectation("LabTune", {"kept", "rolled_back"}, timeout=200)
    run = expect(cluster, row, expectation, fault, freeze)
    require_complete(cluster, run, before, "2", TUNED)


def prometheus_gone(cluster: HealCluster, row: Row) -> None:
    """Prometheus goes away while a run is observed: what cannot be judged is rolled back"""
    before = cluster.state()
    project = cluster.stack.project
    fault = time.time()
    cluster.referee.create_topic("heal-tune-2-blind", ["1"], 3)

    found = cluster.follower.alert_to_run("LabTune", fault)
    cluster.follower.reach(found.id, {"observing"})
    project.compose("stop", "prometheus")
    cluster.progress.say("Prometheus is stopped")
    run = cluster.follower.reach(found.id, {"rolled_back"})

    # Without it nobody can say when the alert fired.
    project.compose("start", "prometheus")
    cluster.waiter.until("Prometheus to answer", lambda: cluster.prometheus.query("up"), 60)
    record(cluster, row, run, fault)
    require(run.verdict == "inconclusive", f"the verdict is {run.verdict}: {run.explanation()}")
    require_complete(cluster, run, before, "2", TUNED)


def useless(cluster: HealCluster, row: Row) -> None:
    """producers wait for the lock of one partition; more threads cannot help: rolled back"""
    before = cluster.state()
    cluster.referee.create_topic("heal-one", ["2"], 1, flush_messages="1", min_insync_replicas="1")
    fault = time.time()
    cluster.stack.slow_disk(10_000)
    load = Load(topic="heal-one", broker="2", partitions=1, producers=32, rate=800)
    cluster.start_load(load)

    expectation = Expectation(
        "LabHandlersSaturated",
        {"rolled_back"},
        verdicts={"neutral", "regressed", "inconclusive"},
        timeout=200,
    )
    run = expect(cluster, row, expectation, fault)
    require_complete(cluster, run, before, "2", TUNED)


def harmful(cluster: HealCluster, row: Row) -> None:
    """a guard gets worse while a run is observed: rolled back at once"""
    before = cluster.state()
    # Two replicas and a minimum of two: when broker 3 freezes, the playbook's guard rises.
    cluster.referee.create_topic("heal-small", ["2"], 2, min_insync_replicas="2")
    cluster.waiter.sleep(10)
    fault = time.time()
    cluster.referee.create_topic("heal-guarded-1", ["1"], 3)

    def freeze_follower(run: RunSummary) -> None:
        cluster.follower.reach(run.id, {"observing"})
        with cluster.frozen_brokers("broker 3, the follower of heal-small, is frozen", "3"):
            cluster.follower.reach(run.id, {"rolling_back", "rolled_back"}, 60)

    expectation = Expectation(
        "LabTuneGuarded",
        {"rolled_back"},
        verdicts={"regressed"},
        rollback_reason="guard_tripped",
        timeout=120,
    )
    run = expect(cluster, row, expectation, fault, freeze_follower)
    require_complete(cluster, run, before, "1", TUNED)


ROLLED_BACK = (
    Scenario("drift", 240, drift),
    Scenario("no-such-broker", 150, no_such_broker),
    Scenario("frozen-broker", 300, frozen_broker),
    Scenario("prometheus-gone", 240, prometheus_gone),
    Scenario("useless", 360, useless),
    Scenario("harmful", 300, harmful),
)
