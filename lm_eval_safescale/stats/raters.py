"""Agreement of raters who gave items a category each, beyond what chance would give them.

Each coefficient is (observed - expected) / (1 - expected) and says in its own way which agreement
is expected by chance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lm_eval_safescale.stats.arrays import Floats


@dataclass(frozen=True, slots=True)
class RaterAgreement:
    """How far raters agree; arrays of shape (), or (b,) of b resamples; nan where no item says
    it."""

    n: int
    """Items that say anything: which ones depends on the coefficient."""
    observed: Floats
    """Agreement in [0, 1]."""
    expected: Floats
    """Agreement by chance, in [0, 1]."""

    @property
    def coefficient(self) -> Floats:
        """1: they always agree; 0: as by chance; below 0: less than by chance. nan where all
        ratings are of one category: 0/0, since agreement could then not have failed."""
        with np.errstate(invalid="ignore", divide="ignore"):
            found = (self.observed - self.expected) / (1 - self.expected)
        return np.asarray(np.where(self.expected == 1, np.nan, found))


Coefficient = Callable[..., RaterAgreement]


def cohen_kappa(ratings: ArrayLike, weights: Floats | None = None) -> RaterAgreement:
    """Cohen's kappa of two raters, over the items that both rated.

    Chance: each keeps to the shares in which they themselves give the categories.

    Parameters
    ----------
    ratings
        Numbers of categories, shape (items, raters), here two; nan is not rated. Which number
        stands for which category does not matter.
    weights
        How often each resample has each item, shape (items, b).

    Raises
    ------
    ValueError
        For another number of raters, no item, or other weights.

    References
    ----------
    Cohen J (1960), Educ Psychol Meas 20:37-46.
    """
    given, drawn = _checked(ratings, weights)
    if given.shape[1] != 2:
        raise ValueError(f"Cohen's kappa is of two raters, not {given.shape[1]}")
    both = _ratings_of(given) == 2
    first, second = _of_category(given, both).transpose(1, 0, 2)
    with np.errstate(invalid="ignore", divide="ignore"):
        n = both @ drawn
        observed = (first * second).sum(axis=1) @ drawn / n
        expected = ((first.T @ drawn / n) * (second.T @ drawn / n)).sum(axis=0)
    return _agreement(both, observed, expected, weights)


def fleiss_kappa(ratings: ArrayLike, weights: Floats | None = None) -> RaterAgreement:
    """Fleiss' kappa of any number of raters, over the items that all of them rated.

    Chance: all draw from the same shares of the categories, those of all ratings together.
    Parameters and errors are those of `cohen_kappa`, for two raters or more.

    References
    ----------
    Fleiss JL (1971), Psychol Bull 76:378-382.
    """
    given, drawn = _checked(ratings, weights)
    raters = given.shape[1]
    whole = _ratings_of(given) == raters
    counts = _of_category(given, whole).sum(axis=1)
    alike = (counts * (counts - 1)).sum(axis=1) / (raters * (raters - 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        n = whole @ drawn
        observed = alike @ drawn / n
        expected = ((counts.T @ drawn / (n * raters)) ** 2).sum(axis=0)
    return _agreement(whole, observed, expected, weights)


def krippendorff_alpha(ratings: ArrayLike, weights: Floats | None = None) -> RaterAgreement:
    """Krippendorff's alpha for nominal categories, over all items with two ratings or more.

    Chance: two ratings are drawn from all of them, without putting the first back. Parameters and
    errors are those of `cohen_kappa`, for two raters or more; any rating may be missing.

    References
    ----------
    Krippendorff K (2011), Computing Krippendorff's alpha-reliability, University of Pennsylvania.
    """
    given, drawn = _checked(ratings, weights)
    m = _ratings_of(given)
    pairable = m > 1
    counts = _of_category(given, pairable).sum(axis=1)
    alike = (counts * (counts - 1)).sum(axis=1) / np.maximum(m - 1, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        n = np.where(pairable, m, 0) @ drawn
        of_category = counts.T @ drawn
        observed = alike @ drawn / n
        expected = (of_category * (of_category - 1)).sum(axis=0) / (n * (n - 1))
    return _agreement(pairable, observed, expected, weights)


def kappa_of_counts(counts: ArrayLike, likeness: ArrayLike | None = None) -> RaterAgreement:
    """Cohen's kappa of two raters by how often they gave each two categories.

    Of a table with its transpose added it is Fleiss' kappa of the raters whose pairs it counts,
    since all then share their categories' frequencies.

    Parameters
    ----------
    counts
        Shape (categories, categories, ...): of the first rater, of the second.
    likeness
        How alike two categories are, in [0, 1], shape (categories, categories); None: 1 where they
        are the same, else 0. See `linear_likeness`.

    Returns
    -------
    `n` of all tables together, the rest of the shape of what follows the categories.

    References
    ----------
    Cohen J (1968), Psychol Bull 70:213-220.
    """
    given = np.asarray(counts, dtype=np.float64)
    alike = np.eye(len(given)) if likeness is None else np.asarray(likeness, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = given / given.sum(axis=(0, 1))
    observed = np.einsum("ij,ij...->...", alike, shares)
    expected = np.einsum("ij,i...,j...->...", alike, shares.sum(axis=1), shares.sum(axis=0))
    return RaterAgreement(int(given.sum()), np.asarray(observed), np.asarray(expected))


def linear_likeness(categories: int) -> Floats:
    """How alike two of k ordered categories are: 1 - distance / (k - 1)."""
    place = np.arange(categories)
    return np.asarray(1 - np.abs(place[:, None] - place) / (categories - 1))


def _checked(ratings: ArrayLike, weights: Floats | None) -> tuple[Floats, Floats]:
    given = np.asarray(ratings, dtype=np.float64)
    if given.ndim != 2 or not len(given) or given.shape[1] < 2:
        raise ValueError(
            f"expected ratings of shape (items, raters), two raters or more, not {given.shape}"
        )
    drawn = np.ones((len(given), 1)) if weights is None else weights
    if drawn.ndim != 2 or len(drawn) != len(given):
        raise ValueError(f"expected weights for each of {len(given)} items, not {drawn.shape}")
    return given, drawn


def _ratings_of(ratings: Floats) -> NDArray[np.int64]:
    """How many each item has."""
    return np.asarray((~np.isnan(ratings)).sum(axis=1), dtype=np.int64)


def _of_category(ratings: Floats, counted: NDArray[np.bool_]) -> Floats:
    """1 where a rating is of a category, else 0, shape (items, raters, categories); all 0 for items
    that do not count."""
    known = np.where(counted[:, None], ratings, np.nan)
    categories = np.unique(known[~np.isnan(known)])
    return np.asarray(known[:, :, None] == categories, dtype=np.float64)


def _agreement(
    counted: NDArray[np.bool_], observed: Floats, expected: Floats, weights: Floats | None
) -> RaterAgreement:
    expected = np.where(np.isnan(observed), np.nan, expected)  # no category has no share either
    if weights is None:
        observed, expected = observed[0], expected[0]
    return RaterAgreement(int(counted.sum()), np.asarray(observed), np.asarray(expected))
