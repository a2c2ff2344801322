from __future__ import annotations

import unittest

from ..tour.transcript import Transcript, shown


class Shown(unittest.TestCase):
    def test_colours_and_blanks_at_the_end_are_left_out(self) -> None:
        self.assertEqual(shown("\n\x1b[31mred\x1b[0m  \nline\n", 10), "red\nline\n")

    def test_long_output_is_cut(self) -> None:
        self.assertEqual(shown("1\n2\n3\n4\n", 3), "1\n2\n…\n")
        self.assertEqual(shown("1\n2\n3\n", 3), "1\n2\n3\n")


class Page(unittest.TestCase):
    def test_a_command_is_what_was_typed(self) -> None:
        page = Transcript([])
        page.heading("Runs")
        page.command("runs 7", "run 7\n")
        text = "## Runs\n\n```console\n$ kafka-optimizer runs 7\nrun 7\n```\n"
        self.assertEqual(page.text(), text)
