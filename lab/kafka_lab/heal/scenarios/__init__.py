"""The scenarios: what is done to the cluster, and how the optimizer has to answer."""

from ...errors import LabError
from .alerts import ALERTS
from .disturbed import DISTURBED
from .helped import HELPED
from .quotas import QUOTAS
from .rolled_back import ROLLED_BACK
from .scenario import Scenario

SCENARIOS: tuple[Scenario, ...] = (
    *HELPED,
    *ROLLED_BACK,
    *DISTURBED,
    *ALERTS,
    *QUOTAS,
)


def chosen(only: tuple[str, ...]) -> list[Scenario]:
    """All of them, or those of which a word is the slug, or its beginning up to a hyphen."""

    def fits(scenario: Scenario, word: str) -> bool:
        return scenario.slug == word or scenario.slug.startswith(f"{word}-")

    unknown = [word for word in only if not any(fits(it, word) for it in SCENARIOS)]
    if unknown:
        known = ", ".join(scenario.slug for scenario in SCENARIOS)
        raise LabError(f"ONLY names no scenario: {', '.join(unknown)}; there are {known}")

    return [it for it in SCENARIOS if not only or any(fits(it, word) for word in only)]


__all__ = ["SCENARIOS", "Scenario", "chosen"]
