"""Alertmanager's HTTP API."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from .http_json import post_json


@dataclass(frozen=True)
class Alertmanager:
    url: str

    def post(self, labels: dict[str, str], ends: float) -> None:
        """Fires an alert, until the Unix time `ends`, that no Prometheus knows of."""
        moment = datetime.fromtimestamp(ends, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        post_json(f"{self.url}/api/v2/alerts", [{"labels": labels, "endsAt": moment}])
