from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path
from typing import Any

from ..diagnose.bottlenecks import LAST, PAIRS, SINGLE
from ..diagnose.report import Report, found_of
from ..diagnose.result import Row, healthy_row, problems, row_of, write
from ..paths import ROOT


def finding(cause: str, subject: str = "broker 1") -> dict[str, Any]:
    evidence = [
        {"signal": "produce_local_time", "value": 0.0251, "beyond": True},
        {"signal": "produce_time", "value": 0.03, "beyond": False},
    ]
    return {"cause": cause, "severity": "red", "subject": subject, "evidence": evidence}


def report(*causes: str) -> Report:
    return Report("red", tuple(found_of(finding(cause)) for cause in causes))


class Reports(unittest.TestCase):
    def test_the_same_cause_on_two_brokers_is_one_rank(self) -> None:
        found = report("slow_disk", "slow_disk", "stuck_consumer")
        self.assertEqual((found.rank("slow_disk"), found.rank("stuck_consumer")), (1, 2))
        self.assertIsNone(found.rank("cpu_bound"))

    def test_it_says_what_was_found_and_by_what(self) -> None:
        words = "red slow_disk (broker 1; produce_local_time 0.0251)"
        self.assertEqual(str(report("slow_disk")), words)
        self.assertEqual(str(Report("green", ())), "green, no finding")


class Rows(unittest.TestCase):
    def test_a_cause_at_another_rank_is_a_problem(self) -> None:
        rows = [row_of("slow_disk", report("partition_lock", "slow_disk"))]
        self.assertEqual(rows, [Row("slow_disk", "partition_lock", 2)])
        self.assertEqual(len(problems(rows, 1)), 1)
        self.assertEqual(problems(rows, 2), [])
        self.assertEqual(len(problems([row_of("slow_disk", Report(None, ()))], 2)), 1)

    def test_of_a_healthy_cluster_any_finding_is_one(self) -> None:
        self.assertEqual(problems([healthy_row(Report("green", ()))], 1), [])
        self.assertEqual(len(problems([healthy_row(report("slow_disk"))], 1)), 1)

    def test_the_file_has_exactly_these_keys(self) -> None:
        path = Path(self.enterContext(tempfile.TemporaryDirectory())) / "result.json"
        write(path, [Row("none", "none", 1), Row("cpu_bound", None, None)])
        stored = json.loads(path.read_text())
        self.assertEqual(stored[0], {"expected": "none", "found": "none", "rank": 1})
        self.assertEqual(stored[1], {"expected": "cpu_bound", "found": None, "rank": None})


class Bottlenecks(unittest.TestCase):
    def test_each_is_a_cause_that_is_documented(self) -> None:
        causes = (ROOT / "docs/analyze.md").read_text()
        named = [*SINGLE, *LAST, *(one for pair in PAIRS for one in pair)]
        for bottleneck in named:
            self.assertIn(f"\n`{bottleneck.cause}`\n", causes)
            self.assertTrue(bottleneck.about)
        self.assertEqual(len(SINGLE), 10)
