from __future__ import annotations

import json
import math
import re
import tempfile
import unittest
from pathlib import Path
from types import SimpleNamespace
from typing import cast
from unittest.mock import Mock

from ..errors import LabError
from ..heal.cluster import HealCluster
from ..heal.command import acting_span, attempt
from ..heal.expectation import ANSWER_MAX, require_prompt
from ..heal.referee import DynamicValue, Referee, assignment, parse_broker_config
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
from ..heal.scenarios.alerts import MADE_UP_ALERTS, is_made_up, made_up_alerts
from ..optimizer import run_of
from ..paths import LAB
from ..stack import BROKERS, Stack
from .fakes import fake_waiter, run_json


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


class Answers(unittest.TestCase):
    def require_prompt(self, took: float | None) -> None:
        row = Row("silenced", alert_to_action_s=took)
        cluster = SimpleNamespace(progress=fake_waiter().progress)
        require_prompt(cast(HealCluster, cluster), row)

    def test_an_alert_is_answered_within_the_usual_time(self) -> None:
        self.require_prompt(ANSWER_MAX)
        for took in (ANSWER_MAX + 0.1, None):
            with self.assertRaisesRegex(LabError, "answered after"):
                self.require_prompt(took)

    def test_each_made_up_alert_is_about_a_broker_of_its_own(self) -> None:
        alerts = made_up_alerts(1767323045.0)
        brokers = {alert.labels["broker_id"] for alert in alerts}
        self.assertEqual((len(alerts), len(brokers)), (MADE_UP_ALERTS, MADE_UP_ALERTS))
        self.assertFalse(brokers & set(BROKERS))

    def test_a_run_about_such_a_broker_is_known_by_its_target(self) -> None:
        targets = {"broker 10000": True, "broker 2": False, "cluster": False, "group 12000": False}
        for target, made_up in targets.items():
            self.assertEqual(is_made_up(run_of(run_json(target=target))), made_up)


class Playbooks(unittest.TestCase):
    config = (LAB / "heal/kafka-optimizer.yml").read_text()
    rules = (LAB / "heal/rules/lab.yml").read_text()

    def test_each_alert_has_a_playbook_and_each_playbook_an_alert(self) -> None:
        fired = re.findall(r"alert: (\w+)", self.rules)
        matched = re.findall(r"match: {alertname: (\w+)}", self.config)
        self.assertEqual(sorted(fired), sorted(matched))

    def test_no_alert_is_labelled_with_its_topic(self) -> None:
        """The next scenario's alert would be the same incident with a label that changed."""
        by_topic = re.findall(r"expr: label_replace\(kafka_topic_partitions", self.rules)
        self.assertEqual(by_topic, [])

    def test_the_older_of_two_quotas_ends_first_and_within_the_newer_one(self) -> None:
        """A run is kept 40 s after its change; the newer one begins after that."""
        older, newer = (self.expire_after(name) for name in ("lab-shed-first", "lab-shed-second"))
        judged = 40
        self.assertLess(newer, older)
        self.assertGreater(judged + newer, older + 15)

    def expire_after(self, playbook: str) -> int:
        found = re.search(rf"name: {playbook}\n(?:.+\n)*? +expire_after: (\d+)([sm])", self.config)
        if found is None:
            self.fail(f"{playbook} has no expire_after")
        return int(found[1]) * {"s": 1, "m": 60}[found[2]]


class FrozenBrokers(unittest.TestCase):
    def test_all_are_paused_at_once_and_go_on_after_a_failure(self) -> None:
        calls: list[tuple[str, ...]] = []
        project = SimpleNamespace(compose=lambda *words: calls.append(words))
        stack = SimpleNamespace(
            project=project, prometheus=Mock(), alertmanager=Mock(), optimizer=Mock()
        )
        cluster = HealCluster(cast(Stack, stack), cast(Referee, Mock()), fake_waiter())

        with self.assertRaises(LabError), cluster.frozen_brokers("away", "1", "2"):
            raise LabError("not as expected")
        self.assertEqual(
            calls, [("pause", "kafka-1", "kafka-2"), ("unpause", "kafka-1", "kafka-2")]
        )
        self.assertIsNotNone(cluster.faults[0].until)


class Modes(unittest.TestCase):
    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.file = folder / "kafka-optimizer.yml"
        self.file.write_text((LAB / "heal/kafka-optimizer.yml").read_text())
        self.modes: list[str] = []
        optimizer = SimpleNamespace(reload=lambda: self.modes.append(self.mode_in_file()))
        stack = SimpleNamespace(
            project=Mock(),
            config=folder,
            prometheus=Mock(),
            alertmanager=Mock(),
            optimizer=lambda: optimizer,
        )
        self.cluster = HealCluster(cast(Stack, stack), cast(Referee, Mock()), fake_waiter())

    def mode_in_file(self) -> str:
        found = re.findall(r"^ *mode: (\w+)", self.file.read_text(), re.MULTILINE)
        self.assertEqual(len(found), 1)
        return str(found[0])

    def test_it_is_set_back_after_a_failure_in_the_same_file(self) -> None:
        """The file is mounted by itself: another file of that name would not be seen."""
        before = self.file.stat().st_ino
        with self.assertRaises(LabError), self.cluster.mode("rehearse"):
            raise LabError("not as expected")
        self.assertEqual(self.modes, ["rehearse", "act"])
        self.assertEqual(self.file.stat().st_ino, before)


class Attempts(unittest.TestCase):
    def test_a_failure_is_its_words_and_a_fault_of_ours_a_trace(self) -> None:
        def refuse() -> None:
            raise LabError("the verdict is neutral")

        def crash() -> None:
            raise KeyError("id")

        self.assertIsNone(attempt(lambda: None))
        self.assertEqual(attempt(refuse), "the verdict is neutral")
        self.assertIn("KeyError", attempt(crash) or "")
