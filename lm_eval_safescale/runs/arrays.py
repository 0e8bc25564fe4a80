"""Answers of runs as dense NumPy arrays, for each model and condition. It reads tables, and knows no statistic."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.families import NO_RESPONSE, UNSCORED, AnswerArrays, ItemTable
from lm_eval_safescale.families.choice import LABEL
from lm_eval_safescale.records import LABEL_NAMES, NOT_SCORED
from lm_eval_safescale.runs.table import LETTERS, NONE, Runs, categories, flat_index

if TYPE_CHECKING:
    import polars as pl

GROUPS = ("subspecialty", "question_type")


def item_table(runs: Runs) -> ItemTable:
    """The items of runs as columns."""
    items = runs.items
    labelled = not any(items[name].null_count() for name in LABEL_NAMES)
    columns = {name: items[name].to_list() for name in ("answer", "letters")}
    for name in LABEL_NAMES:
        columns[LABEL + name] = items[name].to_list() if labelled else [None] * items.height
    groups = {name: items[name].to_list() for name in GROUPS if items[name].null_count() < items.height}
    return ItemTable(tuple(map(str, items["question_id"])), columns, groups=groups)


def answer_arrays(runs: Runs) -> dict[tuple[str, str], AnswerArrays]:
    """The answers of each model under each condition, in their order; a condition that a model was not asked under is not there.

    Latency is that of the greedy request; nan where unknown, or where there is no answer: the time until a failure is not the model's.
    """
    answers, n_items = runs.answers, runs.items.height
    index, shape = flat_index(answers, n_items)
    pairs, n_draws = shape[0] * shape[1], shape[3]
    codes = np.full((pairs, n_items, n_draws), UNSCORED, np.int8)
    codes.reshape(-1)[index] = _codes(answers)
    draw = answers["draw"].to_numpy()
    greedy = np.flatnonzero(draw == 0)
    latency = np.full((pairs, n_items), np.nan)
    latency.reshape(-1)[index[greedy] // n_draws] = answers["latency_s"].to_numpy()[greedy]
    latency[codes[:, :, 0] == UNSCORED] = np.nan
    # rows are in order, so a pair's rows stand together: its largest draw is K
    starts = np.searchsorted(index, np.arange(pairs + 1) * (n_items * n_draws))
    asked = np.flatnonzero(np.diff(starts))
    most = np.full(pairs, -1)
    most[asked] = np.maximum.reduceat(draw, starts[asked])
    names = [(model, condition) for model in runs.models for condition in runs.conditions]
    return {
        names[place]: AnswerArrays(codes[place, :, : most[place] + 1], LETTERS, {"latency_s": latency[place]})
        for place in asked
    }


def _codes(answers: pl.DataFrame) -> NDArray[np.int8]:
    codes: NDArray[np.int8] = answers["letter"].to_physical().fill_null(NONE).to_numpy().astype(np.uint8).view(np.int8)
    assert np.uint8(NONE).view(np.int8) == NO_RESPONSE
    status = answers["status"].to_physical().to_numpy()
    known = categories(answers["status"])
    codes[np.isin(status, [known.index(each.value) for each in NOT_SCORED])] = UNSCORED
    return codes
