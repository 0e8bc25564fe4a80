"""The interface of a retriever: build an index over passages, open it, search many queries at
once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from lm_eval_safescale.retrieval.passages import Passages


class Hit(NamedTuple):
    """A passage found."""

    number: int
    """Its number among the passages, from 0."""
    score: float
    """The higher the better; finite. Comparable within one query only."""


class Opened(Protocol):
    """The opened index of another retriever (`Index`)."""

    @property
    def about(self) -> Mapping[str, Any]:
        """Retriever, who provides it, settings, key."""

    def hits(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The k best passages for each query, best first; checked."""


class Retriever(ABC):
    """Subclass it and register the class. The parameters of `__init__` are its settings, which the
    user gives as `retriever_args`.

    Every parameter needs a name of its own and a JSON value; together with the passages they are
    the key of the index. A search must give the same hits for a query whatever other queries stand
    beside it, and its first j of k hits must be the j hits it gives for j.
    """

    name: ClassVar[str]
    """How users ask for it."""
    description: ClassVar[str] = ""
    """One line, for `safescale plugins`."""
    version: ClassVar[str] = "1"
    """Raise it when the same passages and settings would give another index or other hits."""

    parts: Mapping[str, Opened]
    """The opened indexes of the retrievers named by `needs`; set before `build` and `open` are
    called."""

    warnings: Sequence[str] = ()
    """What a user should know of the index that was opened; set by `open`, and said once in a
    run."""

    def needs(self) -> Mapping[str, Mapping[str, Any]]:
        """Other retrievers that this one searches through: their names and settings. None unless
        overridden."""
        return {}

    @abstractmethod
    def build(self, passages: Passages, folder: Path, *, scratch: Path) -> None:
        """Write an index of the passages into `folder`, which is empty. No pickle.

        `scratch` is a folder that outlives an interrupted build: what is put there is found again,
        and removed after success.
        """

    @abstractmethod
    def open(self, passages: Passages, folder: Path) -> None:
        """Open the index that `build` wrote, memory-mapped where it is large. Called once, before
        any search."""

    @abstractmethod
    def search(self, queries: Sequence[str], k: int) -> Sequence[Sequence[Hit]]:
        """The k best passages for each query, best first, each at most once. `k` is at least 1 and
        at most the number of passages.

        Fewer, or none, where the query matches no more: a passage that was not found is never shown
        as if it were.
        """


def best(scores: npt.NDArray[Any], k: int, *, above: float | None = None) -> list[Hit]:
    """The k highest of the scores of all passages (shape (n,)), best first; among equals the lower
    number.

    `above`: the score of a passage that matches nothing of the query; only those with more were
    found.

    So the best j are always the first j of the best k, which a partition alone does not give.
    ValueError for a score that is NaN.
    """
    if np.isnan(scores).any():
        raise ValueError(f"the score of passage {int(np.isnan(scores).argmax())} is not a number")
    if k < len(scores):
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        higher = np.flatnonzero(scores > least)
        equal = np.flatnonzero(scores == least)[: k - len(higher)]
        numbers = np.concatenate([higher, equal])
    else:
        numbers = np.arange(len(scores))
    # unsigned numbers have no negative
    order = np.lexsort((numbers, -scores[numbers].astype(np.float64)))
    found = (Hit(int(number), float(scores[number])) for number in numbers[order])
    return [hit for hit in found if above is None or hit.score > above]


def unknown_numbers(hits: Collection[Hit], n: int) -> list[Any]:
    """Numbers that are no passage's."""
    return [
        hit.number
        for hit in hits
        if not (isinstance(hit.number, int | np.integer) and 0 <= hit.number < n)
    ]
