from __future__ import annotations

import json
import math
import tempfile
import unittest
from pathlib import Path

from ..errors import LabError
from ..heal.command import acting_span, attempt
from ..heal.referee import DynamicValue, assignment, parse_broker_config
from ..heal.replicas import (
    Fault,
    Observation,
    Span,
    parse_observation,
    recovered,
    under_minimum_by_us,
)
from ..heal.result import Row, write
from ..heal.scenarios import SCENARIOS, chosen
from ..optimizer import run_of
from .fakes import run_json


class ResultFile(unittest.TestCase):
    def test_the_keys_of_a_row(self) -> None:
        file = Path(self.enterContext(tempfile.TemporaryDirectory())) / "result.json"
        write(file, [Row("leaders")])
        [row] = json.loads(file.read_text())
        keys = (
            "scenario passed alert optimizer verdict fault_to_alert_s alert_to_action_s"
            " action_to_recovery_s records_lost under_min_isr_by_us"
        )
        self.assertEqual(list(row), keys.split())


class Choosing(unittest.TestCase):
    def test_all_of_them_by_default(self) -> None:
        self.assertEqual(len(chosen(())), len(SCENARIOS))

    def test_a_word_is_a_slug_or_its_beginning(self) -> None:
        slugs = [scenario.slug for scenario in chosen(("consumers", "leaders"))]
        self.assertEqual(slugs, ["leaders", "consumers-classic", "consumers-kip848"])

    def test_an_unknown_word_names_the_scenarios(self) -> None:
        with self.assertRaisesRegex(LabError, "no scenario: lead; there are leaders, flood"):
            chosen(("lead",))

    def test_slugs_are_unique_and_each_says_what_it_is_about(self) -> None:
        slugs = {scenario.slug for scenario in SCENARIOS}
        self.assertEqual(len(slugs), len(SCENARIOS))
        self.assertTrue(all(scenario.about for scenario in SCENARIOS))


class RefereeProtocol(unittest.TestCase):
    def test_followers_are_the_brokers_after_the_leader(self) -> None:
        self.assertEqual(assignment(["1", "3"], 2), "1:2,3:1")
        self.assertEqual(assignment(["2"], 1), "2")

    def test_a_broker_config_has_stored_and_effective_values(self) -> None:
        found = parse_broker_config("num.io.threads=16/4 num.network.threads=8/8")
        self.assertEqual(found["num.io.threads"], DynamicValue("16", "4"))
        self.assertEqual(parse_broker_config(""), {})


class UnderMinimum(unittest.TestCase):
    """Acted from 10 to 20."""

    acted = (Span(10, 20),)

    def count(self, observations: list[Observation], *faults: Fault) -> int:
        return under_minimum_by_us(observations, list(self.acted), list(faults)).partitions

    def test_a_partition_counts_once_while_a_run_acts(self) -> None:
        seen = [Observation(time, 1, ("t/0",)) for time in (5.0, 12.0, 13.0, 25.0)]
        self.assertEqual(self.count(seen), 1)
        self.assertEqual(self.count([seen[0], seen[3]]), 0)

    def test_a_fault_of_the_scenario_does_not_count_until_replicas_are_in_sync(self) -> None:
        seen = [
            Observation(12.0, 1, ("t/0",)),
            Observation(14.0, 1, ("t/0",)),
            Observation(15.0, 0, ()),
        ]
        self.assertEqual(self.count(seen, Fault("restart", 11.0, 13.0)), 0)
        later = [*seen, Observation(16.0, 1, ("t/1",))]
        self.assertEqual(self.count(later, Fault("restart", 11.0, 13.0)), 1)

    def test_a_fault_that_goes_on_never_recovers(self) -> None:
        self.assertEqual(recovered([], Fault("frozen", 1.0)), math.inf)

    def test_lines_of_the_timeline(self) -> None:
        self.assertEqual(
            parse_observation("12500 ok 2 a/0,b/1"), Observation(12.5, 2, ("a/0", "b/1"))
        )
        self.assertEqual(parse_observation("12500 ok 0 "), Observation(12.5, 0, ()))
        self.assertIsNone(parse_observation("12500 unknown TimeoutException: late"))

    def test_a_run_acts_from_its_first_write_to_its_last_journal_line(self) -> None:
        self.assertEqual(acting_span(run_of(run_json())), Span(1767323046.5, 1767323165.0))
        self.assertIsNone(acting_span(run_of(run_json(written_at=None))))


class Attempts(unittest.TestCase):
    def test_a_failure_is_its_words_and_a_fault_of_ours_a_trace(self) -> None:
        def refuse() -> None:
            raise LabError("the verdict is neutral")

        def crash() -> None:
            raise KeyError("id")

        self.assertIsNone(attempt(lambda: None))
        self.assertEqual(attempt(refuse), "the verdict is neutral")
        self.assertIn("KeyError", attempt(crash) or "")
