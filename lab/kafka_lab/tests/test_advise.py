"""What `make advise` reads and what it judges."""

from __future__ import annotations

import json
import unittest

from ..advise.bench import counter, find_advice
from ..advise.payloads import payloads
from ..advise.result import Outcome
from ..errors import UnavailableError

PAGE = """# TYPE requests_total counter
requests_total{request="Produce"} 12.0
requests_total{request="Produce",version="9"} 3.0
requests_total{request="Fetch"} 100.0
up 1
"""


class AdviseTest(unittest.TestCase):
    def test_a_counter_is_the_sum_of_its_series(self) -> None:
        self.assertEqual(counter(PAGE, "requests_total", {"request": "Produce"}), 15.0)
        self.assertEqual(counter(PAGE, "up", {}), 1.0)
        with self.assertRaises(UnavailableError):
            counter(PAGE, "requests_total", {"request": "Metadata"})

    def test_an_advice_is_found_by_rule_subject_and_effect(self) -> None:
        effects = [{"what": "batches_per_second", "now": 900, "after": 60, "low": 50, "high": 70}]
        one = {
            "rule": "batching",
            "subject": "topic a",
            "settings": {"linger.ms": "20"},
            "effects": effects,
        }
        report = {"clusters": [{"advice": {"advice": [one]}}]}
        found = find_advice(report, "batching", "topic a", "batches_per_second")
        assert found is not None
        self.assertEqual((found.settings, found.after), ({"linger.ms": "20"}, 60))
        self.assertIsNone(find_advice(report, "batching", "topic b", "batches_per_second"))
        self.assertIsNone(find_advice(report, "batching", "topic a", "bytes_per_second"))

    def test_an_estimate_may_be_off_by_half(self) -> None:
        of = Outcome("batching").with_numbers
        self.assertIsNone(of(60.0, 45.0).problem())
        self.assertIsNone(of(45.0, 60.0).problem())
        self.assertIsNotNone(of(100.0, 60.0).problem())
        self.assertIsNotNone(of(60.0, 0.0).problem())
        self.assertIsNotNone(Outcome("batching").problem())

    def test_payloads_are_lines_of_json(self) -> None:
        lines = payloads().splitlines()
        self.assertEqual(payloads(), payloads())
        self.assertTrue(all(isinstance(json.loads(line), dict) for line in lines))
        self.assertTrue(150 < sum(map(len, lines)) / len(lines) < 250)
