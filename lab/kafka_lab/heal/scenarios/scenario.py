"""What a scenario is, and what several of them do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...load import Load
from ...optimizer import Order, Run
from ..cluster import HealCluster
from ..referee import RefereeError
from ..result import Row

# Leaders of a topic's partitions, spread over all brokers.
EACH = ["1", "2", "3"]


@dataclass(frozen=True)
class Scenario:
    """`play` fills the row, and raises `LabError` where something is not as it has to be."""

    slug: str
    seconds_max: float
    play: Callable[[HealCluster, Row], None]

    @property
    def about(self) -> str:
        return " ".join((self.play.__doc__ or "").split())


def tune_order(broker: str, rehearse: bool = False) -> Order:
    order: Order = {"optimizer": "tune_brokers", "broker": int(broker), "level": "moderate"}
    return {**order, "rehearse": True} if rehearse else order


def ended_run(cluster: HealCluster, id: int) -> Run | None:
    run = cluster.optimizer.run(id)
    return run if run.has_ended() else None


def victim_load(seconds: int) -> Load:
    """A client whose records have to get through."""
    return Load(topic="heal-victim", producers=6, rate=100, pinned=False, seconds=seconds)


def set_io_threads(cluster: HealCluster, broker: str, threads: str) -> None:
    """By hand. A broker takes the next step only when the one before is in force."""

    def is_set() -> bool:
        try:
            cluster.referee.set_config(broker, "num.io.threads", threads)
        except RefereeError:
            pass
        return cluster.referee.effective_value(broker, "num.io.threads") == threads

    cluster.waiter.until(f"broker {broker} to run {threads} I/O threads", is_set, 30)
