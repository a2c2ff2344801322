from __future__ import annotations

import json
import tempfile
import unittest
from pathlib import Path

from ..proof.former import judge
from ..proof.result import Judged, problems, write


def judged(verdict: str, former: str = "neutral", reason: str | None = None) -> Judged:
    return Judged(1, 0.0, verdict, former, "rolled_back", reason, 0.02, 0.02, None)


class FormerProcedure(unittest.TestCase):
    BEFORE = (10.0, 11.0, 9.0, 10.0)

    def verdict(self, *after: float, load: float = 1.0) -> str:
        return judge(list(self.BEFORE), list(after), load, 0.2)

    def test_medians_decide(self) -> None:
        self.assertEqual(self.verdict(5.0, 5.0, 40.0), "improved")
        self.assertEqual(self.verdict(15.0, 15.0), "regressed")
        self.assertEqual(self.verdict(9.0, 9.0), "neutral")

    def test_less_load_proves_no_improvement(self) -> None:
        self.assertEqual(self.verdict(5.0, 5.0, load=0.7), "inconclusive")

    def test_more_load_proves_no_deterioration(self) -> None:
        self.assertEqual(self.verdict(15.0, 15.0, load=1.3), "inconclusive")


class Result(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = Path(self.enterContext(tempfile.TemporaryDirectory()))

    def test_it_counts_both_procedures(self) -> None:
        tripped = judged("regressed", reason="guard_tripped")
        unchanged = [judged("inconclusive", "improved"), tripped]
        result = write(self.folder, unchanged, [judged("improved", "improved")])
        self.assertEqual(
            result,
            {
                "runs": 2,
                "improved": 0,
                "regressed": 1,
                "guards_tripped": 1,
                "former_improved": 1,
                "former_regressed": 0,
                "cures": 1,
                "cures_kept": 1,
                "former_cures_kept": 1,
            },
        )
        stored = json.loads((self.folder / "live.json").read_text())
        self.assertEqual(len(stored["unchanged"]), 2)

    def test_its_numbers_become_part_of_the_simulated_result(self) -> None:
        whole = self.folder / "result.json"
        whole.write_text('{"summary": {"worlds": 3, "live_runs": null}, "worlds": []}')
        write(self.folder, [judged("improved")], [])
        summary = json.loads(whole.read_text())["summary"]
        self.assertEqual(summary["worlds"], 3)
        self.assertEqual((summary["live_runs"], summary["live_false_improved"]), (1, 1))

    def test_what_was_missed(self) -> None:
        good = write(self.folder, [judged("inconclusive")] * 30, [judged("improved")] * 10)
        self.assertEqual(problems(good, 30, 10), [])

        bad = write(self.folder, [judged("improved")] * 30, [judged("inconclusive")] * 9)
        self.assertEqual(len(problems(bad, 30, 10)), 3)
