from __future__ import annotations

import unittest
from pathlib import Path

from ..__main__ import main
from ..errors import LabError
from ..settings import Settings


class FromEnvironment(unittest.TestCase):
    def test_nothing_set_is_the_defaults(self) -> None:
        self.assertEqual(Settings.from_environment({}), Settings())

    def test_lists_are_separated_by_commas_or_spaces(self) -> None:
        settings = Settings.from_environment({"ONLY": "leaders, flood", "SIZES": "S M"})
        self.assertEqual((settings.only, settings.sizes), (("leaders", "flood"), ("S", "M")))

    def test_every_variable_is_read(self) -> None:
        settings = Settings.from_environment(
            {
                "KEEP": "1",
                "ROUNDS": "3",
                "SEED": "0",
                "OPTIMIZER_IMAGE": "kafka-optimizer:1",
                "OPTIMIZER_BINARY": "/bin/true",
                "LAB_IMAGES_READY": "yes",
                "HEAL_PORT_OFFSET": "1",
                "BENCH_PORT_OFFSET": "2",
                "TEST_PORT_OFFSET": "3",
                "DIAGNOSE_PORT_OFFSET": "5",
                "TOUR_PORT_OFFSET": "6",
                "SECURITY_PORT": "4",
                "SUITE_PORT_OFFSET": "5",
                "LOAD_PORT": "6",
                "LOAD_PROJECT": "another",
                "BROKER_CPUS": "0.5",
                "SCALE": "0.01",
            }
        )
        expected = Settings(
            keep=True,
            rounds=3,
            seed=0,
            optimizer_image="kafka-optimizer:1",
            optimizer_binary=Path("/bin/true"),
            images_ready=True,
            heal_port_offset=1,
            bench_port_offset=2,
            test_port_offset=3,
            diagnose_port_offset=5,
            tour_port_offset=6,
            security_port=4,
            suite_port_offset=5,
            load_port=6,
            load_project="another",
            broker_cpus="0.5",
            scale="0.01",
        )
        self.assertEqual(settings, expected)

    def test_a_number_that_is_none_is_an_error_with_its_name(self) -> None:
        with self.assertRaisesRegex(LabError, "ROUNDS is `ten`"):
            Settings.from_environment({"ROUNDS": "ten"})


class CommandLine(unittest.TestCase):
    def test_an_unknown_command_is_an_error(self) -> None:
        for words in ([], ["nonsuch"], ["live", "sideways"], ["render", "/tmp/x", "other"]):
            with self.assertRaisesRegex(LabError, "usage: lab/run.sh demo"):
                main(words)
