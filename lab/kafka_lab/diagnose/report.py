"""What `analyze` says, from the API that it reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..http_json import get_json


@dataclass(frozen=True)
class Found:
    """A finding, without those that it explains."""

    cause: str
    severity: str
    subject: str
    evidence: str

    def __str__(self) -> str:
        return f"{self.severity} {self.cause} ({self.subject}; {self.evidence})"


@dataclass(frozen=True)
class Report:
    """The findings of the cluster, the worst and most likely first."""

    severity: str | None
    findings: tuple[Found, ...]

    @property
    def first(self) -> str | None:
        return self.findings[0].cause if self.findings else None

    def rank(self, cause: str) -> int | None:
        """From 1. A second broker with the same trouble does not push the next cause down."""
        causes = list(dict.fromkeys(found.cause for found in self.findings))
        return causes.index(cause) + 1 if cause in causes else None

    def __str__(self) -> str:
        if not self.findings:
            return f"{self.severity}, no finding"
        return "; ".join(str(found) for found in self.findings)


def read_report(url: str) -> Report:
    [cluster] = get_json(f"{url}/api/v1/findings")["clusters"]
    findings = tuple(found_of(finding) for finding in cluster["findings"])
    return Report(cluster["severity"], findings)


def found_of(finding: dict[str, Any]) -> Found:
    evidence = ", ".join(
        f"{it['signal']} {it['value']:.3g}" for it in finding["evidence"] if it["beyond"]
    )
    return Found(finding["cause"], finding["severity"], finding["subject"], evidence)
