"""`make demo` and `make demo-down`."""

from __future__ import annotations

import sys

from ..cleanup import uninterrupted
from ..engine import (
    build_everything,
    engine_status,
    install_packages,
    start_engine,
    stop_engine,
)
from ..errors import LabError
from ..progress import Progress
from ..rendering import Windows
from ..settings import Settings
from ..stack import Stack
from ..waiting import Waiter
from .acts import starved_request_handlers, threads_that_cannot_help, warm_up
from .result import Result
from .stage import REAL_DISK, Stage, Strains


def _stack() -> Stack:
    return Stack.named("demo", "kafka-optimizer-demo", 0, Windows.DEMO)


def demo(settings: Settings) -> int:
    """Leaves the stack up; `make demo-down` removes it."""
    stack = _stack()
    progress = Progress()
    waiter = Waiter(progress)
    result = Result()
    try:
        strains = _start(stack, settings, waiter)
        stage = Stage(stack, waiter, result, strains)
        try:
            warm_up(stage)
            starved_request_handlers(stage)
            threads_that_cannot_help(stage)
        except LabError as error:
            raise LabError(f"{error}{_clues(stage)}") from error
        finally:
            _end_fault(stage)
        _farewell(stack, progress)
    except BaseException:
        _say_how_to_look(stack, progress)
        raise
    finally:
        result.write(stack.folder / "result.json")
    return 0


def _start(stack: Stack, settings: Settings, waiter: Waiter) -> Strains:
    progress = waiter.progress
    progress.headline("Preparing")
    start_engine()
    install_packages()
    stack.clear()
    stack.prepare(build_everything(settings, progress))

    strains = Strains()
    if not stack.has_slow_disk():
        strains = REAL_DISK
        progress.say("the slow-disk shim does not load here: the real disk gets more records")

    progress.headline(
        "Starting a controller, three brokers, Prometheus, Alertmanager and the optimizer"
    )
    stack.start(waiter)
    return strains


def _end_fault(stage: Stage) -> None:
    with uninterrupted():
        stage.stop_producing()
        stage.stack.slow_disk(0)


def _clues(stage: Stage) -> str:
    """Whatever may explain a step that did not happen."""
    try:
        runs = [
            f"    run {run.id}: {run.state} {run.target} {run.hold or ''} {run.note or ''}".rstrip()
            for run in stage.optimizer.runs()
        ]
    except LabError as error:
        runs = [f"    {error}"]

    log = stage.stack.project.logs("kafka-optimizer", 5).splitlines()
    lines = ["  runs:", *runs, "  the end of the optimizer's log:", *(f"    {it}" for it in log)]
    return "\n" + "\n".join(lines)


def _say_how_to_look(stack: Stack, progress: Progress) -> None:
    print(f"\nmake demo failed after {progress.seconds():.0f} s", file=sys.stderr)
    if stack.project.script.exists():
        advice = f"{stack.project.script} logs, or make demo-down to remove it"
        print(f"The stack is left as it is: {advice}", file=sys.stderr)


def _farewell(stack: Stack, progress: Progress) -> None:
    took = progress.seconds()
    progress.headline(f"Done in {took:.0f} s. The stack is left up; make demo-down removes it.")
    for line in addresses(stack):
        progress.plain(line)
    progress.plain(f"  {'results':13} {stack.folder / 'result.json'}")


def addresses(stack: Stack) -> list[str]:
    """Where a person may look."""
    optimizer = stack.optimizer().url
    lines = [
        f"  {'Prometheus':13} {stack.prometheus().url}",
        f"  {'Alertmanager':13} {stack.alertmanager().url}",
        f"  {'optimizer':13} {optimizer}   (runs: {optimizer}/api/v1/runs)",
    ]
    if stack.has_grafana():
        lines.append(f"  {'Grafana':13} {stack.grafana_url()}")
    else:
        reason = "its image cannot be pulled here, and no package registry has it"
        lines.append(f"  Grafana is left out: {reason}.")
    lines.append(f"  {'compose':13} {stack.project.script}")
    return lines


def demo_down() -> int:
    """Removes what the demo started, and the engine if it started that. The result stays."""
    stack = _stack()
    if engine_status() == "none":
        print("lab: no Docker engine answers, so nothing of the demo is running")
        return 0
    stack.clear(keep=["result.json"])
    print("lab: the demo's containers, networks and volumes are removed")
    stop_engine()
    return 0
