"""Runs programs. Each has a time limit, and none outlives the lab."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import CommandError

ERROR_LENGTH = 600  # characters of a program's own words that an error repeats


@dataclass(frozen=True)
class Output:
    stdout: str
    stderr: str


def run(
    command: Sequence[str],
    *,
    timeout: float,
    input_text: str | None = None,
    folder: Path | None = None,
) -> Output:
    """Runs to the end and captures what it prints."""
    with (
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE if input_text is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            cwd=folder,
        ) as child,
        _never_left_running(child, command),
    ):
        stdout, stderr = child.communicate(input_text, timeout)

    if child.returncode != 0:
        words = (stderr.strip() or stdout.strip())[-ERROR_LENGTH:]
        raise CommandError(f"{shown(command)}: exit code {child.returncode}: {words}")
    return Output(stdout, stderr)


def run_visibly(
    command: Sequence[str],
    *,
    timeout: float,
    folder: Path | None = None,
) -> None:
    """Runs to the end; a person sees what it prints and may answer its questions."""
    with subprocess.Popen(command, cwd=folder) as child, _never_left_running(child, command):
        code = child.wait(timeout)

    if code != 0:
        raise CommandError(f"{shown(command)}: exit code {code}, see above")


@contextmanager
def _never_left_running(child: subprocess.Popen[Any], command: Sequence[str]) -> Iterator[None]:
    try:
        yield
    except subprocess.TimeoutExpired as late:
        end_process_tree(child.pid)
        raise CommandError(f"{shown(command)}: still running after {late.timeout:.0f} s") from late
    except BaseException:
        end_process_tree(child.pid)
        raise


@dataclass(frozen=True)
class Background:
    """A program that runs beside other work; its output goes to the log."""

    command: Sequence[str]
    log: Path
    child: subprocess.Popen[bytes]

    def has_ended(self) -> bool:
        return self.child.poll() is not None

    def wait(self, timeout: float) -> None:
        """Until it has ended well."""
        with _never_left_running(self.child, self.command):
            code = self.child.wait(timeout)
        if code != 0:
            words = self.log.read_text(errors="replace").strip()[-ERROR_LENGTH:]
            raise CommandError(f"{shown(self.command)}: exit code {code}: {words}")


@contextmanager
def in_background(command: Sequence[str], log: Path) -> Iterator[Background]:
    """Leaving the block ends the program, if it has not ended by itself."""
    with log.open("w") as output:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield Background(command, log, child)
    finally:
        if child.poll() is None:
            end_process_tree(child.pid)
        child.wait()


def end_process_tree(pid: int) -> None:
    """Ends a process and those that it started, by their ids, children first."""
    for child in _children(pid):
        end_process_tree(child)
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        pass


def _children(pid: int) -> list[int]:
    children = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children += [int(child) for child in thread.read_text().split()]
        except OSError:
            continue  # the thread ended meanwhile
    return children


def shown(command: Sequence[str]) -> str:
    """The command as an error shows it: its program without the path, its length bounded."""
    words = [Path(command[0]).name, *command[1:]]
    text = " ".join(words)
    return text if len(text) <= 160 else text[:157] + "..."
