from __future__ import annotations

import tempfile
import unittest
from pathlib import Path

from ..errors import LabError
from ..rendering import Rewrite, Windows, render, rewrite, setting


class Rewriting(unittest.TestCase):
    def test_a_setting_keeps_its_indentation_and_loses_its_comment(self) -> None:
        text = "a:\n    settle: 6m # why\n    unsettle: 6m\n"
        changed = setting("settle", "40s").apply(text)
        self.assertEqual(changed, "a:\n    settle: 40s\n    unsettle: 6m\n")

    def test_one_match_of_a_line_or_every_one(self) -> None:
        text = "rate(a[5m]) / rate(b[5m])\n"
        self.assertEqual(Rewrite(r"\[5m\]", "[30s]").apply(text), "rate(a[30s]) / rate(b[5m])\n")
        every = Rewrite(r"\[5m\]", "[30s]", every=True)
        self.assertEqual(every.apply(text), "rate(a[30s]) / rate(b[30s])\n")

    def test_a_rewrite_that_matches_nothing_is_an_error(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "config.yml"
            file.write_text("window: 5m\n")
            with self.assertRaisesRegex(LabError, "nothing matches"):
                rewrite(file, setting("baseline", "30s"))


class Rendering(unittest.TestCase):
    """Of the shipped files: every rewrite finds what it is for."""

    def render(self, windows: Windows) -> Path:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        render(folder / "out", windows)
        return folder / "out"

    def test_the_shipped_windows_are_a_plain_copy(self) -> None:
        out = self.render(Windows.SHIPPED)
        self.assertIn("settle: 6m", (out / "kafka-optimizer.yml").read_text())

    def test_the_demo_leaves_no_window_of_minutes_in_the_playbooks(self) -> None:
        config = (self.render(Windows.DEMO) / "kafka-optimizer.yml").read_text()
        playbooks = [line for line in config.splitlines() if not line.lstrip().startswith("#")]
        settles = {line.strip() for line in playbooks if " settle:" in line}
        self.assertEqual(settles, {"settle: 40s", "settle: 12s"})

    def test_the_tests_get_their_playbook_and_short_cooldowns(self) -> None:
        out = self.render(Windows.TEST)
        config = (out / "kafka-optimizer.yml").read_text()
        self.assertIn("name: lab-all-brokers", config)
        self.assertNotIn("cooldown: 60s", config)
        self.assertTrue((out / "prometheus/rules/lab.yml").exists())

    def test_heal_has_its_own_alerts_and_the_shipped_recording_rules(self) -> None:
        out = self.render(Windows.HEAL)
        rules = sorted(path.name for path in (out / "prometheus/rules").glob("*.yml"))
        self.assertEqual(rules, ["lab.yml", "recording.yml"])
        self.assertIn("[15s]", (out / "prometheus/rules/recording.yml").read_text())

    def test_everyone_may_read_the_copy(self) -> None:
        out = self.render(Windows.DEMO)
        for path in (out, out / "kafka-optimizer.yml"):
            self.assertTrue(path.stat().st_mode & 0o004)
