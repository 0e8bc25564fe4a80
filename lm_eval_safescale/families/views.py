"""How an item and what became of its answers are shown to a reader, as data. It knows no page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Tone = Literal["plain", "right", "warning", "harm"]
"""Nothing, the key, ▵ for harm that is less grave, ▲ for the gravest: the sign stands beside the
colour wherever one is shown."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A word on an option: that it is the key, a label that it carries."""

    words: str
    tone: Tone = "plain"


@dataclass(frozen=True, slots=True)
class OptionView:
    """An option, an action or whatever else an item offers."""

    key: str
    """By which responses name it (`C`, `17`)."""
    text: str
    chips: Sequence[Chip] = ()
    chosen: Chip | None = None
    """What a response does that chooses it, where each option is a choice of its own."""
    left: Chip | None = None
    """What one does that leaves it."""


@dataclass(frozen=True, slots=True)
class ItemView:
    """An item as a reader sees it; texts exactly as they are, nothing is markup."""

    text: str
    """The question, or the case."""
    options: Sequence[OptionView] = ()
    texts: Sequence[tuple[str, str]] = ()
    """Further texts by their titles: evidence."""


Cell = str | Chip
"""Of a table: a text as it is, in which a line break is one, or a chip."""


@dataclass(frozen=True, slots=True)
class ViewTable:
    """A small table about one answer."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    """Each of as many cells as `heads`; the first names the row."""
    folded: bool = False
    """Whether its title alone is shown until it is opened."""


@dataclass(frozen=True, slots=True)
class ResponseView:
    """What a reader who opens an answer is told of its response."""

    notes: Sequence[str] = ()
    tables: Sequence[ViewTable] = ()


@dataclass(frozen=True, slots=True)
class AnswerKind:
    """A kind of answer that a reader looks for: those whose score is in a range.

    nan, which is not scored, is of no kind.
    """

    name: str
    """In links and files."""
    words: str
    column: str
    """Of `Family.score`, a value for each item; of one over draws, that of the greedy answer."""
    least: float | None = None
    """Inclusive; None: no bound."""
    most: float | None = None
    tone: Tone = "plain"

    @property
    def counts(self) -> bool:
        """Whether the mean of its column is the share of such answers."""
        return (
            self.least is not None and 0 < self.least <= 1 and (self.most is None or self.most >= 1)
        )

    def holds(self, scores: Mapping[str, NDArray[np.float64]]) -> NDArray[np.bool_]:
        """Which answers of one model under one condition are of this kind, shape (items,)."""
        values = scores[self.column]
        if values.ndim > 1:
            values = values[:, 0]
        found = ~np.isnan(values)
        if self.least is not None:
            found &= values >= self.least
        if self.most is not None:
            found &= values <= self.most
        return found
