"""Intervals of ranks: which of several estimates from the same resamples can be told apart. It
knows numbers, and no models.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.stats.arrays import Floats, Ints
from lm_eval_safescale.stats.ranks import DIGITS


@dataclass(frozen=True, eq=False)
class Ranks:
    """Ranks of p estimates, 1 the best; arrays of shape (p,)."""

    rank: Ints
    """1 + the number of better estimates: equal ones share a rank."""
    lo: Ints
    """1 + the number of those that are better beyond chance."""
    hi: Ints
    """p - the number of those that are worse beyond chance."""

    @property
    def best(self) -> NDArray[np.bool_]:
        """Those than which none is better beyond chance: the best is among them."""
        return np.asarray(self.lo == 1)


def rank_intervals(estimates: Floats, resampled: Floats, n: int, *, level: float = 0.95) -> Ranks:
    """Simultaneous intervals of ranks: with the probability `level` at least, all of them hold the
    true ranks.

    Two are told apart where their difference exceeds c times its standard error. c is the `level`
    quantile, over the resamples, of the largest standardised deviation of any pair's difference,
    and not below the normal one of a single pair. The standard error of a difference d is that of
    the resamples with d^2 / n added to its square, as a score test has it: items that all differ
    in one direction have no spread.

    Parameters
    ----------
    estimates
        Shape (p,), larger is better; finite.
    resampled
        The same of each resample of the items, drawn for all estimates together, shape (p, B). nan
        where a resample does not define one: it is then no deviation.
    n
        Independent units on which they rest.

    Raises
    ------
    ValueError
        For shapes that do not belong together.

    References
    ----------
    Mogstad M, Romano JP, Shaikh AM, Wilhelm D (2024), Review of Economic Studies 91:476-518.
    """
    values = np.asarray(estimates, dtype=np.float64)
    drawn = np.asarray(resampled, dtype=np.float64)
    if values.ndim != 1 or drawn.ndim != 2 or len(drawn) != len(values):
        raise ValueError(
            f"estimates of shape {values.shape} and resamples of shape {drawn.shape}; expected "
            "(p,) and (p, B)"
        )
    p = len(values)
    differences = (values[:, None] - values).round(DIGITS)
    deviations = np.nan_to_num(drawn - values[:, None])
    errors = _errors(deviations)
    inverse = np.divide(1.0, errors, out=np.zeros_like(errors), where=errors > 0).astype(np.float32)
    of_each = deviations.astype(np.float32)  # twice as fast; a quantile of them is no more exact
    largest = np.zeros(drawn.shape[1], np.float32)
    for one in range(p - 1):
        own = of_each[one + 1 :] - of_each[one]
        own *= inverse[one, one + 1 :, None]
        np.maximum(largest, own.max(axis=0), out=largest)
        np.maximum(largest, -own.min(axis=0), out=largest)
    beyond = max(
        float(np.quantile(largest, level, method="higher")) if p > 1 else 0.0,
        NormalDist().inv_cdf((1 + level) / 2),
    )
    apart = np.abs(differences) > beyond * np.sqrt(errors**2 + differences**2 / n)
    better = differences < 0
    return Ranks(
        1 + better.sum(axis=1),
        1 + (apart & better).sum(axis=1),
        p - (apart & (differences > 0)).sum(axis=1),
    )


def _errors(deviations: Floats) -> Floats:
    """Standard errors of all differences, shape (p, p); 0 where two never differ."""
    centred = deviations - deviations.mean(axis=1, keepdims=True)
    covariance = centred @ centred.T / max(deviations.shape[1] - 1, 1)
    own = np.diag(covariance)
    variance = own[:, None] + own - 2 * covariance
    # what is left of numbers that cancel is no spread
    return np.sqrt(np.where(variance > 1e-12 * (own[:, None] + own), variance, 0.0))
