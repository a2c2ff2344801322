"""The environment variables of the make targets, read in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import LabError


@dataclass(frozen=True)
class Settings:
    """Port offsets are added to the ports of `make demo`."""

    only: tuple[str, ...] = ()  # ONLY: the scenarios or exporters to run
    sizes: tuple[str, ...] = ()  # SIZES: the cluster sizes to measure
    keep: bool = False  # KEEP: leave the stack up
    rounds: int = 10  # ROUNDS: of `make effect`
    unchanged: int = 30  # UNCHANGED: runs of `make proof-live` that change nothing
    cures: int = 10  # CURES: runs of `make proof-live` that help
    seed: int | None = None  # SEED: repeats random choices
    optimizer_image: str | None = None  # OPTIMIZER_IMAGE: use it instead of building one
    optimizer_binary: Path | None = None  # OPTIMIZER_BINARY: measure it instead of building one
    images_ready: bool = False  # LAB_IMAGES_READY: the caller has built the images
    heal_port_offset: int = 12500
    proof_port_offset: int = 12700
    diagnose_port_offset: int = 13000
    tour_port_offset: int = 12600
    bench_port_offset: int = 12208
    test_port_offset: int = 11000
    security_port: int = 31000  # and the six after it
    advise_port: int = 31100  # and the two after it
    advise_project: str = "kafka-optimizer-advise"
    suite_port_offset: int = 12900
    scale: str = "0.1"  # SCALE: of the loads of `make suite`
    load_port: int = 29292
    load_project: str = "kafka-optimizer-load"  # LOAD_PROJECT: so that two may run
    broker_cpus: str = "1"  # BROKER_CPUS: of the broker of `make bench-load`

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Settings:
        def number(name: str, default: int) -> int:
            text = environment.get(name) or str(default)
            if not text.isdecimal():
                raise LabError(f"{name} is `{text}`; it has to be a whole number")
            return int(text)

        binary = environment.get("OPTIMIZER_BINARY")

        return cls(
            only=_words(environment.get("ONLY", "")),
            sizes=_words(environment.get("SIZES", "")),
            keep=bool(environment.get("KEEP")),
            rounds=number("ROUNDS", cls.rounds),
            unchanged=number("UNCHANGED", cls.unchanged),
            cures=number("CURES", cls.cures),
            seed=number("SEED", 0) if environment.get("SEED") else None,
            optimizer_image=environment.get("OPTIMIZER_IMAGE") or None,
            optimizer_binary=Path(binary).absolute() if binary else None,
            images_ready=bool(environment.get("LAB_IMAGES_READY")),
            heal_port_offset=number("HEAL_PORT_OFFSET", cls.heal_port_offset),
            proof_port_offset=number("PROOF_PORT_OFFSET", cls.proof_port_offset),
            diagnose_port_offset=number("DIAGNOSE_PORT_OFFSET", cls.diagnose_port_offset),
            tour_port_offset=number("TOUR_PORT_OFFSET", cls.tour_port_offset),
            bench_port_offset=number("BENCH_PORT_OFFSET", cls.bench_port_offset),
            test_port_offset=number("TEST_PORT_OFFSET", cls.test_port_offset),
            security_port=number("SECURITY_PORT", cls.security_port),
            advise_port=number("ADVISE_PORT", cls.advise_port),
            advise_project=environment.get("ADVISE_PROJECT") or cls.advise_project,
            suite_port_offset=number("SUITE_PORT_OFFSET", cls.suite_port_offset),
            scale=environment.get("SCALE") or cls.scale,
            load_port=number("LOAD_PORT", cls.load_port),
            load_project=environment.get("LOAD_PROJECT") or cls.load_project,
            broker_cpus=environment.get("BROKER_CPUS") or cls.broker_cpus,
        )


def _words(text: str) -> tuple[str, ...]:
    """Separated by commas or spaces."""
    return tuple(text.replace(",", " ").split())
