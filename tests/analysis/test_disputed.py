"""Table `disputed`: by hand, against runs without the items; what a file of disputes may hold."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import polars as pl
import pytest

from lm_eval_safescale.analysis import (
    Dispute,
    Disputes,
    Study,
    about,
    disputed,
    make_tables,
    preset_named,
    read_disputes,
    results,
)
from lm_eval_safescale.analysis.disputed import said_of_disputed
from lm_eval_safescale.assembly import load_dataset
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.families.medguard import MEDGUARD
from lm_eval_safescale.families.medguard.conditions import BASIC
from lm_eval_safescale.families.noharm import NOHARM_OPTIONS
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.table import items_of
from lm_eval_safescale.settings import load_settings
from tests.analysis.making import random_plain
from tests.analysis.small import runs_of


def disputes_of(*ids: str) -> Disputes:
    return Disputes(tuple(Dispute(name, "key wrong") for name in ids), "disputes.json", "ab")


def without(runs: Runs, ids: set[str]) -> Runs:
    """A second way: the same runs, had those items never been there."""
    plain = pl.col("question_id").cast(pl.String)
    items = runs.items.with_columns(plain).filter(~pl.col("question_id").is_in(ids))
    answers = runs.answers.with_columns(
        pl.col("model", "condition", "question_id", "response", "status").cast(pl.String)
    ).filter(~pl.col("question_id").is_in(ids))
    return Runs(items, answers, runs.about)


def test_accuracy_with_and_without_two_items_by_hand():
    #           key ABCD ABCD AB: right 8 of 10, of the rest 8 of 8
    runs = runs_of({("m", "clean"): ["ABCDABCDBA"]}, "ABCDABCDAB")
    rows = disputed(Study(runs, disputes=disputes_of("q09", "q10"))).to_dicts()
    (row,) = [row for row in rows if row["metric"] == "accuracy"]
    assert (row["value"], row["n"], row["value_without"], row["n_without"]) == (0.8, 10, 1.0, 8)
    assert row["difference"] == pytest.approx(0.2)
    assert row["lo_without"] == pytest.approx(8 / (8 + 1.959963984540054**2))  # Wilson at 8 of 8
    assert row["hi_without"] == 1


def test_one_disputed_item_of_which_nothing_is_scored_changes_no_value():
    runs = runs_of({("m", "clean"): ["AB!"]}, "ABC")
    (row, *_) = disputed(Study(runs, disputes=disputes_of("q03"))).to_dicts()
    assert (row["value"], row["n"], row["n_without"], row["difference"]) == (1, 2, 2, 0)


def demo_runs(family, name, condition):
    data = load_dataset(load_settings({"dataset": name}, given_by="test"), [], family)
    rows = []
    for model in ("m", "n"):
        for place, item in enumerate(data):
            responses = family.responses(item)
            rows += [
                {
                    "model": model,
                    "condition": condition,
                    "question_id": item.question_id,
                    "draw": draw,
                    "response": responses[(place * (draw + 1) + (model == "n")) % len(responses)],
                    "status": "ok",
                }
                for draw in range(3)
            ]
    known = {"family": family.name, "name": name, "version": "1", "fingerprint": "f"}
    return Runs(items_of(data), pl.DataFrame(rows), {"dataset": known})


def in_units():
    plain = random_plain(5, models=2, conditions=("clean", "rag"), n=24, k=3)
    for number, each in enumerate(plain.items.values()):
        each["unit"] = f"case {number // 3}"
        each["group_subspecialty"] = "ab"[number % 2]
    return plain.runs()


RUNS = {
    "in units": in_units,
    "NOHARM, in strata and over trials": lambda: demo_runs(
        NOHARM_OPTIONS, "noharm_demo", "noharm_options"
    ),
    "MedGuard, in strata, with raters": lambda: demo_runs(MEDGUARD, "medguard_demo", BASIC),
}


@pytest.mark.parametrize("preset", ["default", "radsafe-2026", "noharm-2025"])
@pytest.mark.parametrize("kind", RUNS)
def test_the_figures_without_are_those_of_runs_that_never_had_the_items(kind, preset):
    runs = RUNS[kind]()
    ids = set(map(str, runs.items["question_id"][[0, 3, 4]]))
    rows = disputed(Study(runs, disputes=disputes_of(*ids)), preset).to_dicts()
    place = ("model", "condition", "metric")
    for ending, of in (("", runs), ("_without", without(runs, ids))):
        expected = {
            tuple(row[name] for name in place): row
            for row in results(Study(of), preset).to_dicts()
            if row["group"] is None
        }
        for row in rows:
            known = expected[tuple(row[name] for name in place)]
            for name in ("value", "lo", "hi", "n"):
                assert row[f"{name}{ending}"] == pytest.approx(known[name], abs=1e-12), (row, name)
    assert {row["metric"] for row in rows} == set(runs.family.headlines)
    assert any(row["difference"] for row in rows)


def test_over_asks_of_the_same_items_too():
    runs = random_plain(3, n=12, k=4).runs()
    ids = {str(runs.items["question_id"][0])}
    study = Study(runs, population="asks", disputes=disputes_of(*ids))
    rows = disputed(study).to_dicts()
    assert {row["n"] - row["n_without"] for row in rows} <= {0, 1}
    for row in rows:
        if row["lo_without"] is not None:
            assert row["lo_without"] <= row["value_without"] <= row["hi_without"]
    assert any(row["lo_without"] is not None for row in rows)


def test_all_other_tables_stay_over_all_items_and_about_names_the_items():
    runs = random_plain(1).runs()
    preset = preset_named("default")
    name = str(runs.items["question_id"][0])
    study = Study(runs, disputes=disputes_of(name))
    tables, failed = make_tables(study, preset)
    plain, _ = make_tables(Study(runs), preset)
    assert not failed
    assert plain.pop("disputed") == []
    assert tables.pop("disputed")
    assert tables == plain
    facts = about(study, "default")
    assert facts.pop("disputed") == {
        "file": "disputes.json",
        "sha256": "ab",
        "items": [{"question_id": name, "dispute": "key wrong"}],
    }
    assert facts == about(Study(runs), "default")


def test_what_changes_most_is_said_with_its_numbers():
    runs = runs_of({("m", "clean"): ["ABCDABCDBA"]}, "ABCDABCDAB")
    rows = disputed(Study(runs, disputes=disputes_of("q09", "q10"))).to_dicts()
    said = " ".join(said_of_disputed(rows, 2))
    assert said.startswith("2 items disputed; every other table is over all items. Without them")
    assert "accuracy: m, clean, from 80.0 to 100.0 percent." in said


# --- the file -------------------------------------------------------------------------------------


def written(folder: Path, given: object) -> Path:
    path = folder / "disputes.json"
    text = given if isinstance(given, str) else json.dumps(given)
    path.write_text(text, encoding="utf-8")
    return path


def test_a_file_is_read_with_its_sum(tmp_path):
    path = written(
        tmp_path,
        [
            {"question_id": "a", "dispute": "key wrong", "note": "why \ud800\nso"},
            {"question_id": "b", "dispute": "other"},
        ],
    )
    found = read_disputes(path)
    assert found.items == (Dispute("a", "key wrong", "why �\nso"), Dispute("b", "other"))
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert found.source == "disputes.json"


GOOD = {"question_id": "a", "dispute": "other"}
BAD = {
    "no JSON": ("{not", "not JSON"),
    "an object": (GOOD, "an object; expected a list of disputes"),
    "a number in it": ([7], "entry 1: a number; expected an object"),
    "an unknown key": ([GOOD | {"notes": "x"}], "entry 1: 'notes' is no key of a dispute; did you"),
    "another dispute": (
        [GOOD | {"dispute": "wrong"}],
        "entry 1: dispute: 'wrong'; expected key wrong, label wrong, other",
    ),
    "a list as dispute": ([GOOD | {"dispute": []}], "dispute: []; expected key wrong"),
    "no id": ([{"dispute": "other"}], "question_id: None; expected the id of an item"),
    "an id that is no text": ([GOOD | {"question_id": 3}], "question_id: 3; expected"),
    "a note that is no text": ([GOOD | {"note": {}}], "note: {}; expected a text"),
    "a long note": ([GOOD | {"note": "x" * 10_001}], "note: 10,001 characters; expected at most"),
    "twice": ([GOOD, GOOD], "entry 2: 'a' stands twice; expected each item once"),
    "a key twice": ('[{"question_id": "a", "question_id": "b"}]', "stands twice in one object"),
    "deep": ("[" * 5000 + "]" * 5000, "nested too deeply"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_file_of_disputes_is_refused_with_its_place(tmp_path, kind):
    given, said = BAD[kind]
    with pytest.raises(SafescaleError) as refused:
        read_disputes(written(tmp_path, given))
    assert str(refused.value).startswith(str(tmp_path / "disputes.json"))
    assert said in str(refused.value)
    assert len(str(refused.value)) < 500


def test_an_unknown_item_is_refused_with_the_nearest_one():
    runs = runs_of({("m", "clean"): ["AB"]}, "AB")
    with pytest.raises(SafescaleError, match=r"entry 2: 'Q2' is no item .*did you mean q02"):
        Study(runs, disputes=disputes_of("q01", "Q2"))


def test_all_items_at_once_are_refused():
    runs = runs_of({("m", "clean"): ["AB"]}, "AB")
    with pytest.raises(SafescaleError, match="all 2 items of these runs are disputed"):
        Study(runs, disputes=disputes_of("q01", "q02"))


def test_only_headlines_are_in_it():
    runs = runs_of({("m", "clean"): ["AB"]}, "AB")
    rows = disputed(Study(runs, disputes=disputes_of("q01")))
    assert rows["metric"].to_list() == list(RADSAFE.headlines)
