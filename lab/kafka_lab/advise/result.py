"""target/advise/result.json: what was estimated, what was measured, and whether they agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..results import write_json

RATIO_MAX = 1.5


@dataclass(frozen=True)
class Outcome:
    """One advice. `ratio` is estimated over measured; everything is None until it is measured."""

    advice: str
    estimated: float | None = None
    measured: float | None = None
    ratio: float | None = None

    def with_numbers(self, estimated: float, measured: float) -> Outcome:
        ratio = estimated / measured if measured > 0 else None
        return Outcome(
            self.advice,
            round(estimated, 3),
            round(measured, 3),
            None if ratio is None else round(ratio, 3),
        )

    def problem(self) -> str | None:
        if self.ratio is None:
            return f"{self.advice} was not measured"
        if not 1 / RATIO_MAX <= self.ratio <= RATIO_MAX:
            return f"{self.advice}: estimated over measured is {self.ratio}, not within {RATIO_MAX}"
        return None


def write(folder: Path, outcomes: Sequence[Outcome]) -> None:
    write_json(folder / "result.json", [asdict(outcome) for outcome in outcomes])
