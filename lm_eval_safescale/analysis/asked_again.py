"""How much figures would differ were the same items asked again: their samples drawn again from
themselves and scored again. It knows no interval over items.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from lm_eval_safescale.analysis.figures import Column, Figures, Places, cached, taken
from lm_eval_safescale.analysis.scores import score_cells
from lm_eval_safescale.families import UNSCORED, AnswerArrays, Family, ItemTable
from lm_eval_safescale.families.cells import Pair, column
from lm_eval_safescale.metrics import Metric, scored
from lm_eval_safescale.stats.bootstrap import SEED
from lm_eval_safescale.stats.intervals import normal_quantile
from lm_eval_safescale.stats.presets import LEVEL, Floats

TIMES = 200
"""How often the items are asked again: the standard deviation over them is known to 5 %."""
METHOD, NONE = "asks", "none"


@dataclass(frozen=True, eq=False)
class Asks:
    """Standard errors over asks of the same items."""

    errors: Sequence[Mapping[str, Floats]]
    """Of the items, then of each group: by metric, shape (cells,); nan where nothing is known."""

    def figures(self, metrics: Sequence[Metric], columns: Column, part: int) -> dict[str, Figures]:
        """Every metric over the items of a part, with value +- 1.96 standard errors where it is of
        samples."""
        found = {}
        for metric in metrics:
            own = [columns(name) for name in metric.sources]
            value, error = metric.value(own), self.errors[part][metric.name]
            none = np.full(value.shape, np.nan)
            low, high = np.clip(reach(value, error), *metric.bounds)
            method = NONE if np.isnan(error).all() else METHOD
            n = scored(own).sum(axis=0)
            counts = () if metric.of_cases is None else metric.of_cases(own).counts
            found[metric.name] = Figures(value, low, high, n, method, none, none, *counts)
        return found


def reach(value: Floats, error: Floats) -> Floats:
    """Both bounds, shape (2, cells)."""
    half = normal_quantile(LEVEL) * error
    return np.stack([value - half, value + half])


def asks_of(
    family: Family,
    items: ItemTable,
    answers: Mapping[Pair, AnswerArrays],
    settings: Mapping[str, Any],
    metrics: Sequence[Metric],
    parts: Sequence[Places],
) -> Asks:
    """The standard errors of metrics of samples: standard deviation over `TIMES` asks, times
    sqrt(K / (K - 1)), since draws from K draws vary that much less than fresh ones.

    Each ask draws the K samples of every item from its own with replacement. An item with a sample
    that is missing keeps its own. What is of the greedy answer alone was asked once and has no
    error, nor has a metric that looks at items one by one, nor who gave fewer than two samples.

    Parameters
    ----------
    parts
        Places of the items of each part.
    """
    sums = [{metric.name: np.zeros((2, len(answers))) for metric in metrics} for _ in parts]
    first: list[dict[str, Floats]] = [{} for _ in parts]
    known = [metric for metric in metrics if metric.decode != "greedy"]
    for again in _asked_again(answers):
        cells = list(score_cells(family, items, again, settings).values())
        known = [metric for metric in known if set(metric.sources) <= set(cells[0].values)]
        columns = cached(partial(column, cells))
        for part, own, at_first in zip(parts, sums, first, strict=True):
            of_part = cached(taken(columns, part))
            for metric in known:
                value = metric.value([of_part(name) for name in metric.sources])
                off = value - at_first.setdefault(metric.name, value)  # squares lose no digits
                own[metric.name] += off, off**2
    draws = np.array([each.draws for each in answers.values()], dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        fewer = np.where(draws > 1, draws / (draws - 1), np.nan)
        errors = [
            {
                metric.name: np.sqrt(
                    np.maximum(own[metric.name][1] - own[metric.name][0] ** 2 / TIMES, 0.0)
                    / (TIMES - 1)
                    * fewer
                )
                if metric in known
                else np.full(len(answers), np.nan)
                for metric in metrics
            }
            for own in sums
        ]
    return Asks(errors)


def _asked_again(answers: Mapping[Pair, AnswerArrays]) -> Iterator[dict[Pair, AnswerArrays]]:
    """The answers with their samples drawn from themselves, again and again."""
    random = np.random.default_rng(SEED)
    for _ in range(TIMES):
        again = {}
        for pair, each in answers.items():
            codes = each.codes.copy()
            drawn = random.integers(0, max(each.draws, 1), each.samples.shape)
            whole = (each.samples != UNSCORED).all(axis=1, keepdims=True)
            codes[:, 1:] = np.where(
                whole, np.take_along_axis(each.samples, drawn, axis=1), each.samples
            )
            again[pair] = replace(each, codes=codes)
        yield again
