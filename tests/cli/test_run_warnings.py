"""Where most answers cannot be read, `safescale run` says so while it goes on, and at the end; and
why.
"""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from tests.stub_server import chooses, says

pytest.importorskip("aiohttp")
pytest.importorskip("httpx")
KEPT_BACK = chooses(
    {"finish_reason": "length", "message": {"content": None, "reasoning_content": "It may be A or"}}
)
GOES_ON = "The run goes on; with other settings it is another run, in another folder."


@pytest.fixture
def run(server, tmp_path):
    """The command on so many demo questions, a greedy answer and four samples each; what it says,
    in one line."""

    def run(limit, **metadata):
        args = f"model=m,base_url={server.base_url}/chat/completions,num_concurrent=1,max_retries=0"
        command = [
            "run",
            "--model",
            "local-chat-completions",
            "--model_args",
            args,
            "-o",
            str(tmp_path / "runs"),
            "--dataset",
            "demo",
        ]
        command += [
            "--draws",
            "4",
            "--conditions",
            "clean",
            "--limit",
            str(limit),
            "--metadata",
            json.dumps(metadata),
        ]
        result = CliRunner().invoke(app, command)
        assert result.exit_code == 0, result.output
        return " ".join(result.output.split())

    return run


def test_replies_that_hold_only_reasoning_are_said_at_once_with_what_to_set_and_at_the_end(
    run, server
):
    server.answer = lambda seen: KEPT_BACK
    said = run(8)
    warning = (
        "100 % of the replies carry reasoning_content and no content: set reasoning=separate, "
        "max_answer_tokens=4096."
    )
    assert said.count(warning) == 2
    assert said.count(f"{warning} {GOES_ON}") == 1
    assert said.index(GOES_ON) < said.index("asked now")
    assert "unanswered 100.0% (8 truncated)" in said


def test_a_share_is_said_of_the_replies_so_far_and_of_all_at_the_end(run, server):
    server.answer = lambda seen: KEPT_BACK if seen.number < 15 else says("C")
    said = run(5)
    assert "75 % of the replies carry reasoning_content" in said  # of twenty
    assert "60 % of the replies carry reasoning_content" in said  # of twenty-five
    assert said.count(GOES_ON) == 1


def test_of_a_short_run_it_is_said_at_the_end(run, server):
    server.answer = lambda seen: chooses(
        {"finish_reason": "length", "message": {"content": "Let me think. The most"}}
    )
    said = run(2)
    assert GOES_ON not in said
    assert (
        "100 % of the replies were cut off at the limit of 10 tokens before they chose a letter: "
        "set max_answer_tokens=4096"
    ) in said


def test_where_most_can_be_read_nothing_is_said(run, server):
    server.answer = lambda seen: (
        KEPT_BACK if seen.number % 2 else says("I cannot say." if seen.number % 3 else "C")
    )
    assert "% of the replies" not in run(8)


def test_nothing_is_said_of_answers_that_were_there_before(run, server):
    server.answer = lambda seen: KEPT_BACK
    assert "% of the replies" in run(2)
    assert "% of the replies" not in run(2)
