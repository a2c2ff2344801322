"""The exporters that are compared: how each is started, and which of its metrics is the lag."""

from __future__ import annotations

import string
from dataclasses import dataclass
from pathlib import Path

from ..errors import LabError
from ..paths import LAB
from ..settings import Settings
from .plan import SIZES

CONFIG_TEMPLATES = LAB / "bench" / "config"
FREEZE = "freeze"  # the pace while a broker hangs


class NotBuiltError(LabError):
    """There is no program of this exporter here."""


@dataclass(frozen=True)
class Pace:
    """How often a cycle is measured. `interval` 0: the next scrape follows at once."""

    interval: int
    cycles: int


@dataclass(frozen=True)
class Place:
    """Where an exporter works: one port and one folder, because they run one at a time.

    `peers` holds what lab/bench/peers.sh built.
    """

    bootstrap: str
    port: int
    folder: Path
    optimizer: Path
    peers: Path


@dataclass(frozen=True)
class LagLabels:
    """What an exporter calls the labels of its lag metric."""

    group: str
    topic: str
    partition: str


@dataclass(frozen=True)
class Exporter:
    """`paces` has one for each size, and one for the freeze.

    An exporter that works in the background has `round_time`, the metric that says when its last
    refresh was, and `round_seconds`, the metrics that say how long that took: the first that is
    on the page counts.
    """

    name: str
    program: str
    lag: str
    labels: LagLabels
    paces: dict[str, Pace]
    round_seconds: tuple[str, ...] = ()
    round_time: str | None = None
    config: str | None = None  # a template in lab/bench/config
    arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()

    @property
    def is_ours(self) -> bool:
        return self.program == "kafka-optimizer"

    def binary(self, place: Place) -> Path:
        """Raises `NotBuiltError` with the reason."""
        if self.is_ours:
            return place.optimizer
        found = place.peers / self.program
        failed = place.peers / f"{self.program}.error"
        if failed.exists():
            raise NotBuiltError(failed.read_text().strip())
        return found

    def write_config(self, place: Place, pace: Pace) -> None:
        if self.config:
            template = string.Template((CONFIG_TEMPLATES / self.config).read_text())
            (place.folder / self.config).write_text(template.substitute(_values(place, pace)))

    def command(self, place: Place, pace: Pace) -> list[str]:
        """An argument that names $server is given once for each broker."""
        values = _values(place, pace)
        words = [str(self.binary(place))]
        for argument in self.arguments:
            servers = place.bootstrap.split(",") if "$server" in argument else [""]
            template = string.Template(argument)
            words += [template.substitute(values, server=server) for server in servers]
        return words

    def variables(self, place: Place, pace: Pace) -> dict[str, str]:
        values = _values(place, pace)
        return {name: string.Template(value).substitute(values) for name, value in self.environment}


def _values(place: Place, pace: Pace) -> dict[str, str]:
    """What the templates may name."""
    servers = place.bootstrap.split(",")
    return {
        "bootstrap": place.bootstrap,
        "servers": ", ".join(f'"{server}"' for server in servers),
        "port": str(place.port),
        "interval": str(pace.interval),
        "folder": str(place.folder),
    }


def _ours(name: str) -> Exporter:
    config = f"{name}.yml"
    return Exporter(
        name=name,
        program="kafka-optimizer",
        lag="kafka_consumergroup_lag",
        labels=LagLabels("consumergroup", "topic", "partition"),
        round_seconds=(
            "kafka_optimizer_round_duration_seconds",
            "kafka_optimizer_collector_duration_seconds",  # the longest of several
        ),
        round_time="kafka_optimizer_snapshot_timestamp_seconds",
        # Slow collectors run in every fourth round: whole fours.
        paces={"S": Pace(2, 12), "M": Pace(5, 8), "L": Pace(5, 8), FREEZE: Pace(5, 0)},
        config=config,
        arguments=(
            "serve",
            f"--config.file=$folder/{config}",
            "--web.listen-address=127.0.0.1:$port",
            "--log.level=warn",
        ),
    )


EXPORTERS = (
    _ours("kafka-optimizer"),
    _ours("kafka-optimizer-all"),
    Exporter(
        name="kminion",
        program="kminion",
        lag="kminion_kafka_consumer_group_topic_partition_lag",
        labels=LagLabels("group_id", "topic_name", "partition_id"),
        paces={"S": Pace(0, 8), "M": Pace(0, 6), "L": Pace(0, 4), FREEZE: Pace(0, 0)},
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
        labels=LagLabels("consumergroup", "topic", "partition"),
        # A scrape takes over a minute at L.
        paces={"S": Pace(0, 6), "M": Pace(0, 3), "L": Pace(0, 2), FREEZE: Pace(0, 0)},
        arguments=("--kafka.server=$server", "--web.listen-address=127.0.0.1:$port"),
    ),
    Exporter(
        name="klag-exporter",
        program="klag-exporter",
        lag="kafka_consumergroup_group_lag",
        labels=LagLabels("group", "topic", "partition"),
        round_seconds=("kafka_lag_exporter_scrape_duration_seconds",),
        round_time="kafka_lag_exporter_last_update_timestamp_seconds",
        # It gives a round up when 5 s of its interval are left; at L a round takes 7 to 25 s.
        paces={"S": Pace(5, 6), "M": Pace(10, 6), "L": Pace(45, 4), FREEZE: Pace(5, 0)},
        config="klag-exporter.toml",
        arguments=("--config", "$folder/klag-exporter.toml", "--log-level", "warn"),
    ),
)


@dataclass(frozen=True)
class Choice:
    """`is_part`: SIZES or ONLY left something out."""

    sizes: list[str]
    exporters: list[Exporter]
    is_part: bool


def choose(settings: Settings) -> Choice:
    known = {exporter.name for exporter in EXPORTERS}
    unknown = (set(settings.sizes) - set(SIZES)) | (set(settings.only) - known)
    if unknown:
        raise LabError(
            f"no such size or exporter: {', '.join(sorted(unknown))};"
            f" sizes are {', '.join(SIZES)}, exporters {', '.join(sorted(known))}"
        )

    only = settings.only or tuple(known)
    exporters = [exporter for exporter in EXPORTERS if exporter.name in only]
    sizes = list(settings.sizes or SIZES)
    return Choice(sizes, exporters, bool(settings.sizes or settings.only))
