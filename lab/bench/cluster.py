"""The brokers under measurement: what they hold, use and count."""

from __future__ import annotations

import os
import re
import subprocess
import time
import urllib.request
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from plan import Plan

TICKS = os.sysconf("SC_CLK_TCK")
HERE = Path(__file__).parent

# Followers fetch all the time. Fetch counts them and consumers, FetchConsumer the consumers alone.
NOT_OF_CLIENTS = {"Fetch", "FetchFollower"}
REQUESTS = re.compile(
    r'^kafka_network_requestmetrics_requests_total\{request="(\w+)",version="\w+"\} (\S+)$', re.M
)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process since it started."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def busy_seconds() -> float:
    """CPU time that this machine spent on anything since it started."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = (
        int(it) for it in Path("/proc/stat").read_text().split(maxsplit=9)[1:9]
    )
    return (user + nice + system + irq + softirq + steal) / TICKS


@dataclass
class Placement:
    """Who leads each partition, and who coordinates each group."""

    leaders: dict[tuple[str, int], int]
    coordinators: dict[str, int]


@dataclass
class Window:
    """What the brokers did in a time; `busy` is the CPU of everything on the machine."""

    seconds: float
    cpu: float
    requests: Counter[str]
    busy: float

    def beyond(self, idle: Window) -> Window:
        """Without what they would have done anyway."""
        share = self.seconds / idle.seconds
        requests = {it: n - idle.requests[it] * share for it, n in self.requests.items()}
        kept = Counter({it: n for it, n in requests.items() if n > 0})
        return Window(self.seconds, self.cpu - idle.cpu * share, kept, self.busy)

    def with_(self, other: Window) -> Window:
        """Both, as one window."""
        return Window(
            self.seconds + other.seconds,
            self.cpu + other.cpu,
            self.requests + other.requests,
            self.busy + other.busy,
        )


class Watch:
    """Begins when made. Reading the page of counters costs CPU, so that is not part of it."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.requests = cluster.requests()
        self.cpu, self.busy, self.begun = cluster.cpu(), busy_seconds(), time.monotonic()

    def end(self) -> Window:
        seconds = time.monotonic() - self.begun
        cpu, busy = self.cluster.cpu() - self.cpu, busy_seconds() - self.busy
        return Window(seconds, cpu, self.cluster.requests() - self.requests, busy)


class Cluster:
    """As lab/bench.sh started it and describes it in the environment."""

    def __init__(self) -> None:
        env = os.environ
        self.bootstrap = env["BENCH_BOOTSTRAP"]
        self.libs = env["BENCH_LIBS"]
        self.jmx_ports = [int(it) for it in env["BENCH_JMX_PORTS"].split()]
        self.containers = env["BENCH_CONTAINERS"].split()
        self.pids = [self._pid(it) for it in self.containers]

    @staticmethod
    def _pid(container: str) -> int:
        asked = ["docker", "inspect", "-f", "{{.State.Pid}}", container]
        pid = int(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        if name != "java":
            raise RuntimeError(f"the first process of {container} is {name}, not the broker")
        return pid

    def fill(self, plan: Plan) -> Placement:
        """Makes the cluster hold what the plan says; also brings leaders back where they belong."""
        command = ["java", "-Xmx512m", "-cp", f"{self.libs}/*", str(HERE / "Fill.java")]
        done = subprocess.run(
            [*command, self.bootstrap],
            input=plan.text(),
            stdout=subprocess.PIPE,
            check=True,
            text=True,
            timeout=600,
        )
        placement = Placement({}, {})
        for kind, name, *brokers in (line.split() for line in done.stdout.splitlines()):
            if kind == "coordinator":
                placement.coordinators[name] = int(brokers[0])
            else:
                leaders = {(name, at): int(it) for at, it in enumerate(brokers)}
                placement.leaders.update(leaders)
        return placement

    def cpu(self) -> float:
        return sum(cpu_seconds(it) for it in self.pids)

    def requests(self) -> Counter[str]:
        """What clients asked since the brokers started."""
        total: Counter[str] = Counter()
        for port in self.jmx_ports:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as page:
                for request, count in REQUESTS.findall(page.read().decode()):
                    if request not in NOT_OF_CLIENTS:
                        total[request] += int(float(count))
        if not total:
            raise RuntimeError("the brokers' pages count no request")
        return total

    def idle(self, seconds: float) -> Window:
        watch = Watch(self)
        time.sleep(seconds)
        return watch.end()
