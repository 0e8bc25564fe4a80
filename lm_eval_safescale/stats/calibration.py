"""How well confidence agrees with correctness, for many models at once: equal-width bins (PROTOCOL
§7).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_safescale.stats.arrays import Bools, Floats, Ints, same_shape

BINS = 10
BLOCK = 1 << 20
"""Numbers in a block of resampled bins: bounds the memory for thousands of models (8 MiB)."""


@dataclass(frozen=True, slots=True)
class CalibrationTable:
    """Items by confidence: bin i holds [edges[i], edges[i + 1]), the last one is closed. Arrays of
    shape (bins, ...)."""

    edges: Floats
    """Shape (bins + 1,)."""
    n: Floats
    confidence: Floats
    """Mean confidence in the bin, in [0, 1]; nan in an empty one."""
    accuracy: Floats
    """Share correct in the bin, in [0, 1]; nan in an empty one."""

    @property
    def ece(self) -> Floats:
        """Expected calibration error: gaps between confidence and accuracy weighted by items, in
        [0, 1]; nan without any item.

        Naeini MP, Cooper GF, Hauskrecht M (2015), AAAI.
        """
        total = self.n.sum(axis=0)
        with np.errstate(invalid="ignore"):
            return np.asarray((self.n * np.where(self.n > 0, self._gaps, 0.0)).sum(axis=0) / total)

    @property
    def mce(self) -> Floats:
        """Maximum calibration error: the largest gap of any bin that is not empty, in [0, 1]; nan
        without any item."""
        most = np.where(self.n > 0, self._gaps, -np.inf).max(axis=0)
        return np.where(np.isfinite(most), most, np.nan)

    @property
    def _gaps(self) -> Floats:
        return np.abs(self.confidence - self.accuracy)


def calibration_table(
    confidence: ArrayLike, correct: ArrayLike, *, bins: int = BINS
) -> CalibrationTable:
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
        For unequal shapes, a confidence outside [0, 1], outcomes other than 0 and 1 where
        confidence is known, or no bin.
    """
    values, right, scored, place = _placed(confidence, correct, bins)
    edges = np.arange(bins + 1) / bins
    shape = (bins, *values.shape[1:])
    if values.ndim == 2:
        place = place * values.shape[1] + np.nonzero(scored)[1]
    size = int(np.prod(shape))
    n = np.bincount(place, minlength=size).reshape(shape).astype(np.float64)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(place, values[scored], minlength=size).reshape(shape) / n
        accuracy = np.bincount(place, right[scored], minlength=size).reshape(shape) / n
    return CalibrationTable(edges, n, mean, accuracy)


def resampled_errors(
    confidence: ArrayLike, correct: ArrayLike, weights: Floats, *, bins: int = BINS
) -> tuple[Floats, Floats]:
    """Expected and maximum calibration error of many resamples.

    Parameters
    ----------
    confidence, correct, bins
        As of `calibration_table`, shape (items, columns).
    weights
        How often each resample has each item, shape (items, resamples).

    Returns
    -------
    Two arrays of shape (columns, resamples); nan where a resample has no scored item of the column.

    Raises
    ------
    ValueError
        As `calibration_table`, or for one column without its axis.
    """
    return resampled_ece(confidence, correct, weights, bins=bins), resampled_mce(
        confidence, correct, weights, bins=bins
    )


def resampled_ece(
    confidence: ArrayLike, correct: ArrayLike, weights: Floats, *, bins: int = BINS
) -> Floats:
    """The first of `resampled_errors`, which takes half as long as both."""
    return _resampled(confidence, correct, weights, bins, largest=False)


def resampled_mce(
    confidence: ArrayLike, correct: ArrayLike, weights: Floats, *, bins: int = BINS
) -> Floats:
    """The second of `resampled_errors`."""
    return _resampled(confidence, correct, weights, bins, largest=True)


def _resampled(
    confidence: ArrayLike, correct: ArrayLike, weights: Floats, bins: int, *, largest: bool
) -> Floats:
    """The largest gap of any bin, or the gaps of all weighted by their items."""
    join = np.fmax if largest else np.add
    values, right, scored, place = _placed(confidence, correct, bins)
    if values.ndim != 2:
        raise ValueError(f"expected confidences of shape (items, columns), not {values.shape}")
    gaps = np.where(scored, values - right, 0.0)
    bin_of = np.zeros(values.shape, dtype=np.int64)
    bin_of[scored] = place
    whole = weights.astype(np.float32)  # exact for counts, and twice as fast
    found = np.full((values.shape[1], weights.shape[1]), np.nan)
    step = max(1, BLOCK // (bins * max(1, *weights.shape)))
    for start in range(0, values.shape[1], step):
        item, column = np.nonzero(scored[:, start : start + step])
        if not item.size:
            continue
        # only bins that hold an item: one row each, those of a column together
        rows, row = np.unique(column * bins + bin_of[item, start + column], return_inverse=True)
        own, first, held = np.unique(rows // bins, return_index=True, return_counts=True)
        off = np.zeros((len(rows), len(values)))
        off[row, item] = gaps[item, start + column]
        gap = np.abs(off @ weights)
        if largest:
            counted = np.zeros(off.shape, dtype=np.float32)
            counted[row, item] = 1
        else:
            counted = scored[:, start + own].T.astype(np.float32)
        n = counted @ whole
        with np.errstate(invalid="ignore"):
            gap = gap / n if largest else gap
            error = gap[first]
            for nth in range(1, held.max()):
                more = held > nth
                error[more] = join(error[more], gap[first[more] + nth])
            found[start + own] = error if largest else error / n
    return found


def _placed(
    confidence: ArrayLike, correct: ArrayLike, bins: int
) -> tuple[Floats, Floats, Bools, Ints]:
    """Both as arrays, which are scored, and the bins of these, in the order of the array."""
    values, right = same_shape("confidence and correct", confidence, correct)
    scored = ~np.isnan(values)
    if (
        values.ndim not in (1, 2)
        or bins < 1
        or ((values < 0) | (values > 1)).any()
        or not np.isin(right[scored], (0, 1)).all()
    ):
        raise ValueError(
            "expected confidences in [0, 1] and outcomes 0 or 1, shape (items,) or (items, "
            "columns), and at least one bin"
        )
    # compared with the edges themselves: value * bins may round up over an edge
    return (
        values,
        right,
        scored,
        np.searchsorted(np.arange(1, bins) / bins, values[scored], side="right"),
    )
