"""From whatever a scenario left to a cluster that the next one may begin with."""

from __future__ import annotations

import time

from world import BROKERS, ENDS, Failed, Run, World

SERVICES = ("prometheus", "alertmanager", "kafka-optimizer", *(f"kafka-{it}" for it in BROKERS))
THREADS = 4  # in each pool of a broker at its start (compose.yml)


def make_clean(world: World) -> None:
    """What is running again comes first: an optimizer that is down ends no run."""
    start_all(world)
    for container in list(world.loads):
        world.stop(container)
    (world.folder / "slow/us").write_text("0\n")
    stop_consumers(world)
    for topic in world.referee.ask("topics").split():
        if topic.startswith("heal-"):
            world.referee.ask("delete", topic)
    fault = end_runs(world)
    remove_by_hand(world)
    world.order("quarantine/release")
    make_well(world)
    if fault:
        raise Failed(fault)


def make_well(world: World) -> None:
    """Every replica in sync, the preferred leaders lead, nothing fires, and a baseline is calm."""
    elected(world)
    world.until("the lab's alerts to end", lambda: not world.alerts())
    times = "count_over_time(kafka:produce_time:mean_seconds[20s]) >= 6"
    world.until("produce times of each broker", lambda: len(world.query(times)) == len(BROKERS))
    # Load that ended within it would explain whatever a run is judged by: a range and a baseline.
    world.sleep(world.loaded + 36 - time.time())


def elected(world: World) -> None:
    def well() -> bool:
        if world.referee.ask("whole") == "0":
            return True
        try:
            world.referee.ask("elect")
        except Failed:
            pass  # a replica that is not in sync yet refuses
        return False

    world.until("every partition led by its preferred replica and in sync", well, 180)


def start_all(world: World) -> None:
    for line in world.docker(
        "ps",
        "-a",
        "--filter",
        f"label=com.docker.compose.project={project(world)}",
        "--format",
        '{{.Label "com.docker.compose.service"}} {{.State}}',
    ).splitlines():
        service, state = line.split(" ")
        if service not in SERVICES:
            continue
        if state == "paused":
            world.compose("unpause", service)
        elif state != "running":
            world.compose("start", service)
    world.compose("--profile", "twins", "rm", "-sf", "alertmanager-2")
    world.until("the optimizer to be ready", world.ready)
    world.until("Prometheus to answer", lambda: world.query("up"))


def project(world: World) -> str:
    container = world.compose("ps", "-q", "kafka-optimizer", "-a").splitlines()[0]
    return world.docker(
        "inspect", "-f", '{{index .Config.Labels "com.docker.compose.project"}}', container
    )


def stop_consumers(world: World) -> None:
    clones = set(world.clones())
    found = world.docker(
        "ps", "-aq", "--no-trunc", "--filter", "label=kafka-optimizer.role=consumer"
    )
    for container in found.split():
        if not any(container.startswith(it) for it in clones):
            world.docker("rm", "-f", container)


def end_runs(world: World) -> str | None:
    """Takes back what was kept, the last first; says what did not go back.

    A run that is held ends with its alert.
    """
    fault = None
    for run in sorted(world.runs(), key=lambda it: -it["id"]):
        if run["state"] == "kept" and not settled(world, run):
            try:
                world.take_back(run["id"])
            except Failed as failure:
                fault = str(failure)
    for run in world.runs():
        if run["state"] == "stuck" and not run["acknowledged"]:
            world.order(f"runs/{run['id']}/acknowledge")
    world.until("every run to end", lambda: all(over(it) for it in world.runs()), 200)
    return fault


def settled(world: World, run: Run) -> bool:
    """Nothing of it stands any more: an election, or a value that is gone."""
    detail = world.run(run["id"])
    return all(it["subject"] == "leaders" or it["state"] == "undone" for it in detail["steps"])


def over(run: Run) -> bool:
    return run["state"] in ENDS


def remove_by_hand(world: World) -> None:
    """What is left in spite of all that: dynamic keys, quotas, clones."""
    if world.referee.ask("quotas"):
        world.say("cleaning: quotas were left")
        world.referee.ask("unquota")
    for clone in world.clones():
        world.say(f"cleaning: clone {clone} was left")
        world.docker("rm", "-f", clone)
    for broker in BROKERS:
        for key in world.dynamic(broker):
            world.say(f"cleaning: {key} of broker {broker} was left")
            walk_back(world, broker, key)


def walk_back(world: World, broker: str, key: str) -> None:
    """To what the broker starts with. It refuses less than half and more than double at once, and
    shows a step only when it has taken it.
    """

    def gone() -> bool:
        try:
            world.referee.ask("unset", broker, key)
        except Failed:
            now = int(world.referee.ask("value", broker, key))
            nearer = now * 2 if now < THREADS else now // 2
            try:
                world.referee.ask("set", broker, key, str(nearer))
            except Failed:
                pass  # the step before is not in force yet
        return key not in world.dynamic(broker)

    world.until(f"{key} of broker {broker} to be gone", gone, 60)
