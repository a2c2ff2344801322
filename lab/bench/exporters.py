"""The exporters that are compared: how each is started, and which of its series is the lag."""

from __future__ import annotations

import os
import string
from dataclasses import dataclass
from pathlib import Path

import plan

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Pace:
    """How often a cycle is measured. `interval` 0: the next scrape follows at once."""

    interval: int
    cycles: int


@dataclass(frozen=True)
class Place:
    """Where an exporter works: one port and one directory, as they are used one at a time."""

    bootstrap: str
    port: int
    folder: Path


@dataclass(frozen=True)
class Exporter:
    """`paces` has one for each size, and one for the stall."""

    name: str
    program: str
    lag: str
    labels: tuple[str, str, str]  # group, topic, partition
    # Of an exporter that works in the background: the metrics that say how long its last round took
    # (the first that is there), and when that was.
    round_seconds: tuple[str, ...]
    round_at: str | None
    paces: dict[str, Pace]
    config: str | None = None  # a template beside this file
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def is_ours(self) -> bool:
        return self.program == "kafka-optimizer"

    def binary(self) -> Path:
        """Raises with the reason when there is none."""
        if self.is_ours:
            return Path(os.environ["BENCH_OPTIMIZER"])
        found = Path(os.environ["BENCH_PEERS"]) / self.program
        failed = found.with_suffix(".error")
        if failed.exists():
            raise Unavailable(failed.read_text().strip())
        return found

    def command(self, place: Place, pace: Pace) -> tuple[list[str], dict[str, str]]:
        """Arguments and environment; writes the configuration file."""
        servers = place.bootstrap.split(",")
        words = {
            "bootstrap": place.bootstrap,
            "servers": ", ".join(f'"{it}"' for it in servers),
            "port": str(place.port),
            "interval": str(pace.interval),
            "folder": str(place.folder),
        }
        if self.config:
            template = string.Template((HERE / "config" / self.config).read_text())
            (place.folder / self.config).write_text(template.substitute(words))

        def filled(text: str, server: str = "") -> str:
            return string.Template(text).substitute(words, server=server)

        command = [str(self.binary())]
        for argument in self.arguments:  # one that names $server is given once for each
            repeated = servers if "$server" in argument else [""]
            command += [filled(argument, it) for it in repeated]
        return command, {key: filled(value) for key, value in self.environment}


class Unavailable(Exception):
    """Why an exporter could not be built."""


def ours(name: str) -> Exporter:
    config = f"{name}.yml"
    return Exporter(
        name=name,
        program="kafka-optimizer",
        lag="kafka_consumergroup_lag",
        labels=("consumergroup", "topic", "partition"),
        round_seconds=(
            "kafka_optimizer_round_duration_seconds",
            "kafka_optimizer_collector_duration_seconds",  # the longest of several
        ),
        round_at="kafka_optimizer_snapshot_timestamp_seconds",
        # Four rounds until slow sections come round again: whole fours.
        paces={"S": Pace(2, 12), "M": Pace(5, 8), "L": Pace(5, 8), "stall": Pace(5, 0)},
        config=config,
        arguments=(
            "serve",
            f"--config.file=$folder/{config}",
            "--web.listen-address=127.0.0.1:$port",
            "--log.level=warn",
        ),
    )


ALL = [
    ours("kafka-optimizer"),
    ours("kafka-optimizer-all"),
    Exporter(
        name="kminion",
        program="kminion",
        lag="kminion_kafka_consumer_group_topic_partition_lag",
        labels=("group_id", "topic_name", "partition_id"),
        round_seconds=(),
        round_at=None,
        paces={"S": Pace(0, 8), "M": Pace(0, 6), "L": Pace(0, 4), "stall": Pace(0, 0)},
        environment=(
            ("KAFKA_BROKERS", "$bootstrap"),
            ("MINION_CONSUMERGROUPS_SCRAPEMODE", "adminApi"),
            ("MINION_CONSUMERGROUPS_GRANULARITY", "partition"),
            ("MINION_TOPICS_GRANULARITY", "partition"),
            ("MINION_LOGDIRS_ENABLED", "false"),
            ("EXPORTER_HOST", "127.0.0.1"),
            ("EXPORTER_PORT", "$port"),
            ("LOGGER_LEVEL", "warn"),
        ),
    ),
    Exporter(
        name="kafka_exporter",
        program="kafka_exporter",
        lag="kafka_consumergroup_lag",
        labels=("consumergroup", "topic", "partition"),
        round_seconds=(),
        round_at=None,
        # A scrape takes over a minute at L.
        paces={"S": Pace(0, 6), "M": Pace(0, 3), "L": Pace(0, 2), "stall": Pace(0, 0)},
        arguments=("--kafka.server=$server", "--web.listen-address=127.0.0.1:$port"),
    ),
    Exporter(
        name="klag-exporter",
        program="klag-exporter",
        lag="kafka_consumergroup_group_lag",
        labels=("group", "topic", "partition"),
        round_seconds=("kafka_lag_exporter_scrape_duration_seconds",),
        round_at="kafka_lag_exporter_last_update_timestamp_seconds",
        # It gives a round up when 5 s of its interval are left; at L a round takes 7 to 25 s.
        paces={"S": Pace(5, 6), "M": Pace(10, 6), "L": Pace(45, 4), "stall": Pace(5, 0)},
        config="klag-exporter.toml",
        arguments=("--config", "$folder/klag-exporter.toml", "--log-level", "warn"),
    ),
]


def choose() -> tuple[list[str], list[Exporter], bool]:
    """The sizes and exporters of SIZES and ONLY, and whether they are only a part of all."""
    sizes = os.environ.get("SIZES", "").replace(",", " ").split()
    only = os.environ.get("ONLY", "").replace(",", " ").split()
    unknown = (set(sizes) - set(plan.SIZES)) | (set(only) - {it.name for it in ALL})
    if unknown:
        raise SystemExit(f"bench: error: no such size or exporter: {', '.join(sorted(unknown))}")
    chosen = [it for it in ALL if not only or it.name in only]
    return sizes or list(plan.SIZES), chosen, bool(sizes or only)
