"""Table `paired_tests`: two conditions of one model, two models under one condition, or a model and
a human rater, on the same items (PROTOCOL §8).

It knows item values and a metric's kind, and no file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.analysis.asked_again import reach
from lm_eval_safescale.families.rows import Row, means, number, rows_of
from lm_eval_safescale.metrics import Metric, scored
from lm_eval_safescale.metrics.cases import rows_of_defined
from lm_eval_safescale.stats.design import Design
from lm_eval_safescale.stats.paired import (
    discordant,
    holm,
    mcnemar_exact,
    mcnemar_mid_p,
    mcnemar_score,
)
from lm_eval_safescale.stats.power import detectable_difference
from lm_eval_safescale.stats.presets import ALPHA, DEFAULT, Floats, Preset
from lm_eval_safescale.stats.units import score_of_units, sign_tests

if TYPE_CHECKING:
    from lm_eval_safescale.analysis.study import Study
    from lm_eval_safescale.families.cells import Cell, Pair

COLUMNS = (
    "model", "metric", "decode", "left", "right", "n", "b", "c", "delta", "p_exact", "p_mid",
    "p_score", "p_holm", "delta_lo", "delta_hi", "minimum_detectable_difference", "left_model",
    "right_model", "left_condition", "right_condition",
)  # fmt: skip
SIDES = ("left", "right")
POWER = 0.8
"""With which the smallest detectable difference would be found."""
MOST_MODELS = 8
"""Up to so many models all pairs are compared; more only with a baseline."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two cells, by their places; a difference is left - right."""

    left: int
    right: int
    between: Literal["conditions", "models", "humans"]
    """`humans`: a model, and a rater."""


def paired_tests(study: Study, preset: Preset = DEFAULT) -> list[Row]:
    """Differences of every metric: between the conditions that the family compares, between models
    under one condition, and of each model under each condition from each human rater.

    `model` is None but between conditions: `left` and `right` are then models, or a model and a
    rater; else they are conditions. `n` counts the items scored on both sides: one that a rater did
    not answer is in no comparison with that rater. Shares have McNemar's test, and by default
    Tango's interval; of other metrics `b`, `c` and the p values are None, and the interval is a
    paired bootstrap. Holm's correction is over the pairs of one model, or of one condition between
    models, or of one condition with raters, of one metric and decode.
    """
    models, cells = list(study.scores.values()), list(study.cells.values())
    rows: list[Row] = []
    for some in (
        list(_between_conditions(study, models)),
        list(_between_models(study, models)),
        list(_with_raters(study)),
    ):
        tables = [_table(metric, some, study, preset) for metric in _ordered(study.metrics)]
        table = [row for each in tables for row in each]
        if table and table[0]["model"] is not None:  # a model's rows together
            place = {
                model: number
                for number, model in enumerate(dict.fromkeys(cell.model for cell in cells))
            }
            table.sort(key=lambda row: place[row["model"]])
        rows += table
    return rows


def paired_test(study: Study, left: Pair, right: Pair, preset: Preset = DEFAULT) -> dict[str, Row]:
    """Rows as of `paired_tests`, by the metric's name, for two cells alone: of whatever models,
    raters and conditions. `p_holm` is over this one pair; `left_value` and `right_value` are of
    the `n` items that are scored on both sides."""
    places = {pair: number for number, pair in enumerate(study.cells)}
    pair = [Comparison(places[left], places[right], "models")]
    rows = {}
    for metric in _ordered(study.metrics):
        columns = [study.column_of_cells(name) for name in metric.sources]
        of_sides = ([each[:, [places[side]]] for each in columns] for side in (left, right))
        _, one, other = on_both(metric, *of_sides)
        rows[metric.name] = {
            **_table(metric, pair, study, preset)[0],
            "left_value": number(metric.value(one)[0]),
            "right_value": number(metric.value(other)[0]),
        }
    return rows


def _between_conditions(study: Study, cells: Sequence[Cell]) -> Iterator[Comparison]:
    place = {(cell.model, cell.condition): number for number, cell in enumerate(cells)}
    for model in dict.fromkeys(cell.model for cell in cells):
        for left, right in study.family.pairs:
            if (model, left) in place and (model, right) in place:
                yield Comparison(place[model, left], place[model, right], "conditions")


def _between_models(study: Study, cells: Sequence[Cell]) -> Iterator[Comparison]:
    models = list(dict.fromkeys(cell.model for cell in cells))
    baseline = study.baseline
    if baseline is None and len(models) > MOST_MODELS:
        return
    pairs = (
        combinations(models, 2)
        if baseline is None
        else ((model, baseline) for model in models if model != baseline)
    )
    place = {(cell.model, cell.condition): number for number, cell in enumerate(cells)}
    for left, right in pairs:
        for condition in dict.fromkeys(cell.condition for cell in cells):
            if (left, condition) in place and (right, condition) in place:
                yield Comparison(place[left, condition], place[right, condition], "models")


def _with_raters(study: Study) -> Iterator[Comparison]:
    models = len(study.scores)
    for model in range(models):
        for rater in range(models, len(study.cells)):
            yield Comparison(model, rater, "humans")


def _ordered(metrics: Sequence[Metric]) -> list[Metric]:
    """Metrics that are of greedy and of majority answers first, each beside its twin; then the
    others."""
    by_name = {metric.name: metric for metric in metrics}
    twins = [
        twin
        for metric in metrics
        if (majority := by_name.get(f"majority_{metric.name}")) is not None
        for twin in (metric, majority)
    ]
    return [*twins, *(metric for metric in metrics if metric not in twins)]


def _table(
    metric: Metric, compared: Sequence[Comparison], study: Study, preset: Preset
) -> list[Row]:
    """A row for each comparison of one metric."""
    if not compared:
        return []
    cells, design = list(study.cells.values()), study.design
    left, right = ([cells[getattr(each, side)] for each in compared] for side in ("left", "right"))
    of_left, of_right = (
        [
            study.column_of_cells(name)[:, [getattr(each, side) for each in compared]]
            for name in metric.sources
        ]
        for side in ("left", "right")
    )
    families: list[Hashable] = [
        one.model if each.between == "conditions" else one.condition
        for each, one in zip(compared, left, strict=True)
    ]
    found = (
        _asked_again(metric, of_left, of_right, _error(study, metric, compared))
        if study.population == "asks"
        else _tested(of_left[0], of_right[0], families, preset, design)
        if metric.kind == "share"
        else _resampled(metric, of_left, of_right, preset, design)
    )
    name = metric.name.removeprefix("majority_") if metric.decode == "majority" else metric.name
    columns: dict[str, Any] = {
        "model": [
            one.model if each.between == "conditions" else None
            for each, one in zip(compared, left, strict=True)
        ],
        "metric": [name] * len(compared),
        "decode": [metric.decode] * len(compared),
        **{
            side: [
                one.condition if each.between == "conditions" else one.model
                for each, one in zip(compared, own, strict=True)
            ]
            for side, own in (("left", left), ("right", right))
        },
        **found,
        **{
            f"{side}_{what}": [getattr(one, what) for one in own]
            for what in ("model", "condition")
            for side, own in (("left", left), ("right", right))
        },
    }
    return rows_of(columns)


def _tested(
    left: Floats, right: Floats, families: Sequence[Hashable], preset: Preset, design: Design
) -> dict[str, Any]:
    """Counts, difference, tests and interval of each column of zeros and ones; nan where no item is
    scored on both sides."""
    n, b, c = discordant(left, right)
    unscored = n == 0
    b, c = (np.where(unscored, np.nan, count) for count in (b, c))
    effect = design.effect(left - right)
    exact, mid, score = (
        (mcnemar_exact(b, c), mcnemar_mid_p(b, c), mcnemar_score(b, c))
        if effect is None
        else (*sign_tests(left - right, np.array(design.units)), score_of_units(b, c, effect))
    )
    tests = {
        name: np.where(unscored, np.nan, p)
        for name, p in (("p_exact", exact), ("p_mid", mid), ("p_score", score))
    }
    adjusted = holm(tests[preset.p_value], families)
    low, high = preset.share_difference_interval(left, right, design)
    with np.errstate(invalid="ignore"):
        delta = (b - c) / n
    smallest = np.full(n.shape, np.nan)
    if preset.states_detectable:
        tested = Counter(
            family for family, none in zip(families, unscored, strict=True) if not none
        )
        sizes = np.array([tested[family] for family in families])
        silent = adjusted >= ALPHA
        for size in np.unique(sizes[silent]):
            # Holm's first step: what a test of this family must pass when no other has
            own = silent & (sizes == size)
            items = n if effect is None else np.maximum(1, np.floor(n / effect.deff))
            smallest[own] = detectable_difference(
                items[own], (b + c)[own] / n[own], alpha=ALPHA / size, power=POWER
            )
    return _columns(
        n, delta, low, high, b=_counts(b), c=_counts(c), **tests, p_holm=adjusted, smallest=smallest
    )


def _resampled(
    metric: Metric,
    left: Sequence[Floats],
    right: Sequence[Floats],
    preset: Preset,
    design: Design,
) -> dict[str, Any]:
    """The difference of any metric with its interval from resamples of items with both their
    values."""
    n, one, other = on_both(metric, left, right)
    if metric.kind == "mean" and metric.is_fraction and not design.strata:
        low, high = preset.difference_interval(one[0], other[0], design)
        return _columns(n, means(one[0] - other[0]), low, high)
    delta = metric.value(one) - metric.value(other)
    drawn, left_out = (
        metric.value(one, every) - metric.value(other, every)
        for every in (design.weights, design.left_out)
    )
    low, high = preset.figure_interval(delta, drawn, left_out)
    return _columns(n, delta, low, high)


def _error(study: Study, metric: Metric, compared: Sequence[Comparison]) -> Floats:
    """Standard error of each difference over asks of the same items; its sides are asked apart."""
    of_cells = study.asks.errors[0][metric.name]
    return np.hypot(*(of_cells[[getattr(each, side) for each in compared]] for side in SIDES))


def _asked_again(
    metric: Metric, left: Sequence[Floats], right: Sequence[Floats], error: Floats
) -> dict[str, Any]:
    """The difference of any metric with its interval over asks of the same items; no test is of
    these."""
    n, one, other = on_both(metric, left, right)
    delta = metric.value(one) - metric.value(other)
    counts: dict[str, Any] = {}
    if metric.kind == "share":
        _, b, c = discordant(one[0], other[0])
        counts = {
            name: _counts(np.where(n == 0, np.nan, each)) for name, each in (("b", b), ("c", c))
        }
    low, high = reach(delta, error)
    return _columns(n, delta, low, high, **counts)


def on_both(
    metric: Metric, left: Sequence[Floats], right: Sequence[Floats]
) -> tuple[Floats, list[Floats], list[Floats]]:
    """How many items are scored on both sides, and the columns of these; of a mean over cases, of
    the cases that define it on both."""
    n, one, other = _masked(scored(left) & scored(right), left, right)
    if metric.of_cases is None:
        return n, one, other
    both = (rows_of_defined(metric.of_cases(side), side[-1]) for side in (one, other))
    return _masked(np.logical_and(*both) & scored(one), one, other)


def _masked(
    known: NDArray[np.bool_], left: Sequence[Floats], right: Sequence[Floats]
) -> tuple[Floats, list[Floats], list[Floats]]:
    masks = [known if each.ndim == 2 else known[..., None] for each in (*left, *right)]
    masked = [
        np.where(mask, each, np.nan) for mask, each in zip(masks, (*left, *right), strict=True)
    ]
    return known.sum(axis=0, dtype=np.float64), masked[: len(left)], masked[len(left) :]


def _columns(
    n: Floats,
    delta: Floats,
    low: Floats,
    high: Floats,
    *,
    smallest: Floats | None = None,
    **tests: Any,
) -> dict[str, Any]:
    """The columns of a comparison in their order; what a metric has no test for is nan, None in a
    row."""
    none = np.full(n.shape, np.nan)
    return {
        "n": n.astype(np.int64),
        **{name: tests.get(name, none) for name in ("b", "c")},
        "delta": delta,
        **{name: tests.get(name, none) for name in ("p_exact", "p_mid", "p_score", "p_holm")},
        "delta_lo": low,
        "delta_hi": high,
        "minimum_detectable_difference": none if smallest is None else smallest,
    }


def _counts(values: Floats) -> list[int | None]:
    return [None if value != value else int(value) for value in values.tolist()]
