"""Intervals over asks of the same items: against closed forms and enumeration, and what has
none.
"""

from __future__ import annotations

import json
from itertools import product
from math import sqrt

import numpy as np
import pytest
from polars.testing import assert_frame_equal
from typer.testing import CliRunner

from lm_eval_safescale.analysis import Study, ensembles, make_tables, preset_named, results
from lm_eval_safescale.analysis.asked_again import TIMES
from lm_eval_safescale.analysis.paired_tests import paired_tests
from lm_eval_safescale.cli import app
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.runs import write_runs
from tests.analysis.making import add_cell, item, one_cell, random_plain

DEFAULT = preset_named("default")
NEAR = 4 / sqrt(2 * TIMES)
"""Four standard errors of a standard deviation over so many asks."""


def asked(plain, **about):
    return Study(plain.runs(), population="asks", **about)


def row_of(study, metric, condition="clean", group=None):
    rows = results(study).to_dicts()
    (row,) = [
        row
        for row in rows
        if (row["metric"], row["condition"], row["group"]) == (metric, condition, group)
    ]
    return row


def half(row):
    return (row["hi"] - row["lo"]) / 2 / 1.959964


def test_the_error_of_a_mean_of_samples_is_that_of_draws_within_items():
    samples = ["AB-AA", "A----", "BBAA-", "AAAAA", "-----", "A-B-A", "AAAA-", "B-B-B"]
    items = {f"{number}": item() for number in range(8)}
    row = row_of(asked(one_cell(items, "AABBAABB", samples)), "sample_null")
    silent = np.array([[letter == "-" for letter in each] for each in samples], dtype=float)
    error = sqrt((silent.var(axis=1, ddof=1) / 5).sum()) / 8
    assert row["value"] == pytest.approx(silent.mean())
    assert half(row) == pytest.approx(error, rel=NEAR)
    assert row["method"] == "asks"


def test_the_error_of_a_majority_is_that_over_all_ways_to_draw_the_samples():
    samples = ["AAB", "ABB", "ABA", "BBB", "AAA", "BAB"]
    items = {f"{number}": item() for number in range(6)}
    row = row_of(asked(one_cell(items, "AAAAAA", samples)), "majority_accuracy")
    variance = 0.0
    for each in samples:
        right = [drawn.count("A") > 1 for drawn in product(each, repeat=3)]
        variance += np.var(right)
    assert half(row) == pytest.approx(sqrt(variance * 3 / 2) / 6, rel=NEAR)


def test_samples_that_agree_leave_nothing_open_and_greedy_answers_tell_nothing_of_it():
    items = {f"{number}": item() for number in range(4)}
    study = asked(one_cell(items, "AABA", ["AAA", "BBB", "AAA", "AAA"]))
    sure, greedy = row_of(study, "majority_accuracy"), row_of(study, "accuracy")
    assert (sure["value"], sure["lo"], sure["hi"]) == (0.75, 0.75, 0.75)
    assert (greedy["value"], greedy["lo"], greedy["hi"]) == (0.75, None, None)
    assert greedy["method"] == "none"
    single = asked(one_cell(items, "AABA", ["A", "B", "A", "A"]))
    assert row_of(single, "majority_accuracy")["lo"] is None  # one sample says nothing of others


def test_values_are_those_of_new_items():
    plain = random_plain(3, models=2, conditions=("clean", "rag"), n=20, k=5, failures=0.03)
    for number, each in enumerate(plain.items.values()):
        each["group_half"] = "one" if number < 10 else "other"
    of_items, of_asks = results(Study(plain.runs())), results(asked(plain))
    same = ["model", "condition", "group", "metric", "value", "n", "not_scored"]
    assert_frame_equal(of_items.select(same), of_asks.select(same))


def test_the_variances_of_groups_add_up_to_that_of_all_items():
    plain = random_plain(3, models=2, conditions=("clean", "rag"), n=20, k=5)
    for number, each in enumerate(plain.items.values()):
        each["group_half"] = "one" if number < 10 else "other"
    study = asked(plain)
    assert [len(places) for *_, places in study.parts] == [20, 10, 10]
    whole, *halves = study.asks.errors
    for name in ("confidence", "majority_accuracy"):
        together = np.hypot(*(each[name] for each in halves)) / 2
        assert together == pytest.approx(whole[name], rel=NEAR)


def test_a_difference_has_the_errors_of_both_sides_and_no_test():
    plain = random_plain(5, models=1, conditions=("closed_book", "clean"), n=30, k=5)
    study = asked(plain)
    rows = paired_tests(study, DEFAULT)
    names = [cell.condition for cell in study.scores.values()]
    for row in rows:
        assert row["p_exact"] is row["p_mid"] is row["p_score"] is row["p_holm"] is None
        assert row["minimum_detectable_difference"] is None
        if row["decode"] == "greedy":
            assert row["delta_lo"] is row["delta_hi"] is None
    (majority,) = [
        row for row in rows if (row["metric"], row["decode"]) == ("accuracy", "majority")
    ]
    errors = study.asks.errors[0]["majority_accuracy"]
    reach = 1.959964 * np.hypot(*(errors[names.index(name)] for name in ("clean", "closed_book")))
    assert majority["delta_lo"] == pytest.approx(majority["delta"] - reach)
    assert majority["b"] - majority["c"] == pytest.approx(30 * majority["delta"])


def test_a_figure_of_what_was_not_answered_has_no_error_of_it():
    items = {f"{number}": item() for number in range(3)}
    plain = one_cell(items, "AAA", ["AAB", "ABB", "A!B"])
    add_cell(plain, "AAA", ["AAB", "ABB", "AAB"], condition="rag")
    row = row_of(asked(plain), "majority_accuracy")
    # the item that lacks a sample stays out in every ask
    assert (row["n"], row["not_scored"]) == (2, 1)
    variance = 2 * (20 / 27) * (7 / 27)
    (error, _) = asked(plain).asks.errors[0]["majority_accuracy"]
    assert error == pytest.approx(sqrt(variance * 3 / 2) / 2, rel=NEAR)
    assert (row["lo"], row["hi"]) == (0, 1)  # as far as a share goes


def test_tables_of_new_items_are_not_made_and_say_so(tmp_path):
    plain = random_plain(3, models=2, conditions=("closed_book", "clean"), n=15, k=4)
    study = asked(plain)
    tables, failed = make_tables(study, DEFAULT)
    assert (list(tables), failed) == (["results", "profile", "paired_tests", "disputed"], {})
    with pytest.raises(SafescaleError, match="its intervals are of new items"):
        ensembles(study)
    runs, out = tmp_path / "runs", tmp_path / "out"
    write_runs(plain.runs(), runs)
    done = CliRunner().invoke(
        app, ["analyze", str(runs), "-o", str(out), "--population", "asks"], catch_exceptions=False
    )
    assert done.exit_code == 0
    assert "asks of these very items" in " ".join(done.output.split())
    assert json.loads((out / "about.json").read_text())["population"] == "asks"
    assert sorted(each.stem for each in (out / "tables").glob("*.json")) == [
        "disputed",
        "paired_tests",
        "profile",
        "results",
    ]
