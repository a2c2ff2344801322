"""Plays a morning with a cluster, and writes down what each command prints."""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

from ..cleanup import exclusive, uninterrupted
from ..demo.acts import starve, warm_up
from ..demo.result import Result
from ..demo.stage import ALERT, REAL_DISK, Stage, Strains
from ..engine import build_everything, install_packages, running_engine
from ..paths import ROOT, TARGET
from ..progress import Progress
from ..rendering import Windows
from ..results import write_atomically
from ..settings import Settings
from ..stack import Stack
from ..waiting import Waiter
from .transcript import LINES_MAX, Transcript

TOPIC = "tour-orders"
TOKEN = "KAFKA_OPTIMIZER_TOKEN_FILE=/run/secrets/webhook-token"
CONFIG = "/etc/kafka-optimizer/kafka-optimizer.yml"
COMMAND_TIMEOUT = 300.0
BASELINE_MINUTES = 5


def tour(settings: Settings) -> int:
    """The exit code: 0 when every command did what the page says of it."""
    offset = settings.tour_port_offset
    stack = Stack.named("tour", "kafka-optimizer-tour", offset, Windows.DEMO)
    progress = Progress()
    waiter = Waiter(progress)

    with ExitStack() as cleanups:
        cleanups.enter_context(exclusive(TARGET / "tour.lock", "another make tour is running"))
        cleanups.enter_context(running_engine(keep=settings.keep))
        install_packages()
        stack.clear()
        stack.prepare(build_everything(settings, progress))
        cleanups.callback(lambda: _remove(stack, settings))

        progress.headline("Starting the stack")
        stack.start(waiter)
        strains = Strains() if stack.has_slow_disk() else REAL_DISK
        stage = Stage(stack, waiter, Result(), strains)
        played = Tour(stage)
        played.play()

    # A page that shows something else than its sentences say is no document.
    out = stack.folder / "tour.md" if played.problems else ROOT / "docs/tour.md"
    write_atomically(out, played.page.text())
    print(f"{out} is written")
    for problem in played.problems:
        print(f"UNEXPECTED: {problem}")
    return 1 if played.problems else 0


def _remove(stack: Stack, settings: Settings) -> None:
    if not settings.keep:
        with uninterrupted():
            stack.project.remove()


@dataclass
class Tour:
    stage: Stage
    page: Transcript = field(default_factory=Transcript)
    problems: list[str] = field(default_factory=list)  # commands that did what was not expected

    def play(self) -> None:
        self._first_look()
        self._healthy()
        self._trouble()
        self._after()
        self._by_hand()
        self._load()

    # ---- commands

    def run(self, words: str, exit_code: int = 0, lines: int = LINES_MAX) -> None:
        """In the optimizer's container, as a person would. Its output becomes part of the page."""
        script = str(self.stage.stack.project.script)
        inside = ["exec", "-T", "-e", TOKEN, "kafka-optimizer", "kafka-optimizer"]
        self.stage.say(f"$ kafka-optimizer {words}")
        done = subprocess.run(
            [script, "--progress", "quiet", *inside, *words.split()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=COMMAND_TIMEOUT,
        )
        if done.returncode != exit_code:
            self.problems.append(f"`{words}` ended with {done.returncode}, not {exit_code}")
        self.page.command(words, done.stdout, lines)

    # ---- the parts

    def _first_look(self) -> None:
        page = self.page
        page.heading("Before anything runs")
        self.run("version")
        self.run("completion bash", lines=6)
        self.run("man", lines=6)
        page.sentence("Every problem of a file at once, each with its place and what to do:")
        self.run(f"check-config {CONFIG}")

    def _healthy(self) -> None:
        stage, page = self.stage, self.page
        warm_up(stage)
        stage.kafka.create_replicated_topic(TOPIC, 12)
        stage.produce("1", TOPIC, 12, 12, 300)
        stage.say(f"{BASELINE_MINUTES} minutes with load, for a baseline")
        stage.waiter.sleep(60 * BASELINE_MINUTES + 20)

        page.heading("A healthy cluster")
        self.run("status")
        self.run("analyze")
        page.sentence("A baseline has a name, to compare with after an upgrade or a change:")
        self.run(f"baseline record usual --for {BASELINE_MINUTES}m --yes")

    def _trouble(self) -> None:
        stage, page = self.stage, self.page
        stage.headline("Trouble: broker 1 is left with one I/O thread, on a slow disk")
        begun = time.time()
        starve(stage)
        stage.follower.alert_to_run(ALERT, begun, "1", timeout=150)

        page.heading("Trouble")
        page.sentence(
            "Broker 1 was left with one I/O thread, on a slow disk. The alert fires, and a run"
            " answers it:"
        )
        self.run("status")
        page.sentence("What is wrong, by the same thresholds, without waiting for an alert:")
        self.run("analyze")

        [run] = stage.optimizer.runs_caused_by(ALERT, begun, "broker 1")
        stage.follower.reach(run.id, {"kept", "rolled_back"}, 240)
        self.run_id = run.id

    def _after(self) -> None:
        page, id = self.page, self.run_id
        page.heading("What was done")
        self.run("runs")
        self.run(f"runs {id}")
        page.sentence("A verdict can be computed again from what was stored with the run:")
        self.run(f"runs {id} --again")
        self.run("temporary-changes")
        self.run("journal --limit 12")

        page.heading("Compare and report")
        self.run("baseline list")
        self.run("baseline compare usual")
        page.sentence("What producers and consumers could set differently, from a few batches:")
        self.run("analyze --advise")
        page.sentence("What was done, what came of it, how the load grows, what is next:")
        self.run("report", lines=90)
        page.sentence(
            "How often the cluster would have deceived a playbook: verdicts for times at which"
            " nobody changed anything. Of these, each `improved` and `regressed` is false."
        )
        replay = f"replay --config.file {CONFIG} --playbook broker-threads --broker 2"
        self.run(f"{replay} --since 5m --every 1m")

    def _by_hand(self) -> None:
        page, id = self.page, self.run_id
        page.heading("By hand")
        page.sentence("What would be done, validated by the brokers, without doing it:")
        self.run("tune-brokers --level moderate --broker 3 --rehearse --wait")
        page.sentence("Undo exactly what a run has done:")
        self.run(f"rollback {id} --yes")
        self.run("pause --yes")
        self.run("resume --yes")
        self.run("release --yes")
        page.sentence("What cannot be done is refused, and says why:")
        for order in ("approve", "reject", "cancel", "retry", "acknowledge"):
            self.run(f"{order} {id} --yes", exit_code=1)
        self.run("elect-leaders --rehearse --wait", exit_code=1)
        self.run("scale-consumers --group nobody --rehearse --wait --yes", exit_code=1)
        self.run("shed-load --rehearse --wait --yes", exit_code=1)
        self.run("reapply --broker 3 --rehearse --wait --yes", exit_code=1)
        self.run("runs 999", exit_code=1)
        self.run("tune-brokers --level modest", exit_code=2)

        self.run("baseline delete usual --yes")

    def _load(self) -> None:
        self.stage.stop_producing()
        self.page.heading("Load")
        servers = "--kafka.server kafka-1:9092"
        self.run(f"load baseline {servers} --scale 0.02")
        closed = f"load produce {servers} --topic {TOPIC} --partitions 12"
        self.run(f"{closed} --producers 6 --rate 600 --for 10s", lines=30)
