"""Alertmanager's HTTP API."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from .http_json import delete, post_json
from .rfc3339 import rfc3339


@dataclass(frozen=True)
class Alertmanager:
    url: str

    def post(self, labels: dict[str, str], ends: float) -> None:
        """Fires an alert, until the Unix time `ends`, that no Prometheus knows of."""
        post_json(f"{self.url}/api/v2/alerts", [{"labels": labels, "endsAt": rfc3339(ends)}])

    @contextmanager
    def silence(self, labels: dict[str, str], seconds_max: float) -> Iterator[None]:
        """No notification about alerts with these labels, not even that they are resolved."""
        begin = time.time()
        body = {
            "matchers": [
                {"name": name, "value": value, "isRegex": False, "isEqual": True}
                for name, value in labels.items()
            ],
            "startsAt": rfc3339(begin),
            "endsAt": rfc3339(begin + seconds_max),
            "createdBy": "make heal",
            "comment": "a scenario",
        }
        id = post_json(f"{self.url}/api/v2/silences", body)["silenceID"]
        try:
            yield
        finally:
            delete(f"{self.url}/api/v2/silence/{id}")
