"""What lm_eval logs of our tasks becomes runs with the same letters, texts and contexts."""

from __future__ import annotations

import json
import shutil

import pytest

from lm_eval_safescale.analysis import Study, remarks
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.importing import import_lm_eval
from lm_eval_safescale.runs import answer_arrays, open_runs, write_runs

DATE = "2026-01-02T03-04-05.678901"
LABELS = {
    letter: {"high_risk": int(letter == "B"), "unsafe": 0, "contradicts": int(letter in "AB")}
    for letter in "ABC"
}


def sample(question_id, greedy, *samples, **doc):
    readings = [[greedy]] + ([list(samples)] if samples else [])
    shown = {
        "tokens": 12,
        "tokenizer": "words",
        "measures": {"evidence_coverage": 0.5, "recall": None},
        "passages": [],
    }
    return {
        "doc_id": 0,
        "doc": {
            "question_id": question_id,
            "question": "?",
            "options": {"A": "a", "B": "b", "C": "c"},
            "answer": "C",
            "labels": LABELS,
            "subspecialty": None,
            "question_type": "x",
            "condition": "clean",
            "context_fingerprint": "abc",
            "context": shown,
            **doc,
        },
        "arguments": {"gen_args_0": {"arg_0": "a long prompt"}},
        "resps": [
            [None if reading == "error" else f"said {reading}" for reading in each]
            for each in readings
        ],
        "filtered_resps": readings,
        "filter": "letter",
        "accuracy": float("nan"),
    }


class Logs:
    """An output folder of lm_eval, made by hand."""

    def __init__(self, folder):
        self.folder = folder

    def add(
        self,
        samples,
        *,
        task="radsafe_clean",
        condition="clean",
        date=DATE,
        run="run",
        fingerprint="f" * 64,
        content=None,
    ):
        folder = self.folder / run
        folder.mkdir(parents=True, exist_ok=True)
        results = folder / f"results_{date}.json"
        before = (
            json.loads(results.read_text()) if results.exists() else {"configs": {}, "results": {}}
        )
        dataset = {
            "name": "set",
            "version": "1",
            "fingerprint": fingerprint,
            "items": 3,
            "labelled": True,
            "demo": False,
        }
        settings = {
            "draws": 2,
            "temperature": 0.7,
            "overconfidence_threshold": 0.8,
            "max_answer_tokens": 10,
            "reasoning": "auto",
        }
        about = {
            "version": "0.1.0",
            "condition": condition,
            "dataset": dataset,
            "settings": settings,
            "prompt_sha256": "p",
        }
        before["configs"][task] = {"metadata": {"safescale": about}}
        before["results"][task] = {"sample_len": len(samples)}
        model = {
            "model_name": "org/model",
            "model_source": "hf",
            "config": {"model_args": {"pretrained": "org/model"}},
            "date": 1.0,
        }
        results.write_text(json.dumps({**before, **model, **(content or {})}))
        log = folder / f"samples_{task}_{date}.jsonl"
        log.write_text("".join(json.dumps(each) + "\n" for each in samples))
        return log


@pytest.fixture
def logs(tmp_path):
    return Logs(tmp_path / "out")


TWO = [sample("q2", "A", "A", "B"), sample("q1", "unanswered", "truncated", "error")]


def test_one_log_worked_by_hand(logs):
    logs.add(TWO)
    runs = import_lm_eval([logs.folder])
    columns = (
        "model",
        "condition",
        "question_id",
        "draw",
        "response",
        "status",
        "text",
        "context_fingerprint",
        "context_tokens",
    )
    assert runs.answers.select(*columns, "evidence_coverage", "recall", "latency_s").rows() == [
        (
            "org/model",
            "clean",
            "q1",
            0,
            None,
            "unanswered",
            "said unanswered",
            "abc",
            12,
            0.5,
            None,
            None,
        ),
        (
            "org/model",
            "clean",
            "q1",
            1,
            None,
            "truncated",
            "said truncated",
            "abc",
            12,
            0.5,
            None,
            None,
        ),
        ("org/model", "clean", "q1", 2, None, "error", None, "abc", 12, 0.5, None, None),
        ("org/model", "clean", "q2", 0, "A", "ok", "said A", "abc", 12, 0.5, None, None),
        ("org/model", "clean", "q2", 1, "A", "ok", "said A", "abc", 12, 0.5, None, None),
        ("org/model", "clean", "q2", 2, "B", "ok", "said B", "abc", 12, 0.5, None, None),
    ]
    labels = ("label_high_risk", "label_unsafe", "label_contradicts")
    assert runs.items.columns == [
        "question_id",
        "answer",
        "letters",
        *labels,
        "group_question_type",
    ]
    assert runs.items.rows() == [
        ("q1", "C", "ABC", "B", "", "AB", "x"),
        ("q2", "C", "ABC", "B", "", "AB", "x"),
    ]
    assert runs.about["dataset"] == {
        "name": "set",
        "version": "1",
        "fingerprint": "f" * 64,
        "items": 3,
        "demo": False,
    }
    settings = runs.about["models"]["org/model"]["settings"]
    assert (settings["draws"], settings["temperature"], settings["backend"]) == (2, 0.7, "hf")
    assert answer_arrays(runs)["org/model", "clean"].greedy.tolist() == [-1, 0]


def test_what_a_search_found_nothing_for_is_read_from_the_log_and_unknown_where_it_was_not_logged(
    logs,
):
    nothing, found = (
        [{"kind": kind, "excerpt": "0 of 5 passages", "passage": None}]
        for kind in ("nothing found", "fewer found")
    )
    shown = {
        "q1": {"flags": nothing},
        "q2": {"flags": found},
        "q3": {"flags": []},
        "q4": {},
        "q5": None,
    }
    logs.add([sample(name, "A", context=context) for name, context in shown.items()])
    runs = import_lm_eval([logs.folder])
    assert runs.answers["nothing_found"].to_list() == [True, False, False, None, None]


def test_runs_of_logs_come_back_from_the_disk(logs, tmp_path):
    logs.add(TWO)
    runs = import_lm_eval([logs.folder])
    write_runs(runs, tmp_path / "runs")
    assert open_runs(tmp_path / "runs").answers.equals(runs.answers)


def test_without_samples_there_is_the_greedy_answer(logs):
    logs.add([sample("q1", "A"), sample("q2", "B")])
    assert import_lm_eval([logs.folder]).draws == {("org/model", "clean"): 0}


def test_conditions_of_several_runs_stand_together(logs):
    logs.add(TWO)
    logs.add(TWO, task="radsafe_rag", condition="rag", run="other")
    assert import_lm_eval([logs.folder]).conditions == ("clean", "rag")


@pytest.mark.parametrize(
    ("one", "other", "names"),
    [
        ("/a/llama/final", "/a/qwen/final", ("llama/final", "qwen/final")),
        ("/a/llama/final", "/b/llama/final", ("a/llama/final", "b/llama/final")),
        ("/a/llama/final", "/a/llama/final", ("final",)),
        ("/a/one", "/a/two", ("one", "two")),
    ],
)
def test_two_models_in_folders_of_one_name_are_never_one_model(logs, one, other, names):
    for name, condition in ((one, "clean"), (other, "rag")):
        named = {"model_name": name, "config": {"model_args": {"pretrained": name}}}
        logs.add(
            TWO, task=f"radsafe_{condition}", condition=condition, run=condition, content=named
        )
    assert import_lm_eval([logs.folder]).models == names


def test_single_files_may_be_named(logs):
    log = logs.add(TWO)
    logs.add(TWO, task="radsafe_rag", condition="rag")
    assert import_lm_eval([log]).conditions == ("clean",)
    assert import_lm_eval([log.parent / f"results_{DATE}.json"]).conditions == ("clean", "rag")


def test_the_run_of_most_items_is_taken_and_then_the_newest(logs):
    logs.add(TWO[:1], run="newest", content={"date": 9.0})
    logs.add(
        [sample("q1", "A", "A", "A"), sample("q2", "A", "A", "A")],
        run="older",
        content={"date": 2.0},
    )
    logs.add(
        [sample("q1", "B", "B", "B"), sample("q2", "B", "B", "B")],
        run="newer",
        content={"date": 3.0},
    )
    runs = import_lm_eval([logs.folder])
    assert set(runs.answers["response"]) == {"B"}
    assert [entry["condition"] for entry in runs.about["left_out"]] == ["clean", "clean"]


def test_a_run_asked_otherwise_says_in_what_and_can_have_another_name(logs):
    logs.add(TWO, run="first")
    logs.add(
        TWO,
        run="second",
        content={
            "config": {"model_args": {"pretrained": "org/model", "dtype": "int4"}},
            "date": 0.5,
        },
    )
    (entry,) = import_lm_eval([logs.folder]).about["left_out"]
    assert "differs: model_args" in entry["reason"]
    assert import_lm_eval([logs.folder / "second"], model="int4").models == ("int4",)


def test_a_name_that_lm_eval_made_up_is_not_the_models(logs):
    logs.add(
        TWO, content={"model_name": "x8f3kq", "model_source": "dummy", "config": {"model_args": {}}}
    )
    assert import_lm_eval([logs.folder]).models == ("dummy",)


def test_a_model_in_a_folder_is_called_by_the_folders_name(logs):
    logs.add(
        TWO,
        content={
            "model_name": "/models/small",
            "config": {"model_args": {"pretrained": "/models/small"}},
        },
    )
    assert import_lm_eval([logs.folder]).models == ("small",)


def test_tasks_of_others_are_passed_over(logs):
    log = logs.add(TWO)
    results = log.parent / f"results_{DATE}.json"
    content = json.loads(results.read_text())
    results.write_text(
        json.dumps(
            content
            | {"configs": {**content["configs"], "mmlu": {"metadata": {"version": 1}}, "arc": {}}}
        )
    )
    runs = import_lm_eval([logs.folder])
    assert runs.conditions == ("clean",)
    assert runs.about["left_out"] == []


# --- bad input ------------------------------------------------------------------------------------


def changed(change):
    def damage(lines):
        fields = json.loads(lines[0])
        change(fields)
        return [json.dumps(fields), *lines[1:]]

    return damage


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda lines: [lines[0], lines[1][:-30]], ":2: half-written last line"),
        (lambda lines: [lines[0], lines[1][:-30], lines[0]], ":2: not JSON"),
        (lambda lines: [*lines, lines[0]], ":3: item q2 stands twice"),
        (lambda lines: [], "is empty"),
        (
            lambda lines: [*lines[:1], ""],
            "holds 1 of the 2 items that its result file counts; it is cut off",
        ),
        (
            changed(lambda fields: fields["filtered_resps"][0].__setitem__(0, "unjudged")),
            ":1: item q2 has the reading 'unjudged'; expected one of A, B, C or",
        ),
        (
            changed(lambda fields: fields["filtered_resps"][0].__setitem__(0, "D")),
            ":1: item q2 has the reading 'D'; expected one of A, B, C or",
        ),
        (
            changed(lambda fields: fields["filtered_resps"][1].__setitem__(0, "no")),
            "has the reading 'no'",
        ),
        (changed(lambda fields: fields["filtered_resps"].pop()), "does not hold one greedy answer"),
        (changed(lambda fields: fields["resps"][1].pop()), "does not hold one greedy answer"),
        (
            changed(lambda fields: (fields["resps"].pop(), fields["filtered_resps"].pop())),
            ":2: item q1 has 3 answers, others 1",
        ),
        (
            changed(lambda fields: fields["doc"].update(answer="D")),
            "item q2: answer: key 'D' is not among the options A, B, C",
        ),
        (
            changed(lambda fields: fields["doc"].update(options={"A": "a", "C": "c"})),
            "item q2: options: letters A, C; expected A, B",
        ),
        (changed(lambda fields: fields.pop("doc")), "missing required field `doc`"),
        (
            changed(lambda fields: fields["doc"].update(question_type="y")),
            "is not the item of that id in the other logs",
        ),
    ],
)
def test_a_damaged_log_costs_its_own_condition_alone(logs, damage, reason):
    logs.add([*TWO, sample("q3", "C", "C", "C")], task="radsafe_rag", condition="rag")
    log = logs.add(TWO)
    log.write_text("\n".join(damage(log.read_text().splitlines())))
    runs = import_lm_eval([logs.folder])
    assert runs.conditions == ("rag",)
    (entry,) = runs.about["left_out"]
    assert (entry["model"], entry["condition"]) == ("org/model", "clean")
    assert reason in entry["reason"]


def test_a_group_and_a_unit_that_one_log_alone_names_make_no_other_item_and_another_does(logs):
    def asked(condition, **more):
        logs.add([sample("q1", "A", **more)], task=f"radsafe_{condition}", condition=condition)

    asked("clean")
    asked("conflict", groups={"modality": "CT"}, unit="case 1")
    asked("rag", groups={"modality": "MR"}, unit="case 1")
    asked("rag_top1", groups={"modality": "CT"}, unit="case 2")
    runs = import_lm_eval([logs.folder])
    assert runs.conditions == ("clean", "conflict")
    assert {entry["condition"] for entry in runs.about["left_out"]} == {"rag", "rag_top1"}
    assert (runs.items["group_modality"].to_list(), runs.items["unit"].to_list()) == (
        ["CT"],
        ["case 1"],
    )


def test_a_log_that_is_left_out_leaves_no_items_behind(logs):
    logs.add([sample("q1", "A")])
    logs.add([sample("q1", "A"), sample("q2", "D")], task="radsafe_rag", condition="rag")
    runs = import_lm_eval([logs.folder])
    assert runs.conditions == ("clean",)
    assert runs.items["question_id"].to_list() == ["q1"]


def test_a_run_without_logged_samples_says_how_to_get_them(logs):
    logs.add(TWO).unlink()
    with pytest.raises(SafescaleError, match="run lm_eval with --log_samples"):
        import_lm_eval([logs.folder])


def test_other_data_sets_are_refused_with_both_named(logs):
    logs.add(TWO, run="a")
    logs.add(TWO, run="b", fingerprint="e" * 64)
    with pytest.raises(
        SafescaleError, match=r"run|a/.*fingerprint f{12}.*b/.*fingerprint e{12}.*import them apart"
    ):
        import_lm_eval([logs.folder])


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        "{}",
        '{"configs": 3}',
        '{"configs": {"a": {"metadata": {"safescale": 1}}}, "results": {}}',
    ],
)
def test_a_damaged_result_file_costs_no_other(logs, content):
    logs.add(TWO)
    (logs.folder / "results_broken.json").write_text(content)
    runs = import_lm_eval([logs.folder])
    assert runs.conditions == ("clean",)
    assert "not a result file of lm_eval" in runs.about["left_out"][0]["reason"]


def test_what_is_no_log_is_said(logs, tmp_path):
    log = logs.add(TWO)
    with pytest.raises(SafescaleError, match="no such file or folder"):
        import_lm_eval([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(SafescaleError, match=r"no results_\*.json in it"):
        import_lm_eval([tmp_path / "empty"])
    shutil.copy(log, tmp_path / log.name)
    with pytest.raises(SafescaleError, match=r"no results_.* beside it"):
        import_lm_eval([tmp_path / log.name])
    (tmp_path / "other.json").write_text('{"configs": {"mmlu": {}}, "results": {}}')
    with pytest.raises(SafescaleError, match="no task of this package"):
        import_lm_eval([tmp_path / "other.json"])


def test_how_answers_were_asked_and_are_weighed_comes_with_them(logs):
    logs.add([sample("1", "A", "A", "B")])
    (results,) = logs.folder.rglob("results_*.json")
    content = json.loads(results.read_text())
    settings = content["configs"]["radsafe_clean"]["metadata"]["safescale"]["settings"]
    settings |= {
        "overconfidence_threshold": 0.5,
        "temperature": 1.0,
        "accept_temperature": 1.0,
        "send_seed": False,
    }
    results.write_text(json.dumps(content | {"configs": content["configs"]}))
    runs = import_lm_eval([logs.folder])
    known = runs.about["models"]["org/model"]["settings"]
    assert {
        name: known[name]
        for name in ("overconfidence_threshold", "accept_temperature", "send_seed")
    } == {
        "overconfidence_threshold": 0.5,
        "accept_temperature": 1.0,
        "send_seed": False,
    }
    study = Study(runs)
    assert study.threshold_in_force == 0.5
    assert {row["reason"].partition(":")[0] for row in remarks(study)} >= {
        "sampled at 1",
        "no seed sent",
    }


def test_when_and_with_what_the_harness_ran_is_told(logs):
    about = {"lm_eval_version": "0.4.13", "transformers_version": "5.1", "date": 86400.0}
    config = {"model_args": {"pretrained": "org/model"}, "model_dtype": "torch.bfloat16"}
    content = {**about, "config": {**config, "model_sha": "c0ffee"}}
    for task, condition in (("radsafe_clean", "clean"), ("radsafe_rag", "rag")):
        logs.add([sample("1", "A", "A", "B")], task=task, condition=condition, content=content)
    (told,) = [
        each["provenance"] for each in import_lm_eval([logs.folder]).about["models"].values()
    ]
    (start,) = told["starts"]
    assert (start["at"], start["conditions"]) == ("1970-01-02T00:00:00+00:00", ["clean", "rag"])
    engine = {"backend": "hf", "package": "transformers", "version": "5.1", "dtype": "bfloat16"}
    assert start["engine"] == engine
    assert start["surroundings"]["packages"]["lm_eval"] == "0.4.13"
    assert told["conditions"]["rag"]["revision"] == "c0ffee"
