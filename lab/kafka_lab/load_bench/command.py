"""`make bench-load`.

Throughput: our load and Kafka's own tool by turns, with the same settings, each in a container of
its own. A frozen broker: both at a steady rate, while the broker stands still for two seconds.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

from ..cleanup import exclusive, uninterrupted
from ..compose import ComposeProject
from ..engine import (
    build_images,
    build_optimizer,
    image_variables,
    optimizer_image,
    running_engine,
)
from ..errors import LabError
from ..paths import LAB, TARGET
from ..progress import Progress
from ..results import write_json
from ..settings import Settings
from .cluster import LoadCluster, Work
from .tool import ToolSummary

RATIO_MIN = 0.95  # of the throughput of Kafka's own tool
ROUNDS = 3
SIZES = (
    Work(record_bytes=1024, records=500_000, warm_up=100_000),
    Work(record_bytes=100, records=2_000_000, warm_up=400_000),
)
# Two seconds of twenty are a tenth of the records, and they are late by a second on average.
STEADY = Work(record_bytes=1024, records=100_000, rate=5_000)
FROZEN_S = 2.0
FREEZE_AFTER_S = 9.0  # from the start of the container, so that the load runs
FROZEN_P99_MIN = 0.7  # of the time that the broker stood still
FROZEN_MAX_MIN = 0.95
CONSUMERS = 1

T = TypeVar("T")


@dataclass
class Throughput:
    """Records a second of each round."""

    record_bytes: int
    ours: list[float] = field(default_factory=list)
    tool: list[float] = field(default_factory=list)

    def ratio(self) -> float:
        return statistics.median(self.ours) / statistics.median(self.tool)


@dataclass(frozen=True)
class Freeze:
    """Milliseconds. `frozen_ms` is how long the broker stood still."""

    frozen_ms: float
    ours_ms: dict[str, float]
    ours_missing: int
    tool: ToolSummary

    def problems(self) -> list[str]:
        p99, maximum = self.ours_ms["p99_ms"], self.ours_ms["max_ms"]
        wrong = []
        if p99 < FROZEN_P99_MIN * self.frozen_ms:
            wrong.append(f"p99 is {p99:.0f} ms, though the broker stood still {self.frozen_ms:.0f}")
        if maximum < FROZEN_MAX_MIN * self.frozen_ms:
            wrong.append(f"max is {maximum:.0f} ms, though it stood still {self.frozen_ms:.0f} ms")
        if self.ours_missing:
            wrong.append(f"{self.ours_missing} acknowledged records were not consumed")
        return wrong


def bench_load(settings: Settings) -> int:
    folder = TARGET / "bench-load"
    project = ComposeProject(folder, settings.load_project)
    out = folder / "result.json"
    progress = Progress()

    with exclusive(TARGET / "bench-load.lock", "another make bench-load is running"):
        write_json(out, {"error": "the run ended before anything was measured"})
        with _broker(project, settings) as cluster:
            rows = [measure_size(cluster, work, progress) for work in SIZES]
            result: dict[str, Any] = {"throughput": [_row(it) for it in rows]}
            write_json(out, result)
            freeze = measure_freeze(cluster, progress)
            result["frozen_broker"] = asdict(freeze)
            write_json(out, result)

    _print(rows, freeze)
    slow = [it for it in rows if it.ratio() < RATIO_MIN]
    problems = [f"{it.record_bytes} B: ratio {it.ratio():.3f}" for it in slow]
    problems += freeze.problems()
    if problems:
        raise LabError("; ".join(problems))
    return 0


def _print(rows: list[Throughput], freeze: Freeze) -> None:
    for row in rows:
        rates = f"ours {_rates(row.ours)}  tool {_rates(row.tool)}"
        print(f"{row.record_bytes:>5} B  {rates}  ratio {row.ratio():.3f}")

    tool = freeze.tool
    print(f"frozen for {freeze.frozen_ms:.0f} ms: ours {_percentiles(freeze.ours_ms)}")
    print(f"    tool mean {tool.mean_ms:.0f}, p50 {tool.p50_ms:.0f}, p99 {tool.p99_ms:.0f}")


@contextmanager
def _broker(project: ComposeProject, settings: Settings) -> Iterator[LoadCluster]:
    """With every image built before the broker starts."""
    with running_engine():
        if not settings.images_ready:
            build_images()
        if settings.optimizer_image is None and settings.optimizer_binary is None:
            build_optimizer(release=True)
        try:
            project.remove()  # what an interrupted run left
            project.describe([LAB / "load.yml"], _variables(settings))
            project.start_and_wait("kafka")
            yield LoadCluster(project)
        finally:
            with uninterrupted():
                project.remove()


def _variables(settings: Settings) -> dict[str, str]:
    binary = settings.optimizer_binary or TARGET / "release/kafka-optimizer"
    return {
        "KAFKA_IMAGE": image_variables()["KAFKA_IMAGE"],
        "OPTIMIZER_IMAGE": optimizer_image(settings, binary),
        "BROKER_CPUS": settings.broker_cpus,
        "LOAD_PORT": str(settings.load_port),
    }


def measure_size(cluster: LoadCluster, work: Work, progress: Progress) -> Throughput:
    """By turns, and each goes first in every other round: what wanders on the machine hits both."""
    row = Throughput(work.record_bytes)
    for number in range(ROUNDS):
        turns: list[Callable[[], None]] = [
            lambda: row.ours.append(cluster.run_load(work, 0)["records_per_second"]),
            lambda: row.tool.append(cluster.run_tool(work).records_per_second),
        ]
        for turn in turns if number % 2 == 0 else reversed(turns):
            turn()
        progress.say(
            f"{work.record_bytes} B, round {number + 1} of {ROUNDS}:"
            f" ours {row.ours[-1]:,.0f}/s, Kafka's tool {row.tool[-1]:,.0f}/s"
        )
    return row


def measure_freeze(cluster: LoadCluster, progress: Progress) -> Freeze:
    ours, frozen_s = while_frozen(cluster, lambda: cluster.run_load(STEADY, CONSUMERS))
    progress.say(f"our load saw a broker that stood still for {frozen_s:.2f} s")
    tool, _ = while_frozen(cluster, lambda: cluster.run_tool(STEADY))
    progress.say("so did Kafka's tool")
    return Freeze(frozen_s * 1000, ours["acknowledge"], ours["missing"], tool)


def while_frozen(cluster: LoadCluster, work: Callable[[], T]) -> tuple[T, float]:
    """Runs `work`, during which the broker stands still once. Returns for how many seconds too."""
    broker, docker = cluster.broker(), cluster.project.docker
    frozen: list[float] = []

    def freeze() -> None:
        time.sleep(FREEZE_AFTER_S)
        docker.pause(broker)
        begun = time.monotonic()
        try:
            time.sleep(FROZEN_S)
        finally:
            frozen.append(time.monotonic() - begun)
            docker.unpause(broker)

    thread = threading.Thread(target=freeze)
    thread.start()
    try:
        result = work()
    finally:
        thread.join()
    return result, frozen[0]


def _row(row: Throughput) -> dict[str, Any]:
    return {**asdict(row), "ratio": row.ratio()}


def _rates(rates: list[float]) -> str:
    return f"{statistics.median(rates):,.0f}/s ({min(rates):,.0f} to {max(rates):,.0f})"


def _percentiles(values: dict[str, float]) -> str:
    return ", ".join(f"{name.removesuffix('_ms')} {value:.0f}" for name, value in values.items())
