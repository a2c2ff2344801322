"""Prometheus's HTTP API."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from typing import Any

from .http_json import get_json

Labels = dict[str, str]


@dataclass(frozen=True)
class Sample:
    """One series of an instant query; its time is in Unix seconds."""

    labels: Labels
    time: float
    value: float


@dataclass(frozen=True)
class Alert:
    """An active alert; `state` is `pending` or `firing`."""

    name: str
    state: str
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True)
class Prometheus:
    url: str

    def query(self, expression: str) -> list[Sample]:
        found = self._result("query", {"query": expression})
        return [
            Sample(series["metric"], float(series["value"][0]), float(series["value"][1]))
            for series in found
        ]

    def value(self, expression: str) -> float | None:
        """Of the first series."""
        found = self.query(expression)
        return found[0].value if found else None

    def first_time(self, expression: str, since: float, until: float | None = None) -> float | None:
        """When the expression first had a series, to the second."""
        end = time.time() if until is None else until
        times = {"start": str(since), "end": str(end), "step": "1"}
        found = self._result("query_range", {"query": expression, **times})
        return min((float(series["values"][0][0]) for series in found), default=None)

    def range(self, expression: str, since: float, until: float, step: float) -> list[float]:
        """The values of the first series, without those that are no numbers."""
        times = {"start": str(since), "end": str(until), "step": str(step)}
        found = self._result("query_range", {"query": expression, **times})
        values = [float(value) for _, value in found[0]["values"]] if found else []
        return [value for value in values if math.isfinite(value)]

    def fired_at(self, alert: str, since: float, **labels: str) -> float | None:
        """The evaluation after `since` at which the alert first fired."""
        seconds = max(1, math.ceil(time.time() - since))
        times = f"timestamp({firing(alert, **labels)})[{seconds}s:1s]"
        first = self.value(f"min(min_over_time({times}))")
        return None if first is None else max(first, since)

    def is_firing(self, alert: str, **labels: str) -> bool:
        return bool(self.query(firing(alert, **labels)))

    def alerts(self) -> list[Alert]:
        """What is pending or firing."""
        found = get_json(f"{self.url}/api/v1/alerts")["data"]["alerts"]
        return [
            Alert(alert["labels"]["alertname"], alert["state"], alert["labels"]) for alert in found
        ]

    def alert_state(self, alert: str, **labels: str) -> str:
        """`firing`, `pending` or `inactive`."""
        states = {
            active.state
            for active in self.alerts()
            if active.name == alert and labels.items() <= active.labels.items()
        }
        return next((state for state in ("firing", "pending") if state in states), "inactive")

    def _result(self, kind: str, parameters: dict[str, str]) -> list[Any]:
        answer = get_json(f"{self.url}/api/v1/{kind}", parameters)
        result: list[Any] = answer["data"]["result"]
        return result


def firing(alert: str, **labels: str) -> str:
    """The selector of an alert while it fires."""
    return selector("ALERTS", alertname=alert, alertstate="firing", **labels)


def selector(metric: str, **labels: str) -> str:
    """Values must hold neither quotes nor backslashes."""
    matchers = ",".join(f'{key}="{value}"' for key, value in labels.items())
    return f"{metric}{{{matchers}}}"
