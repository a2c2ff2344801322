"""An exporter's page: fetched as Prometheus does, and held against the truth."""

from __future__ import annotations

import gzip
import http.client
import re
import time
from dataclasses import dataclass

from exporters import Exporter
from plan import Series

LABEL = re.compile(r'(\w+)="([^"]*)"')


@dataclass
class Scrape:
    """Status 0: no answer, `failure` says why."""

    seconds: float
    status: int
    body: bytes
    failure: str = ""

    def text(self) -> str:
        """The page; not part of what is timed."""
        packed = self.body[:2] == b"\x1f\x8b"
        return (gzip.decompress(self.body) if packed else self.body).decode()


def scrape(port: int, patience: float) -> Scrape:
    begun = time.monotonic()
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=patience)
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


def samples(text: str, name: str) -> list[tuple[dict[str, str], float]]:
    """The series of one metric; 0.0.4 as all of them write it, one sample a line."""
    found = []
    for line in re.findall(rf"^{re.escape(name)}[{{ ].*$", text, re.M):
        labels, _, value = line[len(name) :].rpartition(" ")
        found.append((dict(LABEL.findall(labels)), float(value)))
    return found


def lags(exporter: Exporter, text: str) -> list[tuple[Series, float]]:
    """The lags as they stand on the page: a series given twice is in it twice."""
    group, topic, partition = exporter.labels
    return [
        ((labels[group], labels[topic], int(labels[partition])), value)
        for labels, value in samples(text, exporter.lag)
    ]


@dataclass
class Verdict:
    """How a page compares with the truth."""

    series: int
    wrong: int  # a value that is not so, a series that is not there, or one given twice
    missing: set[Series]
    example: str = ""

    def fault(self) -> str:
        """Empty when the page is right."""
        if self.wrong or self.missing:
            return (
                f"{self.wrong} series wrong and {len(self.missing)} missing,"
                f" {self.series} on the page{self.example}"
            )
        return ""


def judge(found: list[tuple[Series, float]], truth: dict[Series, int]) -> Verdict:
    seen: set[Series] = set()
    wrong = 0
    example = ""
    for series, value in found:
        if truth.get(series) != value or series in seen:
            wrong += 1
            example = example or f"; {series} is {value:g}, in truth {truth.get(series)}"
        seen.add(series)
    return Verdict(len(found), wrong, truth.keys() - seen, example)


@dataclass
class Round:
    """The last round of an exporter that works in the background."""

    seconds: float
    at: float


def last_round(exporter: Exporter, text: str) -> Round | None:
    """None: it has no rounds, or the page does not speak of them."""
    if not exporter.round_at:
        return None
    at = [value for _, value in samples(text, exporter.round_at)]
    for name in exporter.round_seconds:
        seconds = [value for _, value in samples(text, name)]
        if seconds and at:
            return Round(max(seconds), max(at))
    return None
