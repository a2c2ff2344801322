"""Notifications that mislead: one that never comes, and thousands about nothing."""

from __future__ import annotations

import time

from ...errors import require
from ...optimizer import PostedAlert, RunSummary
from ...prometheus import selector
from ..cluster import HealCluster
from ..expectation import (
    TUNED,
    Expectation,
    expect,
    record,
    require_complete,
    require_prompt,
    require_state,
)
from ..result import Row
from .scenario import Scenario

ANY_END = {"kept", "rolled_back"}


# ---- a resolved that never comes

# Seconds without the alert until it is a new incident. The optimizer asks Prometheus every 15 s.
GAP = 90.0


def silenced(cluster: HealCluster, row: Row) -> None:
    """an alert ends under a silence, so resolved never comes: the next incident is answered"""
    before = cluster.state()
    fault = time.time()
    cluster.referee.create_topic("heal-tune-2-silenced", ["1"], 3)
    # No run starts in the first minute after the reload of the scenario before this one.
    first = expect(cluster, row, Expectation("LabTune", ANY_END, timeout=210), fault)
    require_complete(cluster, first, before, "2", TUNED)
    if first.state == "kept":
        cluster.follower.roll_back(first.id)

    _end_in_silence(cluster)

    # The same labels: only its start tells that this is another incident.
    fault = time.time()
    cluster.referee.create_topic("heal-tune-2-silenced", ["1"], 3)
    second = expect(cluster, row, Expectation("LabTune", ANY_END), fault)
    require(second.id != first.id, f"run {first.id} is taken for the second answer")
    require_prompt(cluster, row)
    require_complete(cluster, second, before, "2", TUNED)


def _end_in_silence(cluster: HealCluster) -> None:
    resolved = _resolved_alerts(cluster)
    with cluster.alertmanager.silence({"alertname": "LabTune"}, seconds_max=400):
        cluster.referee.delete_topic("heal-tune-2-silenced")
        prometheus = cluster.prometheus
        cluster.waiter.until("LabTune to end", lambda: not prometheus.is_firing("LabTune"))
        cluster.progress.say(f"LabTune has ended under a silence; {GAP:.0f} s pass")
        cluster.waiter.sleep(GAP)

    received = _resolved_alerts(cluster) - resolved
    require(received == 0, f"{received:.0f} resolved alerts were delivered to the optimizer")


def _resolved_alerts(cluster: HealCluster) -> float:
    """Number of resolved alerts that were delivered to the optimizer."""
    alerts = selector("kafka_optimizer_alerts_total", outcome="resolved")
    return cluster.prometheus.value(f"sum({alerts})") or 0.0


# ---- thousands of alerts about nothing

MADE_UP_ALERTS = 5_000
ALERTS_PER_NOTIFICATION = 1_000  # as in alertmanager.yml
FIRST_MADE_UP_BROKER = 10_000


def made_up_storm(cluster: HealCluster, row: Row) -> None:
    """5,000 alerts for brokers that do not exist, then a real one: answered as soon as ever"""
    before = cluster.state()
    cluster.wait_for_first_minute()
    begin = time.time()
    _notify(cluster, made_up_alerts(begin), "new")
    cluster.progress.say(f"{MADE_UP_ALERTS:,} alerts for brokers that do not exist are accepted")

    fault = time.time()
    cluster.referee.create_topic("heal-tune-2-storm", ["1"], 3)
    found = cluster.follower.alert_to_run("LabTune", fault, broker="2")
    run = cluster.follower.reach(found.id, ANY_END)
    record(cluster, row, run, fault)
    require_prompt(cluster, row)
    require_complete(cluster, run, before, "2", TUNED)

    _notify(cluster, made_up_alerts(begin, ends=time.time()), "resolved")
    _require_nothing_written(cluster, begin)
    if run.state == "kept":
        cluster.follower.roll_back(run.id)
    require_state(cluster, before)


def made_up_alerts(starts: float, ends: float | None = None) -> list[PostedAlert]:
    """Like LabTune, each for a broker of its own."""
    labels = {
        "alertname": "LabTune",
        "kafka_cluster": "main",
        "severity": "warning",
        "remediation": "tune-brokers",
    }
    return [
        PostedAlert({**labels, "broker_id": str(FIRST_MADE_UP_BROKER + number)}, starts, ends)
        for number in range(MADE_UP_ALERTS)
    ]


def _notify(cluster: HealCluster, alerts: list[PostedAlert], outcome: str) -> None:
    for begin in range(0, len(alerts), ALERTS_PER_NOTIFICATION):
        batch = alerts[begin : begin + ALERTS_PER_NOTIFICATION]
        counts = cluster.optimizer.notify(batch)
        require(counts == {outcome: len(batch)}, f"{len(batch)} alerts were taken as {counts}")


def _require_nothing_written(cluster: HealCluster, since: float) -> None:
    optimizer = cluster.optimizer

    def all_ended() -> bool:
        return not any(is_made_up(run) for run in optimizer.runs(state="queued,held"))

    cluster.waiter.until("the runs of made-up alerts to end", all_ended, 120)
    runs = [run for run in optimizer.all_runs(since) if is_made_up(run)]
    wrote = [str(run.id) for run in runs if run.written is not None]
    require(not wrote, f"runs of made-up alerts wrote something: {', '.join(wrote)}")
    cluster.progress.say(f"{len(runs):,} runs of made-up alerts have ended and wrote nothing")


def is_made_up(run: RunSummary) -> bool:
    kind, _, broker = run.target.partition(" ")
    return kind == "broker" and int(broker) >= FIRST_MADE_UP_BROKER


ALERTS = (
    Scenario("silenced", 540, silenced),
    Scenario("storm-of-nonsense", 420, made_up_storm),
)
