"""The brokers while exporters are measured: what they hold, use and count."""

from __future__ import annotations

import os
import re
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from ..commands import run
from ..docker import Docker
from ..errors import LabError
from ..paths import LAB
from .plan import Plan

TICKS = os.sysconf("SC_CLK_TCK")
FILL_TIMEOUT = 600.0

# Followers fetch all the time. Fetch counts followers and consumers, FetchConsumer only consumers.
NOT_OF_CLIENTS = {"Fetch", "FetchFollower"}
REQUESTS = re.compile(
    r'^kafka_network_requestmetrics_requests_total\{request="(\w+)",version="\w+"\} (\S+)$',
    re.MULTILINE,
)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process since it started."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def busy_seconds() -> float:
    """CPU time that this machine spent on anything since it started."""
    fields = [int(value) for value in Path("/proc/stat").read_text().split(maxsplit=9)[1:9]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields
    return (user + nice + system + irq + softirq + steal) / TICKS


@dataclass
class Placement:
    """Which broker leads each (topic, partition), and which coordinates each group."""

    leaders: dict[tuple[str, int], int] = field(default_factory=dict)
    coordinators: dict[str, int] = field(default_factory=dict)


Requests = dict[str, float]  # by kind of request


@dataclass
class Window:
    """What the brokers did in a time; `busy` is the CPU of everything on the machine."""

    seconds: float
    cpu: float
    requests: Requests
    busy: float

    def minus_idle(self, idle: Window) -> Window:
        """Without what they would have done anyway."""
        share = self.seconds / idle.seconds
        own = added(self.requests, idle.requests, -share)
        requests = {kind: count for kind, count in own.items() if count > 0}
        return Window(self.seconds, self.cpu - idle.cpu * share, requests, self.busy)

    def plus(self, other: Window) -> Window:
        """Both, as one window."""
        return Window(
            self.seconds + other.seconds,
            self.cpu + other.cpu,
            added(self.requests, other.requests, 1),
            self.busy + other.busy,
        )


def added(first: Requests, second: Requests, factor: float) -> Requests:
    """The first plus the second times the factor."""
    kinds = first.keys() | second.keys()
    return {kind: first.get(kind, 0) + second.get(kind, 0) * factor for kind in kinds}


@dataclass(frozen=True)
class Brokers:
    """`containers` are in the order of broker ids, and `pids` are their first processes.

    `jmx_ports` publish how many requests each broker had.
    """

    bootstrap: str
    containers: list[str]
    pids: list[int]
    jmx_ports: list[int]
    libraries: Path

    def count(self) -> int:
        return len(self.containers)

    def fill(self, plan: Plan) -> Placement:
        """Makes the cluster hold what the plan says; every preferred replica leads after it."""
        source = str(LAB / "bench" / "Fill.java")
        command = ["java", "-Xmx512m", "-cp", f"{self.libraries}/*", source, self.bootstrap]
        done = run(command, timeout=FILL_TIMEOUT, input_text=plan.text())
        return parse_placement(done.stdout)

    def cpu(self) -> float:
        return sum(cpu_seconds(pid) for pid in self.pids)

    def requests(self) -> Requests:
        """What clients asked since the brokers started."""
        total: Requests = {}
        for port in self.jmx_ports:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
                for request, count in REQUESTS.findall(page.read().decode()):
                    if request not in NOT_OF_CLIENTS:
                        total[request] = total.get(request, 0) + float(count)
        if not total:
            raise LabError("the brokers' JMX pages count no request: check lab/bench/jmx/kafka.yml")
        return total

    def idle(self, seconds: float) -> Window:
        watch = Watch(self)
        time.sleep(seconds)
        return watch.end()


def broker_pid(docker: Docker, container: str) -> int:
    pid = int(docker.inspect(container, "{{.State.Pid}}"))
    name = Path(f"/proc/{pid}/comm").read_text().strip()
    if name != "java":
        raise LabError(f"the first process of {container[:12]} is {name}, not the broker")
    return pid


class Watch:
    """Begins when made. Reading the page of counters costs CPU, so that is outside of it."""

    def __init__(self, brokers: Brokers) -> None:
        self._brokers = brokers
        self._requests = brokers.requests()
        self._cpu, self._busy = brokers.cpu(), busy_seconds()
        self._begun = time.monotonic()

    def end(self) -> Window:
        seconds = time.monotonic() - self._begun
        cpu, busy = self._brokers.cpu() - self._cpu, busy_seconds() - self._busy
        requests = added(self._brokers.requests(), self._requests, -1)
        return Window(seconds, cpu, requests, busy)


def parse_placement(text: str) -> Placement:
    """From what Fill.java prints."""
    placement = Placement()
    for line in text.splitlines():
        kind, name, *brokers = line.split()
        if kind == "coordinator":
            placement.coordinators[name] = int(brokers[0])
        else:
            leaders = {(name, index): int(broker) for index, broker in enumerate(brokers)}
            placement.leaders.update(leaders)
    return placement
