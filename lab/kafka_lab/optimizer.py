"""The optimizer's HTTP API. Times are in Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .http_json import answers, get_json, post_json
from .rfc3339 import rfc3339, unix_seconds

# States in which nothing more happens to a run by itself. A kept run may still expire.
ENDED = frozenset({"kept", "expired", "rolled_back", "stuck", "cancelled", "rehearsed"})

Order = dict[str, Any]


@dataclass(frozen=True)
class RunSummary:
    id: int
    state: str
    target: str  # `cluster`, `broker 1` or `group orders`
    optimizer: str
    trigger: str  # `alert` or `person`
    cause: str  # the alert's name, or the person's command
    verdict: str | None
    hold: str | None
    note: str | None
    rollback_reason: str | None
    acknowledged: bool
    created: float
    written: float | None
    effective: float | None
    expires: float | None
    ended: float | None

    def has_ended(self) -> bool:
        """A run that acts is `rehearsed` too, for a moment, and has not ended then."""
        return self.state in ENDED and self.ended is not None


@dataclass(frozen=True)
class Step:
    subject: str  # `broker 1`
    key: str
    before: str
    after: str | None
    state: str


@dataclass(frozen=True)
class JournalLine:
    time: float
    entry: str
    text: str


@dataclass(frozen=True)
class Run(RunSummary):
    """A run with its steps, its journal and what was measured."""

    steps: tuple[Step, ...]
    journal: tuple[JournalLine, ...]
    before: float | None
    after: float | None
    sentence: str | None  # the evidence of the verdict

    def explanation(self) -> str:
        """Why it ended as it did: what decided, the last journal line, and the hold."""
        lines = [f"{line.entry}: {line.text}" for line in self.journal]
        decided = [line for line in lines if line.startswith(("verdict:", "stop:", "expire:"))]
        words = [*decided[-1:], *lines[-1:]]
        if self.hold:
            words += [self.hold, self.note or ""]
        return "; ".join(words)


@dataclass(frozen=True)
class PostedAlert:
    """An alert of a notification that comes from no Alertmanager."""

    labels: dict[str, str]
    starts: float
    ends: float | None = None  # None: it fires

    def json(self) -> dict[str, Any]:
        resolved = {} if self.ends is None else {"endsAt": rfc3339(self.ends)}
        return {
            "status": "resolved" if resolved else "firing",
            "labels": self.labels,
            "startsAt": rfc3339(self.starts),
            **resolved,
        }


@dataclass(frozen=True)
class Optimizer:
    url: str
    token: str

    def is_ready(self) -> bool:
        return answers(f"{self.url}/-/ready")

    def runs(self, **filters: str) -> list[RunSummary]:
        """The newest thousand that match, newest first."""
        return [summary_of(run) for run in self._page(filters)["runs"]]

    def all_runs(self, since: float) -> list[RunSummary]:
        """Every run that was created since then, newest first."""
        filters = {"since": rfc3339(since)}
        found: list[RunSummary] = []
        while True:
            page = self._page(filters)
            found += [summary_of(run) for run in page["runs"]]
            if page["next"] is None:
                return found
            filters["before"] = str(page["next"])

    def _page(self, filters: dict[str, str]) -> dict[str, Any]:
        page: dict[str, Any] = get_json(f"{self.url}/api/v1/runs", {"limit": "1000", **filters})
        return page

    def run(self, id: int) -> Run:
        return run_of(self.run_json(id))

    def run_json(self, id: int) -> dict[str, Any]:
        """As the API shows it, for a file that a person reads."""
        run: dict[str, Any] = get_json(f"{self.url}/api/v1/runs/{id}")
        return run

    def runs_caused_by(
        self, alert: str, since: float, target: str | None = None
    ) -> list[RunSummary]:
        """Oldest first. A run is stored a moment after the fault, by another clock's rounding."""
        found = [
            run
            for run in self.runs()
            if run.cause == alert and run.created >= since - 1 and target in (None, run.target)
        ]
        return sorted(found, key=lambda run: run.id)

    def temporary_changes(self) -> list[RunSummary]:
        """Kept runs that will expire."""
        found = get_json(f"{self.url}/api/v1/temporary-changes")["runs"]
        return [summary_of(run) for run in found]

    def order(self, order: Order) -> int:
        """Starts a run as a person would. Returns its id."""
        return int(self._post("runs", order)["id"])

    def roll_back(self, id: int) -> None:
        self._post(f"runs/{id}/rollback")

    def acknowledge(self, id: int) -> None:
        self._post(f"runs/{id}/acknowledge")

    def release_quarantine(self) -> list[str]:
        """Returns what was released, in words."""
        released: list[str] = self._post("quarantine/release")["released"]
        return released

    def notify(self, alerts: list[PostedAlert]) -> dict[str, int]:
        """Posts a notification as Alertmanager does. Returns what became of how many alerts."""
        body = {"version": "4", "alerts": [alert.json() for alert in alerts]}
        counts: dict[str, int] = self._post("alerts", body)["alerts"]
        return counts

    def reload(self) -> None:
        """Makes it read its configuration file again."""
        post_json(f"{self.url}/-/reload", {}, self.token)

    def _post(self, path: str, body: Order | None = None) -> Any:
        return post_json(f"{self.url}/api/v1/{path}", body or {}, self.token)


def summary_of(run: dict[str, Any]) -> RunSummary:
    return RunSummary(**_summary_fields(run))


def run_of(run: dict[str, Any]) -> Run:
    return Run(
        **_summary_fields(run),
        steps=tuple(
            Step(step["subject"], step["key"], step["from"], step["to"], step["state"])
            for step in run["steps"]
        ),
        journal=tuple(
            JournalLine(unix_seconds(line["at"]), line["entry"], line["text"])
            for line in run["journal"]
        ),
        before=run["objective"]["before"],
        after=run["objective"]["after"],
        sentence=run["objective"]["sentence"],
    )


def _summary_fields(run: dict[str, Any]) -> dict[str, Any]:
    same = (
        "id",
        "state",
        "target",
        "optimizer",
        "trigger",
        "cause",
        "verdict",
        "hold",
        "note",
        "rollback_reason",
        "acknowledged",
    )
    times = {
        name: unix_seconds(text) if (text := run[f"{name}_at"]) else None
        for name in ("created", "written", "effective", "expires", "ended")
    }
    return {name: run[name] for name in same} | times
