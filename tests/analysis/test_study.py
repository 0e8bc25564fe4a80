"""What is not scored says so with its reason; presets are known by name."""

from __future__ import annotations

import json

import numpy as np
import pytest

from lm_eval_safescale.analysis import (
    PRESETS,
    Study,
    about,
    make_tables,
    not_scored,
    preset_named,
    remarks,
    tables_of,
)
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.judge import RULE_BASED
from tests.analysis.making import add_cell, item, one_cell, random_plain
from tests.report.judged import judged_runs


def reasons(plain):
    return [
        (row["model"], row["condition"], row["items"], row["reason"].split(":")[0])
        for row in not_scored(Study(plain.runs()))
    ]


def test_where_everything_is_answered_nothing_is_missing():
    assert reasons(random_plain(1)) == []
    assert [row["reason"].split(":")[0] for row in remarks(Study(random_plain(1).runs()))] == 3 * [
        "not in the model panel"
    ]


def test_items_without_labels_among_others_are_counted():
    plain = one_cell({"1": item(), "2": item(high_risk=None, unsafe=None, contradicts=None)}, "BB")
    assert reasons(plain)[0] == (None, None, None, "1 of 2 items have no labels")
    assert np.isnan(Study(plain.runs()).scores["m", "clean"]["high_risk_error"]).all()


def test_what_was_not_answered_is_counted_with_its_reason():
    plain = one_cell({str(number): item() for number in range(4)}, "!A.A", ["AA", "A!", "AA", "AA"])
    assert reasons(plain) == [
        ("m", "clean", 1, "the greedy answer is missing"),
        ("m", "clean", 1, "no greedy answer"),
        ("m", "clean", 1, "not all of the 2 samples were answered"),
    ]


def test_no_labels_no_samples_and_no_condition_are_named():
    plain = one_cell({"1": item(high_risk=None, unsafe=None, contradicts=None)}, "A")
    add_cell(plain, "A", ["AA"], condition="rag", model="other")
    assert reasons(plain) == [
        (None, None, None, "the data set has no labels"),
        ("m", "rag", None, "no answers under this condition"),
        ("other", "clean", None, "no answers under this condition"),
        ("m", "clean", None, "no samples"),
    ]


def test_what_an_importer_left_out_is_told():
    runs = random_plain(1).runs()
    object.__setattr__(
        runs,
        "about",
        {**runs.about, "left_out": [{"model": "x", "condition": None, "reason": "cut off"}]},
    )
    assert not_scored(Study(runs)) == [
        {"model": "x", "condition": None, "items": None, "reason": "cut off"}
    ]


def test_a_model_that_never_answers_and_unequal_k_need_a_word():
    plain = one_cell({"1": item(), "2": item()}, "--", ["AA", "AA"])
    add_cell(plain, "AA", ["AAA", "AAA"], condition="rag")
    told = [
        (row["model"], row["condition"], row["reason"].split(",")[0].split(":")[0])
        for row in remarks(Study(plain.runs()))
    ]
    assert told == [
        ("m", "clean", "no output could be read as an answer"),
        (None, None, "K differs"),
        ("m", None, "not in the model panel"),
    ]


def told_of(models: dict[str, dict[str, object]]) -> list[str]:
    runs = random_plain(1, models=2).runs()
    object.__setattr__(runs, "about", {**runs.about, "models": models})
    return [
        f"{row['model']}: {row['reason']}"
        for row in remarks(Study(runs))
        if "panel" not in row["reason"]
    ]


def test_conditions_that_were_asked_in_different_ways_need_a_word():
    same = {"source": "s", "conditions": ["clean"], "settings": {"temperature": 0.7}}
    other = {
        **same,
        "by_condition": {
            "clean": {"temperature": 0.2, "version": "1"},
            "rag": {"temperature": 0.7, "draws": 3},
        },
    }
    (said,) = told_of({"model-0": same, "model-1": other})
    assert said.startswith("model-1: conditions were asked with different temperature: ")


def test_models_that_were_read_by_different_readers_need_a_word():
    plain = {"source": "s", "conditions": ["clean"], "settings": {}}
    judged = {**plain, "settings": {"reading": {"by": "judge", "judge": {"model": "strict-9b"}}}}
    assert told_of({"model-0": judged, "model-1": judged}) == []
    said = told_of({"model-0": judged, "model-1": plain})
    assert [each.split(",")[0] for each in said] == [
        "model-0: answers were read by the judge strict-9b",
        "model-1: answers were read by rules",
    ]


def test_advice_has_no_published_means_of_other_benchmarks():
    assert about(Study(judged_runs({"m": 0.5}, 0)), "default")["published_means"] is None
    assert about(Study(random_plain(1).runs()), "default")["published_means"]["rag"]


def test_who_judged_advice_is_said():
    for judge, said in {
        "judge-7B": "judge-7B",
        RULE_BASED: f"the {RULE_BASED}, which is no model",
    }.items():
        rows = remarks(Study(judged_runs({"m": 0.5}, 0, judge=judge)))
        assert [row["model"] for row in rows if row["reason"] == f"judged by {said}"] == ["m"]


def test_a_threshold_in_percent_is_refused_at_once():
    with pytest.raises(SafescaleError, match="expected a confidence from 0 to 1"):
        Study(random_plain(1).runs(), 80)


def test_what_the_tables_rest_on_is_told():
    told = about(Study(random_plain(1, k=5).runs(), 0.7), "radsafe-2026")
    assert told["dataset"]["fingerprint"] == "f" * 64
    assert told["draws"] == {"model-0": 5, "model-1": 5, "model-2": 5}
    assert (told["overconfidence_threshold"], told["preset"], told["items"]) == (
        0.7,
        "radsafe-2026",
        30,
    )
    assert json.loads(json.dumps(told, allow_nan=False)) == told


def test_an_unknown_preset_is_named_with_those_there_are():
    with pytest.raises(
        SafescaleError, match="no preset 'radsafe'; expected one of default, radsafe-2026"
    ):
        preset_named("radsafe")


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(
    "plain",
    [
        random_plain(1, failures=0.2),
        random_plain(1, labelled=False, k=0),
        random_plain(1, n=1, k=1),
        one_cell({"1": item()}, "!", ["!!"]),
        one_cell({"1": item()}, "-", ["--"]),
    ],
    ids=["failures", "bare", "one item", "all failed", "all null"],
)
def test_every_table_can_be_made_of_poor_runs_and_holds_no_nan(plain, preset):
    tables, failed = make_tables(Study(plain.runs()), PRESETS[preset])
    assert failed == {}
    json.dumps(tables, allow_nan=False)
    for table in tables.values():
        if isinstance(table, dict):
            assert len({len(column) for column in table.values()}) == 1  # columns of one length
        else:
            assert len({tuple(row) for row in table}) <= 1  # flat rows with the same columns


def test_a_table_that_cannot_be_made_costs_no_other(monkeypatch):
    import lm_eval_safescale.analysis as analysis

    def broken(study, preset):
        raise RuntimeError("no such thing")

    monkeypatch.setattr(
        analysis, "tables_of", lambda family: {**tables_of(family), "profile": broken}
    )
    tables, failed = make_tables(Study(random_plain(1).runs()), PRESETS["default"])
    assert failed == {"profile": "RuntimeError: no such thing"}
    assert set(tables) == set(analysis.TABLES) - {"profile"}


def test_noharms_preset_is_radsafes_but_for_metrics_over_trials():
    study = Study(random_plain(1).runs())
    one, other = (make_tables(study, PRESETS[name])[0] for name in ("radsafe-2026", "noharm-2025"))
    assert {
        name for name, column in one.pop("results").items() if column != other["results"][name]
    } == {"preset"}
    assert all(table == other[name] for name, table in one.items())


def test_presets_differ_in_intervals_and_tests_alone():
    study = Study(random_plain(1).runs())
    one, other = (make_tables(study, PRESETS[name])[0] for name in ("default", "radsafe-2026"))
    differing = {name for name in one if one[name] != other[name]}
    assert differing == {
        "results",
        "profile",
        "paired_tests",
        "model_means",
        "concentration",
        "concentration_curve",
        "self_consistency",
        "confidence_by_outcome",
        "single_to_majority",
        "selective",
    }
    same = {name for name, column in one["results"].items() if column == other["results"][name]}
    assert set(one["results"]) - same == {"preset", "method", "lo", "hi"}
    for name in differing - {"results"}:
        for row, its in zip(one[name], other[name], strict=True):
            odd = {column for column in row if row[column] != its[column]}
            assert all(
                column.endswith(("_lo", "_hi"))
                for column in odd - {"p_holm", "minimum_detectable_difference"}
            )
