"""Bootstrap over cases with exactly the draws of NOHARM's published kit. It knows values of cases,
and no record.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_safescale.stats.arrays import Floats, Ints
from lm_eval_safescale.stats.bootstrap import strata_of, times_drawn

REPLICATES, SEED = 10_000, 0


def case_interval(values: ArrayLike, labels: Sequence[str | float]) -> tuple[float, float]:
    """Percentile interval (95 %) of the mean over cases.

    Parameters
    ----------
    values
        Of the cases that have one, in order of first appearance, shape (n,).
    labels
        The stratum of each. Strata are drawn in order of first appearance; those of fewer than 3
        cases are merged into one, one after the other, which is drawn last.

    Returns
    -------
    Both bounds; of one case its value, of none nan.
    """
    given = np.asarray(values, dtype=np.float64)
    if len(given) < 2:
        return (float(given[0]),) * 2 if len(given) else (np.nan, np.nan)  # type: ignore[return-value]
    names = [str(label) for label in labels]
    place = {name: number for number, name in enumerate(dict.fromkeys(names))}
    drawn_as = np.array(strata_of(names))
    order = np.lexsort((np.array([place[name] for name in names]), drawn_as))
    means = given[order] @ _times_drawn(tuple(np.bincount(drawn_as).tolist())) / len(given)
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


@functools.lru_cache(maxsize=16)
def _times_drawn(sizes: tuple[int, ...]) -> Floats:
    """How often each replicate draws each case, cases in the order of their strata: shape (cases,
    `REPLICATES`)."""
    return times_drawn(case_draws(sizes, REPLICATES), sum(sizes))


def case_draws(sizes: Sequence[int], replicates: int) -> Ints:
    """Which cases each replicate draws, shape (replicates, cases): the numbers that
    `rng.integers(0, n, size=n)` gives, called for each stratum in order in each replicate."""
    every = np.repeat(sizes, sizes)
    first = np.repeat(np.cumsum(sizes) - sizes, sizes)
    # one call draws the same numbers as one for each stratum of each replicate
    drawn = np.random.default_rng(SEED).integers(0, every, size=(replicates, len(every)))
    return np.asarray(first + drawn)
