"""Cubes say what the table says."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_safescale.runs import NO_LETTER, NOT_HEARD, Cube, Runs, cubes

from .conftest import frame

NUMBER = {letter: n for n, letter in enumerate("ABCDE")}
NUMBER |= {"unanswered": NO_LETTER, "truncated": NO_LETTER, "filtered": NOT_HEARD, "error": NOT_HEARD}
ITEMS = pl.DataFrame({"question_id": ["a", "b", "c"], "answer": ["A", "B", "E"], "letters": ["ABCDE"] * 3})
ANSWER = st.sampled_from(list(NUMBER))
KEY = st.tuples(st.sampled_from("mno"), st.sampled_from(["clean", "rag", "zeta"]), st.sampled_from("abc"), st.integers(0, 4))
TABLES = st.dictionaries(KEY, ANSWER, min_size=1).map(lambda answers: [(*key, answer) for key, answer in answers.items()])


@given(TABLES)
@settings(max_examples=60)
def test_cubes_hold_what_plain_python_finds(rows):
    found = cubes(Runs(ITEMS, frame(rows)))
    assert set(found) == {row[:2] for row in rows}
    for pair, cube in found.items():
        own = {row[2:4]: NUMBER[row[4]] for row in rows if row[:2] == pair}
        draws = max(draw for _, draw in own)
        assert cube.samples.shape == (3, draws)
        assert cube.greedy.tolist() == [own.get((item, 0), NOT_HEARD) for item in "abc"]
        assert cube.samples.tolist() == [[own.get((item, draw), NOT_HEARD) for draw in range(1, draws + 1)] for item in "abc"]


@given(TABLES)
@settings(max_examples=20)
def test_one_cube_is_the_same_as_among_all(rows):
    runs = Runs(ITEMS, frame(rows))
    for (model, condition), cube in cubes(runs).items():
        one = Cube.of(runs, model, condition)
        assert one is not None
        assert (one.model, one.condition) == (model, condition)
        assert np.array_equal(one.greedy, cube.greedy)
        assert np.array_equal(one.samples, cube.samples)


def test_key_options_and_labels_are_those_of_the_items(make_runs):
    cube = cubes(make_runs([("m", "clean", "1", 0, "A")]))["m", "clean"]
    assert cube.key.tolist() == [2, 1, 0]  # items 1, 10, 2
    assert cube.n_options.tolist() == [4, 5, 4]
    assert [np.flatnonzero(row).tolist() for row in cube.high_risk] == [[], [1], [1, 3]]
    assert [np.flatnonzero(row).tolist() for row in cube.unsafe] == [[0], [1, 4], [3]]
    assert [np.flatnonzero(row).tolist() for row in cube.contradicts] == [[0, 1, 3], [], []]


def test_without_labels_there_are_none(make_runs, items):
    cube = cubes(make_runs([("m", "clean", "1", 0, "A")], its=items.drop("unsafe", "high_risk", "contradicts")))["m", "clean"]
    assert cube.high_risk is cube.unsafe is cube.contradicts is None


def test_latency_is_that_of_the_greedy_answer_and_unknown_elsewhere(items):
    rows = frame([("m", "clean", "10", 0, "A"), ("m", "clean", "10", 1, "A"), ("m", "clean", "2", 0, "A")])
    runs = Runs(items, rows.with_columns(latency_s=pl.Series([1.5, 9.0, None])))
    assert np.array_equal(cubes(runs)["m", "clean"].latency, [np.nan, 1.5, np.nan], equal_nan=True)


def test_a_condition_that_was_not_asked_has_no_cube(make_runs):
    runs = make_runs([("m", "clean", "1", 0, "A"), ("n", "rag", "1", 0, "A")])
    assert Cube.of(runs, "m", "rag") is None
    assert ("m", "rag") not in cubes(runs)
    assert Cube.of(runs, "nobody", "rag") is None


def test_a_greedy_answer_that_was_not_heard_has_no_latency_though_the_request_took_time(items):
    rows = frame([("m", "clean", "1", 0, "error"), ("m", "clean", "10", 0, "unanswered"), ("m", "clean", "2", 0, "A")])
    runs = Runs(items, rows.with_columns(latency_s=pl.Series([600.0, 2.0, 1.0])))
    assert np.array_equal(cubes(runs)["m", "clean"].latency, [np.nan, 2, 1], equal_nan=True)
