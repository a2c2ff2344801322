from __future__ import annotations

import unittest

from ..errors import TimeLimitError, UnavailableError
from .fakes import FakeClock, Lines, fake_waiter


class Until(unittest.TestCase):
    def test_returns_the_first_true_answer(self) -> None:
        answers = iter([None, "", "found"])
        self.assertEqual(fake_waiter().until("an answer", lambda: next(answers)), "found")

    def test_asks_a_service_again_that_is_not_available_yet(self) -> None:
        answers = iter([UnavailableError("connection refused"), None])

        def poll() -> bool:
            error = next(answers)
            if error:
                raise error
            return True

        self.assertTrue(fake_waiter().until("a service", poll))

    def test_the_error_says_what_was_waited_for_and_what_the_last_problem_was(self) -> None:
        def poll() -> bool:
            raise UnavailableError("GET /-/ready: connection refused")

        with self.assertRaisesRegex(
            TimeLimitError, r"waited 10 s for the optimizer: GET /-/ready: connection refused"
        ):
            fake_waiter().until("the optimizer", poll, timeout=10)

    def test_a_deadline_is_stronger_than_the_limit_of_a_wait(self) -> None:
        clock = FakeClock()
        waiter = fake_waiter(clock=clock)
        waiter.limit(5)
        with self.assertRaises(TimeLimitError):
            waiter.until("nothing", lambda: None, timeout=100)
        self.assertLessEqual(clock.time, 6)

    def test_a_failed_check_ends_the_wait(self) -> None:
        waiter = fake_waiter()

        def load_ended() -> None:
            raise ValueError("the load ended")

        waiter.check = load_ended
        with self.assertRaisesRegex(ValueError, "the load ended"):
            waiter.until("an alert", lambda: None)

    def test_tells_now_and_then_how_far_it_is(self) -> None:
        lines = Lines()
        with self.assertRaises(TimeLimitError):
            fake_waiter(lines).until("an alert", lambda: None, 30, detail=lambda: "handlers idle")
        self.assertEqual(lines.texts(), ["  ... waiting for an alert: handlers idle"] * 2)


class Sleep(unittest.TestCase):
    def test_sleeps_no_longer_than_the_deadline_and_then_says_so(self) -> None:
        clock = FakeClock()
        waiter = fake_waiter(clock=clock)
        waiter.limit(5)
        waiter.sleep(4)
        with self.assertRaises(TimeLimitError):
            waiter.sleep(4)
        self.assertEqual(clock.time, 5)

    def test_a_time_that_is_over_is_no_sleep(self) -> None:
        clock = FakeClock()
        fake_waiter(clock=clock).sleep(-3)
        self.assertEqual(clock.time, 0)
