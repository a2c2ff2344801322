"""The stack of make heal, as the scenarios see and handle it."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

BROKERS = ("1", "2", "3")
ENDS = frozenset({"kept", "expired", "rolled_back", "stuck", "cancelled", "rehearsed"})
CLONES = "kafka-optimizer.run"
Run = dict[str, Any]
T = TypeVar("T")
Samples = list[tuple[float, float]]


class Failed(Exception):
    """Why a scenario did not pass."""


def check(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Failed(otherwise)


def seconds(text: str | None) -> float | None:
    """RFC 3339 to Unix seconds."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp() if text else None


class Referee:
    """Referee.java: what Kafka's own clients see, and the hands of the scenarios."""

    def __init__(self, servers: str, libs: str, folder: Path) -> None:
        self.timeline = folder / "replicas"
        classpath = f"{folder / 'classes'}:{libs}/*"
        with (folder / "referee.log").open("w") as log:
            self.child = subprocess.Popen(
                ["java", "-Xmx256m", "-cp", classpath, "Referee", servers, str(self.timeline)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def ask(self, *order: str) -> str:
        """The answer's words; Failed where Kafka says no, or nothing."""
        assert self.child.stdin and self.child.stdout
        late = threading.Timer(200, self.child.kill)
        late.start()
        try:
            self.child.stdin.write(" ".join(order) + "\n")
            self.child.stdin.flush()
            answer = self.child.stdout.readline().strip()
        finally:
            late.cancel()
        said, _, words = answer.partition(" ")
        check(said == "ok", f"{' '.join(order)}: {words or 'the referee is gone, see referee.log'}")
        return words

    def end(self) -> None:
        assert self.child.stdin
        self.child.stdin.close()
        self.child.wait(10)


@dataclass
class Fault:
    """Something that the scenario did to a broker; `until` is None while it lasts."""

    what: str
    since: float
    until: float | None = None


@dataclass
class World:
    folder: Path
    prometheus: str
    alertmanager: str
    optimizer: str
    token: str
    referee: Referee
    deadline: float = 0.0
    told: float = 0.0
    loaded: float = 0.0  # until when there was load beside the referee's
    faults: list[Fault] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)

    @classmethod
    def from_environment(cls) -> World:
        of = os.environ
        folder = Path(of["HEAL_FOLDER"])
        return cls(
            folder,
            of["PROMETHEUS"],
            of["ALERTMANAGER"],
            of["OPTIMIZER"],
            (folder / "secrets/webhook-token").read_text(),
            Referee(of["HEAL_SERVERS"], of["HEAL_LIBS"], folder),
        )

    # ---- time

    def until(self, what: str, found: Callable[[], T | None], limit: float = 120) -> T:
        """Waits for an answer that is true; a service that does not answer is not there yet."""
        end = min(time.monotonic() + limit, self.deadline)
        fault = ""
        while True:
            try:
                if answer := found():
                    return answer
                fault = ""
            except (OSError, ValueError) as error:
                fault = f" ({error})"
            if time.monotonic() >= end:
                raise Failed(f"{what}: not within {limit:.0f} s{fault}")
            time.sleep(0.5)

    def sleep(self, length: float) -> None:
        time.sleep(max(0, min(length, self.deadline - time.monotonic())))
        check(time.monotonic() < self.deadline, "the scenario's time is over")

    def say(self, text: str) -> None:
        print(f"  {time.monotonic() - self.told:5.0f} s  {text}", flush=True)

    # ---- Docker

    def compose(self, *words: str, limit: float = 150) -> str:
        command = [str(self.folder / "compose"), "--progress", "quiet", *words]
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
        check(done.returncode == 0, f"compose {' '.join(words)}: {done.stderr.strip()[-300:]}")
        return done.stdout.strip()

    def docker(self, *words: str) -> str:
        done = subprocess.run(["docker", *words], capture_output=True, text=True, timeout=60)
        check(done.returncode == 0, f"docker {' '.join(words)}: {done.stderr.strip()[-300:]}")
        return done.stdout.strip()

    def load(self, *arguments: str) -> str:
        """Starts `kafka-optimizer load produce`: clients that wait for each answer."""
        return self.client("load", "load", "produce", "--kafka.server", "kafka-1:9092", *arguments)

    def traffic(self, topic: str, client: str, rate: int, size: int, batch: int) -> str:
        """Starts Traffic.java; one that waits for nothing."""
        return self.client("traffic", topic, client, str(rate), str(size), str(batch))

    def client(self, *words: str) -> str:
        container = self.compose("run", "-d", "--no-deps", *words).splitlines()[-1]
        self.loads.append(container)
        return container

    def stop(self, container: str) -> None:
        self.docker("rm", "-f", container)
        self.loads.remove(container)
        self.loaded = time.time()

    def clones(self) -> list[str]:
        return self.docker("ps", "-aq", "--filter", f"label={CLONES}").split()

    @contextmanager
    def fault(self, what: str) -> Iterator[Fault]:
        """What replicas do from here on is the scenario's doing, until they are in sync again."""
        fault = Fault(what, time.time())
        self.faults.append(fault)
        self.say(what)
        try:
            yield fault
        finally:
            fault.until = time.time()

    def restart_broker(self, broker: str) -> Fault:
        with self.fault(f"broker {broker} is restarted by hand") as fault:
            self.compose("stop", "-t", "60", f"kafka-{broker}")
            self.compose("start", f"kafka-{broker}")
            self.until(f"broker {broker} to answer", lambda: self.answers(broker), 60)
        return fault

    # ---- Kafka

    def topic(self, name: str, leaders: list[str], replicas: int, **configs: str) -> None:
        """One partition for each of `leaders`, which are ids of brokers."""

        def placed(leader: str) -> str:
            at = BROKERS.index(leader)
            return ":".join(BROKERS[(at + it) % len(BROKERS)] for it in range(replicas))

        words = [f"{key.replace('_', '.')}={value}" for key, value in configs.items()]
        self.referee.ask("create", name, ",".join(placed(it) for it in leaders), *words)

    def settings(self) -> dict[str, str]:
        """All that the optimizer may change and has to put back, as Kafka and Docker say it."""
        said = {f"broker {it}": self.referee.ask("config", it) for it in BROKERS}
        said["quotas"] = self.referee.ask("quotas")
        said["clones"] = " ".join(self.clones())
        return said

    def answers(self, broker: str) -> bool:
        try:
            self.referee.ask("config", broker)
        except Failed:
            return False  # not every client knows that it is back
        return True

    def dynamic(self, broker: str) -> dict[str, str]:
        """KEY: STORED/IN_FORCE of what is set for the broker."""
        return dict(it.split("=", 1) for it in self.referee.ask("config", broker).split())

    # ---- Prometheus

    def query(self, expression: str, **more: str) -> list[dict[str, Any]]:
        kind = "query_range" if "start" in more else "query"
        words = urllib.parse.urlencode({"query": expression, **more})
        answer = get(f"{self.prometheus}/api/v1/{kind}?{words}")
        return answer["data"]["result"]

    def value(self, expression: str) -> float | None:
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None

    def first_at(self, expression: str, since: float) -> float | None:
        """When the expression first had a series, to the second."""
        times = {"start": str(since), "end": str(time.time()), "step": "1"}
        found = self.query(expression, **times)
        return min((it["values"][0][0] for it in found), default=None)

    def firing(self, alert: str, **labels: str) -> str:
        labels = {"alertname": alert, "alertstate": "firing", **labels}
        return "ALERTS{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"

    def alerts(self) -> list[str]:
        """What is pending or fires."""
        found = get(f"{self.prometheus}/api/v1/alerts")["data"]["alerts"]
        return [it["labels"]["alertname"] for it in found]

    # ---- the optimizer

    def runs(self) -> list[Run]:
        return get(f"{self.optimizer}/api/v1/runs?limit=1000")["runs"]

    def run(self, number: int) -> Run:
        return get(f"{self.optimizer}/api/v1/runs/{number}")

    def measures(self) -> list[Run]:
        return get(f"{self.optimizer}/api/v1/temporary-changes")["runs"]

    def order(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        return post(f"{self.optimizer}/api/v1/{path}", body or {}, self.token)

    def caused_by(self, alert: str, since: float) -> list[Run]:
        """Runs of that alert that are younger than `since`, oldest first."""
        return sorted(
            (
                it
                for it in self.runs()
                if it["cause"] == alert and seconds(it["created_at"]) >= since - 1
            ),
            key=lambda it: it["id"],
        )

    def answer_to(self, alert: str, since: float, limit: float = 120) -> Run:
        """The alert fires, and there is a run for it."""
        self.until(f"{alert} fires", lambda: self.query(self.firing(alert)), limit)
        self.say(f"{alert} fires")
        return self.until(f"a run for {alert}", lambda: self.caused_by(alert, since), 60)[0]

    def reach(self, number: int, states: set[str], limit: float = 150) -> Run:
        """Follows a run into one of `states`; Failed where it ends elsewhere."""
        state = ""

        def there() -> Run | None:
            nonlocal state
            run = self.run(number)
            now = f"{run['state']} {run['hold'] or ''}".strip()
            if now != state:
                self.say(f"run {number}: {now}{': ' + run['note'] if run['hold'] else ''}")
                state = now
            if run["state"] in states:
                return run
            check(
                run["state"] not in ENDS or run["state"] == "kept" and "expired" in states,
                f"run {number} ended as {run['state']}: {last_words(run)}",
            )
            return None

        return self.until(f"run {number} to be {' or '.join(sorted(states))}", there, limit)

    def take_back(self, number: int) -> None:
        """Orders a kept run back; until the order is seen to, it is kept still."""
        self.order(f"runs/{number}/rollback")
        ends = ENDS - {"kept"}
        run = self.until(
            f"run {number} to go back",
            lambda: run if (run := self.run(number))["state"] in ends else None,
        )
        check(run["state"] == "rolled_back", f"run {number} is {run['state']}: {last_words(run)}")

    def ready(self) -> bool:
        with urllib.request.urlopen(f"{self.optimizer}/-/ready", timeout=2) as answer:
            return answer.status == 200


def last_words(run: Run) -> str:
    """Why it ended so: what decided, and the last line."""
    lines = [f"{it['entry']}: {it['text']}" for it in run["journal"]]
    decided = [it for it in lines if it.startswith(("verdict:", "stop:", "expire:"))]
    return "; ".join(
        [*decided[-1:], *lines[-1:], *([run["hold"], run["note"]] if run["hold"] else [])]
    )


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return json.load(answer)


def post(url: str, body: Any, token: str | None = None) -> Any:
    """Failed with the answer's words where it is a no."""
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as refused:
        text = refused.read().decode(errors="replace")
        raise Failed(f"POST {url}: {refused.code} {text[:300]}") from refused
