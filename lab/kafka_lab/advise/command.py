"""`make advise`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ..cleanup import exclusive, uninterrupted
from ..compose import ComposeProject
from ..engine import (
    build_images,
    build_optimizer,
    image_variables,
    install_packages,
    running_engine,
)
from ..errors import LabError
from ..paths import LAB, TARGET
from ..progress import Progress
from ..rendering import Windows, render
from ..results import write_atomically
from ..settings import Settings
from ..waiting import Waiter
from .bench import Bench
from .checks import CHECKS
from .payloads import payloads
from .result import Outcome, write

FOLDER = TARGET / "advise"
SECONDS_MAX = 1800.0


def advise(settings: Settings) -> int:
    """The exit code: 0 when every estimate is near to what was measured."""
    chosen = [name for name in CHECKS if not settings.only or name in settings.only]
    outcomes = [Outcome(name) for name in chosen]
    # If something fails, an earlier run's result must not remain.
    write(FOLDER, outcomes)

    with ExitStack() as cleanups:
        lock = TARGET / "advise.lock"
        cleanups.enter_context(exclusive(lock, "another make advise is running"))
        cleanups.enter_context(running_engine(keep=settings.keep))
        bench = cleanups.enter_context(advise_bench(settings))
        for at, outcome in enumerate(outcomes):
            try:
                outcomes[at] = CHECKS[outcome.advice](bench, outcome)
            except LabError as error:
                print(f"{outcome.advice}: {error}")
            write(FOLDER, outcomes)

    for outcome in outcomes:
        print(
            f"{outcome.advice:<12} estimated {outcome.estimated} measured {outcome.measured} "
            f"ratio {outcome.ratio}"
        )
    found = [problem for outcome in outcomes if (problem := outcome.problem())]
    for problem in found:
        print(f"MISSED: {problem}")
    return 1 if found else 0


@contextmanager
def advise_bench(settings: Settings) -> Iterator[Bench]:
    """A broker that runs until the end of the block."""
    project = ComposeProject(FOLDER / "stack", settings.advise_project)
    waiter = Waiter(Progress())
    waiter.limit(SECONDS_MAX)
    if not settings.images_ready:
        install_packages()
        build_images()
    if settings.optimizer_binary is None:
        build_optimizer()
    binary = settings.optimizer_binary or TARGET / "debug" / "kafka-optimizer"

    port = settings.advise_port
    bench = Bench(project, waiter, binary, port, port + 1, port + 2)
    project.remove()
    describe(bench)
    try:
        project.start_and_wait("kafka-1", "prometheus")
        waiter.progress.say("the broker is up")
        yield bench
    finally:
        if not settings.keep:
            with uninterrupted():
                project.remove()


def describe(bench: Bench) -> None:
    folder = bench.project.folder
    render(folder / "config", Windows.DEMO)
    write_atomically(folder / "payloads.txt", payloads())
    bench.project.describe(
        [LAB / "advise" / "compose.yml"],
        {
            **image_variables(),
            "CONFIG_DIR": str(folder / "config"),
            "PAYLOADS": str(folder / "payloads.txt"),
            "KAFKA_PORT": str(bench.kafka_port),
            "JMX_PORT": str(bench.jmx_port),
            "PROMETHEUS_PORT": str(bench.prometheus_port),
        },
    )
