"""`make up` and `make down`: the stack with the windows as shipped, to look around in.

It takes the demo's ports, so that only one of them is up.
"""

from __future__ import annotations

from .demo.command import addresses
from .engine import build_everything, engine_status, install_packages, start_engine, stop_engine
from .progress import Progress
from .rendering import Windows
from .settings import Settings
from .stack import Stack
from .waiting import Waiter


def _stack() -> Stack:
    return Stack.named("up", "kafka-optimizer", 0, Windows.SHIPPED)


def up(settings: Settings) -> int:
    stack = _stack()
    progress = Progress()
    start_engine()
    install_packages()
    stack.clear()
    stack.prepare(build_everything(settings, progress))
    stack.start(Waiter(progress))
    for line in addresses(stack):
        progress.plain(line)
    return 0


def down() -> int:
    if engine_status() != "none":
        _stack().clear()
        stop_engine()
    return 0
