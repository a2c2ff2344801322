"""target/heal/result.json."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from ..results import write_json


@dataclass
class Row:
    """One scenario; None where a value does not exist."""

    scenario: str
    passed: bool = False
    alert: str | None = None
    optimizer: str | None = None
    verdict: str | None = None
    fault_to_alert_s: float | None = None
    alert_to_action_s: float | None = None
    action_to_recovery_s: float | None = None
    records_lost: int | None = None
    under_min_isr_by_us: int | None = None


def write(path: Path, rows: Iterable[Row]) -> None:
    write_json(path, [asdict(row) for row in rows])
