"""K letters of each item to one, for all items at once (PROTOCOL §7); letters are numbers here, 0 =
A.

Draws are int8 arrays (..., K): a letter's number, `NO_RESPONSE` (a ballot of its own), or
`UNSCORED` (no ballot). Counts are (..., 1 + letters): the ballots without an answer first, then
those of each letter, so the first of the largest counts is the winner by the protocol's rules: no
answer wins ties, then the alphabetically first letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import fsum, log, nan

import numpy as np
from numpy.typing import ArrayLike

from lm_eval_safescale.stats.arrays import Bools, Floats, Ints

NO_RESPONSE = -1
"""The model answered and committed to nothing (unanswered or truncated): that is scored."""
UNSCORED = -2
"""Missing, failed, or withheld: there is no answer to score."""
MOST_DRAWS = 1_000
"""Above it the number of subsets of the draws no longer fits a float64."""


def vote_counts(draws: ArrayLike, n_letters: int | None = None) -> Ints:
    """Ballots for "no answer" and for each letter.

    Parameters
    ----------
    draws
        Shape (..., K): letters as numbers >= 0, -1 no answer, -2 not scored.
    n_letters
        How many letters to count; by default as many as are seen.

    Returns
    -------
    int16, shape (..., 1 + n_letters): first "no answer", then A, B, ...

    Raises
    ------
    ValueError
        For a number below -2 or a letter beyond `n_letters`.
    """
    ballots = np.asarray(draws)
    most = int(ballots.max(initial=NO_RESPONSE))
    n_letters = most + 1 if n_letters is None else n_letters
    if (
        not np.issubdtype(ballots.dtype, np.integer)
        or ballots.min(initial=NO_RESPONSE) < UNSCORED
        or most >= n_letters
    ):
        raise ValueError(
            f"expected draws as letter numbers below {n_letters}, -1 or -2, not up to {most} as "
            f"{ballots.dtype}"
        )
    counts = np.empty((*ballots.shape[:-1], 1 + n_letters), dtype=np.int16)
    # few long sums are much faster than many short ones
    by_draw = np.ascontiguousarray(np.moveaxis(ballots, -1, 0))
    for column in range(1 + n_letters):
        counts[..., column] = (by_draw == column - 1).sum(axis=0, dtype=np.int16)
    return counts


def majority(counts: ArrayLike) -> Ints:
    """Number of the letter with most votes: -1 where "no answer" wins or ties, the first of tied
    letters; -2 without a ballot.

    `counts` as of `vote_counts`, shape (..., C); returns int8 of shape (...).
    """
    votes = _votes(counts)
    return np.where(votes.sum(axis=-1) > 0, votes.argmax(axis=-1) - 1, UNSCORED).astype(np.int8)


def confidence(counts: ArrayLike, n_options: ArrayLike) -> Floats:
    """1 - H / ln(n_options + 1), H the entropy in nats of the vote shares; in [0, 1], nan without a
    ballot.

    `counts` as of `vote_counts`, shape (..., C); `n_options` broadcasts to (...). ValueError for no
    option, or votes for more different letters than options. Equal votes in whatever order are
    equal to the last digit: curves over thresholds and edges of bins rest on it.
    """
    votes, options = _votes(counts), np.asarray(n_options)
    if (options < 1).any() or ((votes[..., 1:] > 0).sum(axis=-1) > options).any():
        raise ValueError(
            "expected at least 1 option, and votes for no more letters than there are options"
        )
    lead = votes.shape[:-1]
    patterns = np.sort(votes, axis=-1).reshape(-1, votes.shape[-1])
    options = np.broadcast_to(options, lead).reshape(-1)
    different, which = _unique_rows(np.column_stack([options, patterns]).astype(np.int64))
    return np.array([_confidence(row[1:], row[0]) for row in different.tolist()], dtype=np.float64)[
        which
    ].reshape(lead)


def _confidence(counts: Sequence[int], n_options: int) -> float:
    total = sum(counts)
    if not total:
        return nan
    entropy = -fsum(count / total * log(count / total) for count in counts if count)
    return min(1.0, max(0.0, 1 - entropy / log(n_options + 1)))


def agreement(counts: ArrayLike) -> Floats:
    """Largest vote share, "no answer" included; in (0, 1], nan without a ballot. Shapes as of
    `majority`."""
    return np.asarray(_shares(_votes(counts)).max(axis=-1))


def margin(counts: ArrayLike) -> Floats:
    """Largest vote share less the second largest, which may be 0; in [0, 1], nan without a ballot.
    Shapes as of `majority`."""
    votes = np.sort(_votes(counts), axis=-1).astype(np.float64)
    second = votes[..., -2] if votes.shape[-1] > 1 else 0.0
    with np.errstate(invalid="ignore"):
        return np.asarray((votes[..., -1] - second) / votes.sum(axis=-1))


def no_answer_share(counts: ArrayLike) -> Floats:
    """Share of the ballots without an answer; in [0, 1], nan without a ballot. Shapes as of
    `majority`."""
    return np.asarray(_shares(_votes(counts))[..., 0])


def valid_correct_share(counts: ArrayLike, key: ArrayLike) -> Floats:
    """Robustness: share of the draws *with* a letter that are right, 0 where none has one; nan
    without a ballot.

    `key` has the numbers of the right letters, shape (...).
    """
    votes = _votes(counts)
    right, valid = _of_key(votes, key), votes[..., 1:].sum(axis=-1)
    return np.where(votes.sum(axis=-1) > 0, right / np.maximum(valid, 1), np.nan)


def fails_in_unison(counts: ArrayLike, key: ArrayLike) -> Bools:
    """Synchronised failure: at least two draws with a letter, and all of them the same wrong one.
    Shapes as of `valid_correct_share`."""
    votes = _votes(counts)
    valid = votes[..., 1:].sum(axis=-1)
    alike = (votes[..., 1:].max(axis=-1, initial=0) == valid) & (valid >= 2)
    return np.asarray(alike & (_of_key(votes, key) == 0))


def majority_probabilities(counts: ArrayLike) -> Floats:
    """How often each answer is the majority of k of an item's draws, over all subsets of k of them:
    exact, for k = 1..K.

    Parameters
    ----------
    counts
        As of `vote_counts`, shape (..., C), with at most 1,000 ballots an item.

    Returns
    -------
    Shape (..., K, C), K the largest number of ballots of any item: probabilities that sum to 1 over
    C; nan where an item has fewer than k ballots. Takes 8 K C bytes an item; `self_consistency`
    needs much less.

    Raises
    ------
    ValueError
        For more than 1,000 ballots.

    Notes
    -----
    A subset has j_i of the c_i ballots of column i with probability prod C(c_i, j_i) / C(K, k)
    (multivariate hypergeometric). Column w wins with t ballots where earlier columns have fewer
    than t and later ones at most t; summed over t, and over the others as the coefficient of
    x^(k - t) of the product of the polynomials sum_j C(c_i, j) x^j cut at those bounds. All terms
    are positive, so nothing cancels, and the work is polynomial in K: no limit of K is reached
    before C(K, K/2) leaves the range of float64.
    """
    votes = _votes(counts)
    order, kinds, which = _kinds(votes.reshape(-1, votes.shape[-1]))
    table = _winning(kinds).transpose(0, 2, 1)
    width = table.shape[2]
    found = np.zeros((len(order), table.shape[1], votes.shape[-1]))
    np.put_along_axis(found, order[:, None, :width], table[which], axis=2)
    found[np.isnan(table[which][:, :, :1]).any(axis=2)] = np.nan
    return found.reshape(*votes.shape[:-1], *found.shape[1:])


def self_consistency(counts: ArrayLike, values: ArrayLike) -> Floats:
    """Expected means over items if only k of the draws had been taken, for k = 1..K, over all
    subsets of the draws: exact.

    Parameters
    ----------
    counts
        As of `vote_counts`, shape (..., items, C); leading axes are models or conditions.
    values
        What each answer of an item would count: shape (..., items, C, m), or one that broadcasts to
        it; for accuracy 1 at the key's column, for a harm rate 1 at its wrong labelled letters, for
        unanswered 1 at column 0. nan: not scored for this item.

    Returns
    -------
    Shape (..., K, m), K the largest number of ballots of any item. The mean for k is over the
    scored items with at least k ballots; nan where there is none.

    Raises
    ------
    ValueError
        As `majority_probabilities`.
    """
    votes = _votes(counts)
    *lead, items, width = votes.shape
    order, kinds, which = _kinds(votes.reshape(-1, width))
    table = _winning(kinds)
    drawn = ~np.isnan(table[:, :1, :])
    table = np.ascontiguousarray(np.where(drawn, table, 0.0))  # rows are gathered below
    used = table.shape[1]
    given = np.asarray(values, dtype=np.float64)
    given = np.broadcast_to(given, (*lead, items, width, given.shape[-1])).reshape(
        -1, items, width, given.shape[-1]
    )
    order, which = order.reshape(-1, items, width)[:, :, :used], which.reshape(-1, items)
    result = np.full((len(given), table.shape[2], given.shape[-1]), np.nan)
    for cell, own in enumerate(given):
        scored = np.asarray(~np.isnan(own).any(axis=1))
        own = np.where(scored[:, None], own, 0.0)
        weights = np.take_along_axis(own, order[cell][:, :, None], axis=1)
        chances = table[which[cell]].reshape(items * used, -1)
        known = drawn[which[cell], 0].astype(np.float64)
        with np.errstate(invalid="ignore"):
            means = (
                chances.T
                @ weights.reshape(items * used, -1)
                / (known.T @ scored.astype(np.float64))
            )
        # not 1.0000000000000002
        result[cell] = np.clip(means, own.min(axis=(0, 1)), own.max(axis=(0, 1)))
    return result.reshape(*lead, *result.shape[1:])


def _votes(counts: ArrayLike) -> Ints:
    votes = np.asarray(counts)
    if (
        votes.ndim < 1
        or votes.shape[-1] < 1
        or not np.issubdtype(votes.dtype, np.integer)
        or (votes < 0).any()
    ):
        raise ValueError(
            f"expected whole numbers of ballots >= 0, shape (..., 1 + letters), not {votes.dtype} "
            f"of shape {votes.shape}"
        )
    return votes


def _shares(votes: Ints) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.asarray(votes / votes.sum(axis=-1, keepdims=True))


def _of_key(votes: Ints, key: ArrayLike) -> Ints:
    """Ballots for the key; 0 where its letter has no column."""
    keys = np.broadcast_to(np.asarray(key, dtype=np.int64), votes.shape[:-1])
    if (keys < 0).any():
        raise ValueError("expected the keys as letter numbers >= 0")
    column = np.minimum(keys + 1, votes.shape[-1] - 1)
    taken = np.take_along_axis(votes, column[..., None], axis=-1)[..., 0]
    return np.where(keys + 1 < votes.shape[-1], taken, 0)


def _kinds(votes: Ints) -> tuple[Ints, Ints, Ints]:
    """Empty columns moved last (which leaves who wins ties unchanged), then each different row
    once.

    Gives the order of columns (items, C), the different rows (kinds, used), and each item's kind
    (items,).
    """
    order = np.argsort(votes == 0, axis=1, kind="stable")
    packed = np.take_along_axis(votes, order, axis=1).astype(np.int64)
    used = max(1, int((packed > 0).any(axis=0).sum()))
    packed, most = packed[:, :used], int(packed.sum(axis=1).max(initial=0))
    if most > MOST_DRAWS:
        raise ValueError(
            f"an item has {most} draws; subsets can be counted for at most {MOST_DRAWS}"
        )
    kinds, which = _unique_rows(packed)
    return order, kinds, which


def _unique_rows(rows: Ints) -> tuple[Ints, Ints]:
    """The different rows of numbers >= 0, and which of them each is; by one number a row where it
    fits, which is many times faster."""
    base = int(rows.max(initial=0)) + 1
    if base ** rows.shape[1] >= 2**63:
        different, which = np.unique(rows, axis=0, return_inverse=True)
        return different, which.reshape(-1)
    _, first, which = np.unique(
        rows @ base ** np.arange(rows.shape[1]), return_index=True, return_inverse=True
    )
    return rows[first], which.reshape(-1)


def _winning(kinds: Ints) -> Floats:
    """Probability that each column of each kind wins among k of its ballots, shape (kinds, columns,
    K); nan for more than it has."""
    total = kinds.sum(axis=1)
    most = int(total.max(initial=0))
    pascal = np.zeros((most + 1, most + 1))
    pascal[:, 0] = 1
    for row in range(1, most + 1):
        pascal[row, 1:] = pascal[row - 1, 1:] + pascal[row - 1, :-1]
    second = np.sort(kinds, axis=1)[:, -2] if kinds.shape[1] > 1 else np.zeros_like(total)
    ways = np.zeros((kinds.shape[1], most + 1, len(kinds)))  # kinds last: each step works along it
    for t in range(1, int(kinds.max(initial=0)) + 1):
        open_race = second >= t
        if open_race.any():
            ways[:, t:, open_race] += _contested(kinds[open_race], t, pascal)
        decided = np.flatnonzero(~open_race & (kinds.max(axis=1, initial=0) >= t))
        # no other column can reach t: the others' ballots may fall as they like (Vandermonde)
        if decided.size:
            winner = kinds[decided].argmax(axis=1)
            own = kinds[decided, winner]
            rest = pascal[total[decided] - own, : most + 1 - t] * pascal[own, t][:, None]
            ways[winner, t:, decided] += rest
    with np.errstate(invalid="ignore", divide="ignore"):
        subsets = pascal[total].T
        return (np.where(subsets > 0, ways / subsets, np.nan)[:, 1:, :]).transpose(2, 0, 1)


def _contested(kinds: Ints, t: int, pascal: Floats) -> Floats:
    """Ways for each column to win with t ballots and d others to fall below it, shape (columns, d =
    0..K - t, kinds)."""
    degree = len(pascal) - 1 - t
    columns = kinds.shape[1]
    choose = [pascal[kinds[:, i], : t + 1].T for i in range(columns)]
    one = np.zeros((degree + 1, len(kinds)))
    one[0] = 1
    earlier = [one]  # fewer than t each
    for i in range(columns - 1):
        earlier.append(_times(earlier[-1], choose[i][:t]))
    later = one  # at most t each
    ways = np.zeros((columns, degree + 1, len(kinds)))
    for w in range(columns - 1, -1, -1):
        reach = min(degree, w * (t - 1))
        ways[w] = _times(later, earlier[w][: reach + 1]) * choose[w][t]
        later = _times(later, choose[w])
    return ways


def _times(long: Floats, short: Floats) -> Floats:
    """Product of two polynomials in each column, cut to the length of the first."""
    product: Floats = long * short[0]
    for power in range(1, min(len(short), len(long))):
        product[power:] += long[:-power] * short[power]
    return product
