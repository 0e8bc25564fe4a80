"""Reports by a model behind a server that fails in every way at once, from the command line to the
file.
"""

from __future__ import annotations

import json
from collections import Counter

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.chat import http
from lm_eval_safescale.cli import app
from lm_eval_safescale.contexts import read_contexts
from lm_eval_safescale.datasets import data_folder
from tests.stub_server import chooses, cut, drops, fails, keeps_silent, resets, says, sends

pytest.importorskip("httpx")
KEY = "sk-quite-secret-0123456789"
FORMS = {
    "concepts": "Which key concepts",
    "plan": "For each option, say",
    "queries": "search queries",
    "section": "Write a section",
    "introduction": "Write the introduction",
    "conclusion": "Write the conclusion",
}
UNHEARD = {
    "500": (fails(500), 'HTTP 500: \'{"error": {"message": "status 500"}}\' (2 tries)'),
    "429": (fails(429, "slow down", Retry_After="0.01"), "slow down"),
    "400": (fails(400, "the prompt is too long"), "the prompt is too long"),
    "key sent back": (fails(400, f"no such key: {KEY}"), "no such key: ***"),
    "dropped": (drops, "RemoteProtocolError: Server disconnected"),
    "reset": (resets, "ReadError"),
    "cut": (cut, "RemoteProtocolError: peer closed connection"),
    "never answers": (keeps_silent, "no response within 1 s (2 tries)"),
    "junk": (sends(b"junk"), "no chat completion: 'junk'"),
    "a page for people": (sends(b"<html>"), "an HTML page, not a completion"),
    "no content known": (says({"answer": "x"}), "no text in the reply"),
    "held back": (
        chooses({"finish_reason": "content_filter", "message": {"content": ""}}),
        "a content filter held it back",
    ),
    "prompt held back": (
        sends(b'{"error": {"code": "content_filter"}}', 400),
        "a content filter held it back: HTTP 400",
    ),
    "error in a choice": (
        chooses({"error": {"code": 502, "message": "upstream"}}),
        "the reply is an error: ",
    ),
    "no message": (chooses({}), "no chat completion: "),
    "compressed": (
        sends(b"x", Content_Encoding="gzip"),
        "a compressed response (gzip), though identity was asked for",
    ),
}
"""What is answered, for good, when the section on the first option is asked for; and what is said
of it."""
TEXTS = {
    "null": (says(None), True),
    "empty": (says(""), True),
    "endless": (says("and " * 50_000), True),
    "noise": (says("%%% \x00\x1b ### $$$"), True),
    "apology": (says("I'm sorry, I cannot help with that."), True),
    "only reasoning": (says([{"type": "thinking", "thinking": "For: x [1]."}]), True),
    "reasoning used it up": (
        chooses({"finish_reason": "length", "message": {"content": None, "reasoning": "For: x"}}),
        True,
    ),
    "of no form": (says("Findings are described."), False),
    "in parts": (
        says(
            [
                {"type": "thinking", "thinking": "For: no [1]."},
                {"type": "text", "text": "For: x [1].\nAgainst: y [1]."},
            ]
        ),
        False,
    ),
    "half a surrogate pair": (
        sends(
            b'{"choices": [{"message": {"content": "For: \\ud83d x [1].\\nAgainst: \\udc00 '
            b'[1]."}}]}'
        ),
        False,
    ),
}
"""Texts instead of that section, and whether they are none, so that the report fails."""
PASSING = {"fails once": 1, "fails twice": 2, "fails three times": 3}
"""How often each request of such an item is refused before it is answered: one retry, and sent once
more, are four tries."""


@pytest.fixture(autouse=True)
def _of_the_test(monkeypatch, tmp_path):
    # how long a limit is waited for is tested on a single request
    monkeypatch.setattr(http, "LIMIT_PATIENCE", 20.0)
    monkeypatch.setenv("SAFESCALE_INDEX_DIR", str(tmp_path / "indexes"))
    monkeypatch.setenv("OPENAI_API_KEY", KEY)


@pytest.fixture
def items(tmp_path):
    """Writes the first demo questions to a file, one for each name."""

    def named(*names: str) -> dict[str, dict]:
        lines = (
            (data_folder() / "radsafe_demo" / "questions.jsonl")
            .read_text(encoding="utf-8")
            .splitlines()
        )
        records = [json.loads(line) for line in lines][: len(names)]
        (tmp_path / "questions.jsonl").write_text(
            "".join(json.dumps(record) + "\n" for record in records), encoding="utf-8"
        )
        return dict(zip(names, records, strict=True))

    return named


def name_of(prompt: str, items: dict[str, dict]) -> str:
    """Whose prompt it is."""
    return next(name for name, record in items.items() if record["question"] in prompt)


def is_first_section(prompt: str, item: dict) -> bool:
    return form_of(prompt) == "section" and f"Option under study: {item['options']['A']}" in prompt


def ids(items: dict[str, dict], names) -> set[str]:
    return {items[name]["question_id"] for name in names}


def reply(prompt: str):
    """A good reply of each form, in the stub's words."""
    return says(
        {
            "concepts": "- imaging\n- diagnosis",
            "plan": "\n".join(f"{letter}: its findings" for letter in "ABCDE"),
            "queries": "- findings on imaging" if "Passages found so far" not in prompt else "DONE",
            "section": (
                "For: The passage describes findings [1].\n"
                "Against: The passage leaves others open [1]."
            ),
            "introduction": "This report is about imaging findings.",
            "conclusion": "The sections cover imaging findings.",
        }[form_of(prompt)],
        usage={"prompt_tokens": 10, "completion_tokens": 5},
    )


def form_of(prompt: str) -> str:
    return next(name for name, mark in FORMS.items() if mark in prompt)


def build(server, tmp_path, name="agentic.jsonl", timeout=20):
    args = (
        f"base_url={server.base_url},model=m,retries=1,backoff=0.01,timeout={timeout},concurrency=8"
    )
    return CliRunner().invoke(
        app,
        [
            "contexts", "build", "agentic", "--model", "endpoint", "--model_args", args, "--corpus",
            "demo", "-o", str(tmp_path / name), "--metadata",
            json.dumps({"dataset_path": str(tmp_path / "questions.jsonl")}),
        ],
    )  # fmt: skip


def test_a_server_that_fails_in_every_way_costs_only_the_reports_that_it_keeps_failing(
    server, tmp_path, items
):
    items = items("well", *UNHEARD, *PASSING)
    refused: Counter[str] = Counter()

    def faulty(seen):
        name = name_of(seen.prompt, items)
        if name in PASSING:
            refused[seen.prompt] += 1
            return fails(503) if refused[seen.prompt] <= PASSING[name] else reply(seen.prompt)
        return (
            UNHEARD[name][0]
            if name in UNHEARD and is_first_section(seen.prompt, items[name])
            else reply(seen.prompt)
        )

    # the build ends, and says what failed for which item, and why
    server.answer = faulty
    result = build(server, tmp_path, timeout=1)
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit)
    assert f"{len(UNHEARD)} of {len(items)} reports could not be made" in result.output
    made = read_contexts(tmp_path / "agentic.jsonl")
    assert made.failed.keys() == ids(items, UNHEARD)
    assert made.contexts.keys() == ids(items, ["well", *PASSING])
    for name, (_, reason) in UNHEARD.items():
        why = made.failed[items[name]["question_id"]]
        assert why.startswith("section: A: ")
        assert reason in why
        assert f"{items[name]['question_id']}: {why}" in result.output
    assert all(context.notes["fallbacks"] == {} for context in made.contexts.values())

    # the same command, once the server is well: only what failed is asked, and what comes after it
    server.seen.clear()
    server.answer = lambda seen: reply(seen.prompt)
    again = build(server, tmp_path)
    assert again.exit_code == 0, again.output
    asked = Counter((name_of(seen.prompt, items), form_of(seen.prompt)) for seen in server.seen)
    assert asked == Counter(
        {(name, form): 1 for name in UNHEARD for form in ("section", "introduction", "conclusion")}
    )
    whole = read_contexts(tmp_path / "agentic.jsonl")
    assert whole.failed == {}

    # the reports are those of a server that was always well
    assert build(server, tmp_path, "straight.jsonl").exit_code == 0
    straight = read_contexts(tmp_path / "straight.jsonl")
    assert len(straight.contexts) == len(items)
    assert whole.contexts == straight.contexts
    assert {each: whole.contexts[each] for each in made.contexts} == made.contexts

    # and then nothing is left to ask
    server.seen.clear()
    before = (tmp_path / "agentic.jsonl").read_bytes()
    assert build(server, tmp_path).exit_code == 0
    assert server.seen == []
    assert (tmp_path / "agentic.jsonl").read_bytes() == before

    for path in tmp_path.glob("*.jsonl"):
        assert KEY not in path.read_text(encoding="utf-8")
    assert KEY not in result.output


def test_a_text_is_a_reply_however_bad_and_is_not_asked_for_again(server, tmp_path, items):
    items = items("well", *TEXTS)

    def bad(seen):
        name = name_of(seen.prompt, items)
        return (
            TEXTS[name][0]
            if name in TEXTS and is_first_section(seen.prompt, items[name])
            else reply(seen.prompt)
        )

    server.answer = bad
    assert build(server, tmp_path).exit_code == 1
    made = read_contexts(tmp_path / "agentic.jsonl")
    failing = [name for name, (_, is_none) in TEXTS.items() if is_none]
    assert made.failed.keys() == ids(items, failing)
    assert all(
        why.startswith("section: A: ") and why.endswith("(asked twice)")
        for why in made.failed.values()
    )
    assert made.contexts.keys() == ids(items, items.keys() - set(failing))
    assert made.contexts[items["of no form"]["question_id"]].notes["fallbacks"] == {"section": 1}
    assert "For: \ufffd x [1]." in made.contexts[
        items["half a surrogate pair"]["question_id"]
    ].text.replace("Evidence for", "For")
    server.seen.clear()
    server.answer = lambda seen: reply(seen.prompt)
    assert build(server, tmp_path).exit_code == 1
    assert server.seen == []
    assert read_contexts(tmp_path / "agentic.jsonl") == made


def test_a_key_that_is_refused_midway_ends_the_build_and_its_steps_are_not_asked_again(
    server, tmp_path, items
):
    items = items("one", "two")
    server.answer = lambda seen: (
        fails(401, "who are you?") if FORMS["section"] in seen.prompt else reply(seen.prompt)
    )
    result = build(server, tmp_path)
    assert result.exit_code == 1
    assert "OPENAI_API_KEY" in str(result.exception)
    assert "who are you?" in str(result.exception)
    assert not (tmp_path / "agentic.jsonl").exists()
    before = {seen.prompt for seen in server.seen if FORMS["section"] not in seen.prompt}
    server.seen.clear()
    server.answer = lambda seen: reply(seen.prompt)
    assert build(server, tmp_path).exit_code == 0
    assert before.isdisjoint(seen.prompt for seen in server.seen)
    assert len(read_contexts(tmp_path / "agentic.jsonl").contexts) == len(items)


def test_where_nothing_can_be_heard_no_file_is_written_and_the_reason_is_said(
    server, tmp_path, items
):
    items = items("one", "two", "three")
    server.answer = lambda seen: fails(404, "who is that?")
    result = build(server, tmp_path)
    assert result.exit_code == 1
    assert "no report could be made" in str(result.exception)
    assert "concepts: HTTP 404" in str(result.exception)
    assert "who is that?" in str(result.exception)
    assert not (tmp_path / "agentic.jsonl").exists()
    server.answer = lambda seen: reply(seen.prompt)
    assert build(server, tmp_path).exit_code == 0
    assert len(read_contexts(tmp_path / "agentic.jsonl").contexts) == len(items)
