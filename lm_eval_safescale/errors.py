"""The one exception type that means "you, the user, can mend this"; it knows nothing of who raises it."""

from __future__ import annotations


class SafescaleError(ValueError):
    """Bad input or a missing piece: the message says what was wrong, where, what was expected and what to do next."""
