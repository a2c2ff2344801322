"""Where the lab's files are."""

from pathlib import Path

LAB = Path(__file__).resolve().parent.parent
ROOT = LAB.parent
TARGET = ROOT / "target"
IMAGES_ENV = TARGET / "lab" / "images.env"  # written by lab/images.sh
