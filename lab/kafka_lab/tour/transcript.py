"""A page of commands with what they printed."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

LINES_MAX = 60
# One sentence a line, as in every document.
HEAD = "\n".join(
    [
        "# Tour",
        "",
        "Every command on a real cluster: three brokers in containers on one machine, the shipped"
        " rules and playbooks, windows shortened as in `make demo`.",
        "`make tour` runs the commands and writes this page; only the sentences between them are"
        " written by hand.",
        "A line that begins with `$` is what was typed, and `…` stands for lines left out.",
        "Printed to a file, tables are as wide as they have to be; at a terminal they fit it.",
        "The address of the server and its token come from `KAFKA_OPTIMIZER_SERVER` and"
        " `KAFKA_OPTIMIZER_TOKEN_FILE`.",
        "",
    ]
)


@dataclass
class Transcript:
    parts: list[str] = field(default_factory=lambda: [HEAD])

    def heading(self, text: str) -> None:
        self.parts.append(f"## {text}\n")

    def sentence(self, text: str) -> None:
        self.parts.append(f"{text}\n")

    def command(self, words: str, printed: str, lines: int = LINES_MAX) -> None:
        self.parts.append(f"```console\n$ kafka-optimizer {words}\n{shown(printed, lines)}```\n")

    def text(self) -> str:
        return "\n".join(self.parts)


def shown(printed: str, lines_max: int) -> str:
    """Without colours and without blanks at the end of a line; long output is cut."""
    plain = re.sub(r"\x1b\[[0-9;]*m", "", printed)
    lines = [line.rstrip() for line in plain.strip("\n").splitlines()]
    if len(lines) > lines_max:
        lines = [*lines[: lines_max - 1], "…"]
    return "".join(f"{line}\n" for line in lines)
