"""The optimizer helps, and the change stays or expires."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ...errors import require
from ...load import Load
from ...optimizer import RunSummary
from ...prometheus import selector
from ..cluster import HealCluster
from ..expectation import Expectation, Recovery, expect, improved
from ..referee import BrokerConfig, DynamicValue
from ..result import Row
from .scenario import EACH, Scenario, set_io_threads, victim_load


def leaders(cluster: HealCluster, row: Row) -> None:
    """after a restart a broker leads nothing; elect-leaders gives its partitions back"""
    topic = "heal-leaders"
    cluster.referee.create_topic(topic, EACH * 4, 3)
    cluster.start_load(Load(topic=topic, producers=12, rate=300))

    fault = cluster.restart_broker("1")
    led = cluster.referee.partitions_led(topic)
    require(led["1"] == 0, f"the restarted broker should lead nothing; partitions led: {led}")

    balanced = Recovery.when('lab:traffic_skew:ratio{kafka_cluster="main"} < 1.2')
    expect(cluster, row, improved("LabLeadersAway", balanced, 240), fault.since)

    led = cluster.referee.partitions_led(topic)
    require(set(led.values()) == {4}, f"each broker should lead 4 partitions: {led}")
    cluster.progress.say("each broker leads 4 partitions again")


def flood(cluster: HealCluster, row: Row) -> None:
    """one client floods the brokers; shed-load slows it down, others recover, the quota expires"""
    _flood_topics(cluster)
    cluster.start_load(victim_load(900))
    cluster.waiter.sleep(25)

    before = cluster.round_trip()
    fault = time.time()
    greedy = [
        cluster.start_async_producer("heal-flood", "greedy", 20_000, 10_000, 65_536)
        for _ in range(8)
    ]
    cluster.progress.say(f"a small record takes {before}; now 8 greedy clients send all they can")

    def while_flooded(run: RunSummary) -> None:
        cluster.progress.say(f"a small record takes {cluster.round_trip()}")

    recovery = Recovery.at_a_quarter_of_the_baseline("lab:round_trip:mean_seconds")
    run = expect(cluster, row, improved("LabFlood", recovery, 200), fault, while_flooded)
    quotas = cluster.referee.quotas()
    cluster.progress.say(f"a small record takes {cluster.round_trip()}; quotas: {quotas}")
    temporary = [change.id for change in cluster.optimizer.temporary_changes()]
    require(temporary == [run.id], f"the temporary changes are {temporary}, not [{run.id}]")

    for container in greedy:
        cluster.stop_client(container)
    expired = cluster.follower.reach(run.id, {"expired"}, 120)
    late = (expired.ended or 0) - (run.expires or 0)
    require(0 <= late < 30, f"the run ended {late:.0f} s after its time")
    left = cluster.referee.quotas()
    require(not left, f"quotas are left: {left}")
    cluster.progress.say(f"expired {late:.0f} s after its time; no quota is left")


def _flood_topics(cluster: HealCluster) -> None:
    cluster.referee.create_topic("heal-victim", EACH * 2, 3)
    # Flushed at every batch on a slow disk, a flood costs time of the request handlers on any
    # machine. With one replica it costs no followers. Little of its gigabytes is kept.
    cluster.referee.create_topic(
        "heal-flood",
        EACH * 2,
        1,
        flush_messages="1",
        min_insync_replicas="1",
        segment_bytes="33554432",
        retention_bytes="67108864",
    )
    cluster.stack.slow_disk(3000)


# ---- consumers

# What a group does usually, in seconds: without a past, no verdict on it is sure.
USUAL_TIME = 200


@dataclass(frozen=True)
class Group:
    """A group with too few consumers; `expires` says what ends its clones."""

    kind: str  # also the name of its service
    alert: str
    expires_when_caught_up: bool

    @property
    def name(self) -> str:
        return f"heal-{self.kind}"

    def members_are(self, count: int) -> str:
        return f"{selector('kafka_consumergroup_members', consumergroup=self.name)} == {count}"


CLASSIC = Group("classic", "LabConsumerLag", expires_when_caught_up=True)
KIP848 = Group("kip848", "LabConsumerLagTimed", expires_when_caught_up=False)


def consumers_classic(cluster: HealCluster, row: Row) -> None:
    """two consumers of a classic group are too few; clones join, and go when it has caught up"""
    _consumers(cluster, row, CLASSIC)


def consumers_kip848(cluster: HealCluster, row: Row) -> None:
    """the same with a group of the new protocol; the clones go when their time is over"""
    _consumers(cluster, row, KIP848)


def _consumers(cluster: HealCluster, row: Row, group: Group) -> None:
    cluster.referee.create_topic(group.name, EACH * 2, 3)
    _start_consumers(cluster, group)
    cluster.start_async_producer(group.name, "shop", 1200, 100, 16_384)
    cluster.progress.say("1,200 records/s for two consumers that take a millisecond for each")
    cluster.waiter.sleep(USUAL_TIME)
    fault = time.time()
    traffic = cluster.start_async_producer(group.name, "shop", 1600, 100, 16_384)
    cluster.progress.say("2,800 records/s from now on")

    def while_scaling(run: RunSummary) -> None:
        cluster.progress.say(f"{_consumed(cluster, group)} of 2,800 records/s are consumed")
        cluster.follower.reach(run.id, {"observing"}, 100)
        clones = cluster.clones()
        require(len(clones) == 2, f"there are {len(clones)} clones, not two")

    # Records are consumed faster than they come in. How long the backlog takes is not the
    # optimizer's. Where the clones have caught up by then, a kept run expires at once.
    lag = selector("lab:lag:records", consumergroup=group.name)
    expectation = Expectation(
        group.alert,
        states={"kept", "expired"},
        verdicts={"improved"},
        recovery=Recovery.when(f"deriv({lag}[15s]) < 0"),
        timeout=200,
    )
    run = expect(cluster, row, expectation, fault, while_scaling)
    cluster.progress.say(f"kept two clones; {_consumed(cluster, group)} records/s are consumed")

    if group.expires_when_caught_up:
        cluster.stop_client(traffic)
    _expect_expiry(cluster, group, run.id)


def _expect_expiry(cluster: HealCluster, group: Group, id: int) -> None:
    expired = cluster.follower.reach(id, {"expired"}, 240)
    clones = cluster.clones()
    require(not clones, f"clones are left: {', '.join(clones)}")

    prometheus = cluster.prometheus
    cluster.waiter.until("two members again", lambda: prometheus.query(group.members_are(2)), 60)
    why = [line.text for line in expired.journal if line.entry == "expire"]
    cluster.progress.say(f"expired: {'; '.join(why)}")


def _start_consumers(cluster: HealCluster, group: Group) -> None:
    service = f"consumer-{group.kind}"
    options = ("--profile", "consumers", "up", "-d", "--no-deps", "--no-build")
    cluster.stack.project.compose(*options, "--scale", f"{service}=2", service)
    cluster.waiter.until("two members", lambda: cluster.prometheus.query(group.members_are(2)), 60)


def _consumed(cluster: HealCluster, group: Group) -> str:
    rate = cluster.prometheus.value(selector("lab:consumed_records:rate", consumergroup=group.name))
    return "unknown" if rate is None else f"{rate:,.0f}"


# ---- threads


def restart_loss(cluster: HealCluster, row: Row) -> None:
    """a broker loses at its restart what is above twice its static value; reapply restores it"""
    since = time.time()
    cluster.referee.create_topic("heal-far-3", ["1"], 3)
    run = cluster.follower.alert_to_run("LabTuneFar", since)
    cluster.follower.reach(run.id, {"kept"})
    tuned = _both_pools("16", "16")
    _require_config(cluster, "3", tuned)
    cluster.referee.delete_topic("heal-far-3")

    fault = cluster.restart_broker("3")
    lost = cluster.waiter.until("broker 3 to answer", lambda: cluster.referee.broker_config("3"))
    require(lost == _both_pools("16", "4"), f"the restart should cost broker 3 threads: {lost}")
    cluster.progress.say("broker 3 runs 4 threads in each pool; 16 are stored")

    applied = Recovery.when('min(kafka_broker_config_applied{broker_id="3"}) == 1')
    expectation = improved("KafkaBrokerConfigNotApplied", applied, 240)
    answer = expect(cluster, row, expectation, fault.since)
    require(answer.optimizer == "reapply", f"{answer.optimizer} answered instead of reapply")
    _require_config(cluster, "3", tuned)
    cluster.progress.say("broker 3 runs 16 threads in each pool again")


def _both_pools(stored: str, effective: str) -> BrokerConfig:
    value = DynamicValue(stored, effective)
    return {"num.io.threads": value, "num.network.threads": value}


def _require_config(cluster: HealCluster, broker: str, wanted: BrokerConfig) -> None:
    found = cluster.referee.broker_config(broker)
    require(found == wanted, f"broker {broker} has {found} instead of {wanted}")


def io_threads(cluster: HealCluster, row: Row) -> None:
    """a broker starves with one I/O thread on a slow disk; more threads help, and stay"""
    topic = "heal-many"
    cluster.referee.create_topic(topic, ["1"] * 24, 1, flush_messages="1", min_insync_replicas="1")
    cluster.stack.slow_disk(2000)
    cluster.start_load(Load(topic=topic, partitions=24, producers=24, rate=400))
    cluster.waiter.sleep(25)

    fault = time.time()
    for threads in ("2", "1"):
        set_io_threads(cluster, "1", threads)
    before = cluster.produce_time("1")
    cluster.progress.say(f"set by hand: one I/O thread on broker 1; produce took {before}")

    def while_starved(run: RunSummary) -> None:
        cluster.progress.say(f"produce takes {cluster.produce_time('1')}")

    recovery = Recovery.at_a_quarter_of_the_baseline(
        "kafka:produce_time:mean_seconds", broker_id="1"
    )
    expectation = improved("LabHandlersSaturated", recovery, 180)
    expect(cluster, row, expectation, fault, while_starved)

    found = cluster.referee.broker_config("1")
    wanted = DynamicValue("8", "8")
    require(found.get("num.io.threads") == wanted, f"broker 1 has {found}")
    cluster.progress.say(f"8 I/O threads; produce takes {cluster.produce_time('1')}")


HELPED = (
    Scenario("leaders", 300, leaders),
    Scenario("flood", 400, flood),
    Scenario("consumers-classic", 760, consumers_classic),
    Scenario("consumers-kip848", 760, consumers_kip848),
    Scenario("restart-trap", 480, restart_loss),
    Scenario("io-threads", 360, io_threads),
)
