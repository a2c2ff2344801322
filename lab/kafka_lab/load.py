"""Producers in containers."""

from __future__ import annotations

from dataclasses import dataclass, field

from .compose import ComposeProject
from .errors import LabError


@dataclass(frozen=True)
class Load:
    """`kafka-optimizer load produce`: producers that wait for each answer.

    `rate` is what all of them offer together, in records a second. `pinned`: each producer writes
    to one partition.
    """

    topic: str
    producers: int
    rate: int
    partitions: int | None = None
    record_bytes: int | None = None
    acks: str | None = None
    pinned: bool = True
    broker: str = "1"  # the broker that clients ask first
    seconds: int = 900

    def words(self) -> list[str]:
        words = ["--kafka.server", f"kafka-{self.broker}:9092", "--topic", self.topic]
        if self.partitions is not None:
            words += ["--partitions", str(self.partitions)]
        words += ["--producers", str(self.producers), "--rate", str(self.rate)]
        if self.record_bytes is not None:
            words += ["--record-bytes", str(self.record_bytes)]
        if self.acks is not None:
            words += ["--acks", self.acks]
        if self.pinned:
            words.append("--pinned")
        return [*words, "--for", f"{self.seconds}s"]


@dataclass
class Loads:
    """The containers of load that run now."""

    project: ComposeProject
    running: list[str] = field(default_factory=list)

    def start(self, load: Load) -> str:
        return self.start_service("load", "load", "produce", *load.words())

    def start_service(self, service: str, *words: str) -> str:
        container = self.project.run_detached(service, *words)
        self.running.append(container)
        return container

    def stop(self, container: str) -> None:
        self.project.docker.remove(container)
        self.running.remove(container)

    def stop_all(self) -> None:
        for container in list(self.running):
            self.stop(container)

    def check_running(self) -> None:
        docker = self.project.docker
        for container in self.running:
            if docker.inspect(container, "{{.State.Running}}") != "true":
                raise LabError(f"the load ended too soon: {docker.logs(container, 5)}")
