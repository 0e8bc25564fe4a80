"""Words that messages share; it knows nothing of what they are about."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


def counted(number: int, what: str) -> str:
    """A number of things: 1 item, 2 items."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def meant(name: str, known: Iterable[str]) -> str:
    """What is said behind a name that is none of the known ones: the nearest of them, or all."""
    given = list(known)
    near = get_close_matches(name.casefold(), given, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]}?"
    shown = ", ".join(given[:12]) + (f" and {len(given) - 12} more" if len(given) > 12 else "")
    return f"; there is {shown}" if shown else ""
