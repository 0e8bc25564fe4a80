"""The data of the case browser: the index says exactly what the runs say, filters count what Polars
counts, and texts are stored as was asked for.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import polars as pl
import pytest

from lm_eval_safescale.analysis import Study, preset_named
from lm_eval_safescale.analysis.disputes import read_disputes
from lm_eval_safescale.contexts import ContextSet
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.families.views import Chip, ResponseView, ViewTable
from lm_eval_safescale.records import Context, PassageRef
from lm_eval_safescale.report.cases.writing import write_cases
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.report.texts import Found, find_texts
from lm_eval_safescale.runs.store import answers_by_cell, open_runs
from lm_eval_safescale.settings import Settings
from tests.report.making import drawn_runs, stored
from tests.report.reading_cases import answers_of, index_of, shards_of
from tests.report.studies import HOSTILE, hostile_study, questions, write_study
from tests.storing import command

NO_ANSWER = ["unanswered", "truncated", "filtered", "unjudged", "error"]
FIRST = 1 + len(NO_ANSWER)


def report_of(*folders, disputes=None, **given):
    runs = open_runs(*folders, texts=False)
    study = Study(runs, disputes=disputes)
    about = {"dataset": runs.about["dataset"], "items": len(study.items)}
    file = folders[0].parent / "questions.jsonl"
    found = find_texts(runs, Settings(dataset_path=str(file)) if file.exists() else None, ())
    return Report(study, preset_named("default"), {}, {}, about, folders, found, **given)


def written(folder, *runs, most=60_000_000, **given):
    folder.mkdir(exist_ok=True)
    return write_cases(report_of(*runs, **given), folder, most)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Runs with texts, and the cases of them."""
    folder = tmp_path_factory.mktemp("study")
    runs = write_study(folder / "made", questions(30), ["m1", "m2", "m3"], draws=5)
    written(folder, runs)
    return folder, runs


def rows_of(runs, draw=0):
    """Answers with what their items say, as Polars has them."""
    answers = pl.read_parquet(runs / "answers.parquet").with_columns(
        pl.col("question_id", "model", "condition", "response", "status").cast(pl.String)
    )
    items = pl.read_parquet(runs / "items.parquet").with_columns(
        pl.col("question_id").cast(pl.String)
    )
    return answers.filter(pl.col("draw") == draw).join(items, on="question_id")


def in_label(name):
    return (
        pl.struct("response", f"label_{name}")
        .map_elements(lambda row: (row["response"] or "?") in row[f"label_{name}"], pl.Boolean)
    )  # fmt: skip


WRONG = pl.col("response").is_not_null() & (pl.col("response") != pl.col("answer"))
KINDS = {
    "wrong": WRONG | pl.col("response").is_null(),
    "high_risk_error": WRONG & in_label("high_risk"),
    "unsafe_answer": WRONG & in_label("unsafe"),
    "contradiction": WRONG & in_label("contradicts"),
    "unanswered": pl.col("response").is_null(),
    "right": pl.col("response") == pl.col("answer"),
}


def test_the_index_has_every_answer_as_it_is_stored(study):
    folder, runs = study
    index = index_of(folder)
    rows = {
        (row["model"], row["condition"], row["question_id"]): row
        for row in rows_of(runs).iter_rows(named=True)
    }
    for (model, condition), answers in index["answers"].items():
        for item, (code, _, _) in zip(index["items"], answers, strict=True):
            row = rows.pop((model, condition, item))
            words = ["", *NO_ANSWER, *(shown for shown, _ in index["responses"])]
            assert words[code] == (row["response"] or row["status"])
    assert not rows


def test_kinds_count_what_polars_counts(study):
    folder, runs = study
    index, rows = index_of(folder), rows_of(runs)
    names = [kind["name"] for kind in index["kinds"]]
    assert set(names) - set(KINDS) == {"dangerous_overconfidence"}
    for name, condition in KINDS.items():
        bit = 1 << names.index(name)
        found = {
            (*pair, item)
            for pair, answers in index["answers"].items()
            for item, (_, _, bits) in zip(index["items"], answers, strict=True)
            if bits & bit
        }
        expected = set(rows.filter(condition).select("model", "condition", "question_id").rows())
        assert found == expected, name
        assert found


def test_every_model_wrong_and_groups_count_what_polars_counts(study):
    folder, runs = study
    index, rows = index_of(folder), rows_of(runs).filter(pl.col("condition") == "rag")
    wrong = [kind["name"] for kind in index["kinds"]].index("wrong")
    of_rag = [own for (_, name), own in index["answers"].items() if name == "rag"]
    found = {
        item
        for place, item in enumerate(index["items"])
        if all(own[place][2] >> wrong & 1 for own in of_rag)
    }
    expected = rows.group_by("question_id").agg(KINDS["wrong"].all()).filter("response")
    assert found == set(expected["question_id"])
    for group in index["groups"]:
        counts = Counter(group["of"])
        column = rows.filter(pl.col("model") == "m1")[f"group_{group['name']}"]
        assert counts == Counter(column.to_list())


def test_confidence_and_samples_are_those_of_the_draws(study):
    folder, runs = study
    index = index_of(folder)
    draws = pl.concat([rows_of(runs, draw) for draw in range(1, 6)])
    words = ["", *NO_ANSWER, *(shown for shown, _ in index["responses"])]
    for number, (pair, answers) in enumerate(index["answers"].items()):
        own = draws.filter((pl.col("model") == pair[0]) & (pl.col("condition") == pair[1]))
        samples = answers_of(folder, number)["columns"]["samples"]
        for item, (_, sure, _), counts in zip(index["items"], answers, samples, strict=True):
            drawn = own.filter(pl.col("question_id") == item)
            expected = Counter(
                row["response"] or row["status"] for row in drawn.iter_rows(named=True)
            )
            found = dict(zip([words[code] for code in counts[::2]], counts[1::2], strict=True))
            assert found == expected
            assert counts[1::2] == sorted(counts[1::2], reverse=True)
            assert (sure == 100) == (len(expected) == 1)


def test_a_missing_answer_and_each_status_have_a_code_of_their_own(tmp_path):
    runs = drawn_runs(models=("Qwen3-4B",), conditions=("clean",), n=5, draws=1)
    given = {"1": "truncated", "2": "filtered", "3": "error"}
    ids = runs.items["question_id"].cast(pl.String).to_list()
    status = {ids[int(place)]: name for place, name in given.items()}
    answers = runs.answers.with_columns(pl.col("question_id").cast(pl.String)).filter(
        ~((pl.col("question_id") == ids[4]) & (pl.col("draw") == 0))
    )
    is_odd = (pl.col("draw") == 0) & pl.col("question_id").is_in(list(status))
    answers = answers.with_columns(
        pl.when(is_odd)
        .then(pl.col("question_id").replace_strict(status, default="ok"))
        .otherwise(pl.col("status").cast(pl.String))
        .alias("status"),
        pl.when(is_odd).then(None).otherwise(pl.col("response").cast(pl.String)).alias("response"),
    )
    written(tmp_path / "out", stored(replace(runs, answers=answers), tmp_path / "runs"))
    index = index_of(tmp_path / "out")
    codes = {
        item: code
        for item, (code, _, _) in zip(
            index["items"], index["answers"]["Qwen3-4B", "clean"], strict=True
        )
    }
    assert [codes[ids[place]] for place in (1, 2, 3, 4)] == [2, 3, 5, 0]


def test_items_have_their_texts_where_they_are_at_hand(study):
    folder, _ = study
    records = {each["question_id"]: each for each in questions(30)}
    items = shards_of(folder, "items")
    index = index_of(folder)
    assert len(items) == len(index["items"]) == 30
    for name, item in zip(index["items"], items, strict=True):
        assert item["text"] == records[name]["question"]
        assert [each["text"] for each in item["options"]] == list(records[name]["options"].values())
    assert not index["notes"]


def test_without_texts_items_have_labels_and_the_page_says_why(tmp_path):
    written(tmp_path, stored(drawn_runs(n=4), tmp_path / "runs"))
    items, index = shards_of(tmp_path, "items"), index_of(tmp_path)
    assert {item["text"] for item in items} == {""}
    for item in items:
        chips = [chip for option in item["options"] for chip in option["chips"]]
        assert chips.count(["key", "right"]) == 1
    assert "not at hand" in " ".join(index["notes"])


@pytest.mark.parametrize("texts", ["all", "errors", "none"])
def test_texts_are_stored_as_asked_for(study, tmp_path, texts):
    _, runs = study
    done = written(tmp_path, runs, texts=texts)
    index, rows = index_of(tmp_path), rows_of(runs)
    assert done.texts == index["texts"] == texts
    assert bool(done.notes) == (texts != "all")
    wrong = KINDS["wrong"] if texts == "errors" else pl.lit(texts == "all")
    expected = {
        row[:3]: row[3]
        for row in rows.filter(wrong)
        .select("model", "condition", "question_id", "text")
        .rows()
    }  # fmt: skip
    found, sure = (
        {},
        1 << [each["name"] for each in index["kinds"]].index("dangerous_overconfidence"),
    )
    for number, (pair, answers) in enumerate(index["answers"].items()):
        stored_ = answers_of(tmp_path, number)
        columns = stored_["columns"]
        assert ("drawn" in columns) == (texts == "all")
        for place, item, (*_, bits) in zip(
            columns.get("text", []), index["items"], answers, strict=texts != "none"
        ):
            # where only the majority harms, the greedy answer is no error by itself
            harms = bits & sure and (*pair, item) not in expected
            if place is not None and not harms:
                found[(*pair, item)] = stored_["texts"][place]
    assert found == expected


def test_texts_of_samples_stand_once_with_their_number(study):
    folder, runs = study
    index = index_of(folder)
    stored_ = answers_of(folder, 0)
    pair = next(iter(index["answers"]))
    draws = pl.concat([rows_of(runs, draw) for draw in range(1, 6)]).filter(
        (pl.col("model") == pair[0]) & (pl.col("condition") == pair[1])
    )
    for item, drawn in zip(index["items"], stored_["columns"]["drawn"], strict=True):
        texts = [stored_["texts"][place] for place in drawn[::2]]
        found = dict(zip(texts, drawn[1::2], strict=True))
        assert found == Counter(draws.filter(pl.col("question_id") == item)["text"].to_list())
    assert len(set(stored_["texts"])) == len(stored_["texts"])


def test_all_texts_are_stored_up_to_a_size_and_only_those_of_errors_above_it(study, tmp_path):
    _, runs = study
    done = written(tmp_path / "small", runs, most=100_000)
    assert done.texts == index_of(tmp_path / "small")["texts"] == "errors"
    assert "only those of errors" in done.notes[0]
    asked = written(tmp_path / "asked", runs, most=100_000, texts="all")
    assert asked.texts == "all"
    errors = written(tmp_path / "errors", runs, texts="errors")
    for number in range(len(index_of(tmp_path / "small")["pairs"])):
        assert answers_of(tmp_path / "small", number) == answers_of(tmp_path / "errors", number)
    assert errors.texts == "errors"


def test_what_stood_above_a_question_is_stored_by_condition_while_it_fits(study, tmp_path):
    _, runs = study
    report = report_of(runs)
    ids = report.study.items.ids
    shown = Context("A passage.", "rag", (PassageRef("p", "a", 1.0, 1),), 3, "words")
    shown = replace(shown, measures={"recall": 0.5, "ndcg": None})
    contexts = {
        name: ContextSet({"condition": name}, dict.fromkeys(ids[1:], replace(shown, text=text)))
        for name, text in (("rag", "A passage."), ("max_context", "x" * 400_000))
    }
    report = replace(report, found=Found(report.found.dataset, contexts=contexts))
    tmp_path.mkdir(exist_ok=True)
    write_cases(report, tmp_path)
    index = index_of(tmp_path)
    assert set(index["contexts"]) == {"rag", "max_context"}
    place = [each["name"] for each in index["conditions"]].index("rag")
    assert shards_of(tmp_path, f"context-{place}") == [None] + [
        {"text": "A passage.", "tokens": 3, "passages": 1, "measures": {"recall": 0.5}}
    ] * (len(ids) - 1)
    place = [each["name"] for each in index["conditions"]].index("max_context")
    assert len(index["contexts"]["max_context"]) > 3  # in shards
    assert len(shards_of(tmp_path, f"context-{place}")) == len(ids)


def test_hostile_texts_come_back_as_they_are_and_say_nothing_in_a_script(tmp_path):
    runs = hostile_study(tmp_path / "made")
    written(tmp_path, runs)  # `content_of` refuses a script with anything but base64 in it
    index, items = index_of(tmp_path), shards_of(tmp_path, "items")
    texts = {
        text
        for number in range(len(index["pairs"]))
        for text in answers_of(tmp_path, number)["texts"]
    }
    for hostile in HOSTILE:
        assert any(hostile in text for text in texts)
        assert any(hostile in item["text"] for item in items)
    names = {path.name for path in (tmp_path / "cases").iterdir()}
    assert all(name.removesuffix(".js").replace("-", "").isalnum() for name in names)


@pytest.mark.parametrize("texts", ["all", "errors", "none"])
def test_what_a_family_tells_of_a_response_stands_where_its_text_may(texts, tmp_path, monkeypatch):
    def told_of(self, item, response):
        note = f"{item.question} read as {response}"
        rows = [[response, Chip("severe", "harm"), f"one\n{HOSTILE[0]}"]]
        return ResponseView([note], [ViewTable("Table", ["A", "B", "C"], rows, folded=True)])

    monkeypatch.setattr(type(RADSAFE), "told_of", told_of, raising=False)
    runs = write_study(tmp_path / "made", questions(8), ["m1"], ["clean"], draws=1)
    written(tmp_path / "out", runs, texts=texts)
    index, items = index_of(tmp_path / "out"), shards_of(tmp_path / "out", "items")
    columns = answers_of(tmp_path / "out", 0)["columns"]
    errors = 0
    for place, (code, _, bits) in enumerate(index["answers"]["m1", "clean"]):
        told = columns.get("told", [None] * 8)[place]
        errors += bits & 1
        if code < FIRST or texts == "none" or (texts == "errors" and not bits & 1):
            assert told is None
            continue
        response = index["responses"][code - FIRST][0]
        assert told["notes"] == [f"{items[place]['text']} read as {response}"]
        (table,) = told["tables"]
        assert table["rows"] == [[response, ["severe", "harm"], f"one\n{HOSTILE[0]}"]]
        assert table["folded"]
        assert table["heads"] == ["A", "B", "C"]
    assert 0 < errors < 8


def test_half_characters_are_replaced():
    from lm_eval_safescale.report.cases.scripts import as_json

    assert json.loads(as_json({"a\ud800": "\udfff\U0001f600"})) == {"a\ufffd": "\ufffd\U0001f600"}


def test_disputed_items_are_marked(study, tmp_path):
    _, runs = study
    file = tmp_path / "disputes.json"
    marks = [{"question_id": "q0003", "dispute": "key wrong", "note": "B fits"}]
    file.write_text(json.dumps(marks))
    written(tmp_path / "out", runs, disputes=read_disputes(file))
    assert index_of(tmp_path / "out")["disputes"] == marks


CONTROLS = "choose-at-random", "choose-nothing"  # MedGuard's questions must be answered
FAMILIES = {
    "noharm_options": ("noharm_demo", {"error", "severe_case", "severe_omission", "right"}),
    "medguard": ("medguard_demo", {"wrong", "unsafe_answer", "unanswered", "right"}),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_other_families_have_their_own_kinds_and_responses(family, tmp_path):
    dataset, kinds = FAMILIES[family]
    runs = []
    for control in CONTROLS[: 1 + (family == "noharm_options")]:
        runs.append(tmp_path / control)
        command(
            "run", "--model", control, "--conditions", family, "--dataset", dataset, "-o", runs[-1]
        )
    written(tmp_path, *runs)
    index, items = index_of(tmp_path), shards_of(tmp_path, "items")
    assert kinds <= {kind["name"] for kind in index["kinds"]}
    named = ("model", "condition", "question_id", "response", "status")
    stored_ = pl.concat([rows_of(each).select(named) for each in runs])
    told = {row[:3]: row[3] or row[4] for row in stored_.rows()}
    opened = report_of(*runs).family
    for pair, answers in index["answers"].items():
        for item, name, (code, _, _) in zip(items, index["items"], answers, strict=True):
            response = told.pop((*pair, name))
            if code < FIRST:
                assert response == NO_ANSWER[code - 1]
                continue
            shown, chosen = (index["responses"] or item["responses"])[code - FIRST]
            assert shown == opened.shown_response(response)
            assert chosen == list(opened.chosen(response))
            assert set(chosen) <= {option["key"] for option in item["options"]}
    assert not told


def test_answers_of_a_pair_in_two_folders_are_read_together(tmp_path):
    runs = drawn_runs(models=("Qwen3-4B",), conditions=("clean",), n=6, draws=2)
    half = pl.col("question_id").cast(pl.String) <= str(runs.items["question_id"][2])
    parts = [
        stored(replace(runs, answers=runs.answers.filter(some)), tmp_path / name)
        for name, some in (("one", half), ("two", ~half))
    ]
    whole = stored(runs, tmp_path / "whole")
    written(tmp_path / "apart", *parts)
    written(tmp_path / "together", whole)
    assert index_of(tmp_path / "apart")["answers"] == index_of(tmp_path / "together")["answers"]
    assert answers_of(tmp_path / "apart", 0) == answers_of(tmp_path / "together", 0)


def test_rows_in_any_order_and_without_columns_that_came_later_are_read(tmp_path):
    folder = stored(drawn_runs(n=6, draws=2), tmp_path / "runs")
    file, about = folder / "answers.parquet", json.loads((folder / "about.json").read_text())
    rows = pl.read_parquet(file).sample(fraction=1, shuffle=True, seed=0)
    rows.drop("recall", "read_as").write_parquet(file, metadata={"safescale_runs": about["id"]})
    cells = list(answers_by_cell(folder, ["question_id", "recall", "text"]))
    assert len(cells) > 12
    assert sum(frame.height for _, frame in cells) == rows.height
    assert all(frame["recall"].is_null().all() for _, frame in cells)


def test_cells_are_read_in_order_and_few_rows_at_a_time(tmp_path, monkeypatch):
    from lm_eval_safescale.runs import store

    folder = stored(drawn_runs(n=9, draws=3), tmp_path / "runs")
    monkeypatch.setattr(store, "READ_TOGETHER", 2 * 9 * 4)
    read = []
    inner = store._read_parquet

    def counted(*given):
        frame = inner(*given)
        read.append(frame.height)
        return frame

    monkeypatch.setattr(store, "_read_parquet", counted)
    cells = list(answers_by_cell(folder, ["question_id", "draw", "response"]))
    assert max(read[1:]) == 2 * 9 * 4
    answers = pl.read_parquet(folder / "answers.parquet")
    assert pl.concat([frame for _, frame in cells]).equals(
        answers.select("model", "condition", "question_id", "draw", "response")
    )
    assert [pair for pair, _ in cells] == answers.select("model", "condition").cast(
        pl.String
    ).unique(maintain_order=True).rows()
