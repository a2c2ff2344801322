from __future__ import annotations

import tempfile
import unittest
from dataclasses import dataclass, field
from pathlib import Path

from ..compose import ComposeProject
from ..docker import Docker
from ..load import Load
from ..results import read_variables
from ..stack import Ports


@dataclass
class ScriptedDocker:
    """Answers by the first word of the command, and keeps what it was asked."""

    answers: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def __call__(self, words: list[str]) -> str:
        self.asked.append(" ".join(words))
        return self.answers.get(words[0], "")


class Containers(unittest.TestCase):
    def test_a_container_is_healthy_when_it_runs_and_its_check_passed(self) -> None:
        lines = [
            "a\tkafka-1\trunning\tUp 3 seconds (healthy)",
            "b\tkafka-2\trunning\tUp 3 seconds (health: starting)",
            "c\tkafka-3\tcreated\tCreated",
            "d\tload\texited\tExited (1) 2 seconds ago",
            "e\tnode-exporter\trunning\tUp 3 seconds",
        ]
        found = Docker(ScriptedDocker({"ps": "\n".join(lines)})).containers("x=y")
        healthy = [container.service for container in found if container.is_healthy()]
        self.assertEqual(healthy, ["kafka-1", "node-exporter"])
        self.assertEqual([it.service for it in found if it.has_ended()], ["load"])

    def test_removing_a_project_removes_containers_then_networks_and_volumes(self) -> None:
        docker = ScriptedDocker({"ps": "a b", "network": "n", "volume": "v"})
        ComposeProject(Path("/nowhere"), "demo", Docker(docker)).remove()
        removed = [command for command in docker.asked if " rm " in f" {command} "]
        self.assertEqual(removed, ["rm -f -v a b", "network rm n", "volume rm v"])

    def test_nothing_to_remove_asks_for_no_removal(self) -> None:
        docker = ScriptedDocker()
        ComposeProject(Path("/nowhere"), "demo", Docker(docker)).remove()
        self.assertFalse([command for command in docker.asked if " rm " in f" {command} "])


class Description(unittest.TestCase):
    def test_the_script_runs_compose_with_files_and_variables(self) -> None:
        folder = Path(self.enterContext(tempfile.TemporaryDirectory()))
        project = ComposeProject(folder, "demo")
        project.describe([Path("/a b.yml"), Path("/c.yml")], {"KAFKA_IMAGE": "kafka:1"})

        words = f"docker compose -p demo --env-file {folder}/compose.env"
        text = project.script.read_text()
        self.assertEqual(text, f"#!/bin/sh\nexec {words} -f '/a b.yml' -f /c.yml \"$@\"\n")
        self.assertTrue(project.script.stat().st_mode & 0o100)
        self.assertEqual(read_variables(folder / "compose.env"), {"KAFKA_IMAGE": "kafka:1"})


class StackPorts(unittest.TestCase):
    def test_every_port_is_shifted(self) -> None:
        ports = Ports().shifted(11000)
        self.assertEqual(ports, Ports((30092, 30093, 30094), 20090, 20093, 20308, 14000))
        self.assertEqual(ports.variables()["KAFKA_PORT_3"], "30094")


class LoadArguments(unittest.TestCase):
    def test_only_what_is_set_is_said(self) -> None:
        words = Load(topic="t", producers=6, rate=100, pinned=False).words()
        expected = "--kafka.server kafka-1:9092 --topic t --producers 6 --rate 100 --for 900s"
        self.assertEqual(words, expected.split())
