"""One Docker Compose project: its files, its variables, and what is done to its services."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .commands import in_background, run
from .docker import PROJECT, SERVICE, Container, Docker
from .errors import LabError
from .progress import Progress
from .results import write_atomically, write_variables
from .waiting import Waiter

TIMEOUT = 150.0
START_TIMEOUT = 180.0


@dataclass(frozen=True)
class ComposeProject:
    """`folder`, below target/, holds what Compose reads and what the project leaves behind."""

    folder: Path
    name: str
    docker: Docker = field(default_factory=Docker)

    @property
    def script(self) -> Path:
        """`docker compose` with the right project and variables, for people and for tests."""
        return self.folder / "compose"

    def describe(self, files: Sequence[Path], variables: dict[str, str]) -> None:
        """Writes what Compose reads. Later files override earlier ones."""
        environment = self.folder / "compose.env"
        write_variables(environment, variables)

        words = ["docker", "compose", "-p", self.name, "--env-file", str(environment)]
        words += [word for file in files for word in ("-f", str(file))]
        text = f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n'
        write_atomically(self.script, text, mode=0o755)

    def compose(self, *words: str, timeout: float = TIMEOUT) -> str:
        command = [str(self.script), "--progress", "quiet", *words]
        return run(command, timeout=timeout).stdout.strip()

    def run_detached(self, service: str, *words: str) -> str:
        """Starts a container of a service beside the others. Returns its id."""
        return self.compose("run", "-d", "--no-deps", service, *words).splitlines()[-1]

    def logs(self, service: str, lines: int) -> str:
        """The end of a service's log; an explanation where there is none."""
        try:
            words = ("logs", "--no-color", "--no-log-prefix", "--tail", str(lines), service)
            return self.compose(*words)
        except LabError as error:
            return f"no log of {service}: {error}"

    def containers(self) -> list[Container]:
        return self.docker.containers(f"{PROJECT}={self.name}")

    def container(self, service: str) -> str:
        """The id of the service's only container."""
        found = self.docker.ids(f"{PROJECT}={self.name}", f"{SERVICE}={service}")
        if len(found) != 1:
            raise LabError(f"{self.name} has {len(found)} containers of {service} instead of one")
        return found[0]

    def start_and_wait(self, *services: str, timeout: float = START_TIMEOUT) -> None:
        """Starts services, all when none is named, until Compose calls them healthy."""
        options = ["up", "-d", "--no-build", "--wait", "--wait-timeout", f"{timeout:.0f}"]
        try:
            self.compose(*options, *services, timeout=timeout + 30)
        except LabError as error:
            logs = [self.logs(container.service, 5) for container in self.containers()]
            raise LabError(f"{self.name} did not start: {error}\n" + "\n".join(logs)) from error

    def start(self, profiles: Sequence[str], waiter: Waiter) -> None:
        """Starts every service, and says when each is up."""
        options = [word for profile in profiles for word in ("--profile", profile)]
        command = [str(self.script), "--progress", "quiet", *options, "up", "-d", "--no-build"]
        announced: set[str] = set()

        # Compose waits for the controller before it starts the brokers; meanwhile we look.
        with in_background(command, self.folder / "up.log") as starting:

            def all_up() -> bool:
                compose_is_done = starting.has_ended()
                containers = self.containers()
                self._announce(containers, announced, waiter.progress)
                return compose_is_done and all(it.is_healthy() for it in containers)

            waiter.until("every service to become healthy", all_up, START_TIMEOUT)
            starting.wait(1)

    def _announce(
        self, containers: list[Container], announced: set[str], progress: Progress
    ) -> None:
        for container in containers:
            service = container.service
            if container.has_ended():
                raise LabError(f"{service} ended at once: {self.logs(service, 5)}")
            if container.is_healthy() and service not in announced:
                announced.add(service)
                progress.say(f"{service} is up")

    def remove(self) -> None:
        """Its containers, networks and volumes; the folder stays."""
        self.docker.remove_project(self.name)
