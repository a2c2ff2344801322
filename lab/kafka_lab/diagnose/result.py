"""target/diagnose/result.json: what was wrong, what was found first, and the rank of the cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..results import write_json
from .report import Report

NOTHING = "none"


@dataclass(frozen=True)
class Row:
    """`expected` and `found` are names of causes, or `none`.

    `rank`, from 1, is None where the cause was not found. Of a healthy cluster it is None where
    something was found.
    """

    expected: str
    found: str | None
    rank: int | None


def row_of(cause: str, report: Report) -> Row:
    return Row(cause, report.first or NOTHING, report.rank(cause))


def healthy_row(report: Report) -> Row:
    return Row(NOTHING, report.first or NOTHING, None if report.findings else 1)


def problems(rows: Sequence[Row], rank_max: int) -> list[str]:
    """Of faults that are there at the same time, each may be as far down as there are faults."""
    return [
        f"{row.expected}: found {row.found} first, and the cause at rank {row.rank}"
        for row in rows
        if row.rank is None or row.rank > rank_max
    ]


def write(path: Path, rows: Sequence[Row]) -> None:
    write_json(path, [asdict(row) for row in rows])
