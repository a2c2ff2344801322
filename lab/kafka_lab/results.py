"""The machine-readable results, written so that no reader ever sees half a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(path.name + ".new")
    unfinished.write_text(text)
    unfinished.chmod(mode)
    unfinished.replace(path)


def write_json(path: Path, value: Any) -> None:
    write_atomically(path, json.dumps(value, indent=1) + "\n")


def write_variables(path: Path, variables: dict[str, str]) -> None:
    """Lines of KEY=VALUE, as Compose and the live tests read them."""
    lines = [f"{key}={value}\n" for key, value in variables.items()]
    write_atomically(path, "".join(lines))


def read_variables(path: Path) -> dict[str, str]:
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)
