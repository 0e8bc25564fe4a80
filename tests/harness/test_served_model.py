"""No answer stands under the name of a model that did not give it: `safescale run` on a stub server
that falls back to another model.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lm_eval.models  # noqa: F401 (registers the backends)
import pytest
from lm_eval import simple_evaluate
from typer.testing import CliRunner

from lm_eval_safescale.analysis import Study, remarks
from lm_eval_safescale.cli import app
from lm_eval_safescale.command_line import said
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.running import runner
from lm_eval_safescale.runs import open_runs
from tests.harness.conftest import manager
from tests.running.asking import read_lines
from tests.stub_server import says

for _package in ("aiohttp", "tenacity", "httpx"):
    pytest.importorskip(_package)

ASKED, OTHER, DATED = "openai/gpt-4o", "small/fallback-8b", "gpt-4o-2024-08-06"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def ask(server, folder):
    args = {
        "model": ASKED,
        "base_url": f"{server.base_url}/chat/completions",
        "num_concurrent": 1,
        "max_retries": 0,
    }

    def ask(conditions=("clean",), **metadata: Any) -> runner.Report:
        model = runner.Model("local-chat-completions", args, name="gpt")
        return runner.run(
            model, folder, conditions, metadata={"dataset": "demo", "draws": 1} | metadata, limit=4
        )

    return ask


def settings_of(folder: Path) -> dict[str, Any]:
    return open_runs(folder).about["models"]["gpt"]["settings"]


def test_a_reply_of_another_model_stops_the_run_and_is_not_stored(ask, server, folder):
    server.answer = lambda seen: says("C", model=OTHER)
    with pytest.raises(
        SafescaleError, match=f"names its model {OTHER}, and {ASKED} was asked for"
    ) as stopped:
        ask()
    assert f'--metadata \'{{"served_model": "{OTHER}"}}\'' in said(stopped.value)
    assert not read_lines(folder)[0]
    report = ask(served_model=OTHER)
    assert (report.standing.done, report.failures) == (8, {})
    assert settings_of(folder)["served_model"] == [OTHER]
    assert set(report.runs.answers["served_model"]) == {OTHER}


def test_a_fallback_under_way_keeps_what_was_answered_and_names_both(ask, server, folder):
    server.answer = lambda seen: says("C", model=OTHER if seen.number >= 3 else DATED)
    with pytest.raises(SafescaleError, match="a router's fallback"):
        ask()
    assert len(read_lines(folder)[0]) == 3
    with pytest.raises(
        SafescaleError, match=f"a reply that is stored here names its model {DATED}"
    ):
        ask(served_model=OTHER)
    assert len(server.seen) == 4
    assert ask(served_model=[DATED, OTHER]).standing.done == 5
    assert settings_of(folder)["served_model"] == sorted([DATED, OTHER])


def test_a_snapshot_that_changes_between_two_starts_stops_the_second(ask, server):
    server.answer = lambda seen: says("C", model=DATED)
    ask()
    server.answer = lambda seen: says("C", model="gpt-4o-2024-11-20")
    with pytest.raises(SafescaleError, match=f"replies before it came from {DATED}"):
        ask(["clean", "conflict"])


def test_the_name_that_was_asked_for_and_no_name_need_no_word(ask, server, folder):
    server.answer = lambda seen: says("C", model=ASKED)
    ask()
    assert settings_of(folder)["served_model"] == [ASKED]
    assert not [row for row in remarks(Study(open_runs(folder))) if "served" in row["reason"]]


def test_replies_without_a_name_are_taken(ask, server, folder):
    server.answer = lambda seen: says("C")
    ask()
    assert "served_model" not in settings_of(folder)


def test_another_name_stands_in_the_summary_of_the_run_and_of_the_study(server, folder, tmp_path):
    server.answer = lambda seen: says("C", model=DATED)
    args = f"model={ASKED},base_url={server.base_url}/chat/completions"
    metadata = json.dumps({"dataset": "demo", "draws": 1})
    command = [
        "run",
        "--model",
        "local-chat-completions",
        "--model_args",
        args,
        "--conditions",
        "clean",
        "--limit",
        "2",
        "--metadata",
        metadata,
    ]
    done = CliRunner().invoke(app, [*command, "-o", str(folder)])
    assert f"served as {DATED}" in " ".join(done.output.split()), done.exception
    done = CliRunner().invoke(app, ["analyze", str(folder), "-o", str(tmp_path / "study")])
    said = " ".join(done.output.split())
    assert f"{ASKED} - served as {DATED}" in said
    assert f"remarks: served as {DATED}" in said
    about = json.loads((tmp_path / "study" / "about.json").read_text(encoding="utf-8"))
    assert about["models"][ASKED]["settings"]["served_model"] == [DATED]


def test_conditions_that_different_models_answered_need_a_word(ask, server, folder):
    names = ["clean", "conflict"]
    for name, served in zip(names, (DATED, OTHER), strict=True):
        server.answer = lambda seen, served=served: says("C", model=served)
        ask([name], served_model=[DATED, OTHER])
    said = [row["reason"] for row in remarks(Study(open_runs(folder)))]
    assert any(
        reason.startswith("conditions were asked with different served_model") for reason in said
    )
    assert sum(reason.startswith("served as") for reason in said) == 2


def test_stock_lm_eval_says_that_it_cannot_look(server, warnings):
    args = {"model": ASKED, "base_url": f"{server.base_url}/chat/completions"}
    simple_evaluate(
        model="local-chat-completions", model_args=args, tasks=["radsafe_clean"],
        apply_chat_template=True, limit=1, bootstrap_iters=0,
        task_manager=manager(args | {"dataset": "demo", "draws": 1, "served_model": OTHER}),
    )  # fmt: skip
    assert any("served_model is not looked at" in said for said in warnings)
