"""Bottlenecks that a healthy cluster is given, each with the cause that has to be found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from ..heal.cluster import HealCluster
from ..heal.scenarios.scenario import EACH, set_io_threads
from ..load import Load
from ..prometheus import selector

FLUSHED = {"flush_messages": "1", "min_insync_replicas": "1"}
# Little is kept of what is written fast.
SMALL = {"segment_bytes": "33554432", "retention_bytes": "134217728"}
LOAD_SECONDS = 1200
RECORD_BYTES = 100
BATCH_BYTES = 16_384
# Of a broker's container, in microseconds of each 100 ms.
STARVED_CPU = 40_000

Fault = Callable[[HealCluster], AbstractContextManager[None]]


@dataclass(frozen=True)
class Bottleneck:
    """`cause` is the name that `analyze` has for it."""

    cause: str
    fault: Fault

    @property
    def about(self) -> str:
        return " ".join((self.fault.__doc__ or "").split())


# ---- brokers


@contextmanager
def one_io_thread(cluster: HealCluster) -> Iterator[None]:
    """24 producers of 24 partitions, and one I/O thread on broker 1"""
    topic = "heal-many"
    cluster.referee.create_topic(topic, ["1"] * 24, 1, **FLUSHED)
    cluster.stack.slow_disk(2000)
    cluster.start_load(
        Load(topic=topic, partitions=24, producers=24, rate=400, seconds=LOAD_SECONDS)
    )
    for threads in ("2", "1"):
        set_io_threads(cluster, "1", threads)
    yield


@contextmanager
def slow_disk(cluster: HealCluster) -> Iterator[None]:
    """24 producers of 24 partitions on broker 1, and every fsync waits for 60 ms"""
    topic = "heal-slow"
    cluster.referee.create_topic(topic, ["1"] * 24, 1, **FLUSHED)
    cluster.stack.slow_disk(60_000)
    cluster.start_load(
        Load(topic=topic, partitions=24, producers=24, rate=400, seconds=LOAD_SECONDS)
    )
    yield


@contextmanager
def one_locked_partition(cluster: HealCluster) -> Iterator[None]:
    """32 producers of one partition on broker 2, whose disk is slow"""
    topic = "heal-one"
    cluster.referee.create_topic(topic, ["2"], 1, **FLUSHED)
    cluster.stack.slow_disk(10_000)
    cluster.start_load(
        Load(topic=topic, broker="2", partitions=1, producers=32, rate=800, seconds=LOAD_SECONDS)
    )
    yield


@contextmanager
def starved_of_cpu(cluster: HealCluster) -> Iterator[None]:
    """broker 1 may use two fifths of one CPU"""
    topic = "heal-cpu"
    cluster.referee.create_topic(topic, ["1"] * 12, 1, min_insync_replicas="1")
    cluster.start_load(
        Load(topic=topic, partitions=12, producers=12, rate=4000, seconds=LOAD_SECONDS)
    )
    broker = cluster.stack.project.container("kafka-1")
    limit = ["update", "--cpu-period", "100000", "--cpu-quota"]
    cluster.docker.command([*limit, str(STARVED_CPU), broker])
    try:
        yield
    finally:
        cluster.docker.command([*limit, "-1", broker])


@contextmanager
def throttled_client(cluster: HealCluster) -> Iterator[None]:
    """a client that sends 4 MB/s has a quota of 1 MB/s"""
    topic = "heal-throttled"
    cluster.referee.create_topic(topic, EACH * 2, 1, min_insync_replicas="1", **SMALL)
    quota = ("--alter", "--add-config", "producer_byte_rate=333000")
    client = ("--entity-type", "clients", "--entity-name", "throttled")
    cluster.stack.kafka_tools().run("1", "kafka-configs.sh", *quota, *client)
    cluster.start_async_producer(topic, "throttled", 4000, 1000, BATCH_BYTES)
    yield


# ---- partitions


@contextmanager
def leaders_away(cluster: HealCluster) -> Iterator[None]:
    """broker 1 was restarted, and leads nothing"""
    topic = "heal-leaders"
    cluster.referee.create_topic(topic, EACH * 4, 3)
    cluster.start_load(Load(topic=topic, producers=12, rate=300, seconds=LOAD_SECONDS))
    cluster.restart_broker("1")
    yield


@contextmanager
def hot_partition(cluster: HealCluster) -> Iterator[None]:
    """one of six partitions gets nearly every record"""
    topic = "heal-hot"
    cluster.referee.create_topic(topic, EACH * 2, 1, min_insync_replicas="1")
    # Each producer has a partition of its own: one has the first, and six share 60 records/s.
    cluster.start_load(Load(topic=topic, partitions=6, producers=1, rate=800, seconds=LOAD_SECONDS))
    cluster.start_load(Load(topic=topic, partitions=6, producers=6, rate=60, seconds=LOAD_SECONDS))
    yield


@contextmanager
def missing_broker(cluster: HealCluster) -> Iterator[None]:
    """broker 3 is stopped"""
    cluster.referee.create_topic("heal-replicas", EACH * 2, 3)
    cluster.start_load(
        Load(topic="heal-replicas", producers=6, rate=100, pinned=False, seconds=LOAD_SECONDS)
    )
    with cluster.stopped_broker("3"):
        yield


# ---- consumers. Each group has a name of its own: a rebalance is remembered for ten minutes.


@contextmanager
def too_few_consumers(cluster: HealCluster) -> Iterator[None]:
    """two consumers of six partitions; together they read 2,000 of 4,000 records/s"""
    _consumers(cluster, "heal-few", 2)
    _traffic(cluster, "heal-few", 4000)
    yield


@contextmanager
def slow_consumers(cluster: HealCluster) -> Iterator[None]:
    """six consumers of six partitions; together they read 6,000 of 9,000 records/s"""
    _consumers(cluster, "heal-tired", 6)
    _traffic(cluster, "heal-tired", 9000)
    yield


@contextmanager
def stuck_consumers(cluster: HealCluster) -> Iterator[None]:
    """two consumers that hang: they commit nothing any more"""
    consumers = _consumers(cluster, "heal-stuck", 2)
    _traffic(cluster, "heal-stuck", 1000)
    cluster.waiter.sleep(20)
    for container in consumers:
        cluster.docker.pause(container)
    try:
        yield
    finally:
        for container in consumers:
            cluster.docker.unpause(container)


def _consumers(cluster: HealCluster, name: str, count: int) -> list[str]:
    """Of a topic and a group with this name, each with a millisecond for every record."""
    cluster.referee.create_topic(name, EACH * 2, 1, min_insync_replicas="1", **SMALL)
    words = (name, name, "classic", "1000")
    started = [cluster.loads.start_service("slow-consumer", *words) for _ in range(count)]
    members = f"{selector('kafka_consumergroup_members', consumergroup=name)} == {count}"
    cluster.waiter.until(f"{count} members", lambda: cluster.prometheus.query(members), 120)
    return started


def _traffic(cluster: HealCluster, topic: str, rate: int) -> None:
    cluster.start_async_producer(topic, "shop", rate, RECORD_BYTES, BATCH_BYTES)


@contextmanager
def both(cluster: HealCluster, first: Bottleneck, second: Bottleneck) -> Iterator[None]:
    with first.fault(cluster), second.fault(cluster):
        yield


ONE_IO_THREAD = Bottleneck("too_few_request_handlers", one_io_thread)
SLOW_DISK = Bottleneck("slow_disk", slow_disk)
LOCKED = Bottleneck("partition_lock", one_locked_partition)
CPU = Bottleneck("cpu_bound", starved_of_cpu)
THROTTLED = Bottleneck("throttled_clients", throttled_client)
LEADERS = Bottleneck("skewed_leaders", leaders_away)
HOT = Bottleneck("hot_partition", hot_partition)
MISSING = Bottleneck("replication_lagging", missing_broker)
TOO_FEW = Bottleneck("too_few_consumers", too_few_consumers)
SLOW = Bottleneck("slow_consumer", slow_consumers)
STUCK = Bottleneck("stuck_consumer", stuck_consumers)

SINGLE = (THROTTLED, HOT, TOO_FEW, SLOW, STUCK, ONE_IO_THREAD, SLOW_DISK, LOCKED, CPU, LEADERS)
# At the end: a broker that was missing remains a memory of half an hour.
LAST = (MISSING,)
PAIRS = ((THROTTLED, TOO_FEW), (ONE_IO_THREAD, STUCK), (LEADERS, SLOW))
