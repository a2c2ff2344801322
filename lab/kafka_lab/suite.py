"""`make suite`: `load suite` on the whole stack, which keeps its report."""

from __future__ import annotations

from .cleanup import uninterrupted
from .commands import run_visibly
from .engine import build_everything, install_packages, running_engine
from .paths import TARGET
from .progress import Progress
from .rendering import Windows
from .settings import Settings
from .stack import Stack
from .waiting import Waiter

REPORT = "report.md"
# Brokers are compiling for half a minute, and Prometheus wants some samples of an idle cluster.
WARM_UP = 60.0
TIMEOUT = 900.0


def suite(settings: Settings) -> int:
    port_offset = settings.suite_port_offset
    stack = Stack.named("suite", "kafka-optimizer-suite", port_offset, Windows.TEST)
    progress = Progress()
    with running_engine():
        install_packages()
        try:
            stack.clear()
            stack.prepare(build_everything(settings, progress))
            waiter = Waiter(progress)
            stack.start(waiter)
            waiter.sleep(WARM_UP)
            run_visibly(suite_command(stack, settings), timeout=TIMEOUT)
        finally:
            with uninterrupted():
                stack.clear(keep=(REPORT,))
    progress.say(f"the report is in {(stack.folder / REPORT).relative_to(TARGET.parent)}")
    return 0


def suite_command(stack: Stack, settings: Settings) -> list[str]:
    program = settings.optimizer_binary or TARGET / "debug/kafka-optimizer"
    command = [str(program), "load", "suite", "--scale", settings.scale, "--i-own-this-cluster"]
    for server in stack.ports.bootstrap_servers().split(","):
        command += ["--kafka.server", server]
    command += ["--server", stack.optimizer().url, "--token-file", str(stack.token_file)]
    return [*command, "--out", str(stack.folder / REPORT)]
