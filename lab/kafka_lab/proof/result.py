"""target/proof/live.json, and its numbers in the result of `make proof` if that is there."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..optimizer import Run
from ..results import write_json

IMPROVED_MAX = 2  # of 30 runs that changed nothing
REGRESSED_MAX = 2
KEPT_MIN = 9  # of 10 cures


@dataclass(frozen=True)
class Judged:
    """One run and what both procedures said of it."""

    run: int
    written: float
    verdict: str | None
    former_verdict: str
    state: str
    rollback_reason: str | None
    before: float | None
    after: float | None
    sentence: str | None

    @classmethod
    def of(cls, run: Run, former_verdict: str) -> Judged:
        return cls(
            run.id,
            run.written or 0,
            run.verdict,
            former_verdict,
            run.state,
            run.rollback_reason,
            run.before,
            run.after,
            run.sentence,
        )


def counts(runs: Sequence[Judged]) -> dict[str, int]:
    return dict(Counter(run.verdict or "none" for run in runs))


def former_counts(runs: Sequence[Judged]) -> dict[str, int]:
    return dict(Counter(run.former_verdict for run in runs))


def summary(unchanged: Sequence[Judged], cured: Sequence[Judged]) -> dict[str, Any]:
    """`runs`, `improved` and `regressed` are of the runs that changed nothing."""
    now, then = counts(unchanged), former_counts(unchanged)
    return {
        "runs": len(unchanged),
        "improved": now.get("improved", 0),
        "regressed": now.get("regressed", 0),
        "guards_tripped": sum(run.rollback_reason == "guard_tripped" for run in unchanged),
        "former_improved": then.get("improved", 0),
        "former_regressed": then.get("regressed", 0),
        "cures": len(cured),
        "cures_kept": counts(cured).get("improved", 0),
        "former_cures_kept": former_counts(cured).get("improved", 0),
    }


def problems(result: dict[str, Any], unchanged: int, cures: int) -> list[str]:
    """What was promised and not seen, for the full number of runs."""
    found = []
    if result["runs"] < unchanged or result["cures"] < cures:
        found.append(f"only {result['runs']} runs without a change, {result['cures']} cures")
    if result["improved"] > IMPROVED_MAX * unchanged / 30:
        found.append(f"{result['improved']} runs that changed nothing were improved")
    if result["regressed"] > REGRESSED_MAX * unchanged / 30:
        found.append(f"{result['regressed']} runs that changed nothing were regressed")
    if result["cures_kept"] < KEPT_MIN * cures / 10:
        found.append(f"{result['cures_kept']} cures were kept")
    return found


def write(folder: Path, unchanged: Sequence[Judged], cured: Sequence[Judged]) -> dict[str, Any]:
    result = summary(unchanged, cured)
    rows = {"unchanged": [asdict(it) for it in unchanged], "cured": [asdict(it) for it in cured]}
    write_json(folder / "live.json", result | rows)

    simulated = folder / "result.json"
    if simulated.exists():
        whole = json.loads(simulated.read_text())
        whole["summary"] |= {
            "live_runs": result["runs"],
            "live_false_improved": result["improved"],
            "live_false_regressed": result["regressed"],
        }
        write_json(simulated, whole)
    return result
