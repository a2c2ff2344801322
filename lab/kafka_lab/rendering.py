"""Copies the rules, routes and playbooks, and gives the copies shorter windows.

Recorded names carry no window, so nothing but the windows differs from what is shipped.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from .errors import LabError
from .paths import LAB, ROOT


class Windows(StrEnum):
    """Whose windows a copy gets."""

    SHIPPED = "plain"
    DEMO = "demo"
    TEST = "test"
    HEAL = "heal"


@dataclass(frozen=True)
class Rewrite:
    """A regular expression and its replacement, applied to each line."""

    pattern: str
    replacement: str
    every: bool = False  # every match of a line, not only the first

    def apply(self, text: str) -> str:
        expression = re.compile(self.pattern)
        count = 0 if self.every else 1
        lines = text.splitlines(keepends=True)
        return "".join(expression.sub(self.replacement, line, count=count) for line in lines)


def setting(key: str, value: str) -> Rewrite:
    """`KEY: anything` becomes `KEY: VALUE`, however deep it is."""
    return Rewrite(rf"^( *{key}:) .*", rf"\1 {value}")


def rewrite(file: Path, *rewrites: Rewrite) -> None:
    """Each rewrite has to match: a renamed key must not leave a demo with a window of minutes."""
    text = file.read_text()
    for change in rewrites:
        changed = change.apply(text)
        if changed == text:
            raise LabError(f"{file}: nothing matches {change.pattern}; adapt {__name__}")
        text = changed
    file.write_text(text)


def rewrite_where_found(files: Sequence[Path], *rewrites: Rewrite) -> None:
    for file in files:
        text = file.read_text()
        for change in rewrites:
            text = change.apply(text)
        file.write_text(text)


def render(out: Path, windows: Windows) -> None:
    """Replaces `out` with everything that Prometheus, Alertmanager, Grafana and we read."""
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    for name in ("prometheus", "alertmanager", "grafana"):
        shutil.copytree(ROOT / name, out / name)
    shutil.copy(LAB / "kafka-optimizer.yml", out)

    match windows:
        case Windows.SHIPPED:
            pass
        case Windows.DEMO:
            _shorten(out)
        case Windows.TEST:
            _for_tests(out)
        case Windows.HEAL:
            _for_heal(out)

    _make_readable(out)


def _shorten(out: Path) -> None:
    every = True
    rewrite(
        out / "prometheus/prometheus.yml",
        setting("scrape_interval", "3s"),
        setting("evaluation_interval", "3s"),
    )
    rewrite_where_found(
        sorted((out / "prometheus/rules").glob("*.yml")),
        Rewrite(r"\[5m\]", "[30s]", every),
        Rewrite(r"offset 5m", "offset 30s", every),
        setting("for", "30s"),
        setting("interval", "3s"),
    )
    rewrite(
        out / "prometheus/rules/recording.yml",
        Rewrite(r"\[1h\] offset 10m", "[5m] offset 1m"),
        Rewrite(r"offset 70m", "offset 6m"),
    )
    # The brokers share this machine's disk. How full it is says nothing about them, and would hold
    # every run.
    rewrite(
        out / "prometheus/rules/resources.yml",
        Rewrite(r"(kafka:disk_usage:ratio >) 0\.85", r"\1 0.99"),
    )
    rewrite(
        out / "alertmanager/alertmanager.yml",
        setting("group_wait", "1s"),
        setting("group_interval", "10s"),
        setting("timeout", "8s"),
    )
    rewrite(
        out / "grafana/provisioning/datasources/datasources.yaml", setting("timeInterval", "3s")
    )
    rewrite(
        out / "kafka-optimizer.yml",
        setting("collect_interval", "3s"),
        Rewrite(r"(scrape_interval:) *[0-9a-z]+", r"\1 3s"),
        setting("window", "30s"),
        setting("baseline", "30s"),
        Rewrite(r"(settle:) 6m", r"\1 40s"),
        Rewrite(r"(settle:) 1m", r"\1 12s"),
        setting("observe", "30s"),
        setting("cooldown", "60s"),
        Rewrite(r"\[30m\]", "[1m]"),
        # The brokers share this machine's CPU and disk with everything else on it: a yellow cluster
        # is shown, but starts nothing.
        Rewrite(
            r"(alertname: KafkaClusterYellow, remediation:) tune-brokers", r"\1 not-in-the-lab"
        ),
    )


def _for_tests(out: Path) -> None:
    """One more alert, which a test fires by creating a topic, its playbook, and higher limits."""
    for rules in sorted((LAB / "test/rules").glob("*.yml")):
        shutil.copy(rules, out / "prometheus/rules")
    with (out / "kafka-optimizer.yml").open("a") as config:
        config.write((LAB / "test/playbooks.yml").read_text())

    _shorten(out)
    rewrite(
        out / "kafka-optimizer.yml",
        setting("runs_per_hour_max", "1000"),
        setting("runs_per_day_max", "1000"),
        setting("cooldown", "1s"),
        setting("shrink_pause", "1s"),
    )


def _for_heal(out: Path) -> None:
    """Alerts, playbooks and windows of its own; recording rules and routes are the shipped ones."""
    for rules in (out / "prometheus/rules").glob("*.yml"):
        if rules.name != "recording.yml":
            rules.unlink()
    for rules in sorted((LAB / "heal/rules").glob("*.yml")):
        shutil.copy(rules, out / "prometheus/rules")
    shutil.copy(LAB / "heal/kafka-optimizer.yml", out)

    rewrite(
        out / "prometheus/rules/recording.yml",
        Rewrite(r"\[5m\]", "[15s]", every=True),
        setting("interval", "2s"),
    )
    rewrite(
        out / "prometheus/prometheus.yml",
        setting("scrape_interval", "2s"),
        setting("evaluation_interval", "2s"),
        Rewrite(r'"(alertmanager):9093"', r'"\1:9093", "\1-2:9093"'),
    )
    # The optimizer hears of an alert's end soon: the next scenario may begin with the same alert.
    rewrite(
        out / "alertmanager/alertmanager.yml",
        setting("group_wait", "1s"),
        setting("group_interval", "5s"),
        # It knows no new incident of an alert of which it could not say that it was resolved.
        setting("repeat_interval", "1m"),
        setting("timeout", "4s"),
    )


def _make_readable(out: Path) -> None:
    """The images' users are not ours."""
    for path in [out, *out.rglob("*")]:
        mode = path.stat().st_mode
        executable = path.is_dir() or mode & 0o111
        path.chmod(mode | (0o555 if executable else 0o444))
