"""`safescale judge` and `safescale reread` as a person sees them; the judge is a stub of a
server.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.checksums import document_of, read_document
from lm_eval_safescale.cli import app
from lm_eval_safescale.command_line import said
from lm_eval_safescale.families.radsafe.data import load_demo
from lm_eval_safescale.runs.store import open_runs, write_runs
from lm_eval_safescale.runs.table import Runs, about_dataset, items_of
from tests.stub_server import says

polars = pytest.importorskip("polars")
pytest.importorskip("httpx")
run = CliRunner().invoke


VERDICT = json.dumps({"clear_selection": "yes", "reasoning": "", "letter": "B"})


@pytest.fixture
def server(server):
    """A judge that says that every text chose B."""
    server.answer = lambda seen: says(VERDICT)
    return server


@pytest.fixture
def folder(tmp_path):
    """Runs on the demo questions: three answers of one model, one of them read otherwise than our
    rules read it."""
    data = load_demo()
    first, second, third = (item.question_id for item in data.items[:3])
    answers = polars.DataFrame(
        {
            "model": ["[bold]m"] * 3,
            "condition": ["clean"] * 3,
            "question_id": [first, second, third],
            "draw": [0] * 3,
            "response": ["A", "B", None],
            "status": ["ok", "ok", "unanswered"],
            "text": ["Answer: C", "It may be (B), or A.", "Neither A nor C."],
        }
    )
    about = {
        "dataset": about_dataset(data),
        "models": {"[bold]m": {"source": "s", "conditions": ["clean"], "settings": {}}},
    }
    write_runs(Runs(items_of(data), answers, about), tmp_path / "runs")
    return tmp_path / "runs"


def letters(path):
    return open_runs(path).answers.sort("question_id")["response"].to_list()


def test_runs_are_judged_through_a_server(folder, server, tmp_path):
    shown = run(app, ["judge", str(folder), "--base-url", server.base_url, "--model", "judge-7b"])
    assert shown.exit_code == 0, shown.output
    assert letters(tmp_path / "runs.judged") == [None, "B", None]
    assert all(
        seen.body["temperature"] == 0 and seen.body["model"] == "judge-7b" for seen in server.seen
    )
    assert "2  refused" in shown.output
    assert "[bold]m: 2 refused" in shown.output
    assert letters(folder) == ["A", "B", None]


def test_a_judge_that_mostly_failed_is_no_success(folder, server, tmp_path):
    server.answer = lambda seen: says("I would rather not say.")
    done = run(
        app,
        [
            "judge",
            str(folder),
            "--base-url",
            server.base_url,
            "--model",
            "j",
            "-o",
            str(tmp_path / "judged"),
        ],
    )
    assert done.exit_code == 1
    assert "no fair sample" in done.output
    assert "had no reply" not in done.output  # it replied, so asking again would not help


def test_an_existing_folder_is_kept_unless_forced_and_then_nothing_is_asked_twice(
    folder, server, tmp_path
):
    command = [
        "judge",
        str(folder),
        "--base-url",
        server.base_url,
        "--model",
        "judge-7b",
        "-o",
        str(tmp_path / "out"),
    ]
    assert run(app, command).exit_code == 0
    refused = run(app, command)
    assert refused.exit_code == 1
    assert "there already" in str(refused.exception)
    assert run(app, [*command, "--force"]).exit_code == 0
    assert len(server.seen) == 3


def test_an_interrupted_judging_is_gone_on_with_but_other_things_are_not_written_among(
    folder, server, tmp_path
):
    command = [
        "judge",
        str(folder),
        "--base-url",
        server.base_url,
        "--model",
        "judge-7b",
        "-o",
        str(tmp_path / "out"),
    ]
    assert run(app, command).exit_code == 0
    for path in (tmp_path / "out").iterdir():
        if path.name != "judge.steps.jsonl":
            path.unlink()
    assert run(app, command).exit_code == 0
    assert len(server.seen) == 3
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    assert run(app, [*command[:-1], str(tmp_path / "mine")]).exit_code == 1


@pytest.mark.parametrize("moved", range(5))
def test_a_judging_that_was_cut_off_while_it_wrote_goes_on_and_asks_nothing_again(
    server, folder, tmp_path, monkeypatch, moved
):
    command = [
        "judge",
        str(folder),
        "--base-url",
        server.base_url,
        "--model",
        "m",
        "-o",
        str(tmp_path / "out"),
    ]
    steps = iter([True] * moved)
    move = Path.replace

    def killed(path, target):
        if not next(steps, False):
            raise KeyboardInterrupt
        return move(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        assert run(app, command).exit_code != 0
    assert not (tmp_path / "out" / "about.json").exists()
    asked = len(server.seen)
    assert run(app, command).exit_code == 0
    assert len(server.seen) == asked > 0
    assert open_runs(tmp_path / "out").answers.height == 3


@pytest.mark.parametrize(
    "command", [["judge", "--base-url", "http://x/v1", "--model", "m"], ["reread"]]
)
def test_the_runs_that_are_read_are_never_written_over(folder, command):
    refused = run(app, [*command, str(folder), "-o", str(folder), "--force"])
    assert refused.exit_code == 1
    assert "the runs that are read" in str(refused.exception)


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["--model", "m"],
        ["--base-url", "http://x/v1"],
        ["--base-url", "http://x/v1", "--model", "m", "--backend", "hf"],
    ],
)
def test_a_judge_must_be_named_in_one_way(folder, given):
    refused = run(app, ["judge", str(folder), *given])
    assert refused.exit_code == 1
    assert "name one judge" in str(refused.exception)


def test_rules_read_again_and_say_what_changed(folder, tmp_path):
    shown = run(app, ["reread", str(folder)])
    assert shown.exit_code == 0, shown.output
    assert letters(tmp_path / "runs.reread") == ["C", None, None]
    assert "1  A -> C" in shown.output
    assert "1  B -> unanswered" in shown.output
    line, _ = (tmp_path / "runs.reread" / "changes.jsonl").read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["response"] == "C"


def test_a_data_set_that_cannot_be_had_is_asked_for(folder):
    about, _ = read_document((folder / "about.json").read_bytes())
    about["dataset"]["name"] = "mine"
    (folder / "about.json").write_bytes(document_of(about))
    refused = run(app, ["reread", str(folder)])
    assert refused.exit_code == 1
    assert "--dataset FILE" in said(refused.exception)
    assert run(app, ["reread", str(folder), "--dataset", "demo"]).exit_code == 0


def test_an_unknown_reader_or_way_of_reasoning_is_named(folder):
    assert "nosuch" in str(run(app, ["reread", str(folder), "--reader", "nosuch"]).exception)
    assert "--reasoning perhaps" in str(
        run(app, ["reread", str(folder), "--reasoning", "perhaps"]).exception
    )


@pytest.fixture
def published(tmp_path):
    """Two published questions and a model's answers; the judge of then confirmed B where the rules
    read C."""
    (tmp_path / "release" / "datasets").mkdir(parents=True)
    options = {"A": "one", "B": "two", "C": "three", "D": "four"}
    items = [
        {"question_id": n, "question": f"What, {n}?", "options": options, "answer_idx": "C"}
        for n in (1, 2)
    ]
    (tmp_path / "release" / "datasets" / "risk_radiorag_full_merged.json").write_text(
        json.dumps(items), encoding="utf-8"
    )
    folder = tmp_path / "release" / "phase4_checking_results" / "results" / "m"
    folder.mkdir(parents=True)
    cell = {"greedy": {"raw_output": "C three", "checked_answer": {"confirmed_answer": "B"}}}
    lines = [
        {"question_id": f"risk_radiorag_{n}", "conditions": {"zero_shot": cell}} for n in (1, 2)
    ]
    (folder / "risk_radiorag_checked.jsonl").write_text(
        "".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8"
    )
    return tmp_path / "release"


def test_published_answers_are_read_again_without_naming_their_data_set(published, tmp_path):
    assert run(app, ["import-release", str(published), "-o", str(tmp_path / "runs")]).exit_code == 0
    for source, target in (("runs", "once"), ("once", "twice")):
        shown = run(app, ["reread", str(tmp_path / source), "-o", str(tmp_path / target)])
        assert shown.exit_code == 0, shown.exception
        assert letters(tmp_path / target) == ["C", "C"]


def test_an_import_does_not_write_over_what_was_read_again(published, tmp_path):
    assert run(app, ["import-release", str(published), "-o", str(tmp_path / "runs")]).exit_code == 0
    assert run(app, ["reread", str(tmp_path / "runs"), "-o", str(tmp_path / "out")]).exit_code == 0
    assert run(app, ["import-release", str(published), "-o", str(tmp_path / "out")]).exit_code == 1
    assert letters(tmp_path / "out") == ["C", "C"]
