"""Waits for things, with limits."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from .errors import TimeLimitError, UnavailableError
from .progress import Progress

T = TypeVar("T")

INTERVAL = 0.5
REMIND_AFTER = 12.0  # seconds between two lines about the same wait


class Clock(Protocol):
    """Seconds that only go forward."""

    def now(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


def _nothing_to_check() -> None:
    pass


@dataclass
class Waiter:
    """`deadline`, in the clock's seconds, bounds every wait, whatever its own limit says.

    `check` runs at each poll; it raises when waiting on makes no sense, for example because the
    load has ended.
    """

    progress: Progress
    clock: Clock = field(default_factory=SystemClock)
    deadline: float = math.inf
    check: Callable[[], None] = _nothing_to_check

    def limit(self, seconds: float) -> None:
        """Starts a new deadline."""
        self.deadline = self.clock.now() + seconds

    def until(
        self,
        what: str,
        poll: Callable[[], T | None],
        timeout: float = 120,
        detail: Callable[[], str] | None = None,
    ) -> T:
        """Polls until the answer is true. A service that is not available yet is asked again.

        With `detail` it says every 12 s what it waits for, and how far that is.
        """
        begun = reminded = self.clock.now()
        end = min(begun + timeout, self.deadline)
        problem = ""

        while True:
            try:
                if answer := poll():
                    return answer
                problem = ""
            except UnavailableError as error:
                problem = f": {error}"
            self.check()

            now = self.clock.now()
            if now >= end:
                raise TimeLimitError(f"waited {now - begun:.0f} s for {what}{problem}")
            if detail and now - reminded >= REMIND_AFTER:
                self.progress.say(f"  ... waiting for {what}: {_tolerant(detail)}")
                reminded = now
            self.clock.sleep(INTERVAL)

    def sleep(self, seconds: float) -> None:
        remaining = self.deadline - self.clock.now()
        self.clock.sleep(max(0.0, min(seconds, remaining)))
        if seconds > remaining:
            raise TimeLimitError("the time limit is reached")


def _tolerant(detail: Callable[[], str]) -> str:
    try:
        return detail()
    except UnavailableError as error:
        return str(error)
