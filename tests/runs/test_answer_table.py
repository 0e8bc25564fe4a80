"""The answer table holds each answer once, and only what can be an answer."""

from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.datasets import data_folder
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.runs import Runs, item_table
from lm_eval_safescale.runs.table import ANSWERS, items_of

from .conftest import frame

ROWS = [
    ("b", "clean", "1", 0, "A"),
    ("b", "clean", "1", 1, "unanswered"),
    ("a", "other", "10", 0, "E"),
    ("a", "closed_book", "2", 0, "B"),
]


def test_rows_stand_in_the_order_of_model_condition_item_and_draw(make_runs):
    runs = make_runs(ROWS)
    keys = runs.answers.select("model", "condition", "question_id", "draw").rows()
    assert keys == [
        ("a", "closed_book", "2", 0),
        ("a", "other", "10", 0),
        ("b", "clean", "1", 0),
        ("b", "clean", "1", 1),
    ]


def test_items_stand_in_the_order_of_their_ids_as_texts(make_runs):
    assert make_runs(ROWS).items["question_id"].to_list() == ["1", "10", "2"]


def test_conditions_stand_in_the_protocols_order_and_others_behind_by_name(make_runs):
    ours = [condition.name for condition in RADSAFE.conditions]
    rows = [("m", name, "1", 0, "A") for name in (*reversed(ours), "zeta", "alpha")]
    assert make_runs(rows).conditions == (*ours, "alpha", "zeta")


def test_models_stand_in_the_order_of_their_names(make_runs):
    assert make_runs(ROWS).models == ("a", "b")


def test_the_number_of_samples_is_known_for_each_model_and_condition(make_runs):
    assert make_runs(ROWS).draws == {("a", "closed_book"): 0, ("a", "other"): 0, ("b", "clean"): 1}


def test_columns_that_nobody_knows_are_null(make_runs):
    answers = make_runs(ROWS).answers
    assert answers.columns == list(ANSWERS)
    assert all(answers[name].null_count() == answers.height for name in list(ANSWERS)[6:])


def test_a_model_that_is_filtered_away_is_no_model_any_more(make_runs):
    runs = make_runs(ROWS)
    assert Runs(runs.items, runs.answers.filter(pl.col("model") == "a")).models == ("a",)


@given(st.permutations(ROWS))
def test_the_order_in_which_rows_come_does_not_matter(rows):
    items = pl.DataFrame(
        {"question_id": ["2", "10", "1"], "answer": ["A"] * 3, "letters": ["ABCDE"] * 3}
    )
    assert Runs(items, frame(rows)).answers.equals(Runs(items, frame(ROWS)).answers)


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("b", "clean", "1", 0, "B"), "1 rows stand twice, the first of b, clean, item 1, draw 0"),
        (("b", "clean", "7", 0, "A"), "question_id '7'; expected an item of the data set"),
        (
            ("b", "rag", "1", 0, "E"),
            "1 responses can be none to their item, the first E of b, rag, item 1, draw 0",
        ),
        (("b", "rag", "1", 0, "a"), "response 'a'; expected one of A, B"),
        (("b", "rag", "1", 0, "lost"), "status 'lost'; expected one of ok, unanswered"),
        (("b", "rag", "1", -1, "A"), "negative draw"),
    ],
)
def test_an_impossible_row_is_refused_by_name(make_runs, row, said):
    with pytest.raises(SafescaleError, match=said):
        make_runs([*ROWS, row])


@pytest.mark.parametrize(("response", "status"), [("A", "unanswered"), (None, "ok")])
def test_a_response_is_there_exactly_when_the_status_is_ok(items, response, status):
    answers = frame(ROWS).with_columns(response=pl.lit(response, pl.String), status=pl.lit(status))
    with pytest.raises(SafescaleError, match="exactly when its status is ok"):
        Runs(items, answers)


@pytest.mark.parametrize("name", ["model", "condition", "question_id", "draw", "status"])
def test_a_row_without_a_key_is_refused(items, name):
    answers = frame(ROWS).with_columns(pl.when(pl.int_range(pl.len()) > 0).then(name).alias(name))
    with pytest.raises(SafescaleError, match=f"without.*{name}"):
        Runs(items, answers)


def test_no_answers_are_an_error(items):
    with pytest.raises(SafescaleError, match="answers: none"):
        Runs(items, frame(ROWS).clear())


def test_a_missing_column_is_named(items):
    with pytest.raises(SafescaleError, match="answers: no column response"):
        Runs(items, frame(ROWS).drop("response"))
    with pytest.raises(SafescaleError, match="items: item 1 has the key None"):
        Runs(items.drop("answer"), frame(ROWS))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"question_id": "1"}, "items: 1 stand twice"),
        ({"letters": "ABD"}, "letters 'ABD'"),
        ({"answer": "F"}, "has the key 'F'"),
        ({"answer": None}, "has the key None"),
        (
            {"label_unsafe": pl.when(pl.col("question_id") != "1").then("label_unsafe")},
            "item 1 has some labels and not others",
        ),
        ({"label_unsafe": "Z"}, "labels on Z"),
    ],
)
def test_an_impossible_item_is_refused_by_name(items, change, said):
    change = {
        name: value if isinstance(value, pl.Expr) else pl.lit(value, pl.String)
        for name, value in change.items()
    }
    with pytest.raises(SafescaleError, match=said):
        Runs(items.with_columns(**change), frame(ROWS))


def test_a_label_that_no_item_has_is_none_of_the_data_set(items):
    runs = Runs(items.with_columns(label_unsafe=pl.lit(None, pl.String)), frame(ROWS))
    assert [name for name in runs.items.columns if name.startswith("label_")] == [
        "label_high_risk",
        "label_contradicts",
    ]


def test_items_of_a_data_set_keep_key_options_and_labels():
    dataset = RADSAFE.load(data_folder() / "radsafe_demo" / "questions.jsonl")
    rows = items_of(dataset)
    labels, groups = (
        (f"label_{name}" for name in RADSAFE.schema.labels),
        (f"group_{name}" for name in RADSAFE.schema.groups),
    )
    assert set(rows.columns) == {"question_id", "answer", "letters", *labels, *groups}
    for item, row in zip(dataset, rows.iter_rows(named=True), strict=True):
        assert (row["question_id"], row["answer"], list(row["letters"])) == (
            item.question_id,
            item.answer,
            list(item.options),
        )
        assert {name: set(row[f"label_{name}"]) for name in item.labels} == dict(item.labels)
        assert {name: row[f"group_{name}"] for name in item.groups} == dict(item.groups)


def test_unlabelled_items_are_not_items_without_harm(make_runs, items):
    without = items.drop("label_high_risk", "label_unsafe", "label_contradicts")
    assert RADSAFE.unscored(item_table(make_runs(ROWS, its=without)))
    assert not RADSAFE.unscored(item_table(make_runs(ROWS)))
