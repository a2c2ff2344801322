"""The procedure before this one, on the same samples: medians of two windows of a sliding mean.

As tests/proof/old.rs, with the windows that `make heal` had.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from ..prometheus import Prometheus

BASELINE = 20.0  # seconds
SETTLE = 20.0
OBSERVE = 20.0
STEP = 2.0  # the interval of the recording rules
LOAD_CHANGE_MAX = 0.2
LOAD_RATIO_MAX = 10.0
DEVIATIONS = 2.0
# Seconds after the first write at which it has all that it looks at.
NEEDS = SETTLE + OBSERVE


@dataclass(frozen=True)
class Former:
    prometheus: Prometheus
    objective: str
    load: str
    at_least: float

    def verdict(self, written: float) -> str:
        begin = written + SETTLE
        before = self._samples(self.objective, written - BASELINE, written)
        after = self._samples(self.objective, begin, begin + OBSERVE)
        load_before = self._samples(self.load, written - BASELINE, written)
        load_after = self._samples(self.load, begin, begin + OBSERVE)
        if not (before and after and load_before and load_after):
            return "inconclusive"
        load = statistics.median(load_after) / statistics.median(load_before)
        return judge(before, after, load, self.at_least)

    def _samples(self, expression: str, since: float, until: float) -> list[float]:
        return self.prometheus.range(expression, since, until, STEP)


def judge(before: list[float], after: list[float], load: float, at_least: float) -> str:
    was, now = statistics.median(before), statistics.median(after)
    noise = statistics.median(abs(value - was) for value in before)
    gain = was - now
    if abs(gain) < at_least * was or abs(gain) <= DEVIATIONS * noise:
        return "neutral"

    has_too_much_load = load > max(LOAD_RATIO_MAX, was / now)
    if gain > 0 and load >= 1 - LOAD_CHANGE_MAX and not has_too_much_load:
        return "improved"
    if gain < 0 and load <= 1 + LOAD_CHANGE_MAX:
        return "regressed"
    return "inconclusive"
