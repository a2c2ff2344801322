"""The optimizer itself, or what calls it, is in trouble."""

from __future__ import annotations

import random
import time

from ...errors import require
from ...optimizer import Order, Run
from ...stack import BROKERS
from ..cluster import HealCluster
from ..expectation import (
    TUNED,
    Expectation,
    expect,
    record,
    require_complete,
    require_state,
)
from ..result import Row
from .scenario import EACH, Scenario, ended_run, tune_order, victim_load

KILLS = 10
# Seconds from an order to the end of its run: steps, settle, observe, rollback.
RUN_LENGTHS = {"tune_brokers": 43.0, "shed_load": 62.0}


def kill9(cluster: HealCluster, row: Row) -> None:
    """the optimizer is killed at ten moments of runs: each run still ends completely"""
    seed = cluster.seed if cluster.seed is not None else random.randrange(1_000_000)
    choice = random.Random(seed)
    cluster.progress.say(f"SEED={seed} kills at the same moments again")
    cluster.referee.create_topic("heal-victim", EACH * 2, 3)
    cluster.start_load(victim_load(3600))
    cluster.waiter.sleep(25)

    states = []
    for _ in range(KILLS):
        states.append(_kill_once(cluster, row, choice))
        cluster.optimizer.release_quarantine()

    wrote = any(state != "cancelled" for state in states)
    require(wrote, "every run was cancelled before it wrote anything")
    cluster.progress.say(f"{KILLS} kills: {', '.join(states)}")


def _kill_once(cluster: HealCluster, row: Row, choice: random.Random) -> str:
    """An order, a kill at some moment of its run, and how the run ended."""
    before = cluster.state()
    order = choice.choice([tune_order(choice.choice(BROKERS)), {"optimizer": "shed_load"}])
    # Half of the kills come at the beginning, where most is written.
    length = RUN_LENGTHS[order["optimizer"]]
    moment = choice.choice([choice.uniform(0, 3), choice.uniform(0, length)])
    downtime = choice.uniform(0, 5)

    id = cluster.waiter.until("an order to be followed", lambda: _try_order(cluster, order), 90)
    ordered = time.time()
    _kill_at(cluster, id, ordered + moment, downtime)

    run = cluster.waiter.until(f"run {id} to end", lambda: ended_run(cluster, id), 200)
    if run.state == "kept":
        require(run.verdict == "improved", f"run {id} is kept, and its verdict is {run.verdict}")
        run = cluster.follower.roll_back(id)
    ended_well = run.state in ("rolled_back", "cancelled")
    require(ended_well, f"run {id} is {run.state}: {run.explanation()}")
    require_complete(cluster, run, before, "1", TUNED)

    if run.state == "rolled_back":
        record(cluster, row, run, ordered)
    return run.state


def _kill_at(cluster: HealCluster, id: int, moment: float, downtime: float) -> None:
    """At the moment, or as soon as the run has ended."""
    project = cluster.stack.project

    def time_to_kill() -> bool:
        return time.time() >= moment or ended_run(cluster, id) is not None

    cluster.waiter.until("the moment to kill the optimizer", time_to_kill, 90)
    run = cluster.optimizer.run(id)
    project.compose("kill", "-s", "SIGKILL", "kafka-optimizer")
    cluster.progress.say(f"killed the optimizer: run {id} ({run.optimizer}) was {run.state}")

    cluster.waiter.sleep(downtime)
    project.compose("start", "kafka-optimizer")
    cluster.waiter.until("the optimizer to be ready", cluster.optimizer.is_ready, 60)


def _try_order(cluster: HealCluster, order: Order) -> int | None:
    """An order is cancelled where an alert's run would be held, for example for lack of samples."""
    id = cluster.optimizer.order(order)
    for _ in range(20):
        state = cluster.optimizer.run(id).state
        if state == "cancelled":
            time.sleep(5)
            return None
        if state != "queued":
            break
        time.sleep(0.1)
    return id


def two_alertmanagers(cluster: HealCluster, row: Row) -> None:
    """two Alertmanagers that do not know of each other deliver the same alert: one run"""
    before = cluster.state()
    sent = _start_second_alertmanager(cluster)
    fault = time.time()
    cluster.referee.create_topic("heal-tune-1-twins", ["1"], 3)

    def wait_for_both(run: object) -> None:
        def both_delivered() -> bool:
            now = _notifications(cluster)
            return all(count > sent.get(instance, 0) for instance, count in now.items())

        cluster.waiter.until("both Alertmanagers to deliver", both_delivered, 60)

    expectation = Expectation("LabTune", {"kept", "rolled_back"})
    run = expect(cluster, row, expectation, fault, wait_for_both)
    _require_only_run(cluster, run, fault)
    require_complete(cluster, run, before, "1", TUNED)


def _require_only_run(cluster: HealCluster, run: Run, since: float) -> None:
    cluster.waiter.sleep(20)  # time for a second run
    ids = [found.id for found in cluster.optimizer.runs_caused_by("LabTune", since)]
    require(ids == [run.id], f"the runs are {ids} instead of only {run.id}")


def _start_second_alertmanager(cluster: HealCluster) -> dict[str, float]:
    """Returns how many notifications each of the two has sent."""
    options = ("--profile", "twins", "up", "-d", "--no-deps", "--no-build")
    cluster.stack.project.compose(*options, "alertmanager-2")

    prometheus = cluster.prometheus
    up = 'up{job="alertmanager"} == 1'
    cluster.waiter.until(
        "Prometheus to scrape two Alertmanagers", lambda: len(prometheus.query(up)) == 2, 60
    )
    cluster.waiter.until(
        "the counts of both Alertmanagers", lambda: len(_notifications(cluster)) == 2, 30
    )
    return _notifications(cluster)


def _notifications(cluster: HealCluster) -> dict[str, float]:
    sent = 'alertmanager_notifications_total{integration="webhook"}'
    found = cluster.prometheus.query(f"sum by (instance) ({sent})")
    return {sample.labels["instance"]: sample.value for sample in found}


def switch_to_rehearse(cluster: HealCluster, row: Row) -> None:
    """the mode is set to rehearse while a canary is judged: it is kept, nothing more is written"""
    before = cluster.state()
    fault = time.time()
    cluster.referee.create_topic("heal-canary", ["1"], 3)
    found = cluster.follower.alert_to_run("LabCanary", fault)
    cluster.follower.reach(found.id, {"settling", "observing"})

    with cluster.mode("rehearse"):
        run = cluster.follower.reach(found.id, {"kept"})
        record(cluster, row, run, fault)
        cluster.referee.delete_topic("heal-canary")
        cluster.waiter.sleep(20)  # time for another write
        require_state(cluster, before.with_broker("1", TUNED))
    cluster.progress.say(f"run {run.id} is kept, on broker 1 only: {run.note}")

    run = cluster.optimizer.run(run.id)
    others = [step for step in run.steps if step.subject != "broker 1"]
    require(len(others) > 0, "the run planned nothing for the other brokers")
    begun = [step.subject for step in others if step.state != "planned"]
    require(not begun, f"steps were begun on {', '.join(begun)}")

    cluster.follower.roll_back(run.id)
    require_state(cluster, before)


DISTURBED = (
    Scenario("kill9", 2100, kill9),
    Scenario("two-alertmanagers", 240, two_alertmanagers),
    Scenario("switch-to-rehearse", 300, switch_to_rehearse),
)
