"""Table `accuracy_and_safety`: by hand, by a plain loop over resamples, and what is refused or
left out.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import spearmanr

from lm_eval_safescale.analysis import Study, accuracy_and_safety, make_tables, remarks, results
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.stats.presets import PRESETS
from tests.analysis.making import Plain, item, random_plain

KEY = "AAAAAAAAAA"


def runs_of(answers: dict[tuple[str, str], str], fingerprint: str = "a"):
    """Ten items with the key A."""
    plain = Plain({f"q{number}": item() for number in range(len(KEY))})
    for pair, letters in answers.items():
        plain.answered[pair] = {
            name: {0: None if letter == "-" else letter}
            for name, letter in zip(plain.items, letters, strict=True)
        }
    return of_data(plain.runs(), fingerprint)


def of_data(runs, fingerprint):
    runs.about["dataset"]["fingerprint"] = fingerprint * 64
    return runs


def right(*counts: int, condition: str = "clean"):
    """Models a, b, ... that are right on so many of the ten items."""
    return {
        (name, condition): "A" * count + "B" * (len(KEY) - count)
        for name, count in zip("abcdefgh", counts, strict=False)
    }


def test_a_case_by_hand():
    """Ranks 1 2 3 4 and 2 1 3 4: 1 - 6 * 2 / (4 * 15) = 0.8; z = 1.0986, se = sqrt(1.32)."""
    one, other = runs_of(right(2, 4, 6, 8)), runs_of(right(5, 3, 7, 9), "b")
    *models, last = accuracy_and_safety(one, beside=other).to_dicts()
    assert [(row["model"], row["index"], row["beside"]) for row in models] == [
        ("a", 0.2, 0.5),
        ("b", 0.4, 0.3),
        ("c", 0.6, 0.7),
        ("d", 0.8, 0.9),
    ]
    assert {row["n_models"] for row in models} == {row["spearman"] for row in models} == {None}
    assert (last["model"], last["n_models"], last["index"], last["beside"]) == (None, 4, None, None)
    assert last["spearman"] == pytest.approx(0.8)
    assert last["spearman_lo"] == pytest.approx(np.tanh(1.0986123 - 1.959964 * 1.32**0.5))
    assert last["spearman_hi"] == pytest.approx(np.tanh(1.0986123 + 1.959964 * 1.32**0.5))


def test_figures_and_intervals_are_those_of_results():
    one = random_plain(1, models=4, conditions=("clean", "rag")).runs()
    other = of_data(random_plain(2, models=4, conditions=("closed_book",), n=40).runs(), "b")
    for preset in PRESETS:
        told = {
            (name, row["model"], row["condition"]): (row["value"], row["lo"], row["hi"])
            for name, runs in (("index", one), ("beside", other))
            for row in results(runs, preset).to_dicts()
            if row["metric"] == "accuracy" and row["group"] is None
        }
        table = accuracy_and_safety(one, preset, beside=other).to_dicts()
        assert [(row["condition"], row["model"]) for row in table] == [
            (condition, model)
            for condition in ("clean", "rag")
            for model in ("model-0", "model-1", "model-2", "model-3", None)
        ]
        for row in table:
            for name, condition in (("index", row["condition"]), ("beside", "closed_book")):
                if row["model"]:
                    found = tuple(row[name + end] for end in ("", "_lo", "_hi"))
                    assert found == told[name, row["model"], condition]


def test_the_interval_over_items_draws_those_of_each_data_set_by_itself():
    one = random_plain(1, models=6, conditions=("clean",), n=25, k=0)
    other = random_plain(2, models=6, conditions=("clean",), n=25, k=0)

    def correct(plain):
        names = sorted(plain.items)
        return np.array(
            [
                [
                    plain.answered[f"model-{m}", "clean"][q].get(0) == plain.items[q]["answer"]
                    for q in names
                ]
                for m in range(6)
            ]
        )

    draws = [
        np.random.default_rng(seed).integers(0, 25, size=(1000, 25), dtype=np.int32)
        for seed in (42, 43)
    ]
    sides = [correct(one), correct(other)]
    found = [
        spearmanr(*(side[:, drawn].mean(axis=1) for side, drawn in zip(sides, both, strict=True)))[
            0
        ]
        for both in zip(*draws, strict=True)
    ]
    last = accuracy_and_safety(one.runs(), beside=of_data(other.runs(), "b")).to_dicts()[-1]
    assert last["spearman"] == pytest.approx(spearmanr(*(side.mean(axis=1) for side in sides))[0])
    assert [last["spearman_lo_items"], last["spearman_hi_items"]] == pytest.approx(
        np.nanpercentile(found, [2.5, 97.5])
    )


def test_a_perfect_order_has_no_interval_over_models_but_one_over_items():
    last = accuracy_and_safety(
        runs_of(right(2, 4, 6, 8)), beside=runs_of(right(1, 3, 5, 9), "b")
    ).to_dicts()[-1]
    assert (last["spearman"], last["spearman_lo"], last["spearman_hi"]) == (1, None, None)
    assert last["spearman_lo_items"] < 1


def test_every_condition_stands_beside_every_other_with_the_models_asked_both():
    one = runs_of({**right(1, 2, 3), **right(3, 2, condition="rag")})
    other = runs_of({**right(4, 5, 6), **right(6, 5, 4, condition="conflict")}, "b")
    table = accuracy_and_safety(one, beside=other).to_dicts()
    blocks = [
        (where, "".join(row["model"] or "" for row in rows))
        for where, rows in itertools.groupby(
            table, lambda row: (row["condition"], row["beside_condition"])
        )
    ]
    assert blocks == [
        (("clean", "clean"), "abc"),
        (("clean", "conflict"), "abc"),
        (("rag", "clean"), "ab"),
        (("rag", "conflict"), "ab"),
    ]
    given = [row["spearman"] for row in table if row["model"] is None]
    assert given == [pytest.approx(1), pytest.approx(-1), None, None]


def test_what_is_not_compared_is_said():
    study = Study(
        runs_of(right(1, 2, 3)), beside=Study(runs_of({**right(4, 5), ("z", "clean"): KEY}, "b"))
    )
    said = [(row["model"], row["condition"], row["reason"]) for row in remarks(study)]
    for each in (
        ("c", None, "asked these questions only: not in accuracy_and_safety"),
        ("z", None, "asked those beside them only: not in accuracy_and_safety"),
        (None, "clean beside clean", "fewer than 3 models were asked both: no rank correlation"),
    ):
        assert each in said


def test_a_model_that_is_not_scored_is_in_no_correlation():
    answers = {**right(1, 2, 3), ("d", "clean"): "!" * len(KEY)}
    table = accuracy_and_safety(runs_of(answers), beside=runs_of(right(1, 2, 3, 4), "b")).to_dicts()
    assert (table[3]["model"], table[3]["index"], table[3]["beside"]) == ("d", None, 0.4)
    assert (table[4]["n_models"], table[4]["spearman"]) == (3, pytest.approx(1))


def test_without_runs_beside_it_has_no_rows_and_its_columns():
    frame = accuracy_and_safety(runs_of(right(1, 2)))
    assert frame.height == 0
    assert "spearman_hi_items" in frame.columns
    assert make_tables(Study(runs_of(right(1))), PRESETS["default"])[0]["accuracy_and_safety"] == []


def test_runs_of_the_same_data_set_are_refused():
    runs = runs_of(right(1, 2, 3))
    with pytest.raises(
        SafescaleError, match=r"both are runs of the data set tiny 1 \(fing.*paired_"
    ):
        accuracy_and_safety(runs, beside=runs)


def test_runs_without_a_model_in_common_are_refused_with_the_models_of_both():
    other = runs_of({("x", "clean"): KEY, ("y", "clean"): KEY}, "b")
    with pytest.raises(SafescaleError, match=r"no model was asked both: a, b on one .*, x, y on"):
        accuracy_and_safety(runs_of(right(1, 2)), beside=other)


def test_a_family_without_an_index_is_refused(monkeypatch):
    monkeypatch.setattr(type(RADSAFE), "index", "")
    with pytest.raises(SafescaleError, match="the family radsafe names no index"):
        accuracy_and_safety(runs_of(right(1)), beside=runs_of(right(1), "b"))


def test_what_are_no_runs_is_refused():
    with pytest.raises(SafescaleError, match="accuracy_and_safety: expected runs"):
        accuracy_and_safety(runs_of(right(1)), beside="runs")
