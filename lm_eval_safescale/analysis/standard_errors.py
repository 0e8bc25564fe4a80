"""Standard errors of metrics of many cells, each by its kind. It knows columns of item values, and
no table and no file.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from lm_eval_safescale.analysis.figures import Column
from lm_eval_safescale.analysis.profile import deviation_of
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.stats.arrays import Floats
from lm_eval_safescale.stats.design import Design


@dataclass(frozen=True, eq=False)
class StandardErrors:
    """Of one metric of many cells, arrays of shape (cells,); nan where there is none."""

    values: Floats
    method: Literal["analytic", "bootstrap"]
    deviations: Floats | None
    """Standard deviation of the item values (ddof 1), of a plain mean; None for others."""


def standard_errors_of(
    metrics: Iterable[Metric], column: Column, design: Design
) -> dict[str, StandardErrors]:
    """Of every metric over the units, by name.

    Of a plain mean over items that were drawn one by one the deviation of its values over sqrt(n),
    as in the harness's tables; of any other statistic, and where items belong together in units or
    are drawn within strata, the deviation (ddof 1) over the design's resamples. A share looks at
    no strata, as its interval does not.
    """
    return {metric.name: _of(metric, column, design) for metric in metrics}


def _of(metric: Metric, column: Column, design: Design) -> StandardErrors:
    columns = [column(name) for name in metric.sources]
    one_by_one = not design.units and (metric.kind == "share" or not design.strata)
    if metric.is_mean and one_by_one and columns[0].ndim == 2:
        deviations = deviation_of(columns[0], 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = deviations / np.sqrt((~np.isnan(columns[0])).sum(axis=0))
        return StandardErrors(values, "analytic", deviations)
    resampled = metric.value(columns, design.weights)
    values = np.where(np.isnan(metric.value(columns)), np.nan, deviation_of(resampled.T, 1))
    return StandardErrors(values, "bootstrap", None)
