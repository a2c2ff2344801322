"""target/demo/result.json."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..results import write_json


@dataclass
class Act:
    """None where a value does not exist, or is not known yet."""

    name: str
    alert: str | None = None
    optimizer: str | None = None
    verdict: str | None = None
    outcome: str | None = None
    alert_to_webhook_s: float | None = None
    webhook_to_effective_s: float | None = None
    fault_to_recovery_s: float | None = None


@dataclass
class Result:
    """The acts that have begun: one that failed is there too, with what was known by then."""

    acts: list[Act] = field(default_factory=list)

    def begin(self, name: str) -> Act:
        act = Act(name)
        self.acts.append(act)
        return act

    def write(self, path: Path) -> None:
        write_json(path, {"acts": [asdict(act) for act in self.acts]})
