"""Times as HTTP APIs write them."""

from __future__ import annotations

from datetime import UTC, datetime


def rfc3339(unix: float) -> str:
    """To the second."""
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def unix_seconds(rfc3339: str) -> float:
    return datetime.fromisoformat(rfc3339).timestamp()
