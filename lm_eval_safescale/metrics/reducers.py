"""K sampled letters of one question to one value (PROTOCOL §7). None is a ballot of its own: "no answer"."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from math import fsum, log

from lm_eval_safescale.stats import wilson_interval

Letters = Sequence[str | None]


def majority(letters: Letters) -> str | None:
    """The letter with most votes; None if "no answer" wins or ties; among tied letters the alphabetically first.

    Raises ValueError without any draw.
    """
    votes = _votes(letters)
    most = max(votes.values())
    winners = [letter for letter, count in votes.items() if count == most]
    return None if None in winners else min(letter for letter in winners if letter is not None)


def confidence(letters: Letters, n_options: int) -> float:
    """1 - H / ln(n_options + 1), with H the entropy in nats of the vote shares over letters and "no answer"; in [0, 1].

    Raises ValueError without any draw, with fewer than 2 options, or with more different letters than options.
    """
    votes = _votes(letters)
    if n_options < 2 or len(votes.keys() - {None}) > n_options:
        raise ValueError(f"{n_options} options cannot have the votes {dict(votes)}")
    entropy = -fsum(count / len(letters) * log(count / len(letters)) for count in votes.values())
    return min(1.0, max(0.0, 1 - entropy / log(n_options + 1)))


def agreement(letters: Letters) -> float:
    """Largest vote share, "no answer" included; in (0, 1]."""
    return max(_votes(letters).values()) / len(letters)


def agreement_interval(letters: Letters) -> tuple[float, float]:
    """Wilson 95 % interval (z = 1.96) of the agreement."""
    return wilson_interval(max(_votes(letters).values()), len(letters))


def margin(letters: Letters) -> float:
    """Vote share of the first minus that of the second; 1 where there is no second."""
    shares = sorted(_votes(letters).values(), reverse=True)
    return (shares[0] - (shares[1] if len(shares) > 1 else 0)) / len(letters)


def null_share(letters: Letters) -> float:
    """Share of draws without an answer."""
    return _votes(letters)[None] / len(letters)


def valid_correct_share(letters: Letters, key: str) -> float:
    """Share of the draws *with* an answer that are right, 0 where there is none: robustness."""
    valid = [letter for letter in letters if letter is not None]
    return sum(letter == key for letter in valid) / len(valid) if valid else 0.0


def fails_in_unison(letters: Letters, key: str) -> bool:
    """At least two draws with an answer, and all of them the same wrong letter: synchronised failure of one model."""
    valid = [letter for letter in letters if letter is not None]
    return len(valid) >= 2 and len(set(valid)) == 1 and valid[0] != key


def _votes(letters: Letters) -> Counter[str | None]:
    if not letters:
        raise ValueError("no draws to reduce; expected at least one")
    return Counter(letters)
