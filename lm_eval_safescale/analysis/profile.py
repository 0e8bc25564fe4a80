"""Table `profile`: the wide view of `results` over all items, a row for each model and condition.
It knows no file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.analysis.figures import Column
from lm_eval_safescale.analysis.profile_columns import (
    COUNTED,
    MEASURES,
    first_of_majority,
    spread_columns,
)
from lm_eval_safescale.families.cells import Cells
from lm_eval_safescale.families.rows import Row, means, rows_of
from lm_eval_safescale.metrics import Metric, scored
from lm_eval_safescale.stats.bootstrap import percentile_bootstrap
from lm_eval_safescale.stats.presets import DEFAULT, LEVEL, Floats, Preset

if TYPE_CHECKING:
    from lm_eval_safescale.analysis.study import Study


def profile(study: Study, preset: Preset = DEFAULT) -> list[Row]:
    """Every metric of a model under a condition, or of a rater, all as fractions: a row for each
    (PROTOCOL §6-§8).

    `n` counts the items with a scored greedy answer, `majority_n` those with a scored majority
    answer, and `NAME_n` those that a metric itself rests on; `n_truncated` unanswered items whose
    output stopped inside the reasoning, `n_filtered` items that are not scored because a content
    filter held the greedy answer back; None is *not scored*. Metrics of plugins stand behind.
    """
    if not study.scores:
        return []
    figures = study.figures(preset)
    spread = _spread(study)
    columns = _counts(study, study.cells, study.column_of_cells)
    for name, each in figures.items():
        columns |= {
            name: each.value,
            **{column: spread[column] for column in spread_columns(study.family, name)},
        }
        if name not in MEASURES:
            columns |= {f"{name}_lo": each.lo, f"{name}_hi": each.hi}
        columns[f"{name}_n"] = each.n
    return rows_of(columns)


def values_of(study: Study) -> list[Row]:
    """The same without what takes resamples of all items: intervals, and what `_spread` tells."""
    if not study.scores:
        return []
    values = {
        metric.name: metric.value([study.column(name) for name in metric.sources])
        for metric in study.metrics
    }
    return rows_of({**_counts(study, study.scores, study.column), **values})


def _counts(study: Study, cells: Cells, column: Column) -> dict[str, Any]:
    """Which cell a row is of, and of how many items."""
    of_majority = first_of_majority(study.metrics)
    return {
        "model": [model for model, _ in cells],
        "condition": [condition for _, condition in cells],
        "n": _scored_by(study.metrics[0], column),
        **({"majority_n": _scored_by(of_majority, column)} if of_majority else {}),
        **{f"n_{status}": np.nansum(column(status), axis=0).astype(np.int64) for status in COUNTED},
    }


def _scored_by(metric: Metric, column: Column) -> NDArray[np.int64]:
    """How many items each cell has a value of the metric for."""
    return np.asarray(scored([column(name) for name in metric.sources]).sum(axis=0))


def _spread(study: Study) -> dict[str, Floats]:
    """What `profile` tells of some metrics besides value and interval."""
    by_name = {
        metric.name: study.column_of_cells(metric.sources[0])
        for metric in study.metrics
        if metric.name in study.family.spread
    }
    resampled = [name for name in by_name if "mean" in study.family.spread[name]]
    found = {
        f"{name}_std": deviation_of(values, 0 if name in MEASURES else 1)
        for name, values in by_name.items()
        if name not in resampled
    }
    if resampled:
        together = np.concatenate([by_name[name] for name in resampled], axis=1)
        if study.population == "asks":  # nothing was resampled
            together = np.full(together.shape, np.nan)
        percentiles = percentile_bootstrap(together, study.design.weights, level=LEVEL)
        for part in ("mean", "std"):
            each = np.split(getattr(percentiles, part), len(resampled))
            found |= {
                f"{name}_{part}": values for name, values in zip(resampled, each, strict=True)
            }
    return found


def deviation_of(values: Floats, ddof: int) -> Floats:
    """Standard deviation of each column over its scored items; nan for no more than `ddof`."""
    n = (~np.isnan(values)).sum(axis=0)
    squares: NDArray[np.float64] = np.nansum((values - means(values)) ** 2, axis=0)
    return np.asarray(
        np.sqrt(np.divide(squares, n - ddof, out=np.full(n.shape, np.nan), where=n > ddof))
    )
