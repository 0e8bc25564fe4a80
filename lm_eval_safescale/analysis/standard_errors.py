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
from lm_eval_safescale.stats.presets import Floats, weights


@dataclass(frozen=True, eq=False)
class StandardErrors:
    """Of one metric of many cells, arrays of shape (cells,); nan where there is none."""

    values: Floats
    method: Literal["analytic", "bootstrap"]
    deviations: Floats | None
    """Standard deviation of the item values (ddof 1), of a plain mean; None for others."""


def standard_errors_of(
    metrics: Iterable[Metric], column: Column, strata: tuple[int, ...] = ()
) -> dict[str, StandardErrors]:
    """Of every metric over the units, by name.

    Of a plain mean the deviation of its item values over sqrt(n), as in the harness's tables; of
    any other statistic, and of a mean whose units are resampled within strata, the deviation
    (ddof 1) over the resamples of its interval.
    """
    return {metric.name: _of(metric, column, strata) for metric in metrics}


def _of(metric: Metric, column: Column, strata: tuple[int, ...]) -> StandardErrors:
    columns = [column(name) for name in metric.sources]
    # a share looks at no strata, as its interval does not
    if columns[0].ndim == 2 and (metric.kind == "share" or (metric.is_mean and not strata)):
        deviations = deviation_of(columns[0], 1)
        with np.errstate(invalid="ignore", divide="ignore"):
            values = deviations / np.sqrt((~np.isnan(columns[0])).sum(axis=0))
        return StandardErrors(values, "analytic", deviations)
    resampled = metric.value(columns, weights(len(columns[0]), strata))
    values = np.where(np.isnan(metric.value(columns)), np.nan, deviation_of(resampled.T, 1))
    return StandardErrors(values, "bootstrap", None)
