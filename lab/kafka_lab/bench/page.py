"""An exporter's page: fetched as Prometheus does, and compared with the lags that are right."""

from __future__ import annotations

import gzip
import http.client
import re
import time
from dataclasses import dataclass

from .exporters import Exporter
from .plan import Series

LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass
class Scrape:
    """Status 0: no answer; `failure` says why."""

    seconds: float
    status: int
    body: bytes
    failure: str = ""

    def text(self) -> str:
        """Unpacking is not part of what is timed."""
        packed = self.body[:2] == b"\x1f\x8b"
        return (gzip.decompress(self.body) if packed else self.body).decode()


def scrape(port: int, timeout: float) -> Scrape:
    begun = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
    try:
        connection.request("GET", "/metrics", headers={"Accept-Encoding": "gzip"})
        answer = connection.getresponse()
        body = answer.read()
        return Scrape(time.monotonic() - begun, answer.status, body)
    except (OSError, http.client.HTTPException) as error:
        why = f"{type(error).__name__}: {error}"
        return Scrape(time.monotonic() - begun, 0, b"", why)
    finally:
        connection.close()


@dataclass(frozen=True)
class Sample:
    labels: dict[str, str]
    value: float


def samples(text: str, name: str) -> list[Sample]:
    """The series of one metric, in the text format 0.0.4: one sample a line, without time."""
    found = []
    for line in re.findall(rf"^{re.escape(name)}[{{ ].*$", text, re.MULTILINE):
        labels, _, value = line[len(name) :].rpartition(" ")
        found.append(Sample(dict(LABEL.findall(labels)), float(value)))
    return found


@dataclass(frozen=True)
class Lag:
    series: Series
    value: float


def lags(exporter: Exporter, text: str) -> list[Lag]:
    """As they are on the page: a series that is there twice is in the list twice."""
    names = exporter.labels
    found = []
    for sample in samples(text, exporter.lag):
        labels = sample.labels
        series = (labels[names.group], labels[names.topic], int(labels[names.partition]))
        found.append(Lag(series, sample.value))
    return found


@dataclass
class Comparison:
    """How a page compares with the lags that are right."""

    series: int
    wrong: int  # another value, a series that does not exist, or one that is there twice
    missing: set[Series]
    example: str = ""

    def problem(self) -> str:
        """Empty when the page is right."""
        if self.wrong or self.missing:
            return (
                f"{self.wrong} series wrong and {len(self.missing)} missing,"
                f" {self.series} on the page{self.example}"
            )
        return ""


def compare(found: list[Lag], right: dict[Series, int]) -> Comparison:
    known: set[Series] = set()
    wrong = 0
    example = ""
    for lag in found:
        if right.get(lag.series) != lag.value or lag.series in known:
            wrong += 1
            example = example or f"; {lag.series} is {lag.value:g}, not {right.get(lag.series)}"
        known.add(lag.series)
    return Comparison(len(found), wrong, right.keys() - known, example)


@dataclass
class Round:
    """The last refresh of an exporter that works in the background: how long, and when."""

    seconds: float
    time: float


def last_round(exporter: Exporter, text: str) -> Round | None:
    """None where it has no rounds, or the page does not show them."""
    if not exporter.round_time:
        return None
    times = [sample.value for sample in samples(text, exporter.round_time)]
    for name in exporter.round_seconds:
        seconds = [sample.value for sample in samples(text, name)]
        if seconds and times:
            return Round(max(seconds), max(times))
    return None
