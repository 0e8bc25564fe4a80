"""A stub server that answers one request oddly: no way in loses the other answers by it, and all of
them read the same in it.

The ways: stock `lm_eval` on two of its backends, `safescale run`, `safescale judge`,
`safescale contexts build agentic`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import lm_eval.models  # noqa: F401 (registers the backends)
import polars as pl
import pytest
from lm_eval import simple_evaluate
from lm_eval.loggers import EvaluationTracker
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from lm_eval_safescale.contexts import read_contexts
from lm_eval_safescale.families.radsafe.data import load_demo
from lm_eval_safescale.importing import import_lm_eval
from lm_eval_safescale.judging.rereading import reread
from lm_eval_safescale.running import runner
from lm_eval_safescale.runs import open_runs
from lm_eval_safescale.runs.store import write_runs
from lm_eval_safescale.runs.table import Runs, about_dataset, items_of
from lm_eval_safescale.verifying.verify import verify
from tests.harness.conftest import manager
from tests.stub_server import Answer, Seen, Stub, chooses, fails, says, sends, twice

for _package in ("aiohttp", "tenacity", "httpx"):
    pytest.importorskip(_package)

THINKING = {"type": "thinking", "thinking": [{"type": "text", "text": "A, or rather B."}]}
SPARE = {"index": 0, "finish_reason": "stop"}


@dataclass(frozen=True)
class Odd:
    """A reply, and what becomes of it."""

    answer: Answer
    ours: str
    """The letter, or the status, in `safescale run`."""
    stock: str = ""
    """In `lm_eval`, where it is another one: the harness hands over less. "-": the harness itself
    does not come that far."""
    text: str | None = ""
    """What is stored."""

    @property
    def in_stock(self) -> str:
        return self.stock or self.ours


def part(*parts: Any, finish: str = "stop") -> Answer:
    return chooses(
        {"finish_reason": finish, "message": {"role": "assistant", "content": list(parts)}}
    )


ODD = {
    "parts": Odd(part({"type": "text", "text": "C"}), "C", text="C"),
    "parts after thinking": Odd(part(THINKING, {"type": "text", "text": "C"}), "C", text="C"),
    "nested text": Odd(
        part({"type": "text", "text": {"value": "Answer: C"}}), "C", text="Answer: C"
    ),
    "thinking alone, cut": Odd(part(THINKING, finish="length"), "truncated"),
    "a refusal part": Odd(
        part({"type": "refusal", "refusal": "I can't."}), "unanswered", text="I can't."
    ),
    "no parts": Odd(part(), "unanswered"),
    "a part alone": Odd(says({"type": "text", "text": "C"}), "C", text="C"),
    "an object": Odd(says({"answer": "C"}), "error", text=None),
    "a number": Odd(says(3), "error", text=None),
    "true": Odd(says(True), "error", text=None),
    "null": Odd(says(None), "unanswered"),
    "kept back": Odd(
        chooses(
            {"finish_reason": "length", "message": {"content": None, "reasoning_content": "A?"}}
        ),
        "truncated",
        "unanswered",
    ),
    "a refusal": Odd(
        chooses({"message": {"content": None, "refusal": "I can't."}}),
        "unanswered",
        text="I can't.",
    ),
    "held back": Odd(
        chooses({"finish_reason": "content_filter", "message": {"content": ""}}),
        "filtered",
        "unanswered",
    ),
    "no message": Odd(chooses({}), "error", "unanswered", text=None),
    "a null message": Odd(chooses({"message": None}), "error", "unanswered", text=None),
    "a null choice": Odd(chooses(None), "error", "unanswered", text=None),
    "an error in the choice": Odd(
        chooses({"error": {"code": 502, "message": "upstream"}, "finish_reason": "error"}),
        "error",
        "unanswered",
        text=None,
    ),
    "no choice": Odd(sends(b'{"choices": []}'), "error", "-", text=None),
    "an error with status 200": Odd(
        sends(b'{"error": {"message": "overloaded"}}'), "error", "unanswered", text=None
    ),
    "no number": Odd(
        sends(b'{"choices": [{"message": {"content": "C"}}]}'), "C", "unanswered", text="C"
    ),
    "two choices": Odd(
        sends(
            json.dumps(
                {"choices": [{**SPARE, "message": {"content": letter}} for letter in "AB"]}
            ).encode()
        ),
        "error",
        "-",
        text=None,
    ),
    "a prompt held back": Odd(
        sends(b'{"error": {"code": "content_filter"}}', 400), "filtered", "-"
    ),
    "no JSON": Odd(sends(b"<html>"), "error", "-", text=None),
    "refused": Odd(fails(400, "no"), "error", "-", text=None),
    "compressed": Odd(sends(b"x", Content_Encoding="gzip"), "error", "-", text=None),
    "sent twice": Odd(twice(says("C")), "C", "-", text="C"),
}
IN_STOCK = {name: odd for name, odd in ODD.items() if odd.in_stock != "-"}


@pytest.fixture(autouse=True)
def _environment(monkeypatch, tmp_path):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    monkeypatch.setenv("SAFESCALE_INDEX_DIR", str(tmp_path / "indexes"))


ITEMS = [item.question_id for item in load_demo().items[:4]]
QUESTIONS = {item.question_id: item.question for item in load_demo().items}


def oddly(odd: Odd) -> Any:
    """Answers the greedy request of the second item so, and all others with D."""
    return lambda seen: (
        odd.answer
        if QUESTIONS[ITEMS[1]] in seen.prompt and not seen.body["temperature"]
        else says("D")
    )


def args_of(stub: Stub, **given: Any) -> dict[str, Any]:
    return {
        "model": "m",
        "base_url": f"{stub.base_url}/chat/completions",
        "num_concurrent": 2,
        "max_retries": 1,
        **given,
    }


# --- lm_eval --------------------------------------------------------------------------------------


def stock(
    stub: Stub,
    folder: Any,
    backend: str = "local-chat-completions",
    concurrency: int = 2,
    **metadata: Any,
) -> Runs:
    """A whole run, its log as the harness writes it, and that log as runs."""
    args = args_of(stub, num_concurrent=concurrency)
    results = simple_evaluate(
        model=backend, model_args=args, tasks=["radsafe_clean"], apply_chat_template=True,
        limit=len(ITEMS), bootstrap_iters=0,
        task_manager=manager(args | {"dataset": "demo", "draws": 1} | metadata),
    )  # fmt: skip
    samples = results.pop("samples")
    tracker = EvaluationTracker(output_path=str(folder))
    tracker.general_config_tracker.log_experiment_args(backend, "model=m", None, None, None)
    tracker.save_results_aggregated(results=results, samples=samples)
    tracker.save_results_samples(task_name="radsafe_clean", samples=samples["radsafe_clean"])
    return import_lm_eval([folder], model="m")


def greedy(runs: Runs) -> dict[str, str]:
    rows = runs.answers.filter(pl.col("draw") == 0)
    return {
        item: response or status
        for item, response, status in rows.select("question_id", "response", "status").iter_rows()
    }


def expected(reading: str) -> dict[str, str]:
    return {item: reading if item == ITEMS[1] else "D" for item in ITEMS}


@pytest.mark.parametrize("backend", ["local-chat-completions", "openai-chat-completions"])
@pytest.mark.parametrize("odd", IN_STOCK.values(), ids=list(IN_STOCK))
def test_one_odd_reply_ends_no_run_of_lm_eval(odd, backend, server, tmp_path):
    server.answer = oddly(odd)
    runs = stock(server, tmp_path, backend)
    assert greedy(runs) == expected(odd.in_stock)
    write_runs(runs, tmp_path / "runs")
    assert_reads_so_again(tmp_path / "runs")
    assert runs.answers.filter(pl.col("draw") == 1)["response"].to_list() == ["D"] * len(ITEMS)


@pytest.mark.parametrize("name", ["parts after thinking", "a number", "thinking alone, cut"])
def test_nor_where_one_request_is_sent_at_a_time_and_answers_are_cached(name, server, tmp_path):
    server.answer = oddly(ODD[name])
    assert greedy(stock(server, tmp_path, concurrency=1)) == expected(ODD[name].in_stock)


def test_replies_that_are_all_in_parts_are_all_read(server, tmp_path):
    server.answer = lambda seen: part(
        THINKING, {"type": "text", "text": "The answer is "}, {"type": "text", "text": "B."}
    )
    assert set(greedy(stock(server, tmp_path)).values()) == {"B"}


# --- safescale run --------------------------------------------------------------------------------


def run(stub: Stub, folder: Any, **options: Any) -> runner.Report:
    model = runner.Model("local-chat-completions", args_of(stub, max_retries=0))
    metadata = {"dataset": "demo", "draws": 1}
    return runner.run(model, folder, ["clean"], metadata=metadata, limit=len(ITEMS), **options)


@pytest.mark.parametrize("odd", ODD.values(), ids=list(ODD))
def test_one_odd_reply_ends_no_run_of_ours_and_failures_alone_are_asked_again(
    odd, server, tmp_path
):
    server.answer = oddly(odd)
    report = run(server, tmp_path / "runs")
    assert greedy(report.runs) == expected(odd.ours)
    (text,) = report.runs.answers.filter(
        (pl.col("draw") == 0) & (pl.col("question_id") == ITEMS[1])
    )["text"]
    assert text == odd.text
    assert bool(report.failures) == (odd.ours == "error")
    server.seen.clear()
    server.answer = lambda seen: says("A")
    again = run(server, tmp_path / "runs")
    assert len(server.seen) == (odd.ours == "error")
    assert greedy(again.runs) == expected("A" if odd.ours == "error" else odd.ours)
    assert again.runs.answers.equals(open_runs(tmp_path / "runs").answers)
    assert_reads_so_again(tmp_path / "runs")


CUT = chooses(
    {"finish_reason": "length", "message": {"content": "Let me see. The answer is B, for"}}
)
CUT_ANSWER = chooses(
    {
        "finish_reason": "length",
        "message": {"content": "The answer is B, for", "reasoning_content": "A?"},
    }
)


@pytest.mark.parametrize(
    ("reasoning", "cut", "answer"),
    [("separate", "truncated", "B"), ("on", "truncated", "B"), ("auto", "B", "B")],
)
def test_what_was_cut_off_in_its_reasoning_is_read_so_again(
    reasoning, cut, answer, server, tmp_path
):
    texts = iter([CUT, CUT_ANSWER, CUT, CUT_ANSWER])
    server.answer = lambda seen: next(texts)
    model = runner.Model("local-chat-completions", args_of(server, num_concurrent=1))
    metadata = {"dataset": "demo", "draws": 0, "reasoning": reasoning}
    report = runner.run(model, tmp_path / "runs", ["clean"], metadata=metadata, limit=len(ITEMS))
    if reasoning == "on":  # the text is where it reasons
        answer = "truncated"
    assert greedy(report.runs) == dict(zip(ITEMS, [cut, answer, cut, answer], strict=True))
    assert_reads_so_again(tmp_path / "runs")


def assert_reads_so_again(folder: Any) -> None:
    """From what is stored alone: nothing of it contradicts what was read."""
    assert reread(open_runs(folder), load_demo()).changes.to_dicts() == []
    found = verify(folder)
    assert [str(each) for each in found.findings if "stored as" in str(each)] == []


# --- safescale judge ------------------------------------------------------------------------------


VERDICT = json.dumps({"clear_selection": "yes", "reasoning": "", "letter": "C"})
JUDGED = {
    "parts": (part({"type": "text", "text": VERDICT}), "letter", ""),
    "parts after thinking": (part(THINKING, {"type": "text", "text": VERDICT}), "letter", ""),
    "thinking alone, cut": (
        part(THINKING, finish="length"),
        "failed",
        "empty reply: raise max_tokens",
    ),
    "kept back": (ODD["kept back"].answer, "failed", "empty reply: raise max_tokens"),
    "null": (
        chooses({"finish_reason": "length", "message": {"content": None}}),
        "failed",
        "empty reply: raise max_tokens",
    ),
    "nothing said": (says(""), "failed", "empty reply"),
    "an object": (
        says({"clear_selection": "yes", "letter": "C"}),
        "failed",
        "no text in the reply",
    ),
    "a refusal": (ODD["a refusal"].answer, "failed", "no verdict in the judge's reply: I can't."),
    "held back": (ODD["held back"].answer, "failed", "a content filter held it back"),
    "no message": (ODD["no message"].answer, "failed", "no chat completion"),
    "an error in the choice": (
        ODD["an error in the choice"].answer,
        "failed",
        "the reply is an error",
    ),
    "a prompt held back": (
        ODD["a prompt held back"].answer,
        "failed",
        "a content filter held it back: HTTP 400",
    ),
    "two choices": (ODD["two choices"].answer, "failed", "no chat completion"),
    "compressed": (ODD["compressed"].answer, "failed", "a compressed response"),
    "sent twice": (twice(says(VERDICT)), "letter", ""),
}
"""A judge's reply to the second text, the verdict, and its reason."""


@pytest.mark.parametrize("given", [["--base-url"], ["--backend"]], ids=["endpoint", "harness"])
@pytest.mark.parametrize(("answer", "verdict", "reason"), JUDGED.values(), ids=list(JUDGED))
def test_one_odd_reply_of_a_judge_costs_one_verdict(
    answer, verdict, reason, given, server, tmp_path
):
    data = load_demo()
    texts = [f"It is C, I think ({number})." for number in range(3)]
    rows = {
        "model": "m",
        "condition": "clean",
        "question_id": ITEMS[:3],
        "draw": 0,
        "response": "C",
        "status": "ok",
        "text": texts,
    }
    about = {
        "dataset": about_dataset(data),
        "models": {"m": {"source": "s", "conditions": ["clean"], "settings": {}}},
    }
    write_runs(Runs(items_of(data), pl.DataFrame(rows), about), tmp_path / "runs")
    server.answer = lambda seen: answer if texts[1] in seen.prompt else says(VERDICT)
    base = f"model=m,max_retries=0,base_url={server.base_url}/chat/completions"
    how = {
        "--base-url": ["--base-url", server.base_url, "--model", "m"],
        "--backend": ["--backend", "local-chat-completions", "--model_args", base],
    }[given[0]]
    done = CliRunner().invoke(
        app, ["judge", str(tmp_path / "runs"), *how, "-o", str(tmp_path / "judged")]
    )
    # a third of the texts without a verdict is no fair sample
    assert done.exit_code == (verdict == "failed"), done.output
    found = pl.read_parquet(tmp_path / "judged" / "verdicts.parquet").sort("question_id")
    assert found["verdict"].to_list() == ["letter", verdict, "letter"]
    assert reason in (found["reason"][1] or "")


# --- safescale contexts build agentic -------------------------------------------------------------


FORMS = {
    "Which key concepts": "- imaging\n- diagnosis",
    "For each option, say": "\n".join(f"{letter}: its findings" for letter in "ABCDE"),
    "search queries": "DONE",
    "Write a section": "For: It is described [1].\nAgainst: Others are open [1].",
    "Write the introduction": "This report is about imaging findings.",
    "Write the conclusion": "The sections cover imaging findings.",
}
BUILT = {
    name: ODD[name].answer
    for name in ODD
    if name not in ("parts", "parts after thinking", "sent twice", "a part alone")
}
"""What is no section of a report."""


def written(seen: Seen) -> str:
    return next(text for form, text in FORMS.items() if form in seen.prompt)


@pytest.mark.parametrize("backend", ["endpoint", "local-chat-completions"])
def test_odd_replies_cost_the_report_they_are_of_and_parts_are_read(backend, server, tmp_path):
    items = load_demo().items[: len(BUILT) + 1]
    odd = dict(zip((item.question_id for item in items[1:]), BUILT.items(), strict=True))
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(item.as_dict()) + "\n" for item in items), encoding="utf-8")

    def answer(seen: Seen) -> Answer:
        name = next(item.question_id for item in items if item.question in seen.prompt)
        if name in odd and "Write a section" in seen.prompt:
            return odd[name][1]
        return part(THINKING, {"type": "text", "text": written(seen)})

    server.answer = answer
    own = (
        f"base_url={server.base_url},retries=0"
        if backend == "endpoint"
        else f"base_url={server.base_url}/chat/completions,max_retries=0"
    )
    done = CliRunner().invoke(
        app,
        [
            "contexts", "build", "agentic", "--model", backend, "--model_args", f"model=m,{own}",
            "--corpus", "demo", "-o", str(tmp_path / "reports.jsonl"), "--metadata",
            json.dumps({"dataset_path": str(path)}),
        ],
    )  # fmt: skip
    assert done.exit_code == 1, done.output
    made = read_contexts(tmp_path / "reports.jsonl")
    readable = {name for name, (kind, _) in odd.items() if kind in ("nested text", "no number")}
    assert made.contexts.keys() == {items[0].question_id, *readable}
    assert "It is described" in made.contexts[items[0].question_id].text
    assert "rather B" not in made.contexts[items[0].question_id].text
    assert len(made.failed) + len(made.contexts) == len(items)
