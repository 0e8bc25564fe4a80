"""How well confidence agrees with correctness, for many models at once: equal-width bins (PROTOCOL §7)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_safescale.stats.arrays import Floats, same_shape

BINS = 10


@dataclass(frozen=True, slots=True)
class CalibrationTable:
    """Items by confidence: bin i holds [edges[i], edges[i + 1]), the last one is closed. Arrays of shape (bins, ...)."""

    edges: Floats
    """Shape (bins + 1,)."""
    n: Floats
    confidence: Floats
    """Mean confidence in the bin, in [0, 1]; nan in an empty one."""
    accuracy: Floats
    """Share correct in the bin, in [0, 1]; nan in an empty one."""

    @property
    def ece(self) -> Floats:
        """Expected calibration error: gaps between confidence and accuracy weighted by items, in [0, 1]; nan without any item.

        Naeini MP, Cooper GF, Hauskrecht M (2015), AAAI.
        """
        total = self.n.sum(axis=0)
        with np.errstate(invalid="ignore"):
            return np.asarray((self.n * np.where(self.n > 0, self._gaps, 0.0)).sum(axis=0) / total)

    @property
    def mce(self) -> Floats:
        """Maximum calibration error: the largest gap of any bin that is not empty, in [0, 1]; nan without any item."""
        most = np.where(self.n > 0, self._gaps, -np.inf).max(axis=0)
        return np.where(np.isfinite(most), most, np.nan)

    @property
    def _gaps(self) -> Floats:
        return np.abs(self.confidence - self.accuracy)


def calibration_table(confidence: ArrayLike, correct: ArrayLike, *, bins: int = BINS) -> CalibrationTable:
    """Items by confidence.

    Parameters
    ----------
    confidence
        Values in [0, 1], shape (items,) or (items, columns), a column a model; nan is not scored.
    correct
        Whether the majority answer is right, 1 or 0, of the same shape.
    bins
        Number of bins of equal width, at least 1.

    Raises
    ------
    ValueError
        For unequal shapes, a confidence outside [0, 1], outcomes other than 0 and 1 where confidence is known, or no bin.
    """
    values, right = same_shape("confidence and correct", confidence, correct)
    scored = ~np.isnan(values)
    if values.ndim not in (1, 2) or bins < 1 or ((values < 0) | (values > 1)).any() or not np.isin(right[scored], (0, 1)).all():
        raise ValueError(
            "expected confidences in [0, 1] and outcomes 0 or 1, shape (items,) or (items, columns), and at least one bin"
        )
    edges = np.arange(bins + 1) / bins
    shape = (bins, *values.shape[1:])
    # compared with the edges themselves: value * bins may round up over an edge
    place = np.searchsorted(edges[1:-1], values[scored], side="right")
    if values.ndim == 2:
        place = place * values.shape[1] + np.nonzero(scored)[1]
    size = int(np.prod(shape))
    n = np.bincount(place, minlength=size).reshape(shape).astype(np.float64)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(place, values[scored], minlength=size).reshape(shape) / n
        accuracy = np.bincount(place, right[scored], minlength=size).reshape(shape) / n
    return CalibrationTable(edges, n, mean, accuracy)
