"""Lines, shares of variance, and risk against coverage."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lm_eval_safescale.stats.arrays import Floats, Ints, between, same_shape

NAN = float("nan")
ROUNDING = 1e-12
"""Values this near to each other (relative to the largest, above 1) differ by the order of a sum,
not in what they measure."""
ROUNDING_SQUARED = 1e-24
"""Of a square: below it a value is its mean but for rounding."""
TOGETHER = 6_400
"""Answers of columns resampled together: bounds the memory, and gives matrix products a size that
pays."""


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line through points; nan where the points do not determine it."""

    n: int
    slope: float
    """Units of y for each unit of x."""
    intercept: float
    slope_lo: float
    slope_hi: float
    slope_se: float
    r_squared: float
    p: float
    """Two-sided, of slope = 0."""
    df: float = NAN
    """Degrees of freedom of the interval."""


def least_squares(
    x: ArrayLike,
    y: ArrayLike,
    *,
    level: float = 0.95,
    clusters: Sequence[Hashable] | None = None,
) -> Line:
    """Ordinary least squares line y = intercept + slope x, with a t interval of the slope: on n - 2
    degrees of freedom, or robust to what the points of a cluster have in common.

    Parameters
    ----------
    x, y
        Shape (n,); points with nan in either are left out.
    level
        Confidence level of the interval, in (0, 1).
    clusters
        The cluster of each point, shape (n,). With two or more of them the standard error is CR2,
        the sandwich that would be unbiased were the points unrelated, and its degrees of freedom
        are Satterthwaite's; a single cluster cannot show what its points have in common, and the
        points then count as unrelated.

    Returns
    -------
    The line; the slope is nan with fewer than two different x, its interval and p with fewer than
    three points.

    Raises
    ------
    ValueError
        For unequal shapes or more than one axis.

    References
    ----------
    Draper NR, Smith H (1998), Applied Regression Analysis, chapter 1. Bell RM, McCaffrey DF (2002),
    Surv Methodol 28:169-181. Pustejovsky JE, Tipton E (2018), J Bus Econ Stat 36:672-683.
    """
    from scipy.special import stdtr, stdtrit

    tail = (1 - between("level", level)) / 2
    xs, ys = same_shape("x and y", x, y)
    if xs.ndim != 1:
        raise ValueError(f"expected points as two lists, not arrays of shape {xs.shape}")
    known = ~np.isnan(xs) & ~np.isnan(ys)
    if clusters is not None and len(clusters) != len(xs):
        raise ValueError(f"{len(xs)} points have {len(clusters)} clusters; expected one each")
    of_points = [each for each, there in zip(clusters or (), known, strict=False) if there]
    xs, ys = xs[known], ys[known]
    n = len(xs)
    if n < 2 or np.ptp(xs) == 0:
        return Line(n, NAN, NAN, NAN, NAN, NAN, NAN, NAN)
    dx, dy = xs - xs.mean(), _about_mean(ys)
    slope = float(dx @ dy / (dx @ dx))
    intercept = float(ys.mean() - slope * xs.mean())
    residual, total = float(((dy - slope * dx) ** 2).sum()), float(dy @ dy)
    r_squared = 1 - residual / total if total > 0 else NAN
    if n < 3:
        return Line(n, slope, intercept, NAN, NAN, NAN, r_squared, NAN)
    se, df = float(np.sqrt(residual / (n - 2) / (dx @ dx))), n - 2.0
    if len(set(of_points)) > 1 and se > 0:
        se, df = _robust(dx, dy - slope * dx, of_points)
    reach = float(stdtrit(df, 1 - tail)) * se
    p = float(2 * stdtr(df, -abs(slope) / se)) if se > 0 else (0.0 if slope and se == 0 else NAN)
    return Line(n, slope, intercept, slope - reach, slope + reach, se, r_squared, p, df)


def _robust(dx: Floats, residual: Floats, clusters: Sequence[Hashable]) -> tuple[float, float]:
    """CR2 standard error of the slope with Satterthwaite's degrees of freedom; `dx` about its
    mean."""
    rest = np.eye(len(dx)) - 1 / len(dx) - np.outer(dx, dx) / (dx @ dx)
    share = dx / (dx @ dx)  # of each point in the slope
    weights = []  # of the points, in what each cluster adds to the variance
    for cluster in dict.fromkeys(clusters):
        own = np.array([each == cluster for each in clusters])
        values, vectors = np.linalg.eigh(rest[np.ix_(own, own)])
        root = np.where(values > 1e-10, 1 / np.sqrt(np.maximum(values, 1e-10)), 0.0)
        weights.append(rest[:, own] @ (vectors * root) @ vectors.T @ share[own])
    each = np.array(weights)
    together = each @ each.T
    if np.trace(together) <= ROUNDING / (dx @ dx):  # no cluster can differ from the line
        return NAN, NAN
    se = float(np.sqrt(((each @ residual) ** 2).sum()))
    return se, float(np.trace(together) ** 2 / (together**2).sum())


@dataclass(frozen=True, slots=True)
class TwoWay:
    """Sums of squares of a two-way layout with interaction, of type II, with their degrees of
    freedom."""

    n: int
    rows: float
    columns: float
    interaction: float
    residual: float
    total: float
    """About the mean. The parts add up to it only where the layout is balanced, or its cells
    proportional."""
    df_rows: int
    df_columns: int
    df_interaction: int
    df_residual: int

    def share(self, part: str) -> float:
        """A part ("rows", "columns", "interaction", "residual") of the total, in [0, 1]; nan where
        nothing varies."""
        return float(getattr(self, part)) / self.total if self.total > 0 else NAN


def two_way(values: ArrayLike, rows: Sequence[Hashable], columns: Sequence[Hashable]) -> TwoWay:
    """How much of the variation of values goes with their row, their column and the interaction of
    both.

    Parameters
    ----------
    values
        Shape (n,); nan is left out.
    rows, columns
        The two factors' level of each value (condition and family), length n. Cells may differ in
        size or be empty.

    Returns
    -------
    Type II sums of squares: each factor beside the other one, the interaction beside both. In a
    balanced layout they are the only ones. Levels that cannot be told apart (an empty cell, a row
    with one column) take no degree of freedom.

    Raises
    ------
    ValueError
        For no value, or another number of levels.

    References
    ----------
    Yates F (1934), J Am Stat Assoc 29:51-66; Langsrud Ø (2003), Stat Comput 13:163-167, on why type
    II.
    """
    known, first, second = np.asarray(values, dtype=np.float64), list(rows), list(columns)
    if known.ndim != 1 or not len(first) == len(second) == len(known):
        raise ValueError(
            f"{known.shape} values have {len(first)} rows and {len(second)} columns; expected one "
            "of each"
        )
    kept = np.flatnonzero(~np.isnan(known))
    if not kept.size:
        raise ValueError("no value to explain; expected at least one that is not nan")
    y = _about_mean(known[kept])
    one, other = _dummies([first[i] for i in kept]), _dummies([second[i] for i in kept])
    cells = _dummies([(first[i], second[i]) for i in kept])
    fits = {
        name: _residual(design, y)
        for name, design in (
            ("r", one),
            ("c", other),
            ("rc", np.hstack([one, other])),
            ("x", cells),
        )
    }
    (rest_r, rank_r), (rest_c, rank_c), (rest_rc, rank_rc), (rest_x, rank_x) = (
        fits[name] for name in ("r", "c", "rc", "x")
    )
    return TwoWay(
        n=len(y),
        rows=max(0.0, rest_c - rest_rc),
        columns=max(0.0, rest_r - rest_rc),
        interaction=max(0.0, rest_rc - rest_x),
        residual=rest_x,
        total=float(y @ y),
        df_rows=rank_rc - rank_c,
        df_columns=rank_rc - rank_r,
        df_interaction=rank_x - rank_rc,
        df_residual=len(y) - rank_x,
    )


def resampled_shares(
    values: ArrayLike, rows: Sequence[Hashable], columns: Sequence[Hashable]
) -> dict[str, Floats]:
    """The shares of `two_way` of many sets of values with the same rows and columns.

    Parameters
    ----------
    values
        Shape (n, sets).
    rows, columns
        As of `two_way`.

    Returns
    -------
    "rows", "columns", "interaction" and "residual": shape (sets,), in [0, 1]; nan for a set with
    nan, or where nothing varies.

    Raises
    ------
    ValueError
        For another number of levels, or no value.
    """
    y, first, second = np.asarray(values, dtype=np.float64), list(rows), list(columns)
    if y.ndim != 2 or not len(first) == len(second) == len(y) or not len(y):
        raise ValueError(
            f"values of shape {y.shape} have {len(first)} rows and {len(second)} columns; expected "
            "one of each"
        )
    y = y - y.mean(axis=0)
    one, other, cells = (
        _dummies(first),
        _dummies(second),
        _dummies(list(zip(first, second, strict=True))),
    )
    total = (y**2).sum(axis=0)
    rest_r, rest_c, rest_rc, rest_x = (
        total - ((_basis(design).T @ y) ** 2).sum(axis=0)
        for design in (one, other, np.hstack([one, other]), cells)
    )
    parts = {
        "rows": rest_c - rest_rc,
        "columns": rest_r - rest_rc,
        "interaction": rest_rc - rest_x,
        "residual": rest_x,
    }
    varied = total > len(y) * ROUNDING_SQUARED
    return {
        name: np.clip(np.divide(part, total, out=np.full(total.shape, NAN), where=varied), 0, 1)
        for name, part in parts.items()
    }


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """Risk among the answers kept, by threshold from high to low; arrays of shape (thresholds,)."""

    threshold: Floats
    """An answer is kept where its confidence is at least this: each different confidence once."""
    coverage: Floats
    """Share of the scored answers kept, in (0, 1], ascending."""
    risk: Floats
    """Mean harm among those kept."""
    area: float
    """Area under risk against coverage, in steps: each width of coverage at the risk of the
    threshold that reaches it; nan for none."""


def selective_risk(confidence: ArrayLike, harm: ArrayLike) -> RiskCoverage:
    """What remains of a harm when only the more confident answers are kept.

    Parameters
    ----------
    confidence
        Shape (n,); nan is not scored and belongs to no coverage.
    harm
        1 or 0 (or a loss) for each answer, shape (n,); nan likewise.

    Returns
    -------
    The risk-coverage curve. Answers of equal confidence are kept or dropped together. Without ties
    the area is the mean of the risks at coverages 1/n, 2/n, ..., 1.

    Raises
    ------
    ValueError
        For unequal shapes or more than one axis.

    References
    ----------
    El-Yaniv R, Wiener Y (2010), J Mach Learn Res 11:1605-1641; area: Geifman Y, Uziel G, El-Yaniv R
    (2019), ICLR.
    """
    sure, harmed = same_shape("confidence and harm", confidence, harm)
    if sure.ndim != 1:
        raise ValueError(f"expected two lists, not arrays of shape {sure.shape}")
    scored = ~np.isnan(sure) & ~np.isnan(harmed)
    thresholds, which = np.unique(-sure[scored], return_inverse=True)
    kept = np.cumsum(np.bincount(which, minlength=len(thresholds)))
    hurt = np.cumsum(np.bincount(which, harmed[scored], minlength=len(thresholds)))
    if not kept.size:
        return RiskCoverage(np.empty(0), np.empty(0), np.empty(0), NAN)
    coverage, risk = kept / kept[-1], hurt / kept
    return RiskCoverage(-thresholds, coverage, risk, float(np.diff(coverage, prepend=0.0) @ risk))


def _about_mean(values: Floats) -> Floats:
    """Values less their mean; 0 where they are all alike, which rounding would hide."""
    alike = np.ptp(values) <= ROUNDING * max(1.0, float(np.abs(values).max()))
    return np.zeros_like(values) if alike else values - values.mean()


def resampled_areas(
    confidence: ArrayLike, harm: ArrayLike, weights: NDArray[np.floating]
) -> Floats:
    """The areas of `selective_risk` of many resamples, of many models.

    Parameters
    ----------
    confidence, harm
        As of `selective_risk`, shape (n, columns), a column a model.
    weights
        How often each resample has each answer, shape (n, resamples); whole numbers, for which
        float32 is exact and faster.

    Returns
    -------
    Shape (columns, resamples); nan where a resample has no scored answer.

    Raises
    ------
    ValueError
        For other shapes.
    """
    sure, harmed = same_shape("confidence and harm", confidence, harm)
    if sure.ndim != 2 or len(sure) != len(weights):
        raise ValueError(
            f"expected shape (answers, columns) and weights for each answer, not {sure.shape} and "
            f"{weights.shape}"
        )
    scored = ~np.isnan(sure) & ~np.isnan(harmed)
    found = np.where(scored.T.astype(weights.dtype) @ weights > 0, 0.0, NAN)
    with_harm = np.flatnonzero((scored & (harmed != 0)).any(axis=0))
    step = max(1, TOGETHER // max(1, len(sure)))
    for start in range(0, len(with_harm), step):
        columns = with_harm[start : start + step]
        items = [np.flatnonzero(scored[:, column]) for column in columns]
        # answers of equal confidence make a row, the most confident first
        ranks = [
            np.unique(-sure[own, column], return_inverse=True)[1]
            for column, own in zip(columns, items, strict=True)
        ]
        ends = np.cumsum([0, *(int(rank.max()) + 1 for rank in ranks)])
        reached = np.zeros((int(ends[-1]), len(sure)), weights.dtype)
        for rank, own, first in zip(ranks, items, ends, strict=False):
            reached[first + rank, own] = 1
        drawn = reached @ weights
        for place, column in enumerate(columns):
            own_drawn = drawn[ends[place] : ends[place + 1]]
            found[column] = _weighted_area(
                own_drawn, ranks[place], harmed[items[place], column], weights[items[place]]
            )
    return found


def _weighted_area(
    drawn: NDArray[np.floating], rank: Ints, harm: Floats, weights: NDArray[np.floating]
) -> Floats:
    """The area of each resample, from how often it has the answers of each confidence,
    (confidences, resamples)."""
    kept = drawn.cumsum(axis=0, dtype=np.float64)
    total = kept[-1].copy()
    # an answer counts at its own threshold and at every lower one: what coverage gains there, over
    # the answers kept
    gained = np.divide(drawn, np.maximum(kept, 1, out=kept), out=kept)
    counts = gained[::-1].cumsum(axis=0)[::-1]
    harmful = np.flatnonzero(harm)
    lost = (harm[harmful, None] * weights[harmful] * counts[rank[harmful]]).sum(axis=0)
    with np.errstate(invalid="ignore"):
        return np.asarray(lost / total)


def _dummies(levels: Sequence[Hashable]) -> Floats:
    number = {level: i for i, level in enumerate(dict.fromkeys(levels))}
    return np.eye(len(number))[[number[level] for level in levels]]


def _basis(design: Floats) -> Floats:
    """Orthonormal columns that span those of the design."""
    left, size, _ = np.linalg.svd(design, full_matrices=False)
    return np.asarray(left[:, size > size[0] * max(design.shape) * np.finfo(np.float64).eps])


def _residual(design: Floats, y: Floats) -> tuple[float, int]:
    """Sum of squares that the design leaves, and its rank."""
    coefficients, _, rank, _ = np.linalg.lstsq(design, y, rcond=None)
    return float(((y - design @ coefficients) ** 2).sum()), int(rank)
