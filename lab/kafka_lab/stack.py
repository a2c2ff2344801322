"""A running copy of docker-compose.yml: its ports, its rendered configuration, its services."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .alertmanager import Alertmanager
from .compose import ComposeProject
from .engine import docker_group, image_variables
from .kafka_tools import KafkaTools
from .optimizer import Optimizer
from .paths import ROOT, TARGET
from .prometheus import Prometheus
from .rendering import Windows, render
from .results import read_variables, write_atomically
from .waiting import Waiter

BROKERS = ("1", "2", "3")


@dataclass(frozen=True)
class Ports:
    """On 127.0.0.1. Below 32768, any higher one may be taken by an outgoing connection."""

    brokers: tuple[int, int, int] = (19092, 19093, 19094)
    prometheus: int = 9090
    alertmanager: int = 9093
    optimizer: int = 9308
    grafana: int = 3000

    def shifted(self, offset: int) -> Ports:
        first, second, third = self.brokers
        return Ports(
            (first + offset, second + offset, third + offset),
            self.prometheus + offset,
            self.alertmanager + offset,
            self.optimizer + offset,
            self.grafana + offset,
        )

    def bootstrap_servers(self) -> str:
        return ",".join(f"127.0.0.1:{port}" for port in self.brokers)

    def variables(self) -> dict[str, str]:
        brokers = {f"KAFKA_PORT_{id}": str(port) for id, port in zip(BROKERS, self.brokers)}
        return brokers | {
            "PROMETHEUS_PORT": str(self.prometheus),
            "ALERTMANAGER_PORT": str(self.alertmanager),
            "OPTIMIZER_PORT": str(self.optimizer),
            "GRAFANA_PORT": str(self.grafana),
        }


@dataclass(frozen=True)
class Stack:
    """Sets nothing up by itself: `prepare` writes the files, `start` starts the services."""

    project: ComposeProject
    ports: Ports
    windows: Windows

    @classmethod
    def named(cls, name: str, project: str, offset: int, windows: Windows) -> Stack:
        """Its files are in target/NAME."""
        return cls(ComposeProject(TARGET / name, project), Ports().shifted(offset), windows)

    @property
    def folder(self) -> Path:
        return self.project.folder

    @property
    def token_file(self) -> Path:
        return self.folder / "secrets" / "webhook-token"

    @property
    def config(self) -> Path:
        return self.folder / "config"

    def clear(self, keep: Sequence[str] = ()) -> None:
        """Removes the services and the files that are left, except files named in `keep`."""
        self.project.remove()
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.iterdir():
            if path.name in keep:
                continue
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()

    def prepare(
        self,
        optimizer_image: str,
        overrides: Sequence[Path] = (),
        variables: dict[str, str] | None = None,
    ) -> None:
        """Writes everything that Compose reads."""
        render(self.config, self.windows)
        self.slow_disk(0)
        # Three users of three images read the token. It opens a lab on 127.0.0.1.
        write_atomically(self.token_file, secrets.token_hex(24))

        self.project.describe(
            [ROOT / "docker-compose.yml", *overrides],
            {
                **image_variables(),
                "OPTIMIZER_IMAGE": optimizer_image,
                "CONFIG_DIR": str(self.config),
                "OPTIMIZER_CONFIG": str(self.config / "kafka-optimizer.yml"),
                "SECRETS_DIR": str(self.token_file.parent),
                "SLOW_DIR": str(self.folder / "slow"),
                "DOCKER_GID": str(docker_group()),
                **self.ports.variables(),
                **(variables or {}),
            },
        )

    def start(self, waiter: Waiter) -> None:
        self.project.start(["grafana"] if self.has_grafana() else [], waiter)
        optimizer = self.optimizer()
        waiter.until("the optimizer to be ready", optimizer.is_ready, 60)
        waiter.progress.say("the optimizer is ready")

    def variable(self, name: str) -> str:
        return read_variables(self.folder / "compose.env").get(name, "")

    def has_grafana(self) -> bool:
        """Its image can only be pulled."""
        return bool(self.variable("GRAFANA_IMAGE"))

    def has_slow_disk(self) -> bool:
        """The shim loads into this Kafka image."""
        return bool(self.variable("SLOW_DISK"))

    def slow_disk(self, microseconds: int) -> None:
        """How long each fsync of a broker waits; 0 is off."""
        folder = self.folder / "slow"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "us").write_text(f"{microseconds}\n")

    def prometheus(self) -> Prometheus:
        return Prometheus(f"http://127.0.0.1:{self.ports.prometheus}")

    def alertmanager(self) -> Alertmanager:
        return Alertmanager(f"http://127.0.0.1:{self.ports.alertmanager}")

    def optimizer(self) -> Optimizer:
        url = f"http://127.0.0.1:{self.ports.optimizer}"
        return Optimizer(url, self.token_file.read_text().strip())

    def grafana_url(self) -> str:
        return f"http://127.0.0.1:{self.ports.grafana}"

    def kafka_tools(self) -> KafkaTools:
        return KafkaTools(self.project)
