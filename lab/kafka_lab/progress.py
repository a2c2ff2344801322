"""What a person sees while the lab works: lines with the seconds since the start."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TextIO


class Progress:
    def __init__(
        self,
        indent: str = "",
        out: TextIO | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._indent = indent
        self._out = out or sys.stdout
        self._now = now
        self._begun = now()

    def restart(self) -> None:
        """Seconds count from here."""
        self._begun = self._now()

    def seconds(self) -> float:
        return self._now() - self._begun

    def say(self, text: str) -> None:
        print(f"{self._indent}{self.seconds():4.0f} s  {text}", file=self._out, flush=True)

    def headline(self, text: str) -> None:
        print(f"\n{text}", file=self._out, flush=True)

    def plain(self, text: str) -> None:
        print(text, file=self._out, flush=True)


def milliseconds(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{seconds * 1000:.0f} ms"
