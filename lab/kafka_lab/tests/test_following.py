from __future__ import annotations

import unittest
from dataclasses import dataclass, field
from typing import Any

from ..errors import LabError, TimeLimitError
from ..following import Follower, RunReporter, described, elapsed
from ..optimizer import Optimizer, Run, RunSummary, Step, run_of
from ..prometheus import Prometheus
from .fakes import Lines, fake_waiter, run_json


@dataclass(frozen=True)
class ScriptedOptimizer(Optimizer):
    """Each poll sees the next state of the run, and the last one for ever."""

    states: list[dict[str, Any]] = field(default_factory=list)

    def run(self, id: int) -> Run:
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return run_of(state)

    def roll_back(self, id: int) -> None:
        pass

    def runs_caused_by(
        self, alert: str, since: float, target: str | None = None
    ) -> list[RunSummary]:
        return [run_of(self.states[0])]


@dataclass(frozen=True)
class FiringPrometheus(Prometheus):
    firing_from_poll: int = 1
    polls: list[str] = field(default_factory=list)

    def is_firing(self, alert: str, **labels: str) -> bool:
        self.polls.append(alert)
        return len(self.polls) >= self.firing_from_poll


def follower(lines: Lines, *states: dict[str, Any]) -> Follower:
    optimizer = ScriptedOptimizer("http://127.0.0.1:1", "token", list(states))
    prometheus = FiringPrometheus("http://127.0.0.1:2", firing_from_poll=2)
    return Follower(prometheus, optimizer, fake_waiter(lines))


class Following(unittest.TestCase):
    def test_an_alert_that_fires_leads_to_its_run(self) -> None:
        lines = Lines()
        run = follower(lines, run_json()).alert_to_run("Saturated", 0, broker="1")
        self.assertEqual(run.id, 7)
        self.assertEqual(lines.texts(), ["ALERT Saturated fires for broker 1"])

    def test_states_and_steps_are_said_once_each(self) -> None:
        lines = Lines()
        acting = run_json(state="acting", steps=[])
        run = follower(lines, acting, acting, run_json(), run_json()).reach(7, {"kept"})
        self.assertEqual(run.state, "kept")
        self.assertEqual(
            lines.texts(),
            ["  run 7: acting", "  step broker 1: num.io.threads 8 -> 16", "  run 7: kept"],
        )

    def test_the_partitions_of_an_election_are_cut_off(self) -> None:
        step = Step("leaders", "batch 1", "t/0=1 " * 100, "t/0=2", "undone")
        text = described(step) or ""
        self.assertTrue(text.startswith("leaders: batch 1 back from t/0=2 to t/0=1 t/0=1"))
        self.assertLess(len(text), 120)

    def test_what_was_said_is_not_said_again_when_it_is_followed_further(self) -> None:
        lines = Lines()
        states = [run_json(state="observing"), run_json(state="observing"), run_json()]
        following = follower(lines, *states)
        following.reach(7, {"observing"})
        following.reach(7, {"kept"})
        step = "  step broker 1: num.io.threads 8 -> 16"
        self.assertEqual(lines.texts(), [step, "  run 7: observing", "  run 7: kept"])

    def test_a_clone_is_shown_without_the_id_of_its_template(self) -> None:
        step = Step("container shop-clone-1", "f" * 64, "absent", "running", "applied")
        self.assertEqual(described(step), "container shop-clone-1 absent -> running")

    def test_a_held_run_says_why(self) -> None:
        lines = Lines()
        RunReporter(fake_waiter(lines).progress).report(
            run_of(run_json(state="held", hold="cooldown", note="30 s left", steps=[]))
        )
        self.assertEqual(lines.texts(), ["  run 7: held (cooldown: 30 s left)"])

    def test_a_run_that_ends_otherwise_is_an_error_with_its_reason(self) -> None:
        with self.assertRaisesRegex(LabError, "run 7 ended as rolled_back: .*improved"):
            follower(Lines(), run_json(state="rolled_back")).reach(7, {"kept"})

    def test_a_run_that_is_rehearsed_for_a_moment_has_not_ended(self) -> None:
        states = [run_json(state="rehearsed", ended_at=None), run_json()]
        self.assertEqual(follower(Lines(), *states).reach(7, {"kept"}).state, "kept")

    def test_a_kept_run_may_still_expire(self) -> None:
        states = [run_json(), run_json(state="expiring"), run_json(state="expired")]
        self.assertEqual(follower(Lines(), *states).reach(7, {"expired"}).state, "expired")

    def test_a_run_that_goes_nowhere_is_a_time_limit(self) -> None:
        with self.assertRaisesRegex(TimeLimitError, "run 7 to be kept or rolled_back"):
            follower(Lines(), run_json(state="acting")).reach(7, {"kept", "rolled_back"})

    def test_an_ordered_rollback_waits_while_the_run_is_still_kept(self) -> None:
        states = [run_json(), run_json(state="rolling_back"), run_json(state="rolled_back")]
        self.assertEqual(follower(Lines(), *states).roll_back(7).state, "rolled_back")

    def test_a_rollback_that_is_stuck_is_an_error(self) -> None:
        with self.assertRaisesRegex(LabError, "run 7 is stuck"):
            follower(Lines(), run_json(state="stuck")).roll_back(7)


class Elapsed(unittest.TestCase):
    def test_unknown_when_either_moment_is(self) -> None:
        self.assertIsNone(elapsed(None, 1.0, 1))
        self.assertIsNone(elapsed(1.0, None, 1))
        self.assertEqual(elapsed(1.0, 2.26, 1), 1.3)
