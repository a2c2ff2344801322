from __future__ import annotations

import unittest

from ..errors import LabError
from ..load_bench.cluster import Work, load_words, tool_words
from ..load_bench.command import Freeze, Throughput
from ..load_bench.tool import ToolSummary, parse_summary

PRINTED = """\
99841 records sent, 19968.2 records/sec (19.50 MB/sec), 2.4 ms avg latency, 310.0 ms max latency.
{all}, 2 ms 50th, 5 ms 95th, 90 ms 99th, 290 ms 99.9th.
{steady}, 2 ms 50th, 4 ms 95th, 7 ms 99th, 30 ms 99.9th.
""".format(
    all="100000 records sent, 9997.0 records/sec (9.76 MB/sec), 4.92 ms avg latency,"
    " 307.00 ms max latency",
    steady="80000 steady state records sent, 1.0E4 records/sec (9.80 MB/sec), 2.10 ms avg latency,"
    " 40.00 ms max latency",
)


class ToolTest(unittest.TestCase):
    def test_the_summary_is_the_last_line_with_percentiles(self) -> None:
        want = ToolSummary(80_000, 10_000.0, 2.1, 40.0, 2.0, 7.0)
        self.assertEqual(parse_summary(PRINTED), want)

    def test_no_summary_is_an_error(self) -> None:
        with self.assertRaisesRegex(LabError, "no summary"):
            parse_summary("Exception in thread main")

    def test_both_programs_get_the_same_work(self) -> None:
        work = Work(record_bytes=100, records=1_000, rate=50, warm_up=10)
        tool, ours = " ".join(tool_words(work)), " ".join(load_words(work, consumers=0))
        for words in ("--num-records 1010", "--warmup-records 10", "batch.size=131072"):
            self.assertIn(words, tool)
        for words in ("load baseline", "--records 1000", "--batch-bytes 131072", "--consumers 0"):
            self.assertIn(words, ours)

    def test_without_a_rate_both_are_as_fast_as_they_can(self) -> None:
        work = Work(record_bytes=100, records=1_000)
        self.assertIn("--throughput -1", " ".join(tool_words(work)))
        self.assertNotIn("--rate", load_words(work, consumers=0))


class ResultTest(unittest.TestCase):
    def test_a_ratio_is_that_of_the_medians(self) -> None:
        row = Throughput(1024, ours=[90.0, 100.0, 500.0], tool=[80.0, 80.0, 1.0])
        self.assertEqual(row.ratio(), 1.25)

    def test_a_broker_that_stood_still_has_to_show(self) -> None:
        tool = ToolSummary(1, 1.0, 1.0, 1.0, 1.0, 1.0)
        shown = Freeze(2000.0, {"p99_ms": 1800.0, "max_ms": 2001.0}, 0, tool)
        hidden = Freeze(2000.0, {"p99_ms": 12.0, "max_ms": 2001.0}, 3, tool)
        self.assertEqual(shown.problems(), [])
        self.assertEqual(len(hidden.problems()), 2)


if __name__ == "__main__":
    unittest.main()
