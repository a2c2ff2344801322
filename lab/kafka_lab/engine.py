"""The engine and the images: what lab/engine.sh and lab/images.sh do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .cleanup import uninterrupted
from .commands import in_background, run, run_visibly
from .errors import LabError
from .paths import IMAGES_ENV, LAB, ROOT, TARGET
from .progress import Progress
from .results import read_variables
from .settings import Settings

# Installing packages and building images depends on the network.
BUILD_TIMEOUT = 3600.0


def engine_status() -> str:
    """`none`, `ours` (started by the lab) or `foreign`."""
    return run([str(LAB / "engine.sh"), "status"], timeout=60).stdout.strip()


def start_engine() -> None:
    """Uses the engine that answers, else installs and starts one; at a terminal it asks first."""
    run_visibly([str(LAB / "engine.sh"), "up"], timeout=BUILD_TIMEOUT)


def stop_engine() -> None:
    """Only an engine that the lab started, and not while containers run."""
    run_visibly([str(LAB / "engine.sh"), "down"], timeout=120)


@contextmanager
def running_engine(keep: bool = False) -> Iterator[None]:
    """An engine that was started for this block is stopped after it, unless it is to be kept."""
    before = engine_status()
    try:
        start_engine()
        yield
    finally:
        if before == "none" and not keep:
            with uninterrupted():
                stop_engine()


def install_packages() -> None:
    """What stand-in images are built with; it may ask, so nothing else runs beside it."""
    run_visibly([str(LAB / "images.sh"), "packages"], timeout=BUILD_TIMEOUT)


def build_images() -> None:
    run_visibly([str(LAB / "images.sh")], timeout=BUILD_TIMEOUT)


def kafka_39_image() -> str:
    return _answer("images.sh", "kafka-3.9")


def kafka_client_libraries() -> Path:
    """The directory of Kafka's own jars, for programs that use its clients."""
    return Path(_answer("images.sh", "jars"))


def image_variables() -> dict[str, str]:
    """The images and files that lab/images.sh found or built."""
    if not IMAGES_ENV.exists():
        raise LabError(f"{IMAGES_ENV} is missing: run `make lab-images` first")
    return read_variables(IMAGES_ENV)


def optimizer_image(settings: Settings, binary: Path | None = None) -> str:
    """The image of the program that cargo built, or of `binary`, unless the caller names one."""
    if settings.optimizer_image or binary is None:
        return settings.optimizer_image or _answer("images.sh", "optimizer")
    words = ["env", f"OPTIMIZER_BINARY={binary}", str(LAB / "images.sh"), "optimizer"]
    return run(words, timeout=BUILD_TIMEOUT).stdout.strip()


def build_optimizer(release: bool = False) -> None:
    options = ["--release"] if release else []
    words = [str(LAB / "cargo.sh"), "build", "--quiet", *options]
    run_visibly(words, timeout=BUILD_TIMEOUT, folder=ROOT)


def build_everything(settings: Settings, progress: Progress) -> str:
    """The images and, beside them, the optimizer. Returns the optimizer's image."""
    log = TARGET / "lab" / "images.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with in_background([str(LAB / "images.sh")], log) as images:
        if settings.optimizer_image is None:
            progress.say("building the optimizer beside the images")
            build_optimizer()
        images.wait(BUILD_TIMEOUT)

    for line in log.read_text().splitlines():
        progress.plain(" " * 8 + line.removeprefix("lab: "))
    return optimizer_image(settings)


def prometheus_tools() -> dict[str, str]:
    """PROMTOOL and AMTOOL, the paths of the two programs."""
    text = run([str(LAB / "tools.sh")], timeout=BUILD_TIMEOUT).stdout
    return dict(line.split("=", 1) for line in text.splitlines())


def docker_group() -> int:
    """The group that may read the engine's socket."""
    return Path("/var/run/docker.sock").stat().st_gid


def _answer(script: str, *words: str) -> str:
    return run([str(LAB / script), *words], timeout=BUILD_TIMEOUT).stdout.strip()
