from __future__ import annotations

import gzip
import json
import tempfile
import unittest
from pathlib import Path

from ..bench.brokers import Window, parse_placement
from ..bench.cost import CostRun, Cycles
from ..bench.exporter_process import NotMeasuredError
from ..bench.exporters import EXPORTERS, Choice, NotBuiltError, Pace, Place, choose
from ..bench.frozen import Moment, Result, broken_promises, right_again
from ..bench.page import Lag, Round, Scrape, compare, lags, last_round
from ..bench.plan import SIZES, plan_of_freeze, plan_of_size
from ..bench.report import Row, Target, number, table, verdict
from ..errors import LabError
from ..settings import Settings

OURS = EXPORTERS[0]
SERIES = ("g", "t", 0)
PAGE = """# TYPE kafka_consumergroup_lag gauge
kafka_consumergroup_lag{consumergroup="g",topic="t",partition="0"} 3
kafka_consumergroup_lag_sum{consumergroup="g"} 3
kafka_optimizer_round_duration_seconds 0.5
kafka_optimizer_snapshot_timestamp_seconds 100
"""


class Plans(unittest.TestCase):
    def test_sizes(self) -> None:
        for name, partitions, series in (("S", 1000, 2500), ("M", 10000, 50000)):
            plan = plan_of_size(SIZES[name])
            self.assertEqual((plan.partitions(), len(plan.commits)), (partitions, series))

    def test_a_larger_size_holds_the_smaller_one(self) -> None:
        small, large = plan_of_size(SIZES["S"]), plan_of_size(SIZES["M"])
        self.assertLessEqual(small.records.items(), large.records.items())
        self.assertLessEqual(small.commits.items(), large.commits.items())

    def test_lags_are_1_to_14(self) -> None:
        found = set(plan_of_size(SIZES["S"]).lags().values())
        self.assertGreaterEqual(min(found), 1)
        self.assertLessEqual(max(found), 14)

    def test_the_freeze_has_1500_series_with_a_lag_of_6(self) -> None:
        found = plan_of_freeze().lags()
        self.assertEqual((len(found), set(found.values())), (1500, {6}))

    def test_the_text_has_a_line_for_each_topic_and_group(self) -> None:
        lines = plan_of_size(SIZES["S"]).text().splitlines()
        self.assertEqual(len(lines), 20 + 50)
        self.assertTrue(lines[0].startswith("topic bench-topic-0000 1 10 11 12"))

    def test_a_placement_has_leaders_and_coordinators(self) -> None:
        found = parse_placement("leader t 1 2\ncoordinator g 3\n")
        self.assertEqual(found.leaders, {("t", 0): 1, ("t", 1): 2})
        self.assertEqual(found.coordinators, {"g": 3})


class Pages(unittest.TestCase):
    def test_a_packed_page_is_unpacked(self) -> None:
        self.assertEqual(Scrape(0, 200, gzip.compress(PAGE.encode())).text(), PAGE)

    def test_lags_are_read_by_the_exporters_labels(self) -> None:
        self.assertEqual(lags(OURS, PAGE), [Lag(SERIES, 3.0)])

    def test_the_last_round(self) -> None:
        self.assertEqual(last_round(OURS, PAGE), Round(0.5, 100.0))
        self.assertIsNone(last_round(OURS, ""))

    def test_wrong_missing_and_repeated_lags_are_problems(self) -> None:
        right = {SERIES: 3, ("g", "t", 1): 4}
        found = [Lag(SERIES, 3.0), Lag(SERIES, 3.0)]
        comparison = compare(found, right)
        self.assertEqual((comparison.wrong, comparison.missing), (1, {("g", "t", 1)}))
        self.assertIn("1 series wrong and 1 missing", comparison.problem())
        self.assertEqual(compare([Lag(SERIES, 3.0)], {SERIES: 3}).problem(), "")


class Programs(unittest.TestCase):
    def setUp(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        self.place = Place("a:1,b:2", 31300, folder, Path("/bin/kafka-optimizer"), folder)

    def test_our_configuration_names_every_broker(self) -> None:
        OURS.write_config(self.place, Pace(5, 8))
        text = (self.place.folder / "kafka-optimizer.yml").read_text()
        self.assertIn('bootstrap_servers: ["a:1", "b:2"]', text)
        self.assertIn("collect_interval: 5s", text)

    def test_an_argument_with_server_is_given_once_for_each(self) -> None:
        exporter = next(it for it in EXPORTERS if it.name == "kafka_exporter")
        words = exporter.command(self.place, Pace(0, 2))
        self.assertEqual(words[1:3], ["--kafka.server=a:1", "--kafka.server=b:2"])

    def test_a_peer_that_was_not_built_says_why(self) -> None:
        exporter = next(it for it in EXPORTERS if it.name == "kminion")
        (self.place.peers / "kminion.error").write_text("cannot be built: no Go\n")
        with self.assertRaisesRegex(NotBuiltError, "cannot be built: no Go"):
            exporter.binary(self.place)

    def test_a_choice_is_a_part_when_something_is_left_out(self) -> None:
        everything = choose(Settings())
        self.assertEqual((len(everything.exporters), everything.is_part), (5, False))
        part = choose(Settings(only=("kafka-optimizer",), sizes=("S",)))
        self.assertEqual((len(part.exporters), part.sizes, part.is_part), (1, ["S"], True))
        with self.assertRaisesRegex(LabError, "no such size or exporter: XL"):
            choose(Settings(sizes=("XL",)))


class Costs(unittest.TestCase):
    def test_what_idle_brokers_do_is_taken_off(self) -> None:
        busy = Window(10, 5.0, {"Metadata": 30.0, "Fetch": 1.0}, 6.0)
        idle = Window(20, 2.0, {"Metadata": 20.0, "Fetch": 4.0}, 3.0)
        own = busy.minus_idle(idle)
        self.assertEqual((own.cpu, own.requests), (4.0, {"Metadata": 20.0}))

    def test_cycles_count_refreshes_where_there_are_rounds(self) -> None:
        rounds = [Round(9.0, 0.0), Round(1.0, 10.0), Round(2.0, 20.0), Round(2.0, 20.0)]
        cycles = Cycles([0.1] * 3, rounds, 0)
        self.assertEqual(cycles.count(), 2)
        self.assertAlmostEqual(cycles.round_wall(), 5 / 3)
        self.assertEqual(Cycles([0.1] * 3, [], 0).count(), 3)
        with self.assertRaises(NotMeasuredError):
            Cycles([0.1], [Round(1.0, 0.0)] * 2, 0).count()

    def test_a_run_that_ends_early_says_so_in_every_row(self) -> None:
        out = Path(self.enterContext(tempfile.TemporaryDirectory())) / "result.json"
        CostRun(Choice(["S"], [OURS], is_part=True), out).fail("nothing was measured")
        [row] = json.loads(out.read_text())
        keys = (
            "exporter size partitions groups lag_series round_wall_s cpu_s_per_cycle"
            " requests_per_cycle broker_cpu_s_per_cycle rss_peak_mb page_mb scrape_wall_s error"
        )
        self.assertEqual(list(row), keys.split())
        self.assertEqual(row["error"], "nothing was measured")


class Freezes(unittest.TestCase):
    def moment(self, at: float, wrong: int = 0, status: int = 200) -> Moment:
        return Moment(at, 0.5, status, 1500, wrong, 0, 0)

    def test_right_again_counts_from_the_resume(self) -> None:
        moments = [self.moment(0), self.moment(25, wrong=1), self.moment(26), self.moment(27)]
        self.assertEqual(right_again(moments), 6.5)
        self.assertEqual(right_again([self.moment(0)]), 0.0)
        self.assertIsNone(right_again([self.moment(0), self.moment(30, status=0)]))

    def test_a_promise_that_was_broken_is_named(self) -> None:
        result = Result("kafka-optimizer", moments=[self.moment(0, wrong=2)])
        result.summarize()
        self.assertEqual(broken_promises(result), ["2 wrong values", "a scrape took 0.5 s"])
        self.assertEqual(broken_promises(Result("x", error="late")), ["not measured: late"])


class Reports(unittest.TestCase):
    def test_a_table_is_aligned_markdown(self) -> None:
        text = table(["name", "s"], [["a", "1.25"]])
        self.assertEqual(text, "| name |    s |\n| ---- | ---: |\n| a    | 1.25 |")

    def test_numbers_have_three_significant_digits(self) -> None:
        self.assertEqual(
            [number(value) for value in (None, 0.01234, 12345.6)], ["–", "0.0123", "12,346"]
        )

    def test_a_bound_and_a_share_of_the_best_peer(self) -> None:
        self.assertEqual(
            [verdict(1, 1), verdict(2, 1), verdict(None, 1)], ["met", "missed", "missed"]
        )
        target = Target("CPU", lambda row: row.cpu_s_per_cycle, share=1 / 10)
        ours = Row("kafka-optimizer", "L", 1, 1, 1, cpu_s_per_cycle=0.1)
        peer = Row("kminion", "L", 1, 1, 1, cpu_s_per_cycle=2.0)
        self.assertEqual(
            target.cells(ours, [peer])[2:4], ["1/20.0 of kminion's 2, wanted 1/10", "met"]
        )
