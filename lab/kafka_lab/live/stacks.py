"""The stack of the live tests, and the one node of Kafka 3.9 beside it.

`start` writes target/live/env and target/live-3.9/env, which the live tests read. Ports are the
demo's plus an offset, so that tests and a demo may run at once.
"""

from __future__ import annotations

from ..compose import ComposeProject
from ..engine import (
    build_images,
    engine_status,
    image_variables,
    kafka_39_image,
    optimizer_image,
    prometheus_tools,
    start_engine,
    stop_engine,
)
from ..paths import LAB, TARGET
from ..progress import Progress
from ..rendering import Windows
from ..results import write_variables
from ..settings import Settings
from ..stack import Stack
from ..waiting import Waiter

KAFKA_39_PORT = 19095
ENGINE_STARTED = "engine-started"


def live_stack(settings: Settings) -> Stack:
    return Stack.named("live", "kafka-optimizer-test", settings.test_port_offset, Windows.TEST)


def start_live_stack(settings: Settings) -> None:
    stack = live_stack(settings)
    engine_before = engine_status()
    start_engine()
    stack.clear()
    # Only an engine that was started for this stack is stopped with it.
    if engine_before == "none":
        (stack.folder / ENGINE_STARTED).touch()

    if not settings.images_ready:
        build_images()
    stack.prepare(optimizer_image(settings))
    stack.start(Waiter(Progress("  ")))
    _write_env(stack)


def stop_live_stack(settings: Settings) -> None:
    stack = live_stack(settings)
    stop_project(stack.project)
    if (stack.folder / ENGINE_STARTED).exists() and engine_status() != "none":
        stop_engine()


def _write_env(stack: Stack) -> None:
    project, config = stack.project, stack.config
    variables = {
        "PROJECT": project.name,
        "NETWORK": f"{project.name}_default",
        "COMPOSE": str(project.script),
        "BOOTSTRAP": stack.ports.bootstrap_servers(),
        "PROMETHEUS": stack.prometheus().url,
        "ALERTMANAGER": stack.alertmanager().url,
        "OPTIMIZER": stack.optimizer().url,
        "CLUSTER": "main",
        "IMAGE": image_variables()["KAFKA_IMAGE"],
        "TOKEN_FILE": str(stack.token_file),
        "CONFIG": str(config / "kafka-optimizer.yml"),
        "CONFIG_DIR": str(config),
        **prometheus_tools(),
    }
    write_env(project, "KAFKA_OPTIMIZER_LIVE", variables)


def write_env(project: ComposeProject, prefix: str, variables: dict[str, str]) -> None:
    """For the live tests."""
    file = project.folder / "env"
    write_variables(file, {f"{prefix}_{name}": value for name, value in variables.items()})
    print(f"lab: addresses are in {file.relative_to(TARGET.parent)}")


def stop_project(project: ComposeProject) -> None:
    """After this no test finds its addresses."""
    if engine_status() != "none":
        project.remove()
    (project.folder / "env").unlink(missing_ok=True)


def kafka_39_project() -> ComposeProject:
    return ComposeProject(TARGET / "live-3.9", "kafka-optimizer-test-3-9")


def start_kafka_39(settings: Settings) -> None:
    project = kafka_39_project()
    progress = Progress()
    port = str(KAFKA_39_PORT + settings.test_port_offset)
    start_engine()
    stop_project(project)
    variables = {"KAFKA_39_IMAGE": kafka_39_image(), "KAFKA_39_PORT": port}
    project.describe([LAB / "compose.3.9.yml"], variables)
    project.start_and_wait(timeout=120)

    addresses = {"BOOTSTRAP": f"127.0.0.1:{port}", "COMPOSE": str(project.script)}
    write_env(project, "KAFKA_OPTIMIZER_LIVE_39", addresses)
    print(f"lab: Kafka 3.9 is up after {progress.seconds():.0f} s")
