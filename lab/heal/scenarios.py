"""The scenarios: what is done to the cluster, and what has to become of it."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from judge import Story
from world import BROKERS, ENDS, Failed, Run, World, check, last_words, post, seconds

EACH = ["1", "2", "3"]
KILLS = 10
# From an order to the end of its run: steps, settle, observe, and the way back.
RUN_LENGTHS = {"tune_brokers": 43.0, "shed_load": 62.0}


@dataclass(frozen=True)
class Scenario:
    slug: str
    limit: float
    about: str
    play: Callable[[World, Story], None]


SCENARIOS: list[Scenario] = []


def scenario(slug: str, limit: float) -> Callable[[Callable[[World, Story], None]], None]:
    def add(play: Callable[[World, Story], None]) -> None:
        SCENARIOS.append(Scenario(slug, limit, (play.__doc__ or "").strip(), play))

    return add


# ---- helped


@scenario("leaders", 300)
def leaders(world: World, story: Story) -> None:
    """after a restart a broker leads nothing; elect-leaders gives its partitions back"""
    world.topic("heal-leaders", EACH * 4, 3)
    world.load(
        "--topic", "heal-leaders", "--producers", "12", "--rate", "300", "--pinned", "--for", "900s"
    )
    fault = world.restart_broker("1")
    away = leads(world, "heal-leaders")
    check(away["1"] == 0, f"the restarted broker should lead nothing: {away}")
    run = world.answer_to("LabLeadersAway", fault.since)
    run = world.reach(run["id"], {"kept"}, 240)
    story.tell(world, run, fault.since, 'lab:traffic_skew:ratio{kafka_cluster="main"} < 1.2')
    check(run["verdict"] == "improved", f"the verdict is {run['verdict']}")
    back = leads(world, "heal-leaders")
    check(set(back.values()) == {4}, f"the leaders are {back}, not 4 each")
    world.say("the leaders are 4/4/4 again")


def leads(world: World, topic: str) -> dict[str, int]:
    found = world.referee.ask("leaders", topic).split()
    return {it: found.count(it) for it in BROKERS}


@scenario("flood", 400)
def flood(world: World, story: Story) -> None:
    """one client floods the brokers; shed-load slows it down, others recover, the quota goes"""
    world.topic("heal-victim", EACH * 2, 3)
    # Flushed at every batch, on a slow disk: what the flood costs is time of request handlers, on
    # any machine. With one replica it costs no others. Of gigabytes little is kept.
    few = {"segment_bytes": "33554432", "retention_bytes": "67108864"}
    world.topic("heal-flood", EACH * 2, 1, flush_messages="1", min_insync_replicas="1", **few)
    (world.folder / "slow/us").write_text("3000\n")
    world.load("--topic", "heal-victim", "--producers", "6", "--rate", "100", "--for", "900s")
    world.sleep(25)
    well = round_trip(world)
    fault = time.time()
    greedy = [world.traffic("heal-flood", "greedy", 20_000, 10_000, 65_536) for _ in range(8)]
    world.say(f"a small record takes {well}; now eight clients called greedy send all they can")
    run = world.answer_to("LabFlood", fault)
    world.say(f"a small record takes {round_trip(world)}")
    run = world.reach(run["id"], {"kept"}, 200)
    before = run["objective"]["baseline_median"]
    story.tell(world, run, fault, f"lab:round_trip:mean_seconds < {before / 4}")
    check(run["verdict"] == "improved", f"the verdict is {run['verdict']}")
    world.say(
        f"kept; a small record takes {round_trip(world)}; quotas: {world.referee.ask('quotas')}"
    )
    measures = [it["id"] for it in world.measures()]
    check(measures == [run["id"]], f"the measures in force are {measures}")
    for container in greedy:
        world.stop(container)
    lifted = world.reach(run["id"], {"expired"}, 120)
    late = (seconds(lifted["ended_at"]) or 0) - (seconds(run["expires_at"]) or 0)
    check(0 <= late < 30, f"lifted {late:.0f} s after its time")
    left = world.referee.ask("quotas")
    check(not left, f"quotas are left: {left}")
    world.say(f"lifted {late:.0f} s after its time, no quota is left")


def round_trip(world: World) -> str:
    return f"{(world.value('lab:round_trip:mean_seconds') or 0) * 1000:.0f} ms"


def consumers(world: World, story: Story, kind: str, alert: str) -> None:
    name = f"heal-{kind}"
    world.topic(name, EACH * 2, 3)
    world.compose(
        "--profile",
        "consumers",
        "up",
        "-d",
        "--no-deps",
        "--no-build",
        "--scale",
        f"consumer-{kind}=2",
        f"consumer-{kind}",
    )
    members = f'kafka_consumergroup_members{{consumergroup="{name}"}}'
    world.until("two members", lambda: world.value(f"{members} == 2"), 60)
    fault = time.time()
    traffic = world.traffic(name, "shop", 2400, 100, 16_384)
    world.say("2,400 records/s for two consumers that take a millisecond for each")
    run = world.answer_to(alert, fault)
    world.say(f"{consumed(world, name)} of 2,400 records/s are consumed")
    run = world.reach(run["id"], {"observing"}, 100)
    clones = world.clones()
    check(len(clones) == 2, f"there are {len(clones)} clones, not two")
    # Where the clones have worked off everything by then, it is lifted as soon as it is kept.
    run = world.reach(run["id"], {"kept", "expired"}, 200)
    # Worked off faster than it comes in; how long the backlog takes is not the optimizer's.
    falls = f'deriv(lab:lag:records{{consumergroup="{name}"}}[15s]) < 0'
    story.tell(world, run, fault, falls)
    check(run["verdict"] == "improved", f"the verdict is {run['verdict']}")
    world.say(f"kept; two clones, {consumed(world, name)} records/s are consumed")
    if kind == "classic":
        # Not needed any more: the lag is worked off. The other kind waits for its time.
        world.stop(traffic)
    lifted = world.reach(run["id"], {"expired"}, 240)
    check(not world.clones(), f"clones are left: {world.clones()}")
    world.until("two members again", lambda: world.value(f"{members} == 2"), 60)
    why = [it["text"] for it in lifted["journal"] if it["entry"] == "expire"]
    world.say(f"lifted: {'; '.join(why)}")


def consumed(world: World, group: str) -> str:
    rate = world.value(f'lab:consumed_records:rate{{consumergroup="{group}"}}')
    return f"{rate or 0:,.0f}"


@scenario("consumers-classic", 480)
def consumers_classic(world: World, story: Story) -> None:
    """two consumers of a classic group are too few; clones join, and leave when the lag is gone"""
    consumers(world, story, "classic", "LabConsumerLag")


@scenario("consumers-kip848", 480)
def consumers_kip848(world: World, story: Story) -> None:
    """the same with a group of the new protocol; the clones leave when their time is over"""
    consumers(world, story, "kip848", "LabConsumerLagTimed")


@scenario("restart-trap", 480)
def restart_trap(world: World, story: Story) -> None:
    """what a broker loses at its restart, above twice what it starts with, is walked up again"""
    since = time.time()
    world.topic("heal-far-3", ["1"], 3)
    run = world.answer_to("LabTuneFar", since)
    world.reach(run["id"], {"kept"}, 150)
    high = {"num.io.threads": "16/16", "num.network.threads": "16/16"}
    check(world.dynamic("3") == high, f"broker 3 has {world.dynamic('3')}")
    world.referee.ask("delete", "heal-far-3")
    fault = world.restart_broker("3")
    lost = world.until("the broker's answer", lambda: world.dynamic("3"))
    low = {it: "16/4" for it in high}
    check(lost == low, f"the restart should have cost broker 3 its threads: {lost}")
    world.say("broker 3 runs 4 threads in each pool, and has 16 stored")
    run = world.answer_to("KafkaBrokerConfigNotApplied", fault.since)
    run = world.reach(run["id"], {"kept"}, 240)
    applied = 'min(kafka_broker_config_applied{broker_id="3"}) == 1'
    story.tell(world, run, fault.since, applied)
    check(run["optimizer"] == "reapply", f"{run['optimizer']} answered")
    check(run["verdict"] == "improved", f"the verdict is {run['verdict']}")
    check(world.dynamic("3") == high, f"broker 3 has {world.dynamic('3')}")
    world.say("broker 3 runs 16 threads in each pool again")


# ---- left alone, or taken back exactly


@scenario("drift", 240)
def drift(world: World, story: Story) -> None:
    """a person sets a tuned key during the run: theirs stays, left alone until it is released"""
    before = world.settings()
    fault = time.time()
    world.topic("heal-tune-2-drift", ["1"], 3)
    run = world.answer_to("LabTune", fault)
    world.reach(run["id"], {"settling", "observing"})
    world.sleep(4)
    world.referee.ask("set", "2", "num.io.threads", "6")
    world.say("set by hand: num.io.threads=6 on broker 2, where the run had put 8")
    run = world.reach(run["id"], {"rolled_back"})
    story.tell(world, run, fault)
    check(run["rollback_reason"] == "externally_changed", f"the reason is {run['rollback_reason']}")
    theirs = {**before, "broker 2": "num.io.threads=6/6"}
    check(world.settings() == theirs, f"there is {world.settings()} instead of {theirs}")
    world.sleep(5)  # the rest after a run, which would turn an order away before anything else does
    tune = {"optimizer": "tune_brokers", "broker": 2, "level": "moderate"}
    order = ordered(world, tune)
    check(order["hold"] == "externally_changed", f"the order is {order['state']}: {order['note']}")
    check(world.settings() == theirs, "the order changed something all the same")
    released = world.order("quarantine/release")["released"]
    world.say(f"the foreign value stays, an order is turned away; released: {', '.join(released)}")
    order = ordered(world, {**tune, "rehearse": True})
    check(
        order["state"] == "rehearsed", f"after the release it is {order['state']}: {order['note']}"
    )


def ordered(world: World, order: dict[str, object]) -> Run:
    """What becomes of a person's order that is turned away, or only rehearses."""
    number = world.order("runs", order)["id"]
    return world.until("the order's answer", lambda: ended(world, number), 30)


def ended(world: World, number: int) -> Run | None:
    run = world.run(number)
    return run if run["state"] in ENDS else None


@scenario("no-such-broker", 150)
def no_such_broker(world: World, story: Story) -> None:
    """alerts for brokers that do not exist, made up and real, change nothing"""
    before = world.settings()
    fault = time.time()
    # Anyone may write to Alertmanager; this one fires nowhere else.
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(fault + 60))
    labels = {
        "alertname": "LabTune",
        "kafka_cluster": "main",
        "broker_id": "98",
        "severity": "warning",
        "remediation": "tune-brokers",
    }
    post(f"{world.alertmanager}/api/v2/alerts", [{"labels": labels, "endsAt": stamp}])
    world.topic("heal-nobody-99", ["1"], 3)
    run = world.answer_to("LabTuneNobody", fault)
    run = world.reach(run["id"], {"held"}, 30)
    story.tell(world, run, fault)
    check(run["hold"] == "unknown_target", f"broker 99 is held for {run['hold']}: {run['note']}")
    found = world.until("the made-up alert's run", lambda: world.caused_by("LabTune", fault), 30)
    made_up = world.reach(found[0]["id"], {"held"}, 30)
    check(
        made_up["hold"] == "not_confirmed",
        f"broker 98 is held for {made_up['hold']}: {made_up['note']}",
    )
    world.referee.ask("delete", "heal-nobody-99")
    for it in (run, made_up):
        over = world.reach(it["id"], {"cancelled"}, 100)
        check(over["written_at"] is None, f"run {it['id']} wrote")
    check(world.settings() == before, f"there is {world.settings()} instead of {before}")


@scenario("frozen-broker", 300)
def frozen_broker(world: World, story: Story) -> None:
    """the tuned broker freezes for 20 s in the middle of the run, and comes back"""
    before = world.settings()
    fault = time.time()
    world.topic("heal-tune-2-frozen", ["1"], 3)
    run = world.answer_to("LabTune", fault)
    world.reach(run["id"], {"settling", "observing"})
    world.sleep(random.uniform(2, 14))
    with world.fault("broker 2 is frozen"):
        world.compose("pause", "kafka-2")
        world.sleep(20)
        world.compose("unpause", "kafka-2")
    world.say("broker 2 goes on")
    run = world.reach(run["id"], {"kept", "rolled_back"}, 200)
    story.tell(world, run, fault)
    whole(world, run, before, "2")


def whole(world: World, run: Run, before: dict[str, str], broker: str) -> None:
    """Kept with all of its values in force, or back exactly."""
    after = dict(before)
    if run["state"] == "kept":
        after[f"broker {broker}"] = "num.io.threads=8/8 num.network.threads=8/8"
    now = world.settings()
    check(now == after, f"run {run['id']} is {run['state']}, and there is {now} instead of {after}")
    world.say(
        f"run {run['id']} is {run['state']} ({run['rollback_reason'] or run['verdict']}), all of it"
    )


@scenario("prometheus-gone", 240)
def prometheus_gone(world: World, story: Story) -> None:
    """Prometheus goes away while a run is observed: what cannot be judged is taken back"""
    before = world.settings()
    fault = time.time()
    world.topic("heal-tune-2-blind", ["1"], 3)
    run = world.answer_to("LabTune", fault)
    world.reach(run["id"], {"observing"})
    world.compose("stop", "prometheus")
    world.say("Prometheus is stopped")
    run = world.reach(run["id"], {"rolled_back"})
    world.compose("start", "prometheus")
    world.until("Prometheus to answer", lambda: world.query("up"), 60)
    story.tell(world, run, fault)
    check(run["verdict"] == "inconclusive", f"the verdict is {run['verdict']}")
    whole(world, run, before, "2")


@scenario("io-threads", 300)
def io_threads(world: World, story: Story) -> None:
    """a broker starves with one I/O thread on a slow disk; more threads help, and stay"""
    world.topic("heal-many", ["1"] * 24, 1, flush_messages="1", min_insync_replicas="1")
    (world.folder / "slow/us").write_text("2000\n")
    load(world, "1", "heal-many", 24, 24, 400)
    world.sleep(25)
    fault = time.time()
    for threads in ("2", "1"):
        world.until(
            f"broker 1 with {threads} I/O threads", lambda: set_threads(world, "1", threads), 30
        )
    world.say(f"set by hand: one I/O thread on broker 1; produce took {produce_time(world, '1')}")
    run = world.answer_to("LabHandlersSaturated", fault)
    world.say(f"produce takes {produce_time(world, '1')}")
    run = world.reach(run["id"], {"kept"}, 180)
    before = run["objective"]["baseline_median"]
    story.tell(
        world, run, fault, f'kafka:produce_time:mean_seconds{{broker_id="1"}} < {before / 4}'
    )
    check(run["verdict"] == "improved", f"the verdict is {run['verdict']}")
    now = world.dynamic("1")
    check(now.get("num.io.threads") == "8/8", f"broker 1 has {now}")
    world.say(f"kept with 8 I/O threads; produce takes {produce_time(world, '1')}")


def load(world: World, broker: str, topic: str, partitions: int, producers: int, rate: int) -> str:
    return world.load(
        "--kafka.server",
        f"kafka-{broker}:9092",
        "--topic",
        topic,
        "--partitions",
        str(partitions),
        "--producers",
        str(producers),
        "--rate",
        str(rate),
        "--pinned",
        "--for",
        "900s",
    )


def set_threads(world: World, broker: str, threads: str) -> bool:
    try:
        world.referee.ask("set", broker, "num.io.threads", threads)
    except Failed:
        pass  # the step before is not in force yet
    return world.referee.ask("value", broker, "num.io.threads") == threads


def produce_time(world: World, broker: str) -> str:
    found = world.value(f'kafka:produce_time:mean_seconds{{broker_id="{broker}"}}')
    return f"{(found or 0) * 1000:.0f} ms"


@scenario("useless", 300)
def useless(world: World, story: Story) -> None:
    """producers wait for the lock of one partition; more threads cannot help, and are taken back"""
    before = world.settings()
    world.topic("heal-one", ["2"], 1, flush_messages="1", min_insync_replicas="1")
    fault = time.time()
    (world.folder / "slow/us").write_text("5000\n")
    load(world, "2", "heal-one", 1, 32, 800)
    run = world.answer_to("LabHandlersSaturated", fault)
    run = world.reach(run["id"], {"rolled_back"}, 200)
    story.tell(world, run, fault)
    check(run["verdict"] in ("neutral", "regressed"), f"the verdict is {run['verdict']}")
    whole(world, run, before, "2")


@scenario("harmful", 300)
def harmful(world: World, story: Story) -> None:
    """a guard gets worse while a run is observed: taken back at once"""
    before = world.settings()
    # Two replicas and a minimum of two: when broker 3 goes, the guard of this playbook rises.
    world.topic("heal-small", ["2"], 2, min_insync_replicas="2")
    world.sleep(10)
    fault = time.time()
    world.topic("heal-guarded-1", ["1"], 3)
    run = world.answer_to("LabTuneGuarded", fault)
    world.reach(run["id"], {"observing"})
    with world.fault("broker 3, the follower of heal-small, is frozen"):
        world.compose("pause", "kafka-3")
        run = world.reach(run["id"], {"rolling_back", "rolled_back"}, 60)
        world.compose("unpause", "kafka-3")
    run = world.reach(run["id"], {"rolled_back"}, 120)
    story.tell(world, run, fault)
    check(run["rollback_reason"] == "guard_tripped", f"the reason is {run['rollback_reason']}")
    check(run["verdict"] == "regressed", f"the verdict is {run['verdict']}")
    whole(world, run, before, "1")


# ---- the optimizer itself in trouble


@scenario("kill9", 1500)
def kill9(world: World, story: Story) -> None:
    """the optimizer is killed at ten moments of runs: each run ends whole all the same"""
    seed = int(os.environ.get("SEED", random.randrange(1_000_000)))
    chance = random.Random(seed)
    world.say(f"SEED={seed} kills at the same moments again")
    world.topic("heal-victim", EACH * 2, 3)
    world.load("--topic", "heal-victim", "--producers", "6", "--rate", "100", "--for", "3600s")
    world.sleep(25)
    ends: list[str] = []
    kills = 0
    while kills < KILLS:
        kills += 1
        ends.append(one_kill(world, story, chance))
        world.order("quarantine/release")
    check(any(it != "cancelled" for it in ends), "every run was cancelled before it wrote")
    world.say(f"{kills} kills: {', '.join(ends)}")


def one_kill(world: World, story: Story, chance: random.Random) -> str:
    """An order, a kill at any moment of its run, and a look at what became of it."""
    before = world.settings()
    broker = chance.choice(BROKERS)
    orders = [
        {"optimizer": "tune_brokers", "broker": int(broker), "level": "moderate"},
        {"optimizer": "shed_load"},
    ]
    order = chance.choice(orders)
    # Half of them at its beginning, where most is written.
    length = RUN_LENGTHS[order["optimizer"]]
    moment = chance.choice([chance.uniform(0, 3), chance.uniform(0, length)])
    number = world.until("an order that is followed", lambda: followed(world, order), 90)
    fault = time.time()
    world.until("the moment", lambda: time.time() >= fault + moment or ended(world, number), 90)
    state = world.run(number)["state"]
    world.compose("kill", "-s", "SIGKILL", "kafka-optimizer")
    world.sleep(chance.uniform(0, 5))
    world.compose("start", "kafka-optimizer")
    world.until("the optimizer to be ready again", world.ready, 60)
    world.say(f"run {number} ({order['optimizer']}) was {state} at the kill")
    run = world.until(f"the end of run {number}", lambda: ended(world, number), 200)
    if run["state"] == "kept":
        check(run["verdict"] == "improved", f"run {number} is kept, and {run['verdict']}")
        world.take_back(number)
        run = world.run(number)
    check(
        run["state"] in ("rolled_back", "cancelled"),
        f"run {number} is {run['state']}: {last_words(run)}",
    )
    now = world.settings()
    check(now == before, f"run {number} is {run['state']}, and there is {now} instead of {before}")
    if run["state"] == "rolled_back":
        story.tell(world, run, fault)
    return run["state"]


def followed(world: World, order: dict[str, object]) -> int | None:
    """An order is cancelled where an alert would be held, as for samples that are not there yet."""
    number = world.order("runs", order)["id"]
    for _ in range(20):
        if (state := world.run(number)["state"]) == "cancelled":
            time.sleep(5)
            return None
        if state != "queued":
            break
        time.sleep(0.1)
    return number


@scenario("two-alertmanagers", 240)
def two_alertmanagers(world: World, story: Story) -> None:
    """two Alertmanagers that do not know of each other deliver the same alert: one run"""
    before = world.settings()
    world.compose("--profile", "twins", "up", "-d", "--no-deps", "--no-build", "alertmanager-2")
    up = 'up{job="alertmanager"} == 1'
    world.until("two Alertmanagers that are scraped", lambda: len(world.query(up)) == 2, 60)
    sent = 'alertmanager_notifications_total{integration="webhook"}'
    world.until("their counts", lambda: len(world.query(sent)) >= 2, 30)
    counts = {
        it["metric"]["instance"]: float(it["value"][1])
        for it in world.query(f"sum by (instance) ({sent})")
    }
    fault = time.time()
    world.topic("heal-tune-1-twins", ["1"], 3)
    run = world.answer_to("LabTune", fault)

    def both() -> bool:
        now = world.query(f"sum by (instance) ({sent})")
        return all(float(it["value"][1]) > counts.get(it["metric"]["instance"], 0) for it in now)

    world.until("both to have delivered", both, 60)
    run = world.reach(run["id"], {"kept", "rolled_back"}, 150)
    story.tell(world, run, fault)
    world.sleep(20)  # time for a second one
    runs = world.caused_by("LabTune", fault)
    check(len(runs) == 1, f"there are {len(runs)} runs: {[it['id'] for it in runs]}")
    whole(world, run, before, "1")
