"""The cluster of `make heal`, as the scenarios see and handle it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ..alertmanager import Alertmanager
from ..docker import Docker
from ..following import Follower
from ..load import Load, Loads
from ..optimizer import Optimizer
from ..progress import Progress, milliseconds
from ..prometheus import Prometheus, selector
from ..rendering import rewrite, setting
from ..stack import BROKERS, Stack
from ..waiting import Waiter
from .referee import BrokerConfig, Referee, RefereeError
from .replicas import Fault

CLONE_LABEL = "kafka-optimizer.run"
# Seconds, with those until the optimizer has collected often enough.
FIRST_MINUTE = 75.0


@dataclass(frozen=True)
class ClusterState:
    """Everything that the optimizer may change and has to put back, as Kafka and Docker show it."""

    brokers: dict[str, BrokerConfig]
    quotas: str
    clones: tuple[str, ...]

    def with_broker(self, broker: str, config: BrokerConfig) -> ClusterState:
        return replace(self, brokers={**self.brokers, broker: config})

    def __str__(self) -> str:
        words = [
            f"broker {broker}: {key}={value}"
            for broker, config in self.brokers.items()
            for key, value in config.items()
        ]
        words += [f"quotas: {self.quotas}"] if self.quotas else []
        words += [f"clones: {', '.join(self.clones)}"] if self.clones else []
        return "; ".join(words) or "nothing set"


@dataclass
class HealCluster:
    stack: Stack
    referee: Referee
    waiter: Waiter
    docker: Docker = field(default_factory=Docker)
    faults: list[Fault] = field(default_factory=list)
    load_ended: float = 0.0  # when load last ended, in Unix seconds
    seed: int | None = None  # repeats the random choices of a scenario

    def __post_init__(self) -> None:
        self.prometheus: Prometheus = self.stack.prometheus()
        self.alertmanager: Alertmanager = self.stack.alertmanager()
        self.optimizer: Optimizer = self.stack.optimizer()
        self.loads = Loads(self.stack.project)
        self.follower = Follower(self.prometheus, self.optimizer, self.waiter)

    @property
    def progress(self) -> Progress:
        return self.waiter.progress

    # ---- clients

    def start_load(self, load: Load) -> str:
        return self.loads.start(load)

    def start_async_producer(
        self, topic: str, client_id: str, rate: int, record_bytes: int, batch_bytes: int
    ) -> str:
        """One that does not wait for its answers."""
        numbers = (str(rate), str(record_bytes), str(batch_bytes))
        return self.loads.start_service("async-producer", topic, client_id, *numbers)

    def stop_client(self, container: str) -> None:
        self.loads.stop(container)
        self.load_ended = time.time()

    def clones(self) -> tuple[str, ...]:
        return tuple(sorted(self.docker.ids(CLONE_LABEL)))

    # ---- faults

    @contextmanager
    def fault(self, what: str) -> Iterator[Fault]:
        """From here until its replicas are in sync again, what a broker does is our own doing."""
        fault = Fault(what, time.time())
        self.faults.append(fault)
        self.progress.say(what)
        try:
            yield fault
        finally:
            fault.until = time.time()

    def restart_broker(self, broker: str) -> Fault:
        with self.fault(f"broker {broker} is restarted by hand") as fault:
            self.stack.project.compose("stop", "-t", "60", f"kafka-{broker}")
            self._start_broker(broker)
        return fault

    @contextmanager
    def stopped_broker(self, broker: str) -> Iterator[None]:
        with self.fault(f"broker {broker} is stopped"):
            self.stack.project.compose("stop", "-t", "60", f"kafka-{broker}")
            try:
                yield
            finally:
                self._start_broker(broker)

    def _start_broker(self, broker: str) -> None:
        self.stack.project.compose("start", f"kafka-{broker}")
        self.waiter.until(f"broker {broker} to answer", lambda: self._broker_answers(broker), 60)

    @contextmanager
    def frozen_brokers(self, what: str, *brokers: str) -> Iterator[Fault]:
        project = self.stack.project
        services = [f"kafka-{broker}" for broker in brokers]
        with self.fault(what) as fault:
            project.compose("pause", *services)
            try:
                yield fault
            finally:
                project.compose("unpause", *services)

    def _broker_answers(self, broker: str) -> bool:
        try:
            self.referee.broker_config(broker)
        except RefereeError:
            return False  # not every client knows yet that it is back
        return True

    @contextmanager
    def mode(self, mode: str) -> Iterator[None]:
        """Reloads the optimizer with another `remediation.mode`, and with `act` at the end."""
        try:
            self._set_mode(mode)
            yield
        finally:
            self._set_mode("act")

    def _set_mode(self, mode: str) -> None:
        rewrite(self.stack.config / "kafka-optimizer.yml", setting("mode", mode))
        self.optimizer.reload()
        self.progress.say(f"the optimizer is reloaded with mode: {mode}")

    def wait_for_first_minute(self) -> None:
        """No run starts in the first minute after the optimizer was started or reloaded."""
        loaded = "kafka_optimizer_config_last_reload_success_timestamp_seconds"
        since = self.waiter.until("when it was loaded", lambda: self.prometheus.value(loaded), 30)
        self.waiter.sleep(since + FIRST_MINUTE - time.time())

    # ---- state

    def state(self) -> ClusterState:
        brokers = {broker: self.referee.broker_config(broker) for broker in BROKERS}
        return ClusterState(brokers, self.referee.quotas(), self.clones())

    def produce_time(self, broker: str) -> str:
        metric = "kafka:produce_time:mean_seconds"
        return milliseconds(self.prometheus.value(selector(metric, broker_id=broker)))

    def round_trip(self) -> str:
        """Of one small record through each broker, as the optimizer's probe measures it."""
        return milliseconds(self.prometheus.value("lab:round_trip:mean_seconds"))
