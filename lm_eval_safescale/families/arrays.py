"""Answers as dense NumPy arrays: what scoring reads. They know no benchmark and no file."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.records import NOT_SCORED, Answers, Item, Reading, Status
from lm_eval_safescale.stats.voting import NO_RESPONSE, UNSCORED

__all__ = ["NO_RESPONSE", "UNSCORED", "AnswerArrays", "ItemTable", "number_of"]

Floats = NDArray[np.float64]
Codes = NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class ItemTable:
    """Items as columns, in the order of their ids as strings: what scoring may know of them, which
    is never their text.

    Compared by identity, so that what a family works out of one is found again.
    """

    ids: tuple[str, ...]
    columns: Mapping[str, Sequence[Any]]
    """The family's own, by name: a value for each item, None for missing."""
    units: tuple[str, ...] = ()
    """What is resampled: the unit of each item; without them each item is one."""
    groups: Mapping[str, Sequence[str | None]] = field(default_factory=dict)
    """By name: the group of each item, None for none."""

    def __len__(self) -> int:
        return len(self.ids)

    @classmethod
    def of(cls, items: Iterable[Item], columns: Callable[[Item], Mapping[str, Any]]) -> ItemTable:
        """A table of items; `columns` gives what of an item enters its scores, None for a name that
        it lacks."""
        given = list(items)
        rows = [columns(item) for item in given]
        names = dict.fromkeys(name for row in rows for name in row)
        groups = dict.fromkeys(name for item in given for name in item.groups)
        return cls(
            tuple(item.question_id for item in given),
            {name: [row.get(name) for row in rows] for name in names},
            tuple(item.unit or item.question_id for item in given)
            if any(item.unit for item in given)
            else (),
            {name: [item.groups.get(name) for item in given] for name in groups},
        )


@dataclass(frozen=True, eq=False)
class AnswerArrays:
    """What was answered. Leading axes (`...`) are models and conditions, or none; then items; then
    draws."""

    codes: Codes
    """Shape (..., items, 1 + K), draw 0 greedy: a place in `vocabulary`, `NO_RESPONSE` or
    `UNSCORED`."""
    vocabulary: Sequence[str]
    """The responses by their codes."""
    measures: Mapping[str, Floats] = field(default_factory=dict)
    """What is known of greedy answers besides the response (`latency_s`): shape (..., items), nan
    for unknown."""

    @property
    def greedy(self) -> Codes:
        """Codes of the greedy answers, shape (..., items)."""
        return self.codes[..., 0]

    @property
    def samples(self) -> Codes:
        """Codes of the samples, shape (..., items, K); K is 0 where none were drawn."""
        return self.codes[..., 1:]

    @property
    def draws(self) -> int:
        """K, the number of samples."""
        return int(self.codes.shape[-1]) - 1

    @classmethod
    def of(
        cls, answers: Sequence[Answers], vocabulary: Sequence[str] | None = None
    ) -> AnswerArrays:
        """What was read, an item a place; without a vocabulary that of the responses that there
        are.

        Raises
        ------
        ValueError
            For a response that is not in the vocabulary, or where K differs.
        """
        draws = {len(each.samples) for each in answers} or {0}
        if len(draws) > 1:
            raise ValueError(
                f"answers with {' and '.join(map(str, sorted(draws)))} samples cannot be one array"
            )
        if vocabulary is None:
            readings = (reading for each in answers for reading in (each.greedy, *each.samples))
            vocabulary = sorted(
                {reading.response for reading in readings if reading.response is not None}
            )
        place = {response: code for code, response in enumerate(vocabulary)}
        rows = [
            [_code(reading, place) for reading in (each.greedy, *each.samples)] for each in answers
        ]
        return cls(np.array(rows, np.int32).reshape(len(rows), 1 + draws.pop()), vocabulary)

    def readings(self) -> list[Answers]:
        """The same as answers, an item each; without leading axes. Which statuses there were is not
        known any more."""
        return [
            Answers(first, tuple(others))
            for first, *others in ([self._reading(code) for code in row] for row in self.codes)
        ]

    def _reading(self, code: int) -> Reading:
        if code == UNSCORED:
            return Reading(None, Status.ERROR)
        return (
            Reading(None, Status.UNANSWERED)
            if code == NO_RESPONSE
            else Reading(self.vocabulary[code], Status.OK)
        )


def number_of(name: str) -> int:
    """A number for a column: the same wherever the name stands, whichever others there are; the
    first 48 bits of its SHA-256, which a float holds."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6])


def _code(reading: Reading, place: Mapping[str, int]) -> int:
    if reading.status in NOT_SCORED:
        return UNSCORED
    if reading.response is None:
        return NO_RESPONSE
    if reading.response not in place:
        raise ValueError(f"the response {reading.response!r} is not in the vocabulary")
    return place[reading.response]
