"""`safescale run`, as a person sees it."""

from __future__ import annotations

import json
import re

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.analysis import profile
from lm_eval_safescale.cli import app
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.harness import engines
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.plugins import Part, Plugins, plugins
from lm_eval_safescale.running import runner
from lm_eval_safescale.runs import open_runs
from tests.running.asking import FAULTS, STUB, asked_of, seeded, write_questions


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "runs"


@pytest.fixture
def run(tmp_path, folder, monkeypatch):
    """The command on four questions and the stub; what it says in one line, and its exit code."""
    monkeypatch.setattr(engines, "sys", seeded)

    def run(*options, questions=4, labelled=True, faults=None):
        monkeypatch.setenv(FAULTS, json.dumps({"log": f"{folder}.log"} | (faults or {})))
        path = write_questions(
            tmp_path / f"questions-{questions}.jsonl", questions, labelled=labelled
        )
        given = [
            "run",
            "--model",
            STUB,
            "-o",
            str(folder),
            "--metadata",
            json.dumps({"dataset_path": str(path)}),
        ]
        result = CliRunner().invoke(
            app, [*given, "--draws", "2", "--conditions", "closed_book,clean", *options]
        )
        said = f"{result.output} {result.exception if result.exit_code else ''}"
        return " ".join(said.split()), result.exit_code

    return run


def test_a_run_says_what_it_did_and_what_comes_next(run, folder):
    said, code = run()
    assert code == 0, said
    for text in (
        "loading the model ...", "making the prompts ...", "24 of 24 answers", "accuracy",
        "high-risk error", f"{folder}: 24 answers of {STUB}", "asked now 24", "0 were there",
        "closed_book 4 items: accuracy", f"Next: safescale analyze {folder} -o TABLES",
    ):  # fmt: skip
        assert text in said
    said, code = run()
    assert code == 0
    assert "asked now 0; 24 were there" in said


def test_items_for_which_nothing_was_found_are_said_and_stand_in_the_runs(run, folder, tmp_path):
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "a.txt").write_text("an image", encoding="utf-8")
    path = write_questions(tmp_path / "mixed.jsonl", 4)
    path.write_text(
        path.read_text(encoding="utf-8").replace("What does image 2 show", "胸片显示什么"),
        encoding="utf-8",
    )
    metadata = {"dataset_path": str(path), "corpus_path": str(tmp_path / "corpus")}
    said, code = run(
        "--conditions", "closed_book,rag", "--metadata", json.dumps(metadata | {"top_k": 1})
    )
    assert code == 0, said
    asked = open_runs(folder).answers.filter(draw=0)
    found = {
        name: asked.filter(condition=name)["nothing_found"].to_list()
        for name in ("closed_book", "rag")
    }
    assert found["closed_book"] == [None] * 4
    assert found["rag"] == [False, False, True, False]
    assert "rag for 1 item no passage was found: asked without a context" in said


def test_items_without_answers_are_listed_with_the_reason_and_the_exit_code_says_so(run, folder):
    said, code = run(faults={"silent": "image 3"})
    assert code == 1
    assert "6 FAILED" in said
    assert "clean: 1 item without all answers; they are errors, and not scored" in said
    assert "1 item, for example q3: the backend gave nothing" in said
    assert "The same command asks for them again, and for nothing else." in said
    assert ": 18 answers of " in said
    assert ", 6 lacking" in said
    said, code = run()
    assert code == 0
    assert "asked now 6" in said


def test_prompts_that_are_too_long_are_said_with_their_sizes(run):
    said, code = run("--model_args", "max_length=20")
    assert code == 1
    assert "closed_book: 4 items without all answers" in said
    assert "tokens and the answer needs 10 more: too long for the window of 20" in said
    assert "a larger window would hold them" in said
    assert said.count("for example") == 2  # however the sizes differ, once for each condition
    assert ": 0 answers of " in said
    assert ", 24 lacking" in said
    assert "Next" not in said


def test_torn_lines_are_said(run, folder):
    run()
    (shard,) = (folder / "answers").iterdir()
    shard.write_bytes(shard.read_bytes()[:-30])
    said, _ = run()
    assert (
        "damaged 1 line of an earlier start, torn or not as written: what stood there is asked "
        "again"
    ) in said


def test_an_interruption_is_a_sentence(run, folder):
    said, code = run(faults={"fails_at": 2, "says": "interrupt"})
    assert code == 1
    assert (
        f"interrupted; what was answered is stored in {folder}, and the same command goes on from "
        "there"
    ) in said
    assert run()[1] == 0
    assert set(asked_of(folder).values()) == {1}


def test_a_failing_model_is_a_sentence_too(run):
    said, code = run(faults={"fails_at": 2})
    assert code == 1
    assert (
        "the model failed: RuntimeError: CUDA out of memory; memory was short: lower --batch_size"
        in said
    )


def test_an_unfinished_folder_is_told_by_the_commands_that_read_runs(run, folder, tmp_path):
    run(faults={"fails_at": 2})
    result = CliRunner().invoke(app, ["analyze", str(folder), "-o", str(tmp_path / "tables")])
    said = " ".join(f"{result.output} {result.exception}".split())
    assert result.exit_code != 0
    assert (
        "an unfinished run, 4 of 24 answers so far; the same safescale run command goes on with it"
        in said
    )


def test_unlabelled_data_has_no_rates_of_harm(run):
    said, code = run(labelled=False)
    assert code == 0, said
    assert "accuracy" in said
    assert "high-risk" not in said


def test_options_reach_the_run(run, folder):
    said, code = run(
        "--draws",
        "0",
        "--limit",
        "3",
        "--name",
        "mine",
        "--no-chat-template",
        "--latency",
        "isolated",
    )
    assert code == 0, said
    assert "latency 6 answers timed one at a time" in said
    again, _ = run(
        "--draws",
        "0",
        "--limit",
        "3",
        "--name",
        "mine",
        "--no-chat-template",
        "--latency",
        "isolated",
    )
    assert "latency none: the greedy answers of the sample were there before" in again
    answers = open_runs(folder).answers
    assert answers.height == 6
    assert answers["model"].unique().to_list() == ["mine"]
    assert answers["concurrency"].to_list() == [1] * 6
    assert open_runs(folder).about["models"]["mine"]["settings"]["chat_template"] is False


def test_all_conditions_are_the_six_of_the_protocol(run, monkeypatch):
    asked = []

    def ask(model, output, conditions, **_):
        asked.append(conditions)
        raise SafescaleError("enough")

    monkeypatch.setattr(runner, "run", ask)
    assert run("--conditions", "all")[1] == 1
    assert (
        asked
        == [RADSAFE.all_conditions]
        == [("closed_book", "clean", "conflict", "rag", "agentic", "max_context")]
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--conditions", "cleen"], "there is no condition 'cleen'"),
        (["--conditions", " , "], "no conditions named"),
        (["--model", "vlm"], "--model vlm:"),
        (["--model_args", "gpu_memory=1"], f"--model {STUB} cannot be loaded"),
        (["--model_args", "pretrained"], "expected name=value,name=value"),
        (["--metadata", "{oops"], "--metadata is not JSON"),
        (["--dataset", "nowhere"], "nowhere"),
        (["--limit", "0"], "--limit"),
        (["--latency", "sometimes"], "sometimes"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence_and_nothing_is_asked(run, folder, options, message):
    said, code = run(*options)
    assert code != 0
    assert message in said
    assert not asked_of(folder)


def test_a_folder_of_another_run_is_refused_with_the_difference(run):
    run()
    said, code = run("--draws", "3")
    assert code == 1
    assert "holds answers that were asked for otherwise: settings.draws: there 2, now 3" in said


def test_a_folder_of_other_things_is_left_alone(run, folder):
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    said, code = run()
    assert code == 1
    assert "holds other things than a run of safescale run" in said
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_the_summary_weighs_by_the_threshold_that_was_set_and_so_do_the_tables(
    run, folder, tmp_path, monkeypatch
):
    """A threshold changes no answer: the same folder takes another one, and the last one counts."""
    shares = {}
    for threshold in ("1.0", "0.1"):
        monkeypatch.setenv("SAFESCALE_OVERCONFIDENCE_THRESHOLD", threshold)
        said, code = run(questions=9)
        assert code == 0, said
        assert f"samples K = 2 of each item; overconfident from {float(threshold):.2f}" in said
        shares[threshold] = [
            float(share) for share in re.findall(r"dangerous overconfidence ([\d.]+)%", said)
        ]
        assert open_runs(folder).about["models"][STUB]["settings"][
            "overconfidence_threshold"
        ] == float(threshold)
        table = profile(open_runs(folder))["dangerous_overconfidence"]
        assert [round(100 * share, 1) for share in table] == shares[threshold]
    assert len(asked_of(folder)) == sum(asked_of(folder).values())
    assert sum(shares["0.1"]) > sum(shares["1.0"])


@pytest.fixture
def asked_metric(monkeypatch):
    """Installs a metric of a plugin, which is asked for."""

    def install(metric):
        ours, part = plugins().find, Part("metric", metric.name, metric, "someones", "1.0")
        monkeypatch.setattr(
            Plugins,
            "find",
            lambda self, kind, name, **how: (
                part if name == metric.name else ours(kind, name, **how)
            ),
        )
        monkeypatch.setenv("SAFESCALE_METRICS", metric.name)

    return install


def test_a_metric_of_a_plugin_stands_in_the_summary(run, asked_metric):
    asked_metric(Metric("mine_too", "always 1/4", lambda *_: 0.25, higher_is_better=True))
    said, code = run()
    assert code == 0, said
    assert said.count("mine too 25.0%") == 2


def test_a_metric_of_a_plugin_that_cannot_be_computed_is_said_with_the_reason(
    run, asked_metric, monkeypatch
):
    def fails_at_the_end(item, answers, params):
        # as no trial before the run has them
        if len(answers.samples) > 1 and answers.samples[0] != answers.samples[1]:
            raise RuntimeError("two samples differ")
        return 1.0

    asked_metric(Metric("mine", "", fails_at_the_end, higher_is_better=True))
    said, code = run()
    assert code == 0, said
    assert "metric mine could not be computed: " in said
    assert "two samples differ" in said
