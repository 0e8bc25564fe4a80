"""Arrays say what the table says."""

from __future__ import annotations

import numpy as np
import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_safescale.families import NO_RESPONSE, UNSCORED
from lm_eval_safescale.families.choice import facts_of
from lm_eval_safescale.runs import Runs, answer_arrays, item_table

from .conftest import frame

NUMBER = {letter: n for n, letter in enumerate("ABCDE")}
NUMBER |= {
    "unanswered": NO_RESPONSE,
    "truncated": NO_RESPONSE,
    "filtered": UNSCORED,
    "error": UNSCORED,
}
ITEMS = pl.DataFrame(
    {"question_id": ["a", "b", "c"], "answer": ["A", "B", "E"], "letters": ["ABCDE"] * 3}
)
ANSWER = st.sampled_from(list(NUMBER))
KEY = st.tuples(
    st.sampled_from("mno"),
    st.sampled_from(["clean", "rag", "zeta"]),
    st.sampled_from("abc"),
    st.integers(0, 4),
)
TABLES = st.dictionaries(KEY, ANSWER, min_size=1).map(
    lambda answers: [(*key, answer) for key, answer in answers.items()]
)


@given(TABLES)
@settings(max_examples=60)
def test_arrays_hold_what_plain_python_finds(rows):
    found = answer_arrays(Runs(ITEMS, frame(rows)))
    assert set(found) == {row[:2] for row in rows}
    for pair, arrays in found.items():
        own = {row[2:4]: NUMBER[row[4]] for row in rows if row[:2] == pair}
        draws = max(draw for _, draw in own)
        assert (arrays.codes.shape, arrays.draws) == ((3, 1 + draws), draws)
        assert arrays.greedy.tolist() == [own.get((item, 0), UNSCORED) for item in "abc"]
        assert arrays.samples.tolist() == [
            [own.get((item, draw), UNSCORED) for draw in range(1, draws + 1)] for item in "abc"
        ]


@given(TABLES)
@settings(max_examples=20)
def test_one_model_s_answers_are_the_same_as_among_all(rows):
    for pair, arrays in answer_arrays(Runs(ITEMS, frame(rows))).items():
        (one,) = answer_arrays(
            Runs(ITEMS, frame([row for row in rows if row[:2] == pair]))
        ).values()
        assert np.array_equal(one.codes, arrays.codes)


def test_key_options_and_labels_are_those_of_the_items(make_runs):
    table = item_table(make_runs([("m", "clean", "1", 0, "A")]))
    assert table.ids == ("1", "10", "2")
    facts = facts_of(table)
    assert facts.key.tolist() == [2, 1, 0]
    assert facts.n_options.tolist() == [4, 5, 4]
    carried = {
        name: [np.flatnonzero(row).tolist() for row in rows] for name, rows in facts.labels.items()
    }
    assert carried["high_risk"] == [[], [1], [1, 3]]
    assert carried["unsafe"] == [[0], [1, 4], [3]]
    assert carried["contradicts"] == [[0, 1, 3], [], []]


def test_without_labels_there_are_none(make_runs, items):
    facts = facts_of(
        item_table(
            make_runs(
                [("m", "clean", "1", 0, "A")],
                its=items.drop("label_unsafe", "label_high_risk", "label_contradicts"),
            )
        )
    )
    assert facts.labels == {}


def latency_of(items, rows, seconds):
    runs = Runs(items, frame(rows).with_columns(latency_s=pl.Series(seconds)))
    return answer_arrays(runs)["m", "clean"].measures["latency_s"]


def test_latency_is_that_of_the_greedy_answer_and_unknown_elsewhere(items):
    rows = [("m", "clean", "10", 0, "A"), ("m", "clean", "10", 1, "A"), ("m", "clean", "2", 0, "A")]
    assert np.array_equal(
        latency_of(items, rows, [1.5, 9.0, None]), [np.nan, 1.5, np.nan], equal_nan=True
    )


def test_a_condition_that_was_not_asked_has_no_arrays(make_runs):
    runs = make_runs([("m", "clean", "1", 0, "A"), ("n", "rag", "1", 0, "A")])
    assert set(answer_arrays(runs)) == {("m", "clean"), ("n", "rag")}


def test_a_greedy_answer_that_was_not_given_has_no_latency_though_the_request_took_time(items):
    rows = [
        ("m", "clean", "1", 0, "error"),
        ("m", "clean", "10", 0, "unanswered"),
        ("m", "clean", "2", 0, "A"),
    ]
    assert np.array_equal(
        latency_of(items, rows, [600.0, 2.0, 1.0]), [np.nan, 2, 1], equal_nan=True
    )
