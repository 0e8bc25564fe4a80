"""The one exception type that means "you, the user, can mend this"; it knows nothing of who raises it."""

from __future__ import annotations


class SafescaleError(ValueError):
    """Bad input or a missing piece: the message says what was wrong, where, what was expected and what to do next."""


def reason_of(error: BaseException) -> str:
    """The first line of an error of somebody else's library, or its type where it says nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
