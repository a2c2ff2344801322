"""`make effect`: how long from the stored webhook until 16 threads are in force on three brokers.

Each round fires one alert for the whole cluster (the tests' own rule, which fires while a topic
exists) under light load, and rolls its run back.
"""

from __future__ import annotations

import statistics
import time

from ..cleanup import uninterrupted
from ..engine import build_optimizer
from ..errors import LabError, require
from ..following import Follower, elapsed
from ..kafka_tools import KafkaTools
from ..load import Load, Loads
from ..optimizer import Run
from ..progress import Progress
from ..settings import Settings
from ..waiting import Waiter
from .stacks import live_stack, start_live_stack, stop_live_stack

ALERT = "LabTuneAllBrokers"
TOPIC = "lab-tune-all"
LOAD_TOPIC = "effect-load"
# Until Alertmanager has sent the end of the alert too (its group_interval), another firing belongs
# to the same episode, and starts nothing.
EPISODE_ENDS = 12.0


def effect(settings: Settings) -> int:
    build_optimizer()
    try:
        start_live_stack(settings)
        stack = live_stack(settings)
        waiter = Waiter(Progress())
        follower = Follower(stack.prometheus(), stack.optimizer(), waiter)
        kafka = stack.kafka_tools()

        kafka.create_replicated_topic(LOAD_TOPIC, 6)
        Loads(stack.project).start(_light_load())
        waiter.progress.say(
            "light load on three brokers for 60 s: a run wants a full baseline, and the optimizer"
            " has to watch the brokers for a minute first"
        )
        waiter.sleep(60)

        times = []
        for number in range(1, settings.rounds + 1):
            times.append(measure_once(follower, kafka))
            waiter.progress.say(f"round {number} of {settings.rounds}: {times[-1]:.3f} s")
    finally:
        with uninterrupted():
            stop_live_stack(settings)

    print(
        f"from stored webhook to in force on three brokers: median {statistics.median(times):.3f} s"
        f" of {len(times)}, {min(times):.3f} to {max(times):.3f}"
    )
    return 0


def _light_load() -> Load:
    return Load(
        topic=LOAD_TOPIC,
        partitions=6,
        producers=6,
        rate=100,
        record_bytes=200,
        acks="1",
        seconds=7200,
    )


def measure_once(follower: Follower, kafka: KafkaTools) -> float:
    """Fires the alert once; leaves the cluster as it was."""
    waiter, optimizer = follower.waiter, follower.optimizer
    since = time.time()
    kafka.create_replicated_topic(TOPIC, 1)
    found = follower.alert_to_run(ALERT, since)

    def effective() -> Run | None:
        run = optimizer.run(found.id)
        return run if run.effective else None

    waiter.until(f"run {found.id} to be in force", effective)
    run = follower.roll_back(found.id)
    took = elapsed(run.created, run.effective, 3)
    if took is None:
        raise LabError(f"run {run.id} changed nothing: {run.explanation()}")

    kafka.delete_topic(TOPIC)
    ended = f'ALERTS{{alertname="{ALERT}"}}'
    waiter.until("the end of the alert", lambda: not follower.prometheus.query(ended), 60)
    waiter.sleep(EPISODE_ENDS)
    # Rollbacks in a row quarantine the target, and each doubles its cooldown.
    optimizer.release_quarantine()
    require(run.state == "rolled_back", f"run {run.id} is {run.state}")
    return took
