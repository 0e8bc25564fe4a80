"""The runner asks for exactly what is missing, stops with the cause, and goes on with the same
command.
"""

from __future__ import annotations

import gc
import json
import os
import time
import weakref
from dataclasses import replace

import polars as pl
import pytest

from lm_eval_safescale.checksums import document_of
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.harness import engines, loading
from lm_eval_safescale.harness.requests import ConditionRequests
from lm_eval_safescale.plugins import Plugin, plugins
from lm_eval_safescale.running import asking, runner
from lm_eval_safescale.runs import open_runs, replay
from lm_eval_safescale.runs.description import read_run
from lm_eval_safescale.runs.journal import Journal
from tests.running.asking import (
    answers_of,
    ask,
    asked_of,
    read_lines,
    seeded,
    text_of,
    write_questions,
)

ITEMS, DRAWS = 5, 3
UNTIMED = pl.exclude("latency_s", "concurrency")


@pytest.fixture(autouse=True)
def _seeds_reach_the_stub(monkeypatch):
    monkeypatch.setattr(engines, "sys", seeded)
    for name in ("SAFESCALE_DATASET", "SAFESCALE_DATASET_PATH", "SAFESCALE_DRAWS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def go(tmp_path):
    """A run of five questions, in `tmp_path / "runs"` if nothing else is said."""

    def go(
        folder=tmp_path / "runs",
        *,
        items=ITEMS,
        draws=DRAWS,
        metadata=None,
        labelled=True,
        **options,
    ):
        questions = tmp_path / f"questions-{items}{'' if labelled else '-plain'}.jsonl"
        write_questions(questions, items, labelled=labelled)
        return ask(
            folder,
            metadata={"dataset_path": str(questions), "draws": draws} | (metadata or {}),
            **options,
        )

    return go


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs"


def table(folder):
    return open_runs(folder).answers.select(UNTIMED)


def fails(go, message, **options):
    with pytest.raises(SafescaleError, match=message) as failed:
        go(**options)
    return str(failed.value)


def test_model_and_data_are_gone_when_tables_are_written(go, monkeypatch):
    used, left = [], []
    prepare, write = ConditionRequests.prepare, runner.write_run_tables

    def note_used(asked, backend, **how):
        used.extend(map(weakref.ref, (asked, asked.task.run.data, backend)))
        return prepare(asked, backend, **how)

    def note_left(*args):
        gc.collect()
        left.extend(each() for each in used)
        return write(*args)

    monkeypatch.setattr(ConditionRequests, "prepare", note_used)
    monkeypatch.setattr(runner, "write_run_tables", note_left)
    go()
    assert left
    assert not any(left)


# --- what is asked --------------------------------------------------------------------------------


def test_every_answer_is_asked_once_and_stored_with_what_it_was_asked(go, folder):
    report = go()
    answers = open_runs(folder).answers
    assert answers.equals(report.runs.answers)
    assert answers.height == 2 * ITEMS * (1 + DRAWS) == asked_of(folder).total()
    assert set(asked_of(folder).values()) == {1}
    assert (
        report.standing.of,
        report.standing.done,
        report.standing.known,
        report.standing.failed,
    ) == (40, 40, 0, 0)
    assert report.failures == {}
    assert answers["seed"].is_null().to_list() == (answers["draw"] == 0).to_list()
    assert answers["latency_s"].is_not_null().to_list() == (answers["draw"] == 0).to_list()
    assert answers["prompt_sha256"].n_unique() == 2 * ITEMS
    assert answers["prompt_tokens"].min() > 5
    assert answers["rule"].null_count() == 0


@pytest.mark.parametrize("batch_size", [1, 2, 64])
def test_the_seed_that_is_recorded_is_the_seed_that_the_draw_had(
    go, folder, batch_size, monkeypatch
):
    prompts = {}
    monkeypatch.setattr(
        asking, "_sha256", lambda prompt: prompts.setdefault(hash(prompt), str(prompt))
    )
    go(batch_size=batch_size)
    for row in open_runs(folder).answers.iter_rows(named=True):
        said = text_of(
            row["prompt_sha256"], "greedy" if row["seed"] is None else f"seed {row['seed']}"
        )
        assert row["text"] == said.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def test_a_finished_run_asks_nothing_more_and_writes_the_same_table(go, folder):
    go()
    before = table(folder)
    report = go()
    assert (report.standing.done, report.standing.known) == (0, 40)
    assert set(asked_of(folder).values()) == {1}
    assert table(folder).equals(before)


@pytest.mark.parametrize("draws", [1, 5, 17])
def test_tables_that_are_made_piece_by_piece_are_those_that_are_made_at_once(
    go, folder, tmp_path, monkeypatch, draws
):
    faults = {"silent": "image 2 "}
    whole = go(tmp_path / "whole", faults=faults).runs
    monkeypatch.setattr(replay, "PIECE_DRAWS", draws)
    made: list[str] = []
    report = go(faults=faults, on_progress=lambda now: made.append(now.amount))
    assert len([amount for amount in made if amount.endswith("of 40 rows")]) > 1
    assert report.runs.answers.select(UNTIMED).equals(whole.answers.select(UNTIMED))
    assert report.runs.answers.schema == whole.answers.schema
    assert report.runs.items.equals(whole.items)
    assert not list(folder.glob(".*.unfinished"))
    parts = [runs.answers for runs in report.by_condition()]
    assert [part["condition"].unique().to_list() for part in parts] == [["closed_book"], ["clean"]]
    assert sum(part.height for part in parts) == whole.answers.height


@pytest.mark.parametrize("first", [1, 2, 64])
@pytest.mark.parametrize("second", [1, 2, 64])
def test_an_interrupted_run_goes_on_with_what_is_missing_at_any_batch_size(
    go, folder, tmp_path, first, second
):
    go(tmp_path / "whole")
    fails(
        go,
        "the model failed: RuntimeError: CUDA out of memory",
        batch_size=first,
        faults={"fails_at": 4},
    )
    there = answers_of(folder)
    failed = asked_of(folder)
    assert 0 < len(there) == failed.total() < 40
    go(batch_size=second)
    assert set(asked_of(folder).values()) == {1}
    assert table(folder).equals(table(tmp_path / "whole"))


def test_draws_that_are_lost_here_and_there_are_asked_with_their_own_seeds(go, folder, tmp_path):
    go(tmp_path / "whole", draws=6)
    go(draws=6, batch_size=1)
    (shard,) = (folder / "answers").iterdir()
    lines = shard.read_text().splitlines(keepends=True)
    header, *answers = lines
    kept = [line for number, line in enumerate(answers) if number % 3]
    shard.write_text("".join([header, *kept]))
    report = go(draws=6, batch_size=64)
    assert report.standing.done == len(answers) - len(kept)
    assert table(folder).equals(table(tmp_path / "whole"))


def test_torn_lines_and_garbage_are_counted_and_asked_again(go, folder, tmp_path):
    go(tmp_path / "whole")
    go()
    (shard,) = (folder / "answers").iterdir()
    lines = shard.read_bytes().splitlines(keepends=True)
    shard.write_bytes(b"\0" * 100 + b"\n" + b"".join(lines[1:-1]) + lines[-1][:20])
    report = go()
    assert report.damaged == 2
    assert 0 < report.standing.done < 10
    assert max(asked_of(folder).values()) == 2
    assert table(folder).equals(table(tmp_path / "whole"))


def test_conditions_and_items_can_be_added_in_any_order(go, folder, tmp_path):
    go(tmp_path / "whole", conditions=("closed_book", "clean", "conflict"))
    go(conditions=("clean",), limit=2)
    go(conditions=("conflict", "clean"), limit=3)
    go(conditions=("clean", "closed_book", "conflict"))
    assert set(asked_of(folder).values()) == {1}
    assert table(folder).equals(table(tmp_path / "whole"))
    report = go(conditions=("closed_book",), limit=1)
    assert (report.standing.of, report.standing.known) == (4, 4)
    assert report.runs.answers.height == 60


def test_without_samples_each_item_has_its_greedy_answer_alone(go, folder):
    report = go(draws=0)
    assert report.runs.answers["draw"].to_list() == [0] * 2 * ITEMS
    assert asked_of(folder).total() == 2 * ITEMS


def test_a_condition_that_is_named_twice_is_asked_once(go, folder):
    assert go(conditions=("clean", "clean")).standing.of == 20


def test_the_running_rates_are_those_of_the_table(go):
    seen = []
    report = go(
        on_progress=lambda now: seen.append((now.what, now.done, now.sums.get("high_risk_error")))
    )
    greedy = report.runs.answers.filter(pl.col("draw") == 0).join(
        report.runs.items.select(pl.col("question_id").cast(pl.String), "answer"),
        left_on=pl.col("question_id").cast(pl.String), right_on="question_id",
    )  # fmt: skip
    letters = greedy["response"].cast(pl.String)
    assert report.standing.greedy == greedy.height
    right, high_risk = (letters == greedy["answer"].cast(pl.String)).sum(), (letters == "A").sum()
    assert report.standing.sums == {"accuracy": right, "high_risk_error": high_risk}
    before, after = (
        list(dict.fromkeys(what for what, done, _ in seen if what and bool(done) is is_after))
        for is_after in (False, True)
    )
    assert before == ["reading the data", "loading the model", "making the prompts"]
    assert after == ["writing the tables"]
    assert [done for what, done, _ in seen if not what][-1] == 40
    again = go()
    rates = ("greedy", "sums", "counts")
    assert [getattr(again.standing, name) for name in rates] == [
        getattr(report.standing, name) for name in rates
    ]


def test_two_conditions_of_one_name_never_share_a_folder(go, folder, monkeypatch):
    known = plugins()
    twin = replace(known.find("condition", "conflict"), name="clean", package="another")
    monkeypatch.setattr(
        known, "found", [*known.found, Plugin("another", "1", "", lambda: None, [twin])]
    )
    fails(
        go,
        "lm-eval-safescale/clean and another/clean",
        conditions=("lm-eval-safescale/clean", "another/clean"),
    )
    assert not folder.exists()
    assert go(conditions=("another/clean", "Another/Clean")).standing.of == 20


def test_a_name_of_a_model_may_be_longer_than_that_of_a_file(go):
    assert go(args={"pretrained": "x" * 5000}, name="").runs.models == ("x" * 5000,)


def test_unlabelled_data_has_no_high_risk_in_its_progress(go):
    assert go(labelled=False).standing.sums.keys() == {"accuracy"}


@pytest.mark.parametrize("moved", [-1e9, 1e9])
def test_the_clock_may_be_set_between_and_during_starts(go, folder, tmp_path, monkeypatch, moved):
    go(tmp_path / "whole")
    fails(go, "the model failed", faults={"fails_at": 3})
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + moved)
    report = go()
    assert 0 <= report.standing.seconds < 600
    assert set(asked_of(folder).values()) == {1}
    assert table(folder).equals(table(tmp_path / "whole"))


# --- latency --------------------------------------------------------------------------------------


def test_isolated_latency_is_that_of_a_sample_alone(go, folder, tmp_path, monkeypatch):
    monkeypatch.setattr(asking, "TIMED_ITEMS", 2)
    go(tmp_path / "whole")
    report = go(latency="isolated")
    timed = report.runs.answers.filter(pl.col("latency_s").is_not_null())
    assert timed.height == 4
    assert timed["draw"].to_list() == [0] * 4
    assert timed["concurrency"].to_list() == [1] * 4
    # the first request of all, which warms the engine up
    assert sorted(asked_of(folder).values())[-2:] == [1, 2]
    assert table(folder).equals(table(tmp_path / "whole"))
    assert go(latency="isolated").standing.done == 0
    assert sum(asked_of(folder).values()) == 41


def test_a_sample_that_was_interrupted_goes_on_with_the_same_items(
    go, folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(asking, "TIMED_ITEMS", 3)
    whole = go(tmp_path / "whole", latency="isolated").runs.answers
    fails(go, "the model failed", latency="isolated", faults={"fails_at": 4})
    report = go(latency="isolated")
    timed = [
        each.filter(pl.col("latency_s").is_not_null()).select("condition", "question_id")
        for each in (whole, report.runs.answers)
    ]
    assert timed[0].equals(timed[1])


# --- failures -------------------------------------------------------------------------------------


def test_a_request_that_fails_is_an_error_is_listed_and_is_asked_again(go, folder, tmp_path):
    go(tmp_path / "whole")
    report = go(faults={"silent": "image 3 "})
    assert report.failures == {
        name: {"q3": "the backend gave nothing"} for name in ("closed_book", "clean")
    }
    errors = report.runs.answers.filter(pl.col("status") == "error")
    assert errors.select(pl.col("question_id").cast(pl.String)).to_series().to_list() == ["q3"] * 8
    assert errors["response"].null_count() == errors["text"].null_count() == 8
    assert (report.standing.done, report.standing.failed) == (32, 8)
    again = go()
    assert again.failures == {}
    assert (again.standing.done, again.standing.known) == (8, 32)
    assert table(folder).equals(table(tmp_path / "whole"))


@pytest.mark.parametrize("latency", ["loaded", "isolated"])
def test_a_failure_is_counted_once_however_often_it_was_tried(go, latency):
    for _ in range(2):
        report = go(faults={"silent": "image 3 "}, latency=latency)
        assert report.standing.failed == 8
        assert (
            report.standing.known + report.standing.done + report.standing.failed
            == report.standing.of
        )


def test_a_model_that_says_nothing_any_more_counts_as_gone(go, folder, monkeypatch):
    monkeypatch.setattr(asking, "FAILURES_IN_A_ROW", 6)
    monkeypatch.setattr(asking, "FAILING_ITEMS", 3)
    said = fails(go, "the last 6 requests had no answer", faults={"silent": "image"})
    assert "the last because of: the backend gave nothing" in said
    assert "the same command goes on" in said
    assert go().failures == {}


def test_items_that_always_fail_do_not_keep_the_model_from_the_others(go, monkeypatch):
    monkeypatch.setattr(asking, "FAILURES_IN_A_ROW", 5)
    # image 1, then 10, 11, 12 and 13 in a row
    report = go(faults={"silent": "image 1"}, batch_size=1, items=14, draws=20)
    assert [len(items) for items in report.failures.values()] == [5, 5]
    assert report.standing.done == 2 * 9 * 21


def test_a_model_that_runs_out_of_memory_is_told_what_to_lower(go, folder):
    said = fails(go, "the model failed: RuntimeError: CUDA out of memory", faults={"fails_at": 2})
    assert "lower --batch_size, the model's window" in said
    assert "what was answered is stored" in said
    assert len(answers_of(folder)) == asked_of(folder).total() > 0


def test_a_backend_that_loses_texts_is_not_guessed_at(go, folder):
    fails(go, "the backend gave 3 texts for 4 requests", faults={"loses": 1})
    assert answers_of(folder) == {}


def test_prompts_that_do_not_fit_are_errors_with_their_sizes_until_they_fit(go, folder, tmp_path):
    go(tmp_path / "whole", metadata={"max_answer_tokens": 10})
    longest = max(
        open_runs(tmp_path / "whole").answers.filter(pl.col("condition") == "closed_book")[
            "prompt_tokens"
        ]
    )
    window = longest + 10  # no prompt with evidence fits
    report = go(args={"max_length": window}, metadata={"max_answer_tokens": 10})
    assert list(report.failures) == ["clean"]
    assert len(report.failures["clean"]) == ITEMS
    assert "the answer needs 10 more: too long for the window of" in report.failures["clean"]["q0"]
    assert f"{window:,}" in report.failures["clean"]["q0"]
    assert report.standing.failed == ITEMS * (1 + DRAWS)
    assert report.runs.answers.filter(pl.col("status") == "error").height == ITEMS * (1 + DRAWS)
    again = go(args={"max_length": 10_000}, metadata={"max_answer_tokens": 10})
    assert again.failures == {}
    assert set(asked_of(folder).values()) == {1}
    assert table(folder).equals(table(tmp_path / "whole"))


def test_items_without_a_context_are_errors_and_say_why(go, monkeypatch):
    from lm_eval_safescale.harness.requests import ConditionRequests

    prepare = ConditionRequests.prepare

    def without_one(self, *args, **options):
        prepare(self, *args, **options)
        self.task.left_out = {"q1": "the report was empty"}
        self.items = tuple(name for name in self.items if name != "q1")

    monkeypatch.setattr(ConditionRequests, "prepare", without_one)
    report = go(conditions=("clean",))
    assert report.failures == {"clean": {"q1": "no context: the report was empty"}}
    assert report.runs.answers.filter(pl.col("status") == "error").height == 1 + DRAWS
    monkeypatch.undo()


def test_ctrl_c_keeps_what_was_answered(go, folder, tmp_path, monkeypatch):
    go(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        go(faults={"fails_at": 3, "says": "interrupt"})
    assert len(answers_of(folder)) == asked_of(folder).total() > 0
    go()
    assert set(asked_of(folder).values()) == {1}
    assert table(folder).equals(table(tmp_path / "whole"))


def test_an_engine_that_forgets_a_request_is_found_out(go, monkeypatch):
    answer = engines.BatchEngine.answer

    def forgetful(self, batches, *, alone=False):
        return (
            heard
            for heard in answer(self, batches, alone=alone)
            if heard.request.question_id != "q2"
        )

    monkeypatch.setattr(engines.BatchEngine, "answer", forgetful)
    report = go()
    assert set(report.failures["clean"]) == {"q2"}
    assert report.runs.answers.height == 40


@pytest.mark.parametrize(
    "change", [lambda texts: texts[:-1], lambda texts: (*texts, "C")], ids=["fewer", "more"]
)
def test_texts_that_are_not_one_for_each_draw_are_given_to_none(
    go, folder, tmp_path, monkeypatch, change
):
    go(tmp_path / "whole")
    answer = engines.BatchEngine.answer

    def mixed(self, batches, *, alone=False):
        for heard in answer(self, batches, alone=alone):
            odd = heard.request.question_id == "q2" and not heard.request.is_greedy
            yield replace(heard, texts=change(heard.texts)) if odd else heard

    with monkeypatch.context() as broken:
        broken.setattr(engines.BatchEngine, "answer", mixed)
        report = go()
    assert {name: list(items) for name, items in report.failures.items()} == {
        "closed_book": ["q2"],
        "clean": ["q2"],
    }
    assert "texts for 3 draws" in report.failures["clean"]["q2"]
    assert go().standing.done == 2 * DRAWS
    assert table(folder).equals(table(tmp_path / "whole"))


def test_an_engine_that_answers_twice_is_found_out(go, monkeypatch):
    answer = engines.BatchEngine.answer
    monkeypatch.setattr(
        engines.BatchEngine,
        "answer",
        lambda self, batches, *, alone=False: (
            one for heard in answer(self, batches, alone=alone) for one in (heard, heard)
        ),
    )
    fails(go, "answered item q0 under closed_book twice")
    monkeypatch.undo()
    monkeypatch.setattr(engines, "sys", seeded)
    report = go()
    assert report.standing.greedy == 2 * ITEMS


# --- the folder -----------------------------------------------------------------------------------


def test_an_unfinished_folder_says_that_it_is_one_and_how_far(go, folder):
    fails(go, "the model failed", faults={"fails_at": 3})
    stored = len(answers_of(folder))
    with pytest.raises(
        SafescaleError,
        match=f"runs: an unfinished run, {stored} of 40 answers so far; the same safescale run",
    ):
        open_runs(folder)
    run = json.loads((folder / "run.json").read_text())
    for start in run["starts"]:
        del start["items"]
    (folder / "run.json").write_bytes(
        document_of({name: value for name, value in run.items() if name != "sha256"})
    )
    with pytest.raises(SafescaleError, match=f"an unfinished run, {stored} answers so far"):
        open_runs(folder)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        (
            "the folder",
            (
                r"runs: the folder was renamed or removed while the run was under way.*Put it "
                r"back, and the same command goes on"
            ),
        ),
        (
            "a file",
            (
                r"answers/000001-\w+\.jsonl: was removed while the run was under way, and the "
                r"answers in it with it\. Put it back"
            ),
        ),
    ],
)
def test_answers_that_vanish_under_way_are_missed_and_not_left_out(
    go, folder, tmp_path, monkeypatch, what, message
):
    go(limit=2)
    monkeypatch.setattr(asking.Asking, "_note_forgotten", lambda _: vanish())
    there = folder if what == "the folder" else min((folder / "answers").iterdir())

    def vanish():
        there.rename(tmp_path / "elsewhere")

    fails(go, message)
    monkeypatch.undo()
    monkeypatch.setattr(engines, "sys", seeded)
    (tmp_path / "elsewhere").rename(there)
    assert go().standing.done == 0


def test_tables_that_a_later_start_went_beyond_say_so(go, folder):
    go(conditions=("clean",))
    assert open_runs(folder).about["left_out"] == []
    fails(go, "the model failed", faults={"fails_at": 1}, conditions=("clean", "conflict"))
    assert open_runs(folder).about["left_out"] == []  # nothing was answered
    fails(go, "the model failed", faults={"fails_at": 3}, conditions=("clean", "conflict"))
    (told,) = open_runs(folder).about["left_out"]
    assert "not to the end" in told["reason"]
    go(conditions=("clean", "conflict"))
    assert open_runs(folder).about["left_out"] == []


@pytest.mark.parametrize("name", ["answers.parquet", "items.parquet", "about.json"])
def test_damaged_tables_are_made_anew_by_the_same_command(go, folder, name):
    go()
    before = table(folder)
    (folder / name).write_bytes(b"\0" * 50)
    with pytest.raises(
        SafescaleError, match="the same safescale run command writes these files again"
    ):
        open_runs(folder)
    assert go().standing.done == 0
    assert table(folder).equals(before)


def test_a_second_runner_is_refused_before_it_loads_a_model(go, folder, monkeypatch):
    go(limit=2)
    run = read_run(folder)
    monkeypatch.setattr(loading, "load_backend", lambda *_, **__: pytest.fail("loaded"))
    with Journal(folder, run["identity"], {}):
        said = fails(go, "is writing there; wait for it, or stop it")
    assert "process" in said


def test_a_disk_that_fills_stops_the_run_and_the_same_command_goes_on(
    go, folder, tmp_path, monkeypatch
):

    go(tmp_path / "whole")
    room, write = [7000], os.write

    def limited(file, data):
        if not room[0]:
            raise OSError(28, "No space left on device")
        written = write(file, bytes(data[: room[0]]))
        room[0] -= written
        return written

    with monkeypatch.context() as full:
        full.setattr(os, "write", limited)
        fails(go, "No space left on device", faults={"log": ""})
    stored = len(answers_of(folder))
    assert 0 < stored < 40
    report = go()
    assert (report.standing.known, report.damaged) == (stored, 0)
    assert table(folder).equals(table(tmp_path / "whole"))


@pytest.mark.parametrize(
    "args",
    [
        {"auth_token": "hush"},
        {"base_url": "http://me:hush@host/v1"},
        {"base_url": "http://host/v1?key=hush&version=2"},
        {"base_url": "http://host/v1?version=2&Access_Token=hush"},
    ],
)
def test_no_key_is_written_anywhere_and_another_key_is_no_other_model(go, folder, args):
    go(args=args, limit=1)
    assert all(b"hush" not in path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert list(args) == [
        name
        for name, value in read_run(folder)["starts"][0]["model_args"].items()
        if "***" in value
    ]
    assert go().standing.known == 8


def test_lines_of_failures_do_not_pile_up_in_the_table(go, folder):
    for _ in range(3):
        report = go(faults={"silent": "image 3 "})
    assert report.runs.answers.height == 40
    assert report.runs.answers.filter(pl.col("status") == "error").height == 8
    assert len([line for line in read_lines(folder)[0] if line.failed]) == 12


# --- what cannot be asked -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"conditions": ("cleen",)}, "there is no condition 'cleen'"),
        ({"conditions": ()}, "no conditions named"),
        ({"backend": "vlm"}, "--model vlm:"),
        (
            {"args": {"gpu_memory": 1}},
            "--model_args gpu_memory: the backend knows no such argument.*TypeError",
        ),
        ({"metadata": {"drawz": 3, "temperature": -1}}, "temperature"),
        ({"metadata": {"dataset_path": "/nowhere.jsonl"}}, "nowhere.jsonl"),
        ({"conditions": ("rag",)}, "no corpus to retrieve from"),
        ({"args": {"seed": "x"}}, "seed='x' is no whole number"),
    ],
)
def test_what_cannot_be_asked_is_said_and_asks_nothing(go, folder, options, message):
    fails(go, message, **options)
    assert not asked_of(folder)
