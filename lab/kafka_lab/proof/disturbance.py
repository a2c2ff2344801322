"""What happens on a cluster by itself: load that swings, a broker that pauses, a noisy disk."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field

from ..errors import LabError
from ..heal.cluster import HealCluster
from ..load import Load

TOPIC = "heal-swings"
PARTITIONS = 6
STEP = 2.0  # seconds between two looks at what should change
LIMITS = (300, 6000)  # microseconds of an fsync


@dataclass
class Disturbance:
    """Runs beside the scenario until `stop`. All of its choices come from the seed.

    `disk`: whether the time of an fsync wanders; otherwise it stays as it is.
    """

    cluster: HealCluster
    seed: int
    disk: bool
    _ended: threading.Event = field(default_factory=threading.Event)
    _problem: Exception | None = None

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._fsync = 1500.0
        self._swell: str | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Raises what went wrong meanwhile."""
        self._ended.set()
        self._thread.join()
        if self._problem:
            raise self._problem

    def _run(self) -> None:
        try:
            while not self._ended.wait(STEP):
                self._step()
            self._end_swell()
        except Exception as problem:
            self._problem = problem

    def _step(self) -> None:
        chance = self._random.random()
        if self._swell and chance < 0.07:
            self._end_swell()
        elif not self._swell and chance < 0.05:
            self._begin_swell()
        if self._random.random() < 0.08:
            self._pause(self._random.uniform(0.2, 0.9))
        if self.disk:
            self._wander()

    def _begin_swell(self) -> None:
        """More load, for half a minute on average."""
        rate = int(self._random.uniform(100, 600))
        load = Load(topic=TOPIC, producers=6, rate=rate, pinned=False, seconds=600)
        self._swell = self.cluster.loads.start(load)

    def _end_swell(self) -> None:
        if self._swell:
            self.cluster.loads.stop(self._swell)
            self._swell = None

    def _pause(self, seconds: float) -> None:
        """As a garbage collection does. A busy engine may refuse; then there is one pause less."""
        docker = self.cluster.docker
        broker = self.cluster.stack.project.container("kafka-2")
        try:
            docker.pause(broker)
        except LabError:
            return
        try:
            self._ended.wait(seconds)
        finally:
            docker.unpause(broker)

    def _wander(self) -> None:
        """A walk of the logarithm that is drawn back to its middle."""
        low, high = LIMITS
        self._fsync *= self._random.lognormvariate(0, 0.25) * (1500 / self._fsync) ** 0.1
        self._fsync = min(max(self._fsync, low), high)
        self.cluster.stack.slow_disk(int(self._fsync))
