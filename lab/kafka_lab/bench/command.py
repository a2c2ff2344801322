"""`make bench` and `make frozen`: a controller and three brokers, and the exporters beside them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from ..cleanup import exclusive, uninterrupted
from ..commands import run_visibly
from ..compose import ComposeProject
from ..engine import (
    build_images,
    build_optimizer,
    image_variables,
    kafka_client_libraries,
    running_engine,
)
from ..paths import LAB, ROOT, TARGET
from ..settings import Settings
from ..stack import BROKERS, Ports
from .brokers import Brokers, broker_pid
from .cost import CostRun
from .exporters import Choice, Place, choose
from .frozen import FrozenRun

JMX_OFFSET, EXPORTER_OFFSET = 10, 20  # from the first broker's port
NOTHING_YET = "the run ended before anything was measured"


class Measurement(Protocol):
    """Rows of a result file, written as they come."""

    def __init__(self, choice: Choice, out: Path) -> None: ...

    def fail(self, reason: str) -> None: ...

    def measure_all(self, brokers: Brokers, place: Place) -> None: ...

    def report(self) -> None: ...


def bench(settings: Settings) -> int:
    return _measure("bench", CostRun, settings)


def frozen(settings: Settings) -> int:
    return _measure("frozen", FrozenRun, settings)


def _measure(name: str, kind: type[Measurement], settings: Settings) -> int:
    choice = choose(settings)
    project = ComposeProject(TARGET / name, "kafka-optimizer-bench")
    # A part beside a whole run would put numbers of different days side by side.
    out = project.folder / ("part.json" if choice.is_part else "result.json")
    measurement = kind(choice, out)

    busy = "another make bench or make frozen is running"
    with exclusive(TARGET / "bench-cluster.lock", busy):
        measurement.fail(NOTHING_YET)
        with _brokers(project, settings) as brokers:
            measurement.measure_all(brokers, _place(project, brokers, settings))
            measurement.report()
    return 0


@contextmanager
def _brokers(project: ComposeProject, settings: Settings) -> Iterator[Brokers]:
    """With every program built before the cluster starts."""
    ports = Ports().shifted(settings.bench_port_offset)
    jmx_ports = [ports.brokers[0] + JMX_OFFSET + index for index in range(len(BROKERS))]
    with running_engine():
        build_images()
        libraries = kafka_client_libraries()
        run_visibly([str(LAB / "bench/peers.sh"), str(project.folder / "peers")], timeout=7200)
        if settings.optimizer_binary is None:
            print("building this exporter", flush=True)
            build_optimizer(release=True)

        try:
            project.remove()  # what an interrupted run left
            _describe(project, ports, jmx_ports)
            names = [f"kafka-{broker}" for broker in BROKERS]
            project.start_and_wait("controller-1", *names)
            containers = [project.container(name) for name in names]
            pids = [broker_pid(project.docker, container) for container in containers]
            yield Brokers(ports.bootstrap_servers(), containers, pids, jmx_ports, libraries)
        finally:
            with uninterrupted():
                project.remove()


def _describe(project: ComposeProject, ports: Ports, jmx_ports: list[int]) -> None:
    """No slow disk, and the files that the services name which are not started."""
    slow = project.folder / "slow"
    slow.mkdir(parents=True, exist_ok=True)
    variables = {
        **image_variables(),
        "SLOW_DISK": "",
        "SLOW_DIR": str(slow),
        "BENCH_JMX": str(LAB / "bench/jmx"),
        **ports.variables(),
        **{f"JMX_PORT_{broker}": str(port) for broker, port in zip(BROKERS, jmx_ports)},
    }
    project.describe([ROOT / "docker-compose.yml", LAB / "bench/compose.yml"], variables)


def _place(project: ComposeProject, brokers: Brokers, settings: Settings) -> Place:
    ports = Ports().shifted(settings.bench_port_offset)
    return Place(
        bootstrap=brokers.bootstrap,
        port=ports.brokers[0] + EXPORTER_OFFSET,
        folder=project.folder / "exporter",
        optimizer=settings.optimizer_binary or TARGET / "release/kafka-optimizer",
        peers=project.folder / "peers",
    )
