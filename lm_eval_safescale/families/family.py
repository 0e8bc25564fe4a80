"""A family: one benchmark's way of asking and weighing. Everything above it works with any family and knows no benchmark."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.families.arrays import AnswerArrays, ItemTable
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.records import Answers, Item

Floats = NDArray[np.float64]


class Family(ABC):
    """What a benchmark says of itself. One object serves all runs: it has no state."""

    name: ClassVar[str]
    label: ClassVar[str]
    """What results of it may be called."""
    version: ClassVar[str]
    """Raised when two results can no longer be compared."""
    scoring: ClassVar[Mapping[str, Any]] = {}
    """The settings on which scores depend, with their defaults."""

    vocabulary: ClassVar[Sequence[str]]
    """Every response that an answer can have."""

    @abstractmethod
    def columns(self, item: Item) -> Mapping[str, Any]:
        """What of an item enters its scores, by name: the columns of an `ItemTable`."""

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
