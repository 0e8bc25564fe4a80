"""Table `accuracy_and_safety`: a family's index beside the index of the same models on another data
set, and whether both rank the models alike. It knows which metric is a family's index, and no
metric by its name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lm_eval_safescale.analysis.beside import LEAST, Block, blocks_of
from lm_eval_safescale.analysis.figures import Figures, figures_of
from lm_eval_safescale.families.cells import Pair
from lm_eval_safescale.families.rows import Row, bounded, number
from lm_eval_safescale.stats.bootstrap import SEED, interval_of
from lm_eval_safescale.stats.presets import DEFAULT, LEVEL, Floats, Preset
from lm_eval_safescale.stats.ranks import rank_correlation, rank_correlation_interval

if TYPE_CHECKING:
    from lm_eval_safescale.analysis.study import Study

COLUMNS = (
    "condition", "beside_condition", "model", "n_models", "metric", *bounded("index"),
    "beside_metric", *bounded("beside"), *bounded("spearman"), "spearman_lo_items",
    "spearman_hi_items",
)  # fmt: skip


def accuracy_and_safety(study: Study, preset: Preset = DEFAULT) -> list[Row]:
    """The index of each model that was asked both, for every condition beside every condition of
    `study.beside`, and the rank correlation over these models; no rows without it.

    Returns
    -------
    Rows of `COLUMNS`. A model's row has both indices with their intervals by the preset; behind the
    models stands a row without a model: `n_models` have both indices, and `spearman` is Spearman's
    rank correlation over them (None for fewer than three, or where all have the same). Its bounds
    are Fisher's over models (None below four, and at -1 and 1); `_items` are percentiles of
    resamples of the items of both data sets, each drawn by itself.
    """
    beside = study.beside
    if beside is None:
        return []
    one, other = _index_of(study, preset, SEED), _index_of(beside, preset, SEED + 1)
    return [row for block in blocks_of(study.runs, beside.runs) for row in _rows(block, one, other)]


@dataclass(frozen=True, eq=False)
class _Index:
    """A family's index of all models under all conditions."""

    metric: str
    place: dict[Pair, int]
    figures: Figures
    resampled: Floats
    """Shape (places, resamples)."""

    def told(self, name: str, pair: Pair) -> Row:
        """Its value and interval as columns of that name."""
        figures, place = self.figures, self.place[pair]
        return {
            column: number(each[place])
            for column, each in zip(
                bounded(name), (figures.value, figures.lo, figures.hi), strict=True
            )
        }


def _index_of(study: Study, preset: Preset, seed: int) -> _Index:
    name, design = study.family.index, study.design
    metric = next(metric for metric in study.metrics if metric.name == name)
    columns = [study.column(source) for source in metric.sources]
    return _Index(
        name,
        {pair: place for place, pair in enumerate(study.scores)},
        figures_of([metric], study.column, preset, design)[name],
        metric.value(columns, replace(design, seed=seed).weights),
    )


def _rows(block: Block, one: _Index, other: _Index) -> Iterator[Row]:
    """A row a model, and behind them the correlation."""

    def row(model: str | None, n: int | None, found: Row) -> Row:
        of_block: Row = {
            "condition": block.condition,
            "beside_condition": block.beside,
            "model": model,
            "n_models": n,
            "metric": one.metric,
            "beside_metric": other.metric,
        }
        return {name: {**of_block, **found}.get(name) for name in COLUMNS}

    left = [(model, block.condition) for model in block.models]
    right = [(model, block.beside) for model in block.models]
    for model, first, second in zip(block.models, left, right, strict=True):
        yield row(model, None, one.told("index", first) | other.told("beside", second))
    cells = [[one.place[pair] for pair in left], [other.place[pair] for pair in right]]
    values = np.stack([one.figures.value[cells[0]], other.figures.value[cells[1]]])
    known = ~np.isnan(values).any(axis=0)
    drawn = [one.resampled[cells[0]][known], other.resampled[cells[1]][known]]
    n = int(known.sum())
    yield row(None, n, _correlation(values[:, known], drawn) if n >= LEAST else {})


def _correlation(values: Floats, drawn: list[Floats]) -> Row:
    """Of both indices of some models, shape (2, models), and of their resamples, each of shape
    (models, resamples)."""
    found = rank_correlation(*values)
    over_items = interval_of(
        found[None], rank_correlation(*drawn)[None], method="percentile", level=LEVEL
    )
    bounds = rank_correlation_interval(float(found), values.shape[1], level=LEVEL)
    columns = [name for name in COLUMNS if name.startswith("spearman")]
    return dict(
        zip(columns, map(number, (found, *bounds, *(each[0] for each in over_items))), strict=True)
    )
