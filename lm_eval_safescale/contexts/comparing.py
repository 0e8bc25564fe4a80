"""Two files of contexts compared item by item: the difference of every measure, with its interval.
It opens no file and prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lm_eval_safescale.contexts.files import ContextSet
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.stats.arrays import Floats
from lm_eval_safescale.stats.bootstrap import paired_bootstrap
from lm_eval_safescale.stats.design import Design
from lm_eval_safescale.stats.paired import discordant
from lm_eval_safescale.stats.presets import DEFAULT
from lm_eval_safescale.words import counted

TOKENS = "tokens"
UNBOUNDED = (TOKENS, "position_in_text")
"""Measures that are counts; all others are in [0, 1]."""
MOST = 10
"""Items that are named for a measure, at most."""
COLUMNS = (
    "measure", "value_a", "value_b", "n", "units", "only_a", "only_b", "delta", "delta_lo",
    "delta_hi", "interval",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Change:
    """A measure of one item on both sides."""

    question_id: str
    a: float
    b: float


@dataclass(frozen=True, slots=True)
class ContextComparison:
    """B compared with A; a difference is B - A."""

    items: int
    """Items that have a context on both sides."""
    failed: Sequence[str]
    """Ids of items that have none on a side: they are in no figure."""
    differs: Sequence[str]
    """In what the files were made otherwise: names of their headers' fields."""
    rows: Sequence[Mapping[str, Any]]
    """Of `COLUMNS`: every measure that both have."""
    changed: Mapping[str, Sequence[Change]]
    """By measure, the items that differ most, `MOST` of them at most; first the greatest."""
    without: Mapping[str, str]
    """Why a measure is not compared."""


def compare_contexts(
    a: ContextSet, b: ContextSet, units: Mapping[str, str] | None = None, *, anyway: bool = False
) -> ContextComparison:
    """Every measure of two files, over the items scored on both sides.

    Parameters
    ----------
    units
        The unit of each item by question id, "" for the item by itself: items of one unit are
        resampled together. None: each item is its own.
    anyway
        Compare also contexts from two corpora.

    Returns
    -------
    The paired differences of means B - A with 95 % intervals: Tango's where every value is 0 or 1,
    else BCa bootstrap; none for fewer than two units, and for a count that differs alike in all
    items.

    Raises
    ------
    SafescaleError
        For another data set, other items, another corpus, or no item with a context on both sides.
    """
    _check_alike(a, b, anyway=anyway)
    ids = [name for name in a.contexts if name in b.contexts]
    failed = sorted(a.failed.keys() | b.failed.keys())
    if not ids:
        raise SafescaleError("no item has a context in both files; build again what failed")
    design = Design.of(len(ids), [(units or {}).get(name) or f"item {name}" for name in ids])
    columns_a, columns_b = (_measures(made, ids) for made in (a, b))
    without = _incomparable(a, b, columns_a, columns_b)
    rows, changed = [], {}
    for name in columns_a:
        if name not in without:
            rows.append(_row(name, columns_a[name], columns_b[name], design))
            changed[name] = list(_most_changed(ids, columns_a[name], columns_b[name]))
    return ContextComparison(len(ids), failed, _differing(a, b), rows, changed, without)


def _check_alike(a: ContextSet, b: ContextSet, *, anyway: bool) -> None:
    one, other = a.about["dataset"], b.about["dataset"]
    if one["fingerprint"] != other["fingerprint"]:
        raise SafescaleError(
            f"A is of the data set {one['name']} {one['version']}, B of {other['name']} "
            f"{other['version']} (their fingerprints differ); build both for one data set"
        )
    ids_a, ids_b = ({*made.contexts, *made.failed} for made in (a, b))
    if odd := sorted(ids_a ^ ids_b):
        raise SafescaleError(
            f"{counted(len(odd), 'item')} in only one of the files, the first {odd[0]} in "
            f"{'A' if odd[0] in ids_a else 'B'}; build both for all items"
        )
    corpora = [made.about.get("corpus") or {} for made in (a, b)]
    names = [each.get("corpus", "no corpus") for each in corpora]
    if not anyway and len({each.get("corpus_fingerprint") for each in corpora}) > 1:
        raise SafescaleError(
            f"A was found in {names[0]}, B in {names[1]} (other articles): a difference would be "
            "of the corpora, too; build both from one corpus, or compare them anyway"
        )


def _differing(a: ContextSet, b: ContextSet) -> list[str]:
    names = dict.fromkeys([*a.about, *b.about])
    return [name for name in names if a.about.get(name) != b.about.get(name)]


def _measures(made: ContextSet, ids: Sequence[str]) -> dict[str, Floats]:
    """Tokens and measures by name, shape (n,); nan is *not scored*."""
    found: dict[str, Floats] = {TOKENS: np.full(len(ids), np.nan)}
    for place, name in enumerate(ids):
        context = made.contexts[name]
        for measure, value in {TOKENS: context.tokens, **context.measures}.items():
            column = found.setdefault(measure, np.full(len(ids), np.nan))
            column[place] = np.nan if value is None else value
    return found


def _incomparable(
    a: ContextSet, b: ContextSet, of_a: Mapping[str, Floats], of_b: Mapping[str, Floats]
) -> dict[str, str]:
    reasons = {}
    for name in dict.fromkeys([*of_a, *of_b]):
        if name not in of_a or name not in of_b:
            reasons[name] = f"only {'A' if name in of_a else 'B'} has it"
        elif np.isnan(of_a[name] - of_b[name]).all():
            reasons[name] = "no item is scored on both sides"
    if a.about["tokenizer"] != b.about["tokenizer"]:
        reasons[TOKENS] = f"counted by {a.about['tokenizer']} in A, by {b.about['tokenizer']} in B"
    return reasons


def _row(name: str, a: Floats, b: Floats, design: Design) -> dict[str, Any]:
    scored = ~np.isnan(a - b)
    units = design.count(scored)
    a, b = np.where(scored, a, np.nan), np.where(scored, b, np.nan)
    outcomes = bool(np.isin([a[scored], b[scored]], (0.0, 1.0)).all()) and name not in UNBOUNDED
    only_b, only_a = (int(count) for count in discordant(b, a)[1:]) if outcomes else (None, None)
    low, high = _interval(name, a, b, design, outcomes=outcomes) if units > 1 else (None, None)
    return dict(
        zip(
            COLUMNS,
            (
                name, float(np.nanmean(a)), float(np.nanmean(b)), int(scored.sum()), units, only_a,
                only_b, float(np.nanmean(b - a)), low, high,
                None if low is None else "tango" if outcomes else "bca",
            ),
            strict=True,
        )
    )  # fmt: skip


def _interval(
    name: str, a: Floats, b: Floats, design: Design, *, outcomes: bool
) -> tuple[float, float] | tuple[None, None]:
    left, right = b[:, None], a[:, None]
    if outcomes:
        low, high = DEFAULT.share_difference_interval(left, right, design)
    elif name in UNBOUNDED:
        found = paired_bootstrap(left, right, design.weights, bounds=None, units=design.numbers)
        low, high = found.lo, found.hi
    else:
        low, high = DEFAULT.difference_interval(left, right, design)
    return (None, None) if np.isnan(low[0]) else (float(low[0]), float(high[0]))


def _most_changed(ids: Sequence[str], a: Floats, b: Floats) -> Iterator[Change]:
    size = np.nan_to_num(np.abs(b - a))
    for place in np.argsort(-size, kind="stable")[:MOST]:
        if size[place]:
            yield Change(ids[place], float(a[place]), float(b[place]))
