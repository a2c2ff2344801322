from __future__ import annotations

import unittest
from unittest.mock import patch

from ..optimizer import Optimizer, PostedAlert, run_of, summary_of
from .fakes import run_json


class Parsing(unittest.TestCase):
    def test_a_run_has_times_in_unix_seconds(self) -> None:
        run = run_of(run_json())
        self.assertEqual(run.effective, 1767323047.25)
        self.assertIsNone(run.expires)

    def test_a_run_has_its_steps_and_its_objective(self) -> None:
        run = run_of(run_json())
        self.assertEqual((run.steps[0].before, run.steps[0].after), ("8", "16"))
        self.assertEqual((run.before, run.after), (0.1, 0.01))

    def test_unknown_fields_are_ignored(self) -> None:
        self.assertEqual(summary_of(run_json(added_later=1)).id, 7)

    def test_the_explanation_is_what_decided_and_the_hold(self) -> None:
        run = run_of(run_json(hold="cooldown", note="30 s left"))
        self.assertEqual(
            run.explanation(), "verdict: improved; verdict: improved; cooldown; 30 s left"
        )


class Queries(unittest.TestCase):
    optimizer = Optimizer("http://127.0.0.1:1", "token")

    def test_runs_of_an_alert_are_the_young_ones_oldest_first(self) -> None:
        runs = [
            run_json(id=3),
            run_json(id=2),
            run_json(id=1, created_at="2026-01-02T03:00:00.000Z"),
            run_json(id=4, cause="Another"),
            run_json(id=5, target="broker 2"),
        ]
        with patch("kafka_lab.optimizer.get_json", return_value={"runs": runs}):
            alert, since = "KafkaRequestHandlersSaturated", 1767323045.0
            found = self.optimizer.runs_caused_by(alert, since)
            self.assertEqual([run.id for run in found], [2, 3, 5])
            found = self.optimizer.runs_caused_by(alert, since, "broker 2")
            self.assertEqual([run.id for run in found], [5])

    def test_all_runs_are_read_page_by_page(self) -> None:
        pages = [
            {"runs": [run_json(id=9), run_json(id=8)], "next": 8},
            {"runs": [run_json(id=7)], "next": None},
        ]
        with patch("kafka_lab.optimizer.get_json", side_effect=pages) as get:
            found = self.optimizer.all_runs(1767323045.0)
        self.assertEqual([run.id for run in found], [9, 8, 7])
        filters = {"limit": "1000", "since": "2026-01-02T03:04:05Z", "before": "8"}
        self.assertEqual(get.call_args.args[1], filters)

    def test_a_notification_is_as_alertmanager_sends_it(self) -> None:
        alerts = [
            PostedAlert({"alertname": "A"}, 1767323045.0),
            PostedAlert({"alertname": "B"}, 1767323045.0, ends=1767323050.0),
        ]
        answer = {"alerts": {"new": 1, "resolved": 1}, "truncated": 0}
        with patch("kafka_lab.optimizer.post_json", return_value=answer) as post:
            self.assertEqual(self.optimizer.notify(alerts), {"new": 1, "resolved": 1})

        url, body, token = post.call_args.args
        self.assertEqual((url, token), ("http://127.0.0.1:1/api/v1/alerts", "token"))
        firing, resolved = body["alerts"]
        self.assertEqual((firing["status"], "endsAt" in firing), ("firing", False))
        self.assertEqual(resolved["status"], "resolved")
        self.assertEqual(resolved["startsAt"], "2026-01-02T03:04:05Z")
        self.assertEqual(resolved["endsAt"], "2026-01-02T03:04:10Z")
