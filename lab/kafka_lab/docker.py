"""The Docker engine, through its command line."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .commands import run

PROJECT = "com.docker.compose.project"
SERVICE = "com.docker.compose.service"
TIMEOUT = 120.0

Command = Callable[[list[str]], str]


def _docker(words: list[str]) -> str:
    return run(["docker", *words], timeout=TIMEOUT).stdout


@dataclass(frozen=True)
class Container:
    """`status` is Docker's sentence, such as `Up 3 seconds (health: starting)`."""

    id: str
    service: str
    state: str
    status: str

    def is_healthy(self) -> bool:
        """Running, and not waiting for its health check."""
        return self.state == "running" and "starting" not in self.status

    def has_ended(self) -> bool:
        return self.state in ("exited", "dead")


@dataclass(frozen=True)
class Docker:
    command: Command = field(default=_docker)

    def ids(self, *labels: str) -> list[str]:
        """Containers, stopped ones too, with all of the labels."""
        return self.command(["ps", "-aq", "--no-trunc", *_filters(labels)]).split()

    def containers(self, *labels: str) -> list[Container]:
        fields = ["{{.ID}}", f'{{{{.Label "{SERVICE}"}}}}', "{{.State}}", "{{.Status}}"]
        lines = self.command(
            ["ps", "-a", "--no-trunc", *_filters(labels), "--format", "\t".join(fields)]
        )
        return [Container(*line.split("\t")) for line in lines.splitlines()]

    def inspect(self, container: str, template: str) -> str:
        return self.command(["inspect", "-f", template, container]).strip()

    def logs(self, container: str, lines: int) -> str:
        return self.command(["logs", "--tail", str(lines), container])

    def pause(self, container: str) -> None:
        self.command(["pause", container])

    def unpause(self, container: str) -> None:
        self.command(["unpause", container])

    def remove(self, *containers: str) -> None:
        """With their anonymous volumes, running or not."""
        if containers:
            self.command(["rm", "-f", "-v", *containers])

    def remove_project(self, project: str) -> None:
        """Every container, network and volume, also what an interrupted run left."""
        label = _filters((f"{PROJECT}={project}",))
        self.remove(*self.command(["ps", "-aq", *label]).split())
        for kind in ("network", "volume"):
            found = self.command([kind, "ls", "-q", *label]).split()
            if found:
                self.command([kind, "rm", *found])


def _filters(labels: tuple[str, ...]) -> list[str]:
    return [word for label in labels for word in ("--filter", f"label={label}")]
