"""One broker, its counters, Kafka's perf tools against it, and the advice about it."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..commands import run
from ..compose import ComposeProject
from ..errors import LabError, UnavailableError
from ..kafka_tools import KafkaTools
from ..waiting import Waiter

BIN = "/opt/kafka/bin"
BROKER = "kafka-1:9092"
ENDLESS = "1000000000"  # records; the container is removed before
WARM_UP = 20.0  # the JIT compilers of both sides, and a window of the recording rules
ANALYZE_TIMEOUT = 90.0


def counter(page: str, metric: str, labels: dict[str, str]) -> float:
    """The sum of the series that have all of these labels."""
    total, found = 0.0, False
    for line in page.splitlines():
        match = re.fullmatch(r"(\w+)(?:\{(.*)\})? (\S+)", line)
        if match is None or match[1] != metric:
            continue
        of_line = dict(re.findall(r'(\w+)="([^"]*)"', match[2] or ""))
        if labels.items() <= of_line.items():
            total, found = total + float(match[3]), True
    if not found:
        raise UnavailableError(f"the JMX page has no {metric} with {labels}")
    return total


@dataclass(frozen=True)
class Advice:
    """One advice of `analyze --advise`."""

    settings: dict[str, str]
    after: float


def find_advice(report: Any, rule: str, subject: str, effect: str) -> Advice | None:
    """From the JSON of `analyze --advise`."""
    for advice in report["clusters"][0]["advice"]["advice"]:
        if (advice["rule"], advice["subject"]) != (rule, subject):
            continue
        for of_advice in advice["effects"]:
            if of_advice["what"] == effect:
                return Advice(advice["settings"], of_advice["after"])
    return None


@dataclass(frozen=True)
class Bench:
    project: ComposeProject
    waiter: Waiter
    binary: Path
    kafka_port: int
    jmx_port: int
    prometheus_port: int

    def create_topic(self, name: str, partitions: int) -> None:
        words = ("--create", "--topic", name, "--partitions", str(partitions))
        KafkaTools(self.project).run("1", "kafka-topics.sh", *words)

    @contextmanager
    def running(self, tool: str, *words: str) -> Iterator[None]:
        """One of Kafka's tools in a container of its own, removed at the end of the block."""
        command = (f"{BIN}/{tool}", "--bootstrap-server", BROKER, *words)
        container = self.project.run_detached("client", *command)
        try:
            self.waiter.sleep(WARM_UP)
            docker = self.project.docker
            if docker.inspect(container, "{{.State.Running}}") != "true":
                raise LabError(f"{tool} ended too soon: {docker.logs(container, 8)}")
            yield
        finally:
            self.project.docker.remove(container)

    def producing(self, topic: str, rate: int, *properties: str) -> Any:
        """Records of a file of JSON lines, so many a second."""
        words = ["--topic", topic, "--num-records", ENDLESS, "--throughput", str(rate)]
        words += ["--payload-file", "/payloads.txt", "--command-property", *properties]
        return self.running("kafka-producer-perf-test.sh", *words)

    def consuming(self, topic: str, group: str, *properties: str) -> Any:
        """From the end. A group waits for members that were removed: each load takes its own."""
        words = ["--topic", topic, "--num-records", ENDLESS, "--timeout", "600000"]
        words += ["--group", group, "--from-latest"]
        for pair in properties:
            words += ["--command-property", pair]
        return self.running("kafka-consumer-perf-test.sh", *words)

    def advice(self, rule: str, subject: str, effect: str) -> Advice:
        """Asks until the advice is given: rates need a window first."""
        command = [str(self.binary), "analyze", "--advise", "--output", "json"]
        command += ["--kafka.server", f"127.0.0.1:{self.kafka_port}", "--cluster", "main"]
        command += ["--prometheus.url", f"http://127.0.0.1:{self.prometheus_port}"]
        latest = self.project.folder / f"advice-{rule}.json"

        def ask() -> Advice | None:
            text = run(command, timeout=ANALYZE_TIMEOUT).stdout
            latest.write_text(text)
            return find_advice(json.loads(text), rule, subject, effect)

        return self.waiter.until(f"advice about {rule} to the {subject}", ask, 150)

    def rate(self, metric: str, seconds: float, **labels: str) -> float:
        """Of a counter of the broker, over so many seconds."""
        before, begun = self._count(metric, labels), time.monotonic()
        self.waiter.sleep(seconds)
        after, ended = self._count(metric, labels), time.monotonic()
        return (after - before) / (ended - begun)

    def _count(self, metric: str, labels: dict[str, str]) -> float:
        address = f"http://127.0.0.1:{self.jmx_port}/metrics"
        with urllib.request.urlopen(address, timeout=30) as page:
            return counter(page.read().decode(), metric, labels)
