"""Records as services write them: JSON whose keys repeat and whose values do not."""

from __future__ import annotations

import json
import random

LINES = 2000


def payloads(seed: int = 1) -> str:
    """The same lines for the same seed, about 200 bytes each."""
    chance = random.Random(seed)
    lines = []
    for _ in range(LINES):
        event = {
            "event_id": f"{chance.getrandbits(64):016x}",
            "user": f"user-{chance.randrange(50_000)}",
            "action": chance.choice(["view", "search", "order", "pay", "return"]),
            "path": f"/products/{chance.randrange(9_000)}/reviews",
            "duration_ms": round(chance.expovariate(1 / 80), 2),
            "country": chance.choice(["DE", "FR", "US", "JP", "BR"]),
            "ok": chance.random() < 0.97,
        }
        lines.append(json.dumps(event))
    return "\n".join(lines) + "\n"
