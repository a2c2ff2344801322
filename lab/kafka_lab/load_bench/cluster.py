"""The broker of `make bench-load`, and the two programs that write to it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ..compose import ComposeProject
from ..kafka_tools import ENVIRONMENT
from .tool import ToolSummary, parse_summary

BOOTSTRAP = "kafka:9092"
TOPIC = "load-bench-tool"
PARTITIONS = 6
# For both programs. The rest is the default of each, which is the same: no compression, 32 MiB of
# records in the client, five requests in flight.
BATCH_BYTES = 131_072
LINGER_MS = 5
TIMEOUT = 900.0


@dataclass(frozen=True)
class Work:
    """Records of one size. `rate` in records a second; None is as fast as possible."""

    record_bytes: int
    records: int
    rate: int | None = None
    warm_up: int = 0  # records that Kafka's tool leaves out; ours opens its connections first


@dataclass(frozen=True)
class LoadCluster:
    project: ComposeProject

    def broker(self) -> str:
        """The id of the broker's container."""
        return self.project.container("kafka")

    def run_tool(self, work: Work) -> ToolSummary:
        """In a topic of its own."""
        size = ("--partitions", str(PARTITIONS), "--replication-factor", "1")
        self._topics("--create", *size)
        try:
            return parse_summary(self._run("tool", *tool_words(work)))
        finally:
            self._topics("--delete")

    def run_load(self, work: Work, consumers: int) -> dict[str, Any]:
        """Our result. It creates and deletes its topic itself."""
        result: dict[str, Any] = json.loads(self._run("load", *load_words(work, consumers)))
        return result

    def _run(self, service: str, *words: str) -> str:
        command = ("run", "--rm", "-T", "--no-deps", service)
        return self.project.compose(*command, *words, timeout=TIMEOUT)

    def _topics(self, *words: str) -> None:
        at = ("--bootstrap-server", BOOTSTRAP, "--topic", TOPIC)
        tool = ("kafka", "/opt/kafka/bin/kafka-topics.sh")
        self.project.compose("exec", "-T", *ENVIRONMENT, *tool, *at, *words, timeout=90)


def tool_words(work: Work) -> list[str]:
    words = ["--topic", TOPIC, "--record-size", str(work.record_bytes)]
    words += ["--num-records", str(work.records + work.warm_up)]
    words += ["--throughput", str(work.rate or -1)]
    if work.warm_up:
        words += ["--warmup-records", str(work.warm_up)]
    properties = [f"bootstrap.servers={BOOTSTRAP}", "acks=all", f"batch.size={BATCH_BYTES}"]
    properties += [f"linger.ms={LINGER_MS}", "enable.idempotence=false"]
    return [*words, "--producer-props", *properties]


def load_words(work: Work, consumers: int) -> list[str]:
    words = ["load", "stress", "--topics", "1"] if work.rate is None else ["load", "baseline"]
    words += ["--kafka.server", BOOTSTRAP, "--i-own-this-cluster", "--output", "json"]
    words += ["--record-bytes", str(work.record_bytes), "--records", str(work.records)]
    if work.rate is not None:
        words += ["--rate", str(work.rate)]
    words += ["--partitions", str(PARTITIONS), "--replication-factor", "1"]
    words += ["--batch-bytes", str(BATCH_BYTES), "--linger-ms", str(LINGER_MS)]
    return [*words, "--consumers", str(consumers)]
