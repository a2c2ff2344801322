"""Referee.java in a process of its own: it asks Kafka's own clients, never the optimizer."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import LabError
from ..stack import BROKERS

# Checking the records waits for the producer's delivery timeout.
ANSWER_TIMEOUT = 200.0


class RefereeError(LabError):
    """Kafka refused, or the referee is gone."""


@dataclass(frozen=True)
class DynamicValue:
    """A dynamic broker config: the value that Kafka stores, and the one in force."""

    stored: str
    effective: str

    def __str__(self) -> str:
        return f"{self.stored} (effective {self.effective})"


BrokerConfig = dict[str, DynamicValue]


@dataclass(frozen=True)
class RecordCheck:
    """Records since the last check: acknowledged ones, and those of them that no consumer got."""

    acknowledged: int
    lost: int


class Referee:
    def __init__(self, servers: str, classpath: str, folder: Path) -> None:
        self.timeline = folder / "replicas"
        self._log = folder / "referee.log"
        with self._log.open("w") as log:
            self._child = subprocess.Popen(
                ["java", "-Xmx256m", "-cp", classpath, "Referee", servers, str(self.timeline)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def stop(self) -> None:
        if self._child.stdin:
            self._child.stdin.close()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    # ---- topics

    def create_topic(
        self, name: str, leaders: Sequence[str], replicas: int, **configs: str
    ) -> None:
        """One partition for each of `leaders`, which are broker ids."""
        words = [f"{key.replace('_', '.')}={value}" for key, value in configs.items()]
        self._ask("create", name, assignment(leaders, replicas), *words)

    def delete_topic(self, name: str) -> None:
        self._ask("delete", name)

    def topics(self) -> list[str]:
        return self._ask("topics").split()

    def partitions_led(self, topic: str) -> dict[str, int]:
        """How many partitions of the topic each broker leads."""
        leaders = self._ask("leaders", topic).split()
        return {broker: leaders.count(broker) for broker in BROKERS}

    def elect_preferred_leaders(self) -> None:
        self._ask("elect")

    def unsettled_partitions(self) -> int:
        """Partitions not led by their preferred replica, or with a replica out of sync."""
        return int(self._ask("unsettled"))

    # ---- configuration

    def broker_config(self, broker: str) -> BrokerConfig:
        return parse_broker_config(self._ask("config", broker))

    def effective_value(self, broker: str, key: str) -> str:
        return self._ask("value", broker, key)

    def set_config(self, broker: str, key: str, value: str) -> None:
        self._ask("set", broker, key, value)

    def remove_config(self, broker: str, key: str) -> None:
        self._ask("unset", broker, key)

    def quotas(self) -> str:
        """All of them in words; empty when there is none."""
        return self._ask("quotas")

    def remove_quotas(self) -> None:
        self._ask("remove-quotas")

    # ---- records

    def check_records(self) -> RecordCheck:
        """Waits until each record sent so far was answered, and then until it was consumed."""
        counts = dict(word.split("=") for word in self._ask("check").split())
        return RecordCheck(int(counts["acknowledged"]), int(counts["lost"]))

    def _ask(self, *request: str) -> str:
        if not self._child.stdin or not self._child.stdout:
            raise RefereeError("the referee was started without pipes")

        timer = threading.Timer(ANSWER_TIMEOUT, self._child.kill)
        timer.start()
        try:
            self._child.stdin.write(" ".join(request) + "\n")
            self._child.stdin.flush()
            answer = self._child.stdout.readline().strip()
        except OSError:
            answer = ""
        finally:
            timer.cancel()

        outcome, _, words = answer.partition(" ")
        if outcome != "ok":
            problem = words or f"the referee has ended, see {self._log}"
            raise RefereeError(f"{' '.join(request)}: {problem}")
        return words


def assignment(leaders: Sequence[str], replicas: int) -> str:
    """Kafka's replica assignment: followers are the brokers after the leader."""

    def placed(leader: str) -> str:
        first = BROKERS.index(leader)
        return ":".join(BROKERS[(first + step) % len(BROKERS)] for step in range(replicas))

    return ",".join(placed(leader) for leader in leaders)


def parse_broker_config(words: str) -> BrokerConfig:
    """From KEY=STORED/EFFECTIVE words."""
    config = {}
    for word in words.split():
        key, _, values = word.partition("=")
        stored, _, effective = values.partition("/")
        config[key] = DynamicValue(stored, effective)
    return config
