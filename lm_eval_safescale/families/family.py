"""A family: one benchmark's way of asking and weighing. Everything above it works with any family and knows no benchmark."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.families.arrays import AnswerArrays, ItemTable
from lm_eval_safescale.families.cells import Cells
from lm_eval_safescale.families.panel import Panel
from lm_eval_safescale.families.rows import Row
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.records import Answers, Item
from lm_eval_safescale.stats.presets import Preset

Floats = NDArray[np.float64]


class StudyView(Protocol):
    """What a table of a family is made of."""

    @property
    def scores(self) -> Cells:
        """Every model under every condition that it was asked under."""

    @property
    def items(self) -> ItemTable:
        """The items of the data set."""

    @property
    def conditions(self) -> Sequence[str]:
        """In the family's order."""

    @property
    def panel(self) -> Panel:
        """Model families and sizes."""


@dataclass(frozen=True, slots=True)
class TableOf:
    """A table of a family: how it is made, and its columns where it has no rows."""

    make: Callable[[StudyView, Preset], list[Row]]
    columns: tuple[str, ...]


class Family(ABC):
    """What a benchmark says of itself. One object serves all runs: it has no state."""

    name: ClassVar[str]
    label: ClassVar[str]
    """What results of it may be called."""
    version: ClassVar[str]
    """Raised when two results can no longer be compared."""
    pairs: ClassVar[Sequence[tuple[str, str]]] = ()
    """Conditions that are compared, the left less the right one."""
    scoring: ClassVar[Mapping[str, Any]] = {}
    """The settings on which scores depend, with their defaults."""

    vocabulary: ClassVar[Sequence[str]]
    """Every response that an answer can have."""

    rates: ClassVar[Sequence[str]] = ()
    """Shares of greedy answers that are shown against what stood in the context, by metric."""
    studied: ClassVar[Sequence[str]] = ()
    """Means whose dependence on size, condition and model family is studied."""
    change: ClassVar[tuple[str, str] | None] = None
    """Two conditions; the change to the left one from the right one is studied too."""
    spread: ClassVar[Mapping[str, Sequence[str]]] = {}
    """Metrics of which `profile` tells more than the interval: `mean` and `std` of the resamples, or `deviation` over the items."""
    tables: ClassVar[Mapping[str, TableOf]] = {}
    """Tables of its own besides those that every family has."""

    @abstractmethod
    def columns(self, item: Item) -> Mapping[str, Any]:
        """What of an item enters its scores, by name: the columns of an `ItemTable`."""

    @abstractmethod
    def items(self, table: ItemTable) -> Sequence[Item]:
        """The items of a table, without their texts: what a metric that looks at single items is given."""

    @abstractmethod
    def responses(self, item: Item) -> Sequence[str]:
        """Responses that an answer to this item can have: all, or a fair sample; what is tried before a model is asked."""

    @abstractmethod
    def score(self, items: ItemTable, answers: AnswerArrays, settings: Mapping[str, Any]) -> Mapping[str, Floats]:
        """What answers are worth.

        Parameters
        ----------
        items
            N items.
        answers
            Codes of shape (..., N, 1 + K); the leading axes are models and conditions, or none.
        settings
            Those of `scoring`, with the values in force.

        Returns
        -------
        Columns by name: shape (..., N), or (..., N, D) with one value a draw; nan is *not scored*.
        """

    @abstractmethod
    def metrics(self, items: ItemTable) -> Sequence[Metric]:
        """The metrics of these items, as statistics of the columns that `score` gives, in the order of tables."""

    def table(self, items: Iterable[Item]) -> ItemTable:
        """Items as scoring knows them."""
        return ItemTable.of(items, self.columns)

    def arrays(self, answers: Sequence[Answers]) -> AnswerArrays:
        """Answers as scoring knows them, an item a place."""
        return AnswerArrays.of(answers, self.vocabulary)
