"""Words that messages share; it knows nothing of what they are about."""

from __future__ import annotations


def counted(number: int, what: str) -> str:
    """A number of things: 1 item, 2 items."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")
