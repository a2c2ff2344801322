"""The command line: one command for each make target. usage: lab/run.sh COMMAND [WORDS]"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from .advise.command import advise
from .bench.command import bench, frozen
from .cleanup import interrupt_on_sigterm
from .demo.command import demo, demo_down
from .diagnose.command import diagnose
from .errors import LabError
from .heal.command import heal
from .live.effect import effect
from .live.security import security_project, start_security
from .live.stacks import (
    kafka_39_project,
    start_kafka_39,
    start_live_stack,
    stop_live_stack,
    stop_project,
)
from .load_bench.command import bench_load
from .proof.command import proof_live
from .rendering import Windows, render
from .settings import Settings
from .suite import suite
from .tour.command import tour
from .up import down, up

COMMANDS: dict[str, Callable[[Settings], int]] = {
    "demo": demo,
    "demo-down": lambda settings: demo_down(),
    "up": up,
    "down": lambda settings: down(),
    "heal": heal,
    "proof-live": proof_live,
    "diagnose": diagnose,
    "tour": tour,
    "advise": advise,
    "bench": bench,
    "bench-load": bench_load,
    "frozen": frozen,
    "effect": effect,
    "suite": suite,
}
# Started and stopped by lab/test.sh: `live up`, `live down`.
STACKS: dict[str, dict[str, Callable[[Settings], None]]] = {
    "live": {"up": start_live_stack, "down": stop_live_stack},
    "live-security": {
        "up": start_security,
        "down": lambda settings: stop_project(security_project()),
    },
    "live-3.9": {
        "up": start_kafka_39,
        "down": lambda settings: stop_project(kafka_39_project()),
    },
}
USAGE = f"""usage: lab/run.sh {"|".join(COMMANDS)}
       lab/run.sh {"|".join(STACKS)} up|down
       lab/run.sh render OUT_FOLDER {"|".join(Windows)}"""


def main(words: list[str]) -> int:
    settings = Settings.from_environment(os.environ)
    match words:
        case [command] if command in COMMANDS:
            return COMMANDS[command](settings)
        case [stack, order] if order in STACKS.get(stack, {}):
            STACKS[stack][order](settings)
            return 0
        case ["render", out, windows] if windows in set(Windows):
            render(Path(out), Windows(windows))
            return 0
        case _:
            raise LabError(USAGE)


def guarded_main(words: list[str]) -> int:
    interrupt_on_sigterm()
    try:
        return main(words)
    except LabError as error:
        print(f"lab: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lab: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(guarded_main(sys.argv[1:]))
