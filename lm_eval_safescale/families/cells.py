"""What one model answered under one condition, with what each answer is worth. It knows no
statistic.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.families.arrays import UNSCORED, AnswerArrays, ItemTable
from lm_eval_safescale.metrics.metric import OF_EVERY_DRAW

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Pair = tuple[str, str]
"""A model and a condition."""


@dataclass(frozen=True, eq=False)
class Cell:
    """One model under one condition: its answers, and what each is worth."""

    model: str
    condition: str
    items: ItemTable
    answers: AnswerArrays
    """Without leading axes."""
    values: Mapping[str, Floats]
    """The family's columns and the answers' measures, by name: shape (N,), of every draw (N,
    1 + K); nan where not scored."""

    def __getitem__(self, name: str) -> Floats:
        return self.values[name]

    @property
    def draws(self) -> int:
        """K, the number of samples."""
        return self.answers.draws

    def lacks(self, decode: str) -> Bools:
        """Items that lack an answer which a metric of this `decode` looks at, shape (N,)."""
        gone: Bools = self.answers.codes == UNSCORED
        if decode == "greedy":
            return gone[:, 0]
        looked_at = gone if decode in OF_EVERY_DRAW else gone[:, 1:]
        return np.asarray(looked_at.any(axis=1))


Cells = Mapping[Pair, Cell]
"""In the order of models and conditions."""


def column(cells: Iterable[Cell], name: str) -> Floats:
    """One value of all: shape (N, cells), of every draw (N, cells, draws), filled with nan where a
    cell has fewer."""
    values = [each.values[name] for each in cells]
    if values[0].ndim == 1:
        return _rows(values).T
    found = np.full((len(values[0]), len(values), max(each.shape[1] for each in values)), np.nan)
    for place, each in enumerate(values):
        found[:, place, : each.shape[1]] = each
    return found


def _rows(values: Sequence[Floats]) -> Floats:
    """Arrays as the rows of one, which cannot be written to; not copied where they are its rows
    already, as those that were scored together are."""
    whole = values[0].base
    rows: Floats
    if (
        isinstance(whole, np.ndarray)
        and whole.dtype == values[0].dtype
        and whole.shape == (len(values), len(values[0]))
        and all(
            own.ctypes.data == row.ctypes.data and own.strides == row.strides
            for own, row in zip(values, whole, strict=True)
        )
    ):
        rows = whole.view()
    else:
        rows = np.stack(values)
    rows.flags.writeable = False
    return rows
