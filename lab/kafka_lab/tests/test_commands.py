from __future__ import annotations

import sys
import tempfile
import time
import unittest
from pathlib import Path

from ..commands import in_background, run, shown
from ..errors import CommandError


class Run(unittest.TestCase):
    def test_captures_what_a_program_prints(self) -> None:
        output = run([sys.executable, "-c", "print(input())"], timeout=20, input_text="hello")
        self.assertEqual(output.stdout, "hello\n")

    def test_the_error_has_the_command_its_code_and_its_words(self) -> None:
        with self.assertRaisesRegex(CommandError, r"^sh -c .*: exit code 3: no space left$"):
            run(["/bin/sh", "-c", "echo no space left >&2; exit 3"], timeout=20)

    def test_a_program_that_takes_too_long_is_ended_with_its_children(self) -> None:
        begun = time.monotonic()
        with self.assertRaisesRegex(CommandError, "still running after"):
            run(["/bin/sh", "-c", "sleep 60; true"], timeout=0.2)
        self.assertLess(time.monotonic() - begun, 20)

    def test_a_long_command_is_shown_short(self) -> None:
        self.assertEqual(len(shown(["/usr/bin/docker", "x" * 500])), 160)


class InBackground(unittest.TestCase):
    def test_leaving_the_block_ends_the_program(self) -> None:
        log = Path(self.enterContext(tempfile.TemporaryDirectory())) / "log"
        begun = time.monotonic()
        with in_background(["/bin/sh", "-c", "sleep 60; true"], log) as background:
            self.assertFalse(background.has_ended())
        self.assertLess(time.monotonic() - begun, 20)

    def test_a_failure_shows_the_end_of_the_log(self) -> None:
        log = Path(self.enterContext(tempfile.TemporaryDirectory())) / "log"
        with (
            in_background(["/bin/sh", "-c", "echo port is taken; exit 1"], log) as background,
            self.assertRaisesRegex(CommandError, "exit code 1: port is taken"),
        ):
            background.wait(20)
