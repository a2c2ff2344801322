"""Runs that change nothing, then cures, on one cluster; the former procedure judges them too.

A run begins as an alert begins it: when a broker is slower than it was in the minutes before.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ..cleanup import exclusive
from ..engine import running_engine
from ..errors import LabError
from ..heal.cluster import HealCluster
from ..heal.command import heal_cluster, heal_stack
from ..heal.scenarios.scenario import EACH, set_io_threads
from ..load import Load
from ..optimizer import Run
from ..paths import TARGET
from ..prometheus import selector
from ..rendering import Windows
from ..settings import Settings
from ..stack import Stack
from .disturbance import TOPIC, Disturbance
from .former import NEEDS, Former
from .result import Judged, problems, write

UNCHANGED = "heal-unchanged"
# The alert waits for a broker that is slow, and not longer than this.
EXTREME_WITHIN = 30.0
CURED = "heal-many"
# Of the quiet between two runs, in seconds: it becomes the history of the later ones.
QUIET = (10.0, 25.0)
WARM_UP = 420.0
SECONDS_MAX = 7200.0


def proof_live(settings: Settings) -> int:
    """The exit code: 0 when no limit is missed."""
    offset = settings.proof_port_offset
    stack = Stack.named("proof-live", "kafka-optimizer-proof", offset, Windows.HEAL)
    seed = settings.seed or int(time.time())
    unchanged: list[Judged] = []
    cured: list[Judged] = []

    with ExitStack() as cleanups:
        lock = TARGET / "proof-live.lock"
        cleanups.enter_context(exclusive(lock, "another make proof-live is running"))
        cleanups.enter_context(running_engine(keep=settings.keep))
        cleanups.enter_context(heal_stack(stack, settings))
        cluster = cleanups.enter_context(heal_cluster(stack, settings))
        cluster.waiter.limit(SECONDS_MAX)
        cluster.progress.say(f"SEED={seed}")

        with swings(cluster, seed):
            for _ in range(settings.unchanged):
                unchanged.append(run_unchanged(cluster, random.Random(seed + len(unchanged))))
                write(TARGET / "proof", unchanged, cured)
        with starved(cluster, seed):
            for _ in range(settings.cures):
                cured.append(run_cure(cluster))
                write(TARGET / "proof", unchanged, cured)

    result = write(TARGET / "proof", unchanged, cured)
    for name, value in result.items():
        print(f"{name:<20} {value:>3}")
    found = problems(result, settings.unchanged, settings.cures)
    for problem in found:
        print(f"MISSED: {problem}")
    return 1 if found else 0


# ---- nothing is changed


@contextmanager
def swings(cluster: HealCluster, seed: int) -> Iterator[None]:
    """A loaded cluster whose load, disk and broker 2 are never quite the same."""
    cluster.referee.create_topic(
        TOPIC,
        EACH * 2,
        1,
        flush_messages="1",
        min_insync_replicas="1",
        segment_bytes="33554432",
        retention_bytes="67108864",
    )
    steady = Load(topic=TOPIC, producers=6, rate=120, pinned=False, seconds=int(SECONDS_MAX))
    cluster.start_load(steady)
    # The quota of the runs is for this client, and far above what it sends.
    cluster.start_async_producer(TOPIC, "modest", 20, 200, 16_384)

    disturbance = Disturbance(cluster, seed, disk=True)
    disturbance.start()
    try:
        cluster.progress.say(f"load, pauses, a noisy disk; {WARM_UP:.0f} s of history first")
        cluster.waiter.sleep(WARM_UP)
        yield
    finally:
        disturbance.stop()
        for container in list(cluster.loads.running):
            cluster.stop_client(container)
        cluster.stack.slow_disk(0)


def run_unchanged(cluster: HealCluster, chances: random.Random) -> Judged:
    cluster.waiter.sleep(chances.uniform(*QUIET))
    since = time.time()
    cluster.referee.create_topic(UNCHANGED, ["1"], 3)
    _wait_for_an_extreme(cluster)

    run = _followed(cluster, "LabUnchanged", since)
    for topic in (UNCHANGED, f"{UNCHANGED}-now"):
        if topic in cluster.referee.topics():
            cluster.referee.delete_topic(topic)
    judged = _judged(cluster, run, broker="2")
    if run.state == "kept":
        cluster.follower.roll_back(run.id)
    cluster.optimizer.release_quarantine()  # after three in a row it would wait for a person
    _end_episode(cluster, "LabUnchanged")
    return judged


def _wait_for_an_extreme(cluster: HealCluster) -> None:
    """The alert fires when broker 2 is slower than it was; in the end it fires in any case.

    From then on it stays, or its end would cancel the run.
    """
    until = time.time() + EXTREME_WITHIN
    while time.time() < until and not cluster.prometheus.is_firing("LabUnchanged"):
        cluster.waiter.sleep(1)
    cluster.referee.create_topic(f"{UNCHANGED}-now", ["1"], 3)


# ---- cures


@contextmanager
def starved(cluster: HealCluster, seed: int) -> Iterator[None]:
    """Broker 1 has one I/O thread on a slow disk."""
    cluster.referee.create_topic(CURED, ["1"] * 24, 1, flush_messages="1", min_insync_replicas="1")
    cluster.stack.slow_disk(2000)
    load = Load(topic=CURED, partitions=24, producers=24, rate=400, seconds=int(SECONDS_MAX))
    cluster.start_load(load)
    cluster.waiter.sleep(60)
    for threads in ("2", "1"):
        set_io_threads(cluster, "1", threads)
    disturbance = Disturbance(cluster, seed, disk=False)
    disturbance.start()
    try:
        yield
    finally:
        disturbance.stop()


def run_cure(cluster: HealCluster) -> Judged:
    """It is rolled back after its verdict, so the broker starves again."""
    run = _followed(cluster, "LabHandlersSaturated", time.time())
    judged = _judged(cluster, run, broker="1")
    if run.state == "kept":
        cluster.follower.roll_back(run.id)
    cluster.optimizer.release_quarantine()
    return judged


# ---- both


def _followed(cluster: HealCluster, alert: str, since: float) -> Run:
    """The run of the alert, with its verdict."""
    found = cluster.follower.alert_to_run(alert, since, timeout=180)
    return cluster.follower.reach(found.id, {"kept", "rolled_back"}, 240)


def _judged(cluster: HealCluster, run: Run, broker: str) -> Judged:
    if run.written is None:
        raise LabError(f"run {run.id} has written nothing: {run.explanation()}")
    cluster.waiter.sleep(run.written + NEEDS + 2 - time.time())
    former = Former(
        cluster.prometheus,
        selector("kafka:produce_time:mean_seconds", kafka_cluster="main", broker_id=broker),
        selector("kafka:produce_requests:rate", kafka_cluster="main", broker_id=broker),
        at_least=0.2,
    )
    judged = Judged.of(run, former.verdict(run.written))
    cluster.progress.say(f"run {run.id}: {judged.verdict} (former: {judged.former_verdict})")
    cluster.progress.say(f"  {judged.sentence}")
    return judged


def _end_episode(cluster: HealCluster, alert: str) -> None:
    """The next firing has to be another incident."""
    cluster.waiter.until(f"{alert} to end", lambda: not cluster.prometheus.is_firing(alert), 60)
    cluster.waiter.sleep(8)  # Alertmanager tells of the end within its group_interval
