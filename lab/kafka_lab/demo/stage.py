"""What both acts use: the stack, its load, and what is said of a run."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ..errors import LabError
from ..following import Follower, elapsed
from ..load import Load, Loads
from ..optimizer import Run
from ..progress import milliseconds
from ..prometheus import selector
from ..stack import Stack
from ..waiting import Waiter
from .result import Act, Result

ALERT = "KafkaRequestHandlersSaturated"
PRODUCE_TIME = "kafka:produce_time:mean_seconds"


@dataclass(frozen=True)
class Strain:
    """How long each fsync of a broker waits, and how many records a second are offered."""

    fsync_microseconds: int
    rate: int


@dataclass(frozen=True)
class Strains:
    """Of the two acts.

    An fsync waits long against the CPU that it takes: on a busy machine, or with a JVM that still
    compiles, the CPU alone must not look like an effect. A producer that still waits for an answer
    leaves out its turn, so the second act offers more: its queue has to stay full.
    """

    starved: Strain = Strain(2000, 400)
    useless: Strain = Strain(10_000, 800)


# Where the shim does not load, more records on the real disk take its place.
REAL_DISK = Strains(Strain(0, 1600), Strain(0, 3200))


@dataclass
class Stage:
    stack: Stack
    waiter: Waiter
    result: Result
    strains: Strains = field(default_factory=Strains)

    def __post_init__(self) -> None:
        self.prometheus = self.stack.prometheus()
        self.optimizer = self.stack.optimizer()
        self.kafka = self.stack.kafka_tools()
        self.follower = Follower(self.prometheus, self.optimizer, self.waiter)
        self.loads = Loads(self.stack.project)
        # Without load nothing that is waited for would come.
        self.waiter.check = self.loads.check_running

    def say(self, text: str) -> None:
        self.waiter.progress.say(text)

    def headline(self, text: str) -> None:
        self.waiter.progress.headline(text)

    # ---- load

    def create_flushed_topic(self, name: str, leaders: list[str]) -> None:
        """Flushed at every record, which is what a slow disk makes slow."""
        self.kafka.create_topic(name, leaders, flush_messages="1", min_insync_replicas="1")

    def produce(self, broker: str, topic: str, partitions: int, producers: int, rate: int) -> None:
        """Until `stop_producing`."""
        load = Load(
            topic=topic,
            broker=broker,
            partitions=partitions,
            producers=producers,
            rate=rate,
            record_bytes=200,
            acks="1",
        )
        self.loads.start(load)

    def stop_producing(self) -> None:
        self.loads.stop_all()

    # ---- what is measured

    def produce_time(self, broker: str) -> str:
        labels = {"kafka_cluster": "main", "broker_id": broker}
        return milliseconds(self.prometheus.value(selector(PRODUCE_TIME, **labels)))

    def saturation(self, broker: str) -> str:
        idle = self.prometheus.value(selector("kafka:request_handler_idle:ratio", broker_id=broker))
        handlers = "unknown" if idle is None else f"{idle * 100:.0f} %"
        state = self.prometheus.alert_state(ALERT, broker_id=broker)
        return f"handlers idle {handlers}, produce {self.produce_time(broker)}, alert {state}"

    def wait_until_quiet(self) -> None:
        """An act begins without alerts: those of the start, or of the act before, would pass for
        its own. A machine that is busy with other things may never be quiet.
        """

        def firing() -> list[str]:
            return sorted(
                f"{alert.name} broker {alert.labels['broker_id']}"
                for alert in self.prometheus.alerts()
                if alert.state == "firing" and "broker_id" in alert.labels
            )

        try:
            self.waiter.until("the alerts to end", lambda: not firing(), 60)
        except LabError:
            self.say(f"still firing, going on all the same: {', '.join(firing())}")

    # ---- a run

    def follow_alert(self, act: Act, broker: str, fault: float, timeout: float) -> Run:
        """From the alert to the end of its run. Says what happens, and puts it into the act."""
        found = self.follower.alert_to_run(
            ALERT, fault, broker, timeout=150, detail=lambda: self.saturation(broker)
        )
        act.alert = ALERT
        self.say(f"  mean produce time {self.produce_time(broker)}")

        run = self.follower.reach(found.id, {"kept", "rolled_back"}, timeout)
        self._record(act, run, broker, fault)
        self._tell(act, run, broker)
        return run

    def _record(self, act: Act, run: Run, broker: str, fault: float) -> None:
        moments = self.follower.moments(run, fault, broker)
        act.optimizer, act.verdict, act.outcome = run.optimizer, run.verdict, run.state
        act.alert_to_webhook_s = elapsed(moments.fired, moments.stored, 2)
        act.webhook_to_effective_s = elapsed(moments.stored, moments.effective, 2)

        # Recovered: a request takes less than a quarter of what it took when the alert came.
        if run.state == "kept" and run.before and moments.effective:
            series = selector(PRODUCE_TIME, kafka_cluster="main", broker_id=broker)
            expression = f"{series} < {run.before / 4}"
            end = moments.ended or time.time()
            recovered = self.prometheus.first_time(expression, moments.effective, end)
            act.fault_to_recovery_s = elapsed(fault, recovered, 1)

    def _tell(self, act: Act, run: Run, broker: str) -> None:
        webhook, effective = _seconds(act.alert_to_webhook_s), _seconds(act.webhook_to_effective_s)
        self.say(f"  broker {broker}: alert -> webhook {webhook}, webhook -> effective {effective}")
        before, after = milliseconds(run.before), milliseconds(run.after)
        self.say(
            f"  mean produce time {before} before, {after} after: {run.verdict} -> {run.state}"
        )


def _seconds(value: float | None) -> str:
    return "unknown" if value is None else f"{value} s"
