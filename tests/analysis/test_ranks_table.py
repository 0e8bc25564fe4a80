"""Table `ranks`: its rows, which direction is better, and what has no rank."""

from __future__ import annotations

from lm_eval_safescale.analysis import Study, ranks, results
from lm_eval_safescale.families import RADSAFE
from tests.analysis.making import random_plain
from tests.analysis.small import runs_of


def rows_of(table, **where):
    return [
        row
        for row in table.iter_rows(named=True)
        if all(row[name] == value for name, value in where.items())
    ]


def test_every_metric_of_the_result_table_ranks_every_model_by_its_value():
    study = Study(random_plain(5, models=4, n=30, k=5).runs())
    table, values = ranks(study), results(study)
    shown = [metric for metric in RADSAFE.metrics(study.items) if metric.in_table]
    assert set(table["metric"]) == {metric.name for metric in shown}
    for metric in shown:
        for condition in study.conditions:
            rows = rows_of(table, metric=metric.name, condition=condition)
            assert len(rows) == 4
            better = sorted((row["value"] for row in rows), reverse=metric.higher_is_better)
            for row in rows:
                (same,) = rows_of(
                    values,
                    metric=metric.name,
                    condition=condition,
                    model=row["model"],
                    group=None,
                )
                assert row["value"] == same["value"]
                assert row["rank"] == 1 + better.index(row["value"])
                assert row["best_set"] == (row["rank_lo"] == 1)
                assert row["family"] == "radsafe"


def test_a_model_that_is_always_right_is_first_and_one_that_never_answers_is_told_apart():
    key = "A" * 40
    answers = {"good": "A" * 40, "bad": "B" * 40, "middling": "AB" * 20}
    table = ranks(runs_of({(model, "rag"): [own] for model, own in answers.items()}, key))
    found = {row["model"]: row for row in rows_of(table, metric="accuracy")}
    assert {model: row["rank"] for model, row in found.items()} == {
        "good": 1,
        "middling": 2,
        "bad": 3,
    }
    assert [model for model, row in found.items() if row["best_set"]] == ["good"]
    assert [row["rank"] for row in rows_of(table, metric="unanswered")] == [1, 1, 1]


def test_a_model_without_a_value_and_a_model_alone_have_no_rank():
    key = "A" * 6
    runs = runs_of({("m", "rag"): ["A" * 6], ("n", "rag"): ["!" * 6], ("n", "clean"): [key]}, key)
    assert ranks(runs).is_empty()
    three = runs_of(
        {
            (name, "rag"): [own]
            for name, own in zip("mno", ("AAAABB", "!" * 6, "BBBBBB"), strict=True)
        },
        key,
    )
    assert set(ranks(three)["model"]) == {"m", "o"}
