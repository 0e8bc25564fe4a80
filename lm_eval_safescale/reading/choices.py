"""A choice: which letter, where, and the name of the rule that made it. What the shapes, the labels
and the vetoes speak of.
"""

from __future__ import annotations

from typing import NamedTuple

BARE = "bare letter"
FIELD = "answer field"
FINAL = "final answer"
PHRASE = "phrase"
PRAISE = "praise"
NAMED = "option with its letter"
LINE = "letter on its own line"
LABEL = "label"
SHAPE_RULES = (BARE, FIELD, FINAL, PHRASE, PRAISE, NAMED, LINE, LABEL)
"""The names of the shapes, in the order of docs/reading.md."""


class Choice(NamedTuple):
    """A letter that is chosen, as far as the shape goes."""

    letter: str
    start: int
    """Where the phrase begins that chooses it."""
    end: int
    """Where the letter ends."""
    rule: str
    behind: int = -1
    """Where the option's own text ends, if it follows the letter; else where the letter ends.
    Filled in when vetoes are asked."""

    @property
    def final(self) -> bool:
        """Whether it goes before others."""
        return self.rule in (FIELD, FINAL)
