"""One exporter as a process of its own, from start to end."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType

from cluster import cpu_seconds
from exporters import Exporter, Pace, Place
from page import Scrape, judge, lags, scrape
from plan import Series

# A scrape of kafka_exporter takes 85 s at L.
PATIENCE = 200.0
GOOD_WITHIN = 300.0


class Failed(Exception):
    """Why an exporter has no numbers."""


class Running:
    """With it, the exporter runs; after it, it does not."""

    def __init__(self, exporter: Exporter, place: Place, pace: Pace) -> None:
        self.exporter = exporter
        self.port = place.port
        shutil.rmtree(place.folder, ignore_errors=True)
        (place.folder / "state").mkdir(parents=True)
        self.log = place.folder / "log"
        command, environment = exporter.command(place, pace)
        with self.log.open("w") as log:
            self.child = subprocess.Popen(
                command,
                env={**os.environ, **environment},
                cwd=place.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self.started = time.monotonic()

    def __enter__(self) -> Running:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.child.terminate()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()

    def cpu(self) -> float:
        return cpu_seconds(self.child.pid)

    def rss_peak_mb(self) -> float:
        status = Path(f"/proc/{self.child.pid}/status").read_text()
        peak = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.M)
        if not peak:
            raise Failed("the process has no VmHWM")
        return int(peak[1]) * 1024 / 1e6

    def scrape(self, patience: float = PATIENCE) -> Scrape:
        """Fails when the process has ended."""
        if self.child.poll() is not None:
            last = self.log.read_text(errors="replace").strip().splitlines()[-1:]
            raise Failed(f"it ended with {self.child.returncode}: {' '.join(last)[:200]}")
        return scrape(self.port, patience)

    def first_good_scrape(self, truth: dict[Series, int]) -> float:
        """Seconds from the start until a page was right."""
        fault = "it never answered"
        while time.monotonic() - self.started < GOOD_WITHIN:
            found = self.scrape()
            if found.status == 200:
                verdict = judge(lags(self.exporter, found.text()), truth)
                fault = verdict.fault()
                if not fault:
                    return time.monotonic() - self.started
            elif found.status:
                fault = f"status {found.status}"
            time.sleep(0.5)
        raise Failed(f"no good page within {GOOD_WITHIN:.0f} s: {fault}")
