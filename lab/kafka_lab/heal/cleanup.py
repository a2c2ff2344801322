"""From whatever a scenario left to a cluster that the next one may begin with."""

from __future__ import annotations

import time

from ..docker import PROJECT
from ..errors import LabError
from ..optimizer import RunSummary
from ..stack import BROKERS
from .cluster import HealCluster
from .referee import RefereeError

SERVICES = (
    "prometheus",
    "alertmanager",
    "kafka-optimizer",
    *(f"kafka-{broker}" for broker in BROKERS),
)
STATIC_THREADS = 4  # what each pool of a broker starts with (lab/heal/compose.yml)
CONSUMER_LABEL = "kafka-optimizer.role=consumer"
# A range of the recording rules and a baseline: load that ended within it would explain a change.
CALM_AFTER_LOAD = 36.0


def clean_up(cluster: HealCluster) -> None:
    """Services come first: a run does not end while the optimizer is down."""
    start_services(cluster)
    remove_clients(cluster)
    remove_topics(cluster)
    problem = end_runs(cluster)
    remove_leftovers(cluster)
    cluster.optimizer.release_quarantine()

    settle(cluster)
    if problem:
        raise LabError(problem)


def settle(cluster: HealCluster) -> None:
    """Replicas are in sync, preferred leaders lead, nothing fires, and a baseline is calm."""
    waiter, prometheus = cluster.waiter, cluster.prometheus

    def settled() -> bool:
        if cluster.referee.unsettled_partitions() == 0:
            return True
        try:
            cluster.referee.elect_preferred_leaders()
        except RefereeError:
            pass  # a replica that is not in sync cannot be elected yet
        return False

    waiter.until("every partition to be in sync, led by its preferred replica", settled, 180)
    waiter.until("the lab's alerts to end", lambda: not prometheus.alerts())

    measured = "count_over_time(kafka:produce_time:mean_seconds[20s]) >= 6"
    waiter.until(
        "produce times of each broker", lambda: len(prometheus.query(measured)) == len(BROKERS)
    )
    waiter.sleep(cluster.load_ended + CALM_AFTER_LOAD - time.time())


def start_services(cluster: HealCluster) -> None:
    project = cluster.stack.project
    for container in project.containers():
        if container.service not in SERVICES:
            continue
        if container.state == "paused":
            project.compose("unpause", container.service)
        elif container.state != "running":
            project.compose("start", container.service)

    project.compose("--profile", "twins", "rm", "-sf", "alertmanager-2")
    cluster.waiter.until("the optimizer to be ready", cluster.optimizer.is_ready)
    cluster.waiter.until("Prometheus to answer", lambda: cluster.prometheus.query("up"))


def remove_clients(cluster: HealCluster) -> None:
    for container in list(cluster.loads.running):
        cluster.stop_client(container)
    cluster.stack.slow_disk(0)

    # Clones are left: taking them away is the optimizer's part. Other stacks have consumers too.
    ours = f"{PROJECT}={cluster.stack.project.name}"
    consumers = set(cluster.docker.ids(CONSUMER_LABEL, ours)) - set(cluster.clones())
    cluster.docker.remove(*consumers)


def remove_topics(cluster: HealCluster) -> None:
    for topic in cluster.referee.topics():
        if topic.startswith("heal-"):
            cluster.referee.delete_topic(topic)


def end_runs(cluster: HealCluster) -> str | None:
    """Rolls back what was kept, the last first. Returns what could not be rolled back.

    A run that is held ends with its alert.
    """
    optimizer = cluster.optimizer
    problem = None
    for run in optimizer.runs():
        if run.state == "kept" and leaves_something(cluster, run):
            try:
                cluster.follower.roll_back(run.id)
            except LabError as error:
                problem = str(error)

    for run in optimizer.runs():
        if run.state == "stuck" and not run.acknowledged:
            optimizer.acknowledge(run.id)

    def all_ended() -> bool:
        return all(run.has_ended() for run in optimizer.runs())

    cluster.waiter.until("every run to end", all_ended, 200)
    return problem


def leaves_something(cluster: HealCluster, run: RunSummary) -> bool:
    """An election leaves nothing that could be undone."""
    steps = cluster.optimizer.run(run.id).steps
    return any(step.subject != "leaders" and step.state != "undone" for step in steps)


def remove_leftovers(cluster: HealCluster) -> None:
    """What is left in spite of that: quotas, clones, dynamic broker configs."""
    if cluster.referee.quotas():
        cluster.progress.say("cleaning up: quotas were left")
        cluster.referee.remove_quotas()
    for clone in cluster.clones():
        cluster.progress.say(f"cleaning up: clone {clone[:12]} was left")
        cluster.docker.remove(clone)
    for broker in BROKERS:
        for key in cluster.referee.broker_config(broker):
            cluster.progress.say(f"cleaning up: {key} of broker {broker} was left")
            remove_config(cluster, broker, key)


def remove_config(cluster: HealCluster, broker: str, key: str) -> None:
    """A broker refuses to more than double or halve a pool, so this goes in steps."""
    referee = cluster.referee

    def removed() -> bool:
        try:
            referee.remove_config(broker, key)
        except RefereeError:
            current = int(referee.effective_value(broker, key))
            nearer = current * 2 if current < STATIC_THREADS else current // 2
            try:
                referee.set_config(broker, key, str(nearer))
            except RefereeError:
                pass  # the step before is not in force yet
        return key not in referee.broker_config(broker)

    cluster.waiter.until(f"{key} of broker {broker} to be removed", removed, 60)
