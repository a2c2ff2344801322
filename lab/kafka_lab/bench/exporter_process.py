"""One exporter as a process of its own, from start to end."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import LabError
from .brokers import cpu_seconds
from .exporters import Exporter, Pace, Place
from .page import Scrape, compare, lags, scrape
from .plan import Series

# A scrape of kafka_exporter takes 85 s at L.
SCRAPE_TIMEOUT = 200.0
FIRST_GOOD_TIMEOUT = 300.0


class NotMeasuredError(LabError):
    """Why an exporter has no numbers."""


@contextmanager
def running_exporter(exporter: Exporter, place: Place, pace: Pace) -> Iterator[RunningExporter]:
    """Runs for the length of the block, in an empty folder."""
    shutil.rmtree(place.folder, ignore_errors=True)
    (place.folder / "state").mkdir(parents=True)
    exporter.write_config(place, pace)
    log = place.folder / "log"
    with log.open("w") as output:
        child = subprocess.Popen(
            exporter.command(place, pace),
            env={**os.environ, **exporter.variables(place, pace)},
            cwd=place.folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        yield RunningExporter(exporter, place.port, log, child)
    finally:
        child.terminate()
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


class RunningExporter:
    def __init__(
        self, exporter: Exporter, port: int, log: Path, child: subprocess.Popen[bytes]
    ) -> None:
        self.exporter = exporter
        self._port = port
        self._log = log
        self._child = child
        self._started = time.monotonic()

    def cpu(self) -> float:
        return cpu_seconds(self._child.pid)

    def rss_peak_mb(self) -> float:
        status = Path(f"/proc/{self._child.pid}/status").read_text()
        peak = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        if not peak:
            raise NotMeasuredError("the process has no VmHWM")
        return int(peak[1]) * 1024 / 1e6

    def scrape(self, timeout: float = SCRAPE_TIMEOUT) -> Scrape:
        """Fails when the process has ended."""
        if self._child.poll() is not None:
            last = self._log.read_text(errors="replace").strip().splitlines()[-1:]
            words = " ".join(last)[:200]
            raise NotMeasuredError(f"it ended with exit code {self._child.returncode}: {words}")
        return scrape(self._port, timeout)

    def first_good_scrape(self, right: dict[Series, int]) -> float:
        """Seconds from the start until every lag on the page was right."""
        problem = "it never answered"
        while time.monotonic() - self._started < FIRST_GOOD_TIMEOUT:
            found = self.scrape()
            if found.status == 200:
                problem = compare(lags(self.exporter, found.text()), right).problem()
                if not problem:
                    return time.monotonic() - self._started
            elif found.status:
                problem = f"status {found.status}"
            time.sleep(0.5)
        raise NotMeasuredError(f"no good page within {FIRST_GOOD_TIMEOUT:.0f} s: {problem}")
