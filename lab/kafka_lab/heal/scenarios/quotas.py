"""Quotas that end: after the last one, none is left, whatever happened in between."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ...errors import LabError, require
from ...optimizer import Run
from ...stack import BROKERS
from ..cluster import HealCluster
from ..expectation import Expectation, expect, require_state
from ..result import Row
from .scenario import EACH, Scenario

# Seconds from the time of an expiry to its end. It waits while another run is observed.
LATE_MAX = 60.0


@dataclass(frozen=True)
class Shedder:
    """A playbook that slows down the client `greedy`. Its topic fires its alert."""

    alert: str
    topic: str
    quota: str  # as the referee shows it


FIRST = Shedder("LabShedFirst", "heal-shed-first", "[greedy]:producer_byte_rate=2097152.0")
SECOND = Shedder("LabShedSecond", "heal-shed-second", "[greedy]:producer_byte_rate=1048576.0")


def two_shedders(cluster: HealCluster, row: Row) -> None:
    """two playbooks slow down one client; the older change ends first, and none is left"""
    before = cluster.state()
    _start_greedy_client(cluster)
    older = _shed(cluster, row, FIRST)
    newer = _shed(cluster, row, SECOND)

    _require_expired(cluster, older)
    state = cluster.optimizer.run(newer.id).state
    require(state == "kept", f"run {newer.id}, which should last longer, is {state}")
    _require_quota(cluster, SECOND.quota)
    cluster.progress.say(f"run {older.id} has expired; the quota of run {newer.id} stays")

    _require_expired(cluster, newer)
    require_state(cluster, before)
    cluster.progress.say("both have expired; no quota is left")


def _start_greedy_client(cluster: HealCluster) -> str:
    """Below its quotas: they are what this is about."""
    cluster.referee.create_topic("heal-greedy", EACH, 3)
    return cluster.start_async_producer("heal-greedy", "greedy", 200, 1000, 16_384)


def _shed(cluster: HealCluster, row: Row, shedder: Shedder) -> Run:
    """The quota is set and kept. The alert ends, or its next attempt would follow the expiry."""
    fault = time.time()
    cluster.referee.create_topic(shedder.topic, ["1"], 3)
    run = expect(cluster, row, Expectation(shedder.alert, {"kept"}), fault)
    _require_quota(cluster, shedder.quota)
    cluster.referee.delete_topic(shedder.topic)
    return run


def _require_quota(cluster: HealCluster, wanted: str) -> None:
    found = cluster.referee.quotas()
    require(found == wanted, f"the quotas are `{found}` instead of `{wanted}`")


def _require_expired(cluster: HealCluster, run: Run) -> None:
    expired = cluster.follower.reach(run.id, {"expired"}, 180)
    late = (expired.ended or 0) - (expired.expires or 0)
    require(0 <= late < LATE_MAX, f"run {run.id} ended {late:.0f} s after its time")
    reason = expired.rollback_reason
    require(reason is None, f"run {run.id} has expired as {reason}: {expired.explanation()}")


# ---- brokers that are away

AWAY_BEFORE_EXPIRY = 10.0
# Longer than an undo is tried without a pause: 10 minutes.
AWAY_AFTER_EXPIRY = 720.0
# An undo that is stuck is checked every 5 minutes.
RETURN_MAX = 420.0


def kafka_away_at_expiry(cluster: HealCluster, row: Row) -> None:
    """no broker answers for 12 min from the time at which a quota ends: it is gone afterwards"""
    before = cluster.state()
    client = _start_greedy_client(cluster)
    kept = _shed(cluster, row, SECOND)
    cluster.stop_client(client)
    expires = kept.expires
    if expires is None:
        raise LabError(f"run {kept.id} has no time at which it expires")

    cluster.waiter.sleep(expires - AWAY_BEFORE_EXPIRY - time.time())
    with cluster.frozen_brokers("all brokers are frozen", *BROKERS):
        cluster.waiter.sleep(expires + AWAY_AFTER_EXPIRY - time.time())
        _require_listed(cluster, kept)
    returned = time.time()
    cluster.progress.say("all brokers go on")

    expired = _wait_until_expired(cluster, kept)
    require(expired.rollback_reason is None, f"it has expired as {expired.rollback_reason}")
    require_state(cluster, before)
    took = time.time() - returned
    cluster.progress.say(f"no quota is left {took:.0f} s after the brokers came back")


def _require_listed(cluster: HealCluster, run: Run) -> None:
    """A change that is overdue stays in the list, so that people see it."""
    listed = [change.id for change in cluster.optimizer.temporary_changes()]
    state = cluster.optimizer.run(run.id).state
    require(listed == [run.id], f"run {run.id} is {state}; the temporary changes are {listed}")
    cluster.progress.say(f"12 min after its time, run {run.id} is {state}, and still listed")


def _wait_until_expired(cluster: HealCluster, run: Run) -> Run:
    """It may be stuck meanwhile, which is not its end."""

    def expired() -> Run | None:
        found = cluster.optimizer.run(run.id)
        return found if found.state == "expired" else None

    def detail() -> str:
        return f"it is {cluster.optimizer.run(run.id).state}"

    return cluster.waiter.until(f"run {run.id} to expire", expired, RETURN_MAX, detail)


QUOTAS = (
    Scenario("two-shedders", 480, two_shedders),
    Scenario("kafka-away-at-expiry", 1600, kafka_away_at_expiry),
)
