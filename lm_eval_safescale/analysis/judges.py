"""Verdicts of several judges on a model's answers, each stored as a model of its own, as one pool;
and the order in which a judged file has its cases. It knows no statistic.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from lm_eval_safescale.families import AnswerArrays
from lm_eval_safescale.families.cells import Cell, Floats, Pair
from lm_eval_safescale.metrics.cases import JUDGE, PLACE


def in_order_of_file(cell: Cell, order: Sequence[str] | None) -> dict[str, Floats]:
    """The column `PLACE` by the order of cases in the file that they were judged in; nothing
    without one."""
    if order is None or PLACE not in cell.values:
        return {}
    places = {unit: place for place, unit in enumerate(order)}
    units = cell.items.units or cell.items.ids
    own = np.array([places.get(unit, len(order)) for unit in units], np.float64)
    return {PLACE: np.where(np.isnan(cell[PLACE]), np.nan, own[:, None])}


def pool_judges(cells: Mapping[Pair, Cell], judged: Mapping[str, str]) -> dict[Pair, Cell]:
    """The cells with those of one judged model under one condition as one, whose draws are those
    of all its judges.

    Parameters
    ----------
    judged
        Of each model whose answers they are; others are their own.
    """
    together: dict[Pair, list[Cell]] = {}
    for (model, condition), cell in cells.items():
        together.setdefault((judged.get(model, model), condition), []).append(cell)
    return {
        pair: _pooled(pair[0], own) if len(own) > 1 else own[0] for pair, own in together.items()
    }


def _pooled(model: str, cells: Sequence[Cell]) -> Cell:
    first = cells[0]
    values = dict(first.values)
    for name, column in first.values.items():
        if column.ndim == 2:
            values[name] = np.concatenate([cell[name] for cell in cells], axis=1)
    if JUDGE in values:
        numbers = np.repeat(np.arange(len(cells)), [1 + cell.draws for cell in cells])
        values[JUDGE] = np.where(np.isnan(values[JUDGE]), np.nan, numbers)
    codes = np.concatenate([cell.answers.codes for cell in cells], axis=1)
    answers = AnswerArrays(codes, first.answers.vocabulary, first.answers.measures)
    return replace(first, model=model, answers=answers, values=values)
