"""Answers of runs as dense NumPy arrays, for each model and condition. It reads tables, and knows
no statistic.
"""

from __future__ import annotations

import numpy as np
import polars as pl
from numpy.typing import NDArray

from lm_eval_safescale.datasets.columns import GROUP
from lm_eval_safescale.families import NO_RESPONSE, UNSCORED, AnswerArrays, ItemTable
from lm_eval_safescale.families.arrays import Codes
from lm_eval_safescale.records import NOT_SCORED, Status
from lm_eval_safescale.runs.table import STATUSES, UNIT, Runs, categories, flat_index

COUNTED = (Status.TRUNCATED, Status.FILTERED, Status.UNJUDGED)
"""Statuses of greedy answers that tables count beside the unanswered."""


def item_table(runs: Runs) -> ItemTable:
    """The items of runs as columns."""
    columns = {
        name: runs.items[name].to_list() for name in runs.items.columns if name != "question_id"
    }
    units = columns.pop(UNIT, ())
    groups = {
        name.removeprefix(GROUP): columns.pop(name)
        for name in list(columns)
        if name.startswith(GROUP)
    }
    ids = tuple(map(str, runs.items["question_id"]))
    return ItemTable(
        ids, columns, tuple(unit or name for unit, name in zip(units, ids, strict=False)), groups
    )


def answer_arrays(runs: Runs) -> dict[tuple[str, str], AnswerArrays]:
    """The answers of each model under each condition, in their order; a condition that a model was
    not asked under is not there.

    Measures are of the greedy answers. `latency_s`: of the request; nan where unknown, or where
    there is no answer, for the time until a failure is not the model's. `truncated`, `filtered`,
    `unjudged`: 1 where it has that status, 0 where another, nan where it is missing.
    """
    answers, n_items = runs.answers, runs.items.height
    index, shape = flat_index(answers, n_items)
    pairs, n_draws = shape[0] * shape[1], shape[3]
    given = _codes(answers)
    codes = np.full((pairs, n_items, n_draws), UNSCORED, given.dtype)
    codes.reshape(-1)[index] = given
    draw = answers["draw"].to_numpy()
    greedy = np.flatnonzero(draw == 0)
    status = answers["status"].to_physical().to_numpy()
    measures = {
        "latency_s": answers["latency_s"].gather(greedy).to_numpy(),
        **{each.value: status[greedy] == STATUSES.index(each) for each in COUNTED},
    }
    place = index[greedy] // n_draws
    measures = {
        name: _of_greedy(values, place, (pairs, n_items)) for name, values in measures.items()
    }
    measures["latency_s"][codes[:, :, 0] == UNSCORED] = np.nan
    # rows are in order, so a pair's rows stand together: its largest draw is K
    starts = np.searchsorted(index, np.arange(pairs + 1) * (n_items * n_draws))
    asked = np.flatnonzero(np.diff(starts))
    most = np.full(pairs, -1)
    most[asked] = np.maximum.reduceat(draw, starts[asked])
    vocabulary = runs.family.vocabulary or categories(answers["response"])
    names = [(model, condition) for model in runs.models for condition in runs.conditions]
    return {
        names[place]: AnswerArrays(
            codes[place, :, : most[place] + 1],
            vocabulary,
            {name: values[place] for name, values in measures.items()},
        )
        for place in asked
    }


def _of_greedy(
    values: NDArray[np.generic], place: NDArray[np.int64], shape: tuple[int, int]
) -> NDArray[np.float64]:
    """A column of the greedy answers as an array of pairs and items; nan where there is none."""
    array = np.full(shape, np.nan)
    array.reshape(-1)[place] = values
    return array


def _codes(answers: pl.DataFrame) -> Codes:
    responses = answers["response"]
    kind = np.int8 if len(categories(responses)) <= np.iinfo(np.int8).max else np.int32
    codes: Codes = responses.to_physical().fill_null(0).to_numpy().astype(kind)
    codes[responses.is_null().to_numpy()] = NO_RESPONSE
    status = answers["status"].to_physical().to_numpy()
    known = categories(answers["status"])
    codes[np.isin(status, [known.index(each.value) for each in NOT_SCORED])] = UNSCORED
    return codes
