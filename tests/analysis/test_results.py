"""Table `results` and the tests of every metric: against the other tables, and against a bootstrap
by hand.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale import analysis
from lm_eval_safescale.analysis import (
    Study,
    not_scored,
    paired_tests,
    profile,
    results,
    write_tables,
)
from lm_eval_safescale.analysis.columns import columns_of
from lm_eval_safescale.analysis.results import bounds_of_missing
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.metrics import ratio
from lm_eval_safescale.stats.bootstrap import protocol_indices
from tests.analysis.making import random_plain
from tests.analysis.small import LABELS, runs_of, unlabelled


@pytest.fixture(scope="module")
def study() -> Study:
    return Study(random_plain(3, models=3, n=25, k=5, failures=0.1).runs())


def rows_of(table: pl.DataFrame, **where: object) -> list[dict]:
    return [
        row
        for row in table.iter_rows(named=True)
        if all(row[name] == value for name, value in where.items())
    ]


@pytest.mark.parametrize("preset", ["default", "radsafe-2026"])
def test_the_rows_over_all_items_are_the_columns_of_profile(study, preset):
    wide, long = profile(study, preset), results(study, preset)
    for row in wide.iter_rows(named=True):
        for found in rows_of(long, model=row["model"], condition=row["condition"], group=None):
            name = found["metric"]
            assert found["value"] == row[name]
            if name != "latency_s":
                assert (found["lo"], found["hi"]) == (row[f"{name}_lo"], row[f"{name}_hi"])


def test_every_metric_of_the_family_has_a_row_for_every_model_condition_and_group(study):
    long = results(study)
    metrics = {metric.name for metric in RADSAFE.metrics(study.items)} | {"latency_s"}
    for pair in study.scores:
        own = rows_of(long, model=pair[0], condition=pair[1], group=None)
        assert {row["metric"] for row in own} == metrics
        assert len(own) == len(metrics)


def test_n_and_not_scored_add_up_to_the_items(study):
    for row in results(study).filter(pl.col("group").is_null()).iter_rows(named=True):
        assert row["n"] + row["not_scored"] == len(study.items)


def test_shares_with_missing_answers_carry_what_these_could_make_of_them():
    # six right, one wrong and high-risk, two that failed, one without an answer
    runs = runs_of({("m", "clean"): ["AAAAAAB!!-", "A" * 10]}, "A" * 10)
    table = results(runs)
    (row,) = rows_of(table, metric="accuracy", group=None)
    assert (row["value"], row["n"], row["not_scored"]) == (0.75, 8, 2)
    assert (row["value_lo_missing"], row["value_hi_missing"]) == (0.6, 0.8)
    # nothing is missing of the majority, and a mean is no share
    for name in ("majority_accuracy", "confidence", "confidence_incorrect"):
        (row,) = rows_of(table, metric=name, group=None)
        assert row["value_lo_missing"] is row["value_hi_missing"] is None


def test_what_a_metric_leaves_out_though_its_answer_is_there_is_not_missing():
    # one harmful, two silent, one that failed; without samples there is no majority to miss
    harm = dict.fromkeys(LABELS, ["B"] * 10)
    table = results(runs_of({("m", "clean"): ["AAAAAAB--!"]}, "A" * 10, labels=harm))
    (row,) = rows_of(table, metric="high_risk_error_answered", group=None)
    assert (row["n"], row["not_scored"]) == (7, 3)
    assert (row["value_lo_missing"], row["value_hi_missing"]) == (1 / 8, 2 / 8)
    (row,) = rows_of(table, metric="high_risk_error", group=None)
    assert (row["value_lo_missing"], row["value_hi_missing"]) == (0.1, 0.2)
    (row,) = rows_of(table, metric="majority_high_risk_error", group=None)
    assert (row["n"], row["value_lo_missing"], row["value_hi_missing"]) == (0, None, None)


@given(st.integers(1, 40), st.data())
def test_bounds_of_missing_are_the_least_and_greatest_of_all_completions(asked, data):
    scored = data.draw(st.integers(0, asked))
    ones = data.draw(st.integers(0, scored))
    share = np.array(ones / scored if scored else np.nan)
    least, most = bounds_of_missing(share, np.array(scored), np.array(asked))
    if scored == asked:
        assert np.isnan([least, most]).all()
    else:
        completions = [(ones + extra) / asked for extra in range(asked - scored + 1)]
        assert (least, most) == (pytest.approx(min(completions)), pytest.approx(max(completions)))


def test_a_data_set_s_own_label_and_group_have_rows_and_those_of_the_protocol_are_not_scored():
    labels = {"foo": ["B", "AB", "", "C"], **unlabelled(4)}
    study = Study(
        runs_of(
            {("m", "clean"): ["BBAC", "BABC"]}, "AAAA", labels=labels, region=["x", "x", "y", None]
        )
    )
    long = results(study)
    foo = {row["group"]: (row["value"], row["n"]) for row in rows_of(long, metric="foo_error")}
    assert foo == {None: (0.75, 4), "x": (1, 2), "y": (0, 1)}
    assert {row["group_name"] for row in rows_of(long, metric="foo_error")} == {None, "region"}
    for name in ("high_risk_error", "unsafe_answer", "contradiction", "dangerous_overconfidence"):
        assert {(row["value"], row["n"]) for row in rows_of(long, metric=name)} == {(None, 0)}, name
    assert (
        "the data set has no label high_risk, unsafe, contradicts: what rests on it is not scored"
        in [row["reason"] for row in not_scored(study)]
    )


def test_it_says_whose_answers_it_rests_on(study):
    long = results(study, "radsafe-2026")
    assert set(long["family"]) == {"radsafe"}
    assert set(long["preset"]) == {"radsafe-2026"}
    assert set(long["threshold"]) == {0.8}
    assert set(long["draws"]) == {5}
    assert set(long.filter(pl.col("metric") == "accuracy")["method"]) == {"percentile"}
    assert set(results(study).filter(pl.col("metric") == "accuracy")["method"]) == {"wilson"}


def test_a_ratio_has_the_interval_of_a_bootstrap_by_hand(study):
    metric = ratio(
        "risk_of_errors",
        "high-risk errors among wrong answers",
        "high_risk_error",
        "wrong",
        higher_is_better=False,
    )
    cells = {
        pair: replace(cell, values={**cell.values, "wrong": 1 - cell["correct"]})
        for pair, cell in study.scores.items()
    }
    own = Study(study.runs)
    own.__dict__["scores"] = cells
    own.__dict__["metrics"] = [*study.metrics, metric]
    long, tests = results(own, "radsafe-2026"), paired_tests(own, "radsafe-2026")
    drawn = protocol_indices(len(study.items))

    def resampled(cell):
        top, bottom = np.nan_to_num(cell["high_risk_error"]), np.nan_to_num(cell["wrong"])
        return np.array(
            [
                top[each].sum() / bottom[each].sum() if bottom[each].sum() else np.nan
                for each in drawn
            ]
        )

    for (model, condition), cell in cells.items():
        (row,) = rows_of(
            long, model=model, condition=condition, metric="risk_of_errors", group=None
        )
        assert row["value"] == pytest.approx(
            np.nansum(cell["high_risk_error"]) / np.nansum(cell["wrong"])
        )
        assert (row["lo"], row["hi"]) == pytest.approx(
            tuple(np.nanpercentile(resampled(cell), [2.5, 97.5]))
        )
    compared = rows_of(tests, metric="risk_of_errors")
    assert compared
    for row in compared:
        assert row["b"] is row["c"] is row["p_exact"] is row["p_mid"] is row["p_holm"] is None
        left, right = (
            cells[row[f"{side}_model"], row[f"{side}_condition"]] for side in ("left", "right")
        )
        known = ~np.isnan(left["correct"]) & ~np.isnan(right["correct"])
        sides = []
        for cell in (left, right):
            top, bottom = (
                np.where(known, cell["high_risk_error"], 0),
                np.where(known, cell["wrong"], 0),
            )
            sides.append(
                np.array(
                    [
                        top[each].sum() / bottom[each].sum() if bottom[each].sum() else np.nan
                        for each in drawn
                    ]
                )
            )
        expected = np.nanpercentile(sides[0] - sides[1], [2.5, 97.5])
        assert (row["delta_lo"], row["delta_hi"]) == pytest.approx(tuple(expected))


def test_models_are_compared_under_each_condition_all_pairs_of_few(study):
    tests = paired_tests(study)
    between = tests.filter(
        pl.col("model").is_null()
        & (pl.col("metric") == "accuracy")
        & (pl.col("decode") == "greedy")
    )
    conditions = len(study.conditions)
    assert between.height == 3 * conditions
    for row in between.iter_rows(named=True):
        assert row["left_condition"] == row["right_condition"]
        assert (row["left"], row["right"]) == (row["left_model"], row["right_model"])
        one, other = (
            study.scores[row[f"{side}_model"], row[f"{side}_condition"]]["correct"]
            for side in ("left", "right")
        )
        assert row["b"] == int(((one == 1) & (other == 0)).sum())
        assert row["c"] == int(((one == 0) & (other == 1)).sum())


def test_more_than_eight_models_are_compared_with_a_baseline_only():
    runs = random_plain(4, models=9, conditions=("clean",), n=10, k=0).runs()
    assert not paired_tests(runs).height
    own = analysis.paired_tests(Study(runs, baseline="model-3"))
    between = own.filter(
        pl.col("model").is_null()
        & (pl.col("metric") == "accuracy")
        & (pl.col("decode") == "greedy")
    )
    assert between.height == 8
    assert set(between["right"]) == {"model-3"}


def test_a_baseline_that_is_no_model_is_refused_and_the_models_named(study):
    with pytest.raises(
        ValueError, match="baseline 'gpt' is none of the models model-0, model-1, model-2"
    ):
        Study(study.runs, baseline="gpt")


def test_the_long_table_is_written_like_the_others(study, tmp_path):
    tables, failed = analysis.make_tables(study, analysis.preset_named("default"))
    assert not failed
    write_tables(tables, {}, tmp_path, columns_of(RADSAFE))
    written = pl.read_json(tmp_path / "tables" / "results.json", infer_schema_length=None)
    assert written.height == results(study).height
    as_csv = pl.read_csv(tmp_path / "tables" / "results.csv", infer_schema_length=None)
    assert as_csv.columns == list(columns_of(RADSAFE)["results"])
    np.testing.assert_allclose(
        as_csv["value"].to_numpy(), written["value"].to_numpy(), equal_nan=True
    )
