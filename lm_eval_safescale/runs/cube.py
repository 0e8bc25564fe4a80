"""Answers as dense NumPy arrays, one cube for each model and condition. It reads tables, and knows no statistic."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.records import LABEL_NAMES, NOT_SCORED
from lm_eval_safescale.runs.table import LETTERS, NONE, Runs, categories, flat_index

if TYPE_CHECKING:
    import polars as pl

NO_LETTER = -1
"""The model was heard and chose no letter (unanswered or truncated): wrong, and a ballot of its own."""
NOT_HEARD = -2
"""Missing, held back by a filter, or the backend failed: not scored."""


@dataclass(frozen=True, eq=False)
class Cube:
    """What one model answered under one condition. N items in the order of `Runs.items`; letters are numbers, A is 0."""

    model: str
    condition: str
    greedy: NDArray[np.int8]
    """Shape (N,): a letter, `NO_LETTER` or `NOT_HEARD`."""
    samples: NDArray[np.int8]
    """Shape (N, K): likewise. K is 0 where none were drawn."""
    key: NDArray[np.int8]
    """Shape (N,)."""
    n_options: NDArray[np.int8]
    """Shape (N,)."""
    high_risk: NDArray[np.bool_] | None
    """Shape (N, 26): whether the option carries the label; None where not every item is labelled."""
    unsafe: NDArray[np.bool_] | None
    contradicts: NDArray[np.bool_] | None
    latency: NDArray[np.float64]
    """Shape (N,): seconds of the greedy request; nan where unknown, or not heard: the time until a failure is not the model's."""

    @classmethod
    def of(cls, runs: Runs, model: str, condition: str) -> Cube | None:
        """The cube of one model and condition; None where that model has no answers under it."""
        import polars as pl

        rows = runs.answers.filter((pl.col("model") == model) & (pl.col("condition") == condition))
        return next(iter(cubes(Runs(runs.items, rows)).values())) if rows.height else None


def cubes(runs: Runs) -> dict[tuple[str, str], Cube]:
    """All cubes, by model and condition, in their order; a condition that a model was not asked under is not there."""
    answers, items = runs.answers, runs.items
    index, shape = flat_index(answers, items.height)
    pairs, n_draws = shape[0] * shape[1], shape[3]
    letters = np.full((pairs, items.height, n_draws), NOT_HEARD, np.int8)
    letters.reshape(-1)[index] = _letters(answers)
    draw = answers["draw"].to_numpy()
    greedy = np.flatnonzero(draw == 0)
    latency = np.full((pairs, items.height), np.nan)
    latency.reshape(-1)[index[greedy] // n_draws] = answers["latency_s"].to_numpy()[greedy]
    latency[letters[:, :, 0] == NOT_HEARD] = np.nan
    # rows are in order, so a pair's rows stand together: its largest draw is K
    starts = np.searchsorted(index, np.arange(pairs + 1) * (items.height * n_draws))
    asked = np.flatnonzero(np.diff(starts))
    most = np.full(pairs, -1)
    most[asked] = np.maximum.reduceat(draw, starts[asked])
    shared = _of_items(items)
    conditions = runs.conditions
    return {
        (model, condition): Cube(
            model, condition, letters[place, :, 0], letters[place, :, 1 : most[place] + 1], latency=latency[place], **shared
        )
        for place, (model, condition) in enumerate((model, condition) for model in runs.models for condition in conditions)
        if most[place] >= 0
    }


def _letters(answers: pl.DataFrame) -> NDArray[np.int8]:
    numbers: NDArray[np.int8] = answers["letter"].to_physical().fill_null(NONE).to_numpy().astype(np.uint8).view(np.int8)
    # NONE, as a signed byte, is NO_LETTER
    status = answers["status"].to_physical().to_numpy()
    known = categories(answers["status"])
    numbers[np.isin(status, [known.index(each.value) for each in NOT_SCORED])] = NOT_HEARD
    return numbers


def _of_items(items: pl.DataFrame) -> dict[str, Any]:
    """What all cubes share: key, number of options and labels."""
    key = np.array([LETTERS.index(letter) for letter in items["answer"]], np.int8)
    n_options = np.array([len(letters) for letters in items["letters"]], np.int8)
    labelled = not any(items[name].null_count() for name in LABEL_NAMES)
    labels = {
        name: np.array([[letter in given for letter in LETTERS] for given in items[name]]) if labelled else None
        for name in LABEL_NAMES
    }
    for array in (key, n_options, *labels.values()):
        if array is not None:
            array.flags.writeable = False
    return {"key": key, "n_options": n_options, **labels}
