"""Kafka's own command-line tools, inside a broker's container."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from .compose import ComposeProject
from .errors import CommandError, UnavailableError

# Without the broker's agent, shim and heap, which the tool would start a second time.
ENVIRONMENT = ("-e", "KAFKA_OPTS=", "-e", "LD_PRELOAD=", "-e", "KAFKA_HEAP_OPTS=-Xmx192m")


@dataclass(frozen=True)
class EffectiveValue:
    """A broker's value in force, and where it comes from, such as `DYNAMIC_BROKER_CONFIG`."""

    value: str
    source: str

    def __str__(self) -> str:
        return f"{self.value} {self.source}"


@dataclass(frozen=True)
class KafkaTools:
    project: ComposeProject

    def run(self, broker: str, tool: str, *words: str) -> str:
        """Inside that broker's container, and against that broker."""
        at = ("--bootstrap-server", f"kafka-{broker}:9092")
        command = ("exec", "-T", *ENVIRONMENT, f"kafka-{broker}", f"/opt/kafka/bin/{tool}")
        return self.project.compose(*command, *at, *words, timeout=90)

    def create_topic(self, name: str, leaders: Sequence[str], **configs: str) -> None:
        """One partition, of one replica, for each of `leaders`, which are broker ids."""
        words = ["--create", "--topic", name, "--replica-assignment", ",".join(leaders)]
        for key, value in configs.items():
            words += ["--config", f"{key.replace('_', '.')}={value}"]
        self.run("3", "kafka-topics.sh", *words)

    def create_replicated_topic(self, name: str, partitions: int) -> None:
        """With three replicas, placed by Kafka."""
        words = ("--create", "--topic", name, "--partitions", str(partitions))
        self.run("1", "kafka-topics.sh", *words, "--replication-factor", "3")

    def delete_topic(self, name: str) -> None:
        self.run("1", "kafka-topics.sh", "--delete", "--topic", name)

    def effective_value(self, broker: str, key: str) -> EffectiveValue | None:
        return parse_effective_value(self._describe(broker, "--all"), key)

    def dynamic_config(self, broker: str) -> dict[str, str]:
        """What is set dynamically on the broker."""
        return parse_dynamic_config(self._describe(broker))

    def set(self, broker: str, key: str, value: str) -> bool:
        """False when the broker refuses: an earlier change is not in force yet, so that this one
        is too large a step.
        """
        words = ("--entity-type", "brokers", "--entity-name", broker)
        try:
            change = ("--alter", "--add-config", f"{key}={value}")
            self.run(broker, "kafka-configs.sh", *words, *change)
        except CommandError:
            return False
        return True

    def _describe(self, broker: str, *options: str) -> str:
        words = ("--entity-type", "brokers", "--entity-name", broker, "--describe")
        try:
            return self.run(broker, "kafka-configs.sh", *words, *options)
        except CommandError as error:
            raise UnavailableError(
                f"broker {broker} did not describe its config: {error}"
            ) from error


def parse_effective_value(text: str, key: str) -> EffectiveValue | None:
    """From `kafka-configs.sh --describe --all`."""
    line = rf"^ *{re.escape(key)}=(\S+) .*synonyms=\{{([A-Z_]+):"
    found = re.search(line, text, re.MULTILINE)
    return EffectiveValue(found[1], found[2]) if found else None


def parse_dynamic_config(text: str) -> dict[str, str]:
    """From `kafka-configs.sh --describe`."""
    found = re.findall(r"^ *([a-z.]+)=(\S+) ", text, re.MULTILINE)
    return dict(sorted(found))
