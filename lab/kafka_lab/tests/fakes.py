"""What the tests use instead of time, the engine and the services."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from typing import Any

from ..progress import Progress
from ..waiting import Waiter


@dataclass
class FakeClock:
    """Time passes only by sleeping."""

    time: float = 0.0

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@dataclass
class Lines:
    """Collects what a person would see."""

    out: io.StringIO = field(default_factory=io.StringIO)

    def texts(self) -> list[str]:
        """Without the seconds."""
        return [line.split(" s  ", 1)[-1] for line in self.out.getvalue().splitlines()]


def fake_waiter(lines: Lines | None = None, clock: FakeClock | None = None) -> Waiter:
    clock = clock or FakeClock()
    progress = Progress(out=(lines or Lines()).out, now=clock.now)
    return Waiter(progress, clock)


def run_json(**changes: Any) -> dict[str, Any]:
    """As `GET /api/v1/runs/ID` shows a run that was kept."""
    run = {
        "id": 7,
        "state": "kept",
        "cluster": "main",
        "playbook": "broker-threads",
        "optimizer": "tune_brokers",
        "level": "moderate",
        "target": "broker 1",
        "trigger": "alert",
        "cause": "KafkaRequestHandlersSaturated",
        "attempt": 1,
        "verdict": "improved",
        "hold": None,
        "note": None,
        "rollback_reason": None,
        "acknowledged": False,
        "created_at": "2026-01-02T03:04:05.000Z",
        "written_at": "2026-01-02T03:04:06.500Z",
        "asked_at": None,
        "approved_at": None,
        "effective_at": "2026-01-02T03:04:07.250Z",
        "expires_at": None,
        "ended_at": "2026-01-02T03:06:05.000Z",
        "steps": [
            {
                "index": 0,
                "wave": 0,
                "subject": "broker 1",
                "broker": 1,
                "key": "num.io.threads",
                "from": "8",
                "from_stored": None,
                "to": "16",
                "state": "applied",
                "at": "2026-01-02T03:04:07.000Z",
            }
        ],
        "objective": {
            "query": "up",
            "before": 0.1,
            "after": 0.01,
            "sentence": None,
            "effect": 0.9,
            "load_change": 0.0,
        },
        "journal": [
            {"at": "2026-01-02T03:04:06.000Z", "entry": "act", "text": "broker 1"},
            {"at": "2026-01-02T03:06:05.000Z", "entry": "verdict", "text": "improved"},
        ],
    }
    return run | changes
