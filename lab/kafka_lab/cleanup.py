"""Interruptions, locks and what has to be undone at the end."""

from __future__ import annotations

import fcntl
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from .errors import LabError


def interrupt_on_sigterm() -> None:
    """SIGTERM then ends the program as Ctrl-C does, so that `with` blocks clean up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, interrupt)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """For cleaning up: Ctrl-C and SIGTERM wait until the block has ended."""
    ignored = {name: signal.signal(name, signal.SIG_IGN) for name in _ENDING}
    try:
        yield
    finally:
        for name, handler in ignored.items():
            signal.signal(name, handler)


_ENDING = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def exclusive(lock: Path, otherwise: str) -> Iterator[None]:
    """One process at a time; a second one fails at once."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            raise LabError(otherwise) from taken
        yield
