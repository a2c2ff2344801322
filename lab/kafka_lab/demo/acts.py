"""The two acts."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import partial

from ..errors import require
from .stage import ALERT, Stage

MANY = "demo-many"  # 24 partitions of broker 1
ONE = "demo-one"  # one partition of broker 2
THREADS = "num.io.threads"


def warm_up(stage: Stage) -> None:
    """A cold JVM is slow by itself; that is not the fault to show."""
    stage.headline("Warming up")
    stage.create_flushed_topic(MANY, ["1"] * 24)
    stage.create_flushed_topic(ONE, ["2"])
    stage.produce("1", MANY, 24, 24, 600)
    stage.produce("2", ONE, 1, 32, 600)
    stage.say("producing to brokers 1 and 2 for 25 s")
    stage.waiter.sleep(25)
    stage.stop_producing()

    flows = 'kafka:produce_requests:rate{broker_id="1"} > 10'
    stage.waiter.until("samples of broker 1", lambda: stage.prometheus.query(flows), 60)
    stage.wait_until_quiet()


def starved_request_handlers(stage: Stage) -> None:
    act = stage.result.begin("starved request handlers")
    stage.headline("Act 1: broker 1 is left with one I/O thread, on a slow disk")
    fault = starve(stage)
    run = stage.follow_alert(act, "1", fault, timeout=240)
    require(run.state == "kept", f"act 1 should be kept: {run.explanation()}")

    _require_threads(stage, "1", "16")
    _wait_for_resolution(stage, "1")
    stage.stop_producing()
    stage.wait_until_quiet()


def starve(stage: Stage) -> float:
    """Broker 1 has load that needs more than one I/O thread, and is left with one.

    Returns when, in Unix seconds.
    """
    stage.stack.slow_disk(stage.strains.starved.fsync_microseconds)
    rate = stage.strains.starved.rate
    stage.produce("1", MANY, 24, 24, rate)
    stage.say(f"24 producers send {rate} records/s to 24 partitions of broker 1 (8 I/O threads)")
    stage.waiter.sleep(20)
    stage.say(f"mean produce time {stage.produce_time('1')}")

    _reduce_to_one_thread(stage, "1")
    return time.time()


def _reduce_to_one_thread(stage: Stage, broker: str) -> None:
    """A broker at most halves a pool at once, and only when the step before is in force."""
    for threads in ("4", "2", "1"):
        change = partial(stage.kafka.set, broker, THREADS, threads)
        stage.waiter.until(f"broker {broker} to take {THREADS}={threads}", change, 30)
        stage.say(f"set by hand: {THREADS}={threads}")

    stage.waiter.until(
        f"broker {broker} to run one I/O thread", lambda: _threads(stage, broker) == "1", 30
    )


def _threads(stage: Stage, broker: str) -> str | None:
    found = stage.kafka.effective_value(broker, THREADS)
    return found.value if found else None


def _require_threads(stage: Stage, broker: str, wanted: str) -> None:
    found = stage.kafka.effective_value(broker, THREADS)
    right = found is not None and found.value == wanted
    require(right, f"kafka-configs says {THREADS}={found} for broker {broker}, not {wanted}")
    stage.say(f"kafka-configs: broker {broker} has {THREADS}={wanted}")


def _wait_for_resolution(stage: Stage, broker: str) -> None:
    def resolved() -> bool:
        return stage.prometheus.alert_state(ALERT, broker_id=broker) == "inactive"

    stage.waiter.until("the end of the alert", resolved, 90, lambda: stage.saturation(broker))
    stage.say(f"RESOLVED; mean produce time {stage.produce_time(broker)}")


def threads_that_cannot_help(stage: Stage) -> None:
    act = stage.result.begin("threads that cannot help")
    stage.headline(
        "Act 2: 32 producers wait for the lock of ONE partition on broker 2;"
        " more threads cannot help"
    )
    before = _config(stage, "2")
    stage.stack.slow_disk(stage.strains.useless.fsync_microseconds)
    fault = time.time()
    rate = stage.strains.useless.rate
    stage.produce("2", ONE, 1, 32, rate)
    stage.say(f"32 producers send {rate} records/s to one partition; {THREADS} is {before.threads}")

    run = stage.follow_alert(act, "2", fault, timeout=300)
    require(run.state == "rolled_back", f"act 2 should be rolled back: {run.explanation()}")

    after = _config(stage, "2")
    require(before == after, f"broker 2 had {before} before, and has {after} now")
    stage.say(f"kafka-configs: broker 2 is back at {THREADS}={after.threads}, nothing else is set")
    stage.stop_producing()
    stage.stack.slow_disk(0)


@dataclass(frozen=True)
class _Config:
    """Of a broker, as kafka-configs shows it."""

    threads: str
    dynamic: dict[str, str]


def _config(stage: Stage, broker: str) -> _Config:
    threads = stage.kafka.effective_value(broker, THREADS)
    return _Config(str(threads), stage.kafka.dynamic_config(broker))
