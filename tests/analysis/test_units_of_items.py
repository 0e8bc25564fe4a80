"""Items of one unit go together in every table: twins tell no more than one, against a loop, and
against what a table gave without units.
"""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import polars as pl
import pytest
from scipy.stats import t

from lm_eval_safescale.analysis import PRESETS, Study, tables_of
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.families.rows import as_rows
from lm_eval_safescale.runs.table import Runs
from lm_eval_safescale.stats import protocol_indices, strata_of, wilson
from lm_eval_safescale.stats.design import Design
from tests import second_implementation as second
from tests.analysis.making import random_plain

DEFAULT, PUBLISHED = PRESETS["default"], PRESETS["radsafe-2026"]
N, K = 24, 5
MODELS = ("Qwen3-4B", "Qwen3-14B", "Qwen3-32B", "gemma-3-4b-it")
"""An ensemble, and two families."""
UNITS = [f"case {number % 9}" for number in range(N)]


def single(**options):
    plain = random_plain(11, models=4, conditions=("closed_book", "clean"), n=N, k=K, **options)
    known = dict(zip([f"model-{number}" for number in range(4)], MODELS, strict=True))
    plain.items = {f"{int(name):02}": each for name, each in plain.items.items()}
    plain.answered = {
        (known[model], condition): {f"{int(name):02}": each for name, each in answers.items()}
        for (model, condition), answers in plain.answered.items()
    }
    plain.latency = {}
    return plain


def twins():
    """Every item twice, with the same answers, and both of one unit."""
    plain = single()
    both = deepcopy(plain)
    both.items = {
        f"{name}{twin}": {**each, "unit": name}
        for name, each in plain.items.items()
        for twin in "ab"
    }
    both.answered = {
        pair: {f"{name}{twin}": each for name, each in answers.items() for twin in "ab"}
        for pair, answers in plain.answered.items()
    }
    return plain, both


def in_units():
    plain = single(failures=0.05)
    for name, unit in zip(plain.items, UNITS, strict=True):
        plain.items[name]["unit"] = unit
    return plain


def table(plain, name, preset):
    rows = tables_of(RADSAFE)[name](Study(plain.runs()), preset)
    return as_rows(rows) if isinstance(rows, dict) else rows


@pytest.mark.parametrize("preset", [DEFAULT, PUBLISHED], ids=lambda preset: preset.name)
@pytest.mark.parametrize(
    "name", ["results", "paired_tests", "ranks", "self_consistency", "variance"]
)
def test_twins_tell_no_more_than_one_of_them(name, preset):
    plain, both = twins()
    alone, together = table(plain, name, preset), table(both, name, preset)
    assert len(alone) == len(together)
    for one, other in zip(alone, together, strict=True):
        for column, value in one.items():
            known = isinstance(value, float)
            bound = column.endswith(("lo", "hi")) and preset is DEFAULT
            if column in ("n", "b", "c", "not_scored") and name != "variance":
                assert other[column] == (None if value is None else 2 * value)
            elif column == "minimum_detectable_difference":
                continue
            elif known and (bound or column == "p_score"):
                continue  # Student's t: below
            else:
                assert other[column] == (pytest.approx(value, abs=1e-9) if known else value), column


def test_the_share_of_twins_has_wilsons_interval_of_one_unit_less_with_students_quantile():
    _, both = twins()
    seen = 0
    for row in table(both, "results", DEFAULT):
        if row["method"] == "wilson" and row["group_name"] is None and 0 < row["value"] < 1:
            one_less = row["n"] // 2 - 1
            low, high = wilson(row["value"] * one_less, one_less, z=t.ppf(0.975, one_less))
            assert (row["lo"], row["hi"]) == (pytest.approx(float(low)), pytest.approx(float(high)))
            seen += 1
    assert seen > 20


def test_the_published_percentiles_are_those_of_a_loop_over_units():
    plain = in_units()
    rows = table(plain, "results", PUBLISHED)
    names, order = sorted(plain.items), list(dict.fromkeys(UNITS))
    members = {unit: [i for i, own in enumerate(UNITS) if own == unit] for unit in order}
    drawn = [
        [i for unit in row for i in members[order[unit]]] for row in protocol_indices(len(order))
    ]
    for pair in plain.answered:
        values = second.item_values(plain, *pair, K)
        for metric in ("accuracy", "high_risk_error", "confidence", "majority_unsafe_answer"):
            means = [second.mean([values[metric][i] for i in own]) for own in drawn]
            known = [each for each in means if each is not None]
            (row,) = [
                row
                for row in rows
                if (row["model"], row["condition"]) == pair
                and row["metric"] == metric
                and row["group_name"] is None
            ]
            assert row["lo"] == pytest.approx(second.percentile(known, 2.5)), metric
            assert row["hi"] == pytest.approx(second.percentile(known, 97.5)), metric
    assert len(names) == N


# which has no row where items share units
@pytest.mark.parametrize("name", [name for name in tables_of(RADSAFE) if name != "abstention"])
@pytest.mark.parametrize("preset", [DEFAULT, PUBLISHED], ids=lambda preset: preset.name)
def test_units_change_no_value_and_in_every_table_the_bounds(name, preset):
    plain = in_units()
    apart = deepcopy(plain)
    for each in apart.items.values():
        del each["unit"]
    together, alone = table(plain, name, preset), table(apart, name, preset)
    assert len(together) == len(alone)
    changed = set()
    for one, other in zip(together, alone, strict=True):
        for column, value in one.items():
            if value != pytest.approx(other[column], abs=1e-12):
                changed.add(column)
    of_resamples = {column for column in changed if column.endswith(("_std", "_mean"))}
    tests = {"p_exact", "p_mid", "p_score", "p_holm", "minimum_detectable_difference", "best_set"}
    assert all(
        column.endswith(("_lo", "_hi")) or column in ("lo", "hi")
        for column in changed - of_resamples - tests
    ), changed
    of_models = {"scaling", "confidence_lines"}  # slopes
    # no context was shown, no other data set is beside, nothing is disputed, items have no groups
    empty = {"context_axis", "accuracy_and_safety", "disputed", "group_means"}
    assert bool(changed) == (name not in {"worst_case", *of_models, *empty})


def test_units_of_one_item_each_change_nothing():
    plain = single(failures=0.05)
    named = deepcopy(plain)
    for name, each in named.items.items():
        each["unit"] = f"case of {name}"
    for name in tables_of(RADSAFE):
        assert table(named, name, DEFAULT) == table(plain, name, DEFAULT), name


def test_a_unit_is_drawn_whole_and_within_the_stratum_of_its_first_item():
    units = [f"u{number // 2}" for number in range(12)]
    strata = strata_of(["x"] * 6 + ["y"] * 6)
    weights = Design.of(12, units, strata).weights
    assert np.array_equal(weights[::2], weights[1::2])
    assert (weights[:6].sum(axis=0) == 6).all()
    left_out = Design.of(12, units).left_out
    assert left_out.shape == (12, 6)
    assert (left_out.sum(axis=0) == 10).all()


def test_a_stratum_is_as_large_as_its_units_whatever_their_items():
    items = [f"{case}-{number}" for case in ("a", "b", "c", "d") for number in range(5)]
    labels = {"a": "Card", "b": "Derm", "c": "Card", "d": "Card"}
    base = [name[0] for name in items]
    runs = Runs(
        pl.DataFrame(
            {
                "question_id": items,
                "rubric": ['[[1,9,9,null,null,[],"M"]]'] * 20,
                "base": base,
                "unit": base,
                "group_specialty": [labels[each] for each in base],
            }
        ),
        pl.DataFrame(
            {
                "model": "m",
                "condition": "noharm",
                "question_id": items,
                "draw": 0,
                "response": [None] * 20,
                "status": ["unanswered"] * 20,
            }
        ),
        {"dataset": {"family": "noharm"}},
    )
    strata = Study(runs).design.strata
    assert dict(zip(base, strata, strict=True)) == {"a": 0, "b": 1, "c": 0, "d": 0}
    few = np.flatnonzero([each in "ab" for each in base])
    assert set(Study(runs).design_of(few).strata) == {0}
