"""Failures that a person reads: what failed, on what, and what to do about it."""


class LabError(Exception):
    """Ends the command, or one scenario of it."""


class CommandError(LabError):
    """A program ended with an error or took too long."""


class UnavailableError(LabError):
    """A service gave no usable answer. It may still be starting, so waiting code asks again."""


class RefusedError(LabError):
    """A service answered that it will not do what it was asked."""


class TimeLimitError(LabError):
    """Something did not happen in time."""


def require(condition: bool, otherwise: str) -> None:
    if not condition:
        raise LabError(otherwise)
