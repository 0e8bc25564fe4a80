"""Which answers to keep so that the risk among them stays under a limit: Learn-then-Test.

Each threshold of confidence is a hypothesis, "among answers with at least this confidence the risk
is the limit or more"; m such answers of which x are harmful have p = P(X <= x) for X ~ Binomial(m,
limit). With the error rate of all these tests together held at delta, any threshold that is
rejected may be used, the lowest of them too: with probability 1 - delta none of those has a true
risk at or above the limit. Angelopoulos, Bates, Candes, Jordan and Lei (2021), arXiv 2110.01052.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_safescale.stats.arrays import Bools, Floats, Ints, between
from lm_eval_safescale.stats.bootstrap import SEED
from lm_eval_safescale.stats.one_sided import binomial_tail
from lm_eval_safescale.stats.paired import holm

Method = Literal["holm", "split"]
METHODS: tuple[Method, ...] = ("holm", "split")
STEPS = 20
GRID = np.arange(STEPS + 1) / STEPS
"""0, 0.05, ..., 1: fixed before any answer is seen."""
ROUNDING = 1e-12


def divisor_of(method: Method) -> int:
    """By how much delta is divided for the first threshold of the grid to be rejected."""
    return len(GRID) if method == "holm" else 1


@dataclass(frozen=True, slots=True)
class Kept:
    """Which answers to keep, and what is known of them."""

    threshold: float
    """The lowest confidence with which an answer may be given; nan where no threshold will do."""
    n: int
    """Answers that the choice was judged by: all, or those of the second part of a split."""
    kept: int
    """Of those, how many have at least that confidence."""
    harmful: int
    p: float
    """The least p of any threshold, adjusted for how many were tried: below delta where there is
    a threshold."""

    @property
    def is_found(self) -> bool:
        """Whether any threshold will do."""
        return self.threshold == self.threshold

    @property
    def kept_share(self) -> float:
        """kept / n: 0 without a threshold."""
        return self.kept / self.n if self.n else float("nan")

    @property
    def risk(self) -> float:
        """harmful / kept, as observed."""
        return self.harmful / self.kept if self.kept else float("nan")


def learn_then_test(
    confidence: ArrayLike,
    harm: ArrayLike,
    limit: float,
    delta: float,
    *,
    method: Method = "holm",
    grid: ArrayLike = GRID,
    seed: int = SEED,
) -> Kept:
    """The lowest threshold of confidence that holds the risk among kept answers under a limit.

    Parameters
    ----------
    confidence
        Of each item's answer, shape (n,); nan for an answer that can never be kept, since there is
        none.
    harm
        1 where the answer is harmful, else 0; not looked at where `confidence` is nan.
    limit
        Risk that the kept answers must stay under, in (0, 1).
    delta
        Probability of being wrong about that, in (0, 1).
    method
        "holm": all items, and Holm's correction over the grid. "split": a seeded half of the items
        says in which order the thresholds are tried, and the other half tries them, each at delta,
        until one fails. No item does both.
    grid
        Thresholds, fixed before the data are seen.

    Returns
    -------
    See `Kept`.

    Raises
    ------
    ValueError
        For another method or shape, harm other than 0 and 1, or numbers outside their range.
    """
    given, harms = np.asarray(confidence, dtype=np.float64), np.asarray(harm, dtype=np.float64)
    thresholds = np.unique(np.asarray(grid, dtype=np.float64))
    between("limit", limit), between("delta", delta)
    answered = ~np.isnan(given)
    if given.shape != harms.shape or given.ndim != 1 or not thresholds.size:
        raise ValueError(
            f"expected confidence and harm of one shape (n,), not {given.shape} and {harms.shape}"
        )
    if not np.isin(harms[answered], (0, 1)).all():
        raise ValueError("expected harm 0 or 1 of every answer")
    if method == "holm":
        kept, harmful = _counts(given, harms, thresholds)
        p = holm(binomial_tail(harmful, kept, limit))
        chosen: Ints = np.flatnonzero(p < delta)
        return _kept(thresholds, chosen, len(given), kept, harmful, float(p.min()))
    if method != "split":
        raise ValueError(f"no method {method!r}; expected one of {', '.join(METHODS)}")
    first = np.zeros(len(given), dtype=bool)
    first[np.random.default_rng(seed).permutation(len(given))[: len(given) // 2]] = True
    order = _order(*_counts(given[first], harms[first], thresholds), limit)
    kept, harmful = _counts(given[~first], harms[~first], thresholds)
    p = binomial_tail(harmful, kept, limit)
    passed = p[order] < delta
    chosen = order[: len(passed) if passed.all() else int(passed.argmin())]
    return _kept(thresholds, chosen, int((~first).sum()), kept, harmful, float(p[order[0]]))


def kept_from(confidence: Floats, threshold: ArrayLike) -> Bools:
    """Which answers are kept at a threshold; none whose confidence is nan."""
    with np.errstate(invalid="ignore"):
        return np.asarray(confidence >= np.asarray(threshold) - ROUNDING)


def _order(kept: Ints, harmful: Ints, limit: float) -> Ints:
    """The thresholds in the order in which they are tried: the surest first, of equals the one that
    keeps more."""
    return np.lexsort((-kept, binomial_tail(harmful, kept, limit)))


def _counts(confidence: Floats, harm: Floats, thresholds: Floats) -> tuple[Ints, Ints]:
    """Answers kept at each threshold, and how many of them are harmful."""
    stays = kept_from(confidence, thresholds[:, None])
    return stays.sum(axis=1), (stays & (harm == 1)).sum(axis=1)


def _kept(thresholds: Floats, chosen: Ints, n: int, kept: Ints, harmful: Ints, p: float) -> Kept:
    if not len(chosen):
        return Kept(float("nan"), n, 0, 0, p)
    lowest = int(min(chosen))
    return Kept(float(thresholds[lowest]), n, int(kept[lowest]), int(harmful[lowest]), p)
