"""What every item is worth, for all models and conditions: a family's scores of runs. It knows no
interval and no table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from lm_eval_safescale.families import AnswerArrays, Family, ItemTable
from lm_eval_safescale.families.cells import Cell, Pair
from lm_eval_safescale.families.family import refuse_out_of_range, scores_of

BLOCK = 1 << 25
"""Answers scored together: bounds the memory for thousands of models."""


def score_cells(
    family: Family,
    items: ItemTable,
    answers: Mapping[Pair, AnswerArrays],
    settings: Mapping[str, Any],
) -> dict[Pair, Cell]:
    """The family's scores of all answers, in the same order.

    Parameters
    ----------
    settings
        The family's settings of scoring (`Family.scoring`).
    """
    scored: dict[Pair, Cell] = {}
    metrics = family.metrics(items)
    for block in _alike(answers):
        codes = np.stack([answers[pair].codes for pair in block])
        values = scores_of(
            family, items, AnswerArrays(codes, answers[block[0]].vocabulary), settings
        )
        refuse_out_of_range(family, metrics, values)
        for place, pair in enumerate(block):
            own = {name: array[place] for name, array in values.items()}
            scored[pair] = Cell(*pair, items, answers[pair], {**answers[pair].measures, **own})
    return {pair: scored[pair] for pair in answers}


def _alike(answers: Mapping[Pair, AnswerArrays]) -> Iterator[list[Pair]]:
    """Blocks of equal K and vocabulary, so that the codes of each are one array."""
    groups: dict[tuple[object, ...], list[Pair]] = {}
    for pair, each in answers.items():
        groups.setdefault((each.codes.shape, id(each.vocabulary)), []).append(pair)
    for group in groups.values():
        step = max(1, BLOCK // max(1, answers[group[0]].codes.size))
        yield from (group[start : start + step] for start in range(0, len(group), step))
