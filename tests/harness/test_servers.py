"""`ServerEngine` against a stub server on this machine: the harness's own payloads, bounded
requests in flight, and every fault.
"""

from __future__ import annotations

import json
import logging
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import lm_eval.models  # noqa: F401 (registers the backends)
import pytest
from lm_eval import simple_evaluate

from lm_eval_safescale.chat import http
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.failures import FailureKind, kind_of_status
from lm_eval_safescale.harness.loading import (
    CONCURRENT,
    check_model_args,
    load_backend,
    with_defaults,
)
from lm_eval_safescale.harness.requests import Completion, ConditionRequests, Request
from lm_eval_safescale.harness.servers import ServerEngine
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.records import Status
from lm_eval_safescale.running import asking, runner
from lm_eval_safescale.secrets import is_secret, without_secrets
from tests.harness.conftest import manager
from tests.stub_server import (
    CONNECTION_FAULTS,
    MOST_SECONDS,
    Seen,
    Stub,
    chooses,
    fails,
    keeps_silent,
    says,
    sends,
    trickles,
)

for _package in ("aiohttp", "tenacity", "httpx"):
    pytest.importorskip(_package)
KEY = "sk-quite-secret-0123456789"
BACKENDS = {
    "local-chat-completions": "chat/completions",
    "openai-chat-completions": "chat/completions",
    "local-completions": "completions",
}


@pytest.fixture(autouse=True)
def _no_key_and_no_proxy(monkeypatch):
    """Of whoever runs the tests."""
    for name in ("OPENAI_API_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def arguments(stub: Stub, name: str = "local-chat-completions", **given: Any) -> dict[str, Any]:
    address = f"{stub.base_url}/{BACKENDS[name]}"
    return {
        "model": "some-model",
        "base_url": address,
        "tokenizer_backend": "none",
        "num_concurrent": 4,
        **given,
    }


def engine(
    stub: Stub, name: str = "local-chat-completions", *, timeout: float = MOST_SECONDS, **given: Any
) -> ServerEngine:
    backend = load_backend(name, arguments(stub, name, **given))
    backend.timeout = timeout
    return ServerEngine(backend)


def prepared(
    stub: Stub,
    name: str = "local-chat-completions",
    *,
    draws: int = 2,
    limit: int = 3,
    **given: Any,
) -> ConditionRequests:
    args = arguments(stub, name)
    ready = ConditionRequests(
        plugins().find("condition", "clean"), args | {"dataset": "demo", "draws": draws} | given
    )
    ready.prepare(load_backend(name, args), chat_template="chat" in name, limit=limit)
    return ready


def batches(ready: ConditionRequests) -> list[list[Request]]:
    return [list(ready.requests(item, at_once=ServerEngine.draws_at_once)) for item in ready.items]


def completion_of(
    stub: Stub, answer: Any, name: str = "local-chat-completions", **given: Any
) -> Completion:
    """What is completion of one request that is answered so."""
    stub.answer = lambda seen: answer
    [completion] = engine(stub, name, **given).answer(
        [batches(prepared(stub, name, draws=0, limit=1))[0]]
    )
    return completion


def text(seen: Seen, said: str = "C", **others: Any) -> Any:
    """An answer in the form of the address that was asked."""
    chat = seen.path.endswith("/chat/completions")
    choice = {"index": 0, "finish_reason": "stop"} | (
        {"message": {"content": said}} if chat else {"text": said}
    )
    return sends(json.dumps({"choices": [choice], **others}).encode())


# --- payloads -------------------------------------------------------------------------------------


def counted(bodies: list[Any]) -> Counter:
    return Counter(json.dumps(body, sort_keys=True) for body in bodies)


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> str:
    """A folder with a tokenizer of single bytes that has a chat template."""
    transformers, tokenizers = (
        pytest.importorskip("transformers"),
        pytest.importorskip("tokenizers"),
    )
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    made = tokenizers.Tokenizer(
        tokenizers.models.BPE({letter: number for number, letter in enumerate(alphabet)}, [])
    )
    made.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    folder = str(tmp_path_factory.mktemp("tokenizer"))
    template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}<assistant>"
    transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, eos_token="<eos>", chat_template=template
    ).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("chat", [True, False], ids=["chat template", "plain"])
def test_a_server_gets_the_tokens_that_the_stock_harness_sends(chat, tokenizer, server):
    own = {"tokenizer": tokenizer, "tokenizer_backend": "huggingface", "max_length": 100_000}
    stock, ours = sent_by_both(server, "local-completions", chat=chat, **own)
    assert split(ours) == split(stock)
    assert all(
        type(token) is int for each in ours for prompt in each.body["prompt"] for token in prompt
    )


def sent_by_both(
    stub: Stub, name: str, *, chat: bool, **given: Any
) -> tuple[list[Seen], list[Seen]]:
    """What the stock harness sends, and what we do."""
    stub.answer = text
    args = arguments(stub, name, **given)
    settings = args | {"dataset": "demo", "draws": 2}
    simple_evaluate(
        model=name, model_args=args, tasks=["radsafe_clean"], task_manager=manager(settings),
        apply_chat_template=chat, limit=3, bootstrap_iters=0,
    )  # fmt: skip
    stock = list(stub.seen)
    stub.seen.clear()
    ready = ConditionRequests(plugins().find("condition", "clean"), settings)
    ready.prepare(load_backend(name, args), chat_template=chat, limit=3)
    completion = list(engine(stub, name, **given).answer(batches(ready)))
    assert len(stub.seen) == len(stock) == len(completion) == 9
    return stock, list(stub.seen)


def split(seen: list[Seen]) -> tuple[Counter, Counter]:
    """Greedy bodies, and those of samples but for the seed."""
    greedy = [each.body for each in seen if not each.body["temperature"]]
    return counted(greedy), counted(
        [{**each.body, "seed": None} for each in seen if each.body["temperature"]]
    )


@pytest.mark.parametrize("name", BACKENDS)
def test_a_server_gets_what_the_stock_harness_sends(name, server, monkeypatch):
    """Greedy requests to the last character; of the samples only the seed is another."""
    if name.startswith("openai"):
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
    stock, ours = sent_by_both(server, name, chat="chat" in name)
    assert split(ours) == split(stock)
    assert (
        {each.path for each in ours} == {each.path for each in stock} == {f"/v1/{BACKENDS[name]}"}
    )
    same = ("Content-Type", *(["Authorization"] if name.startswith("openai") else []))
    assert {each.headers[header] for each in ours for header in same} == {
        each.headers[header] for each in stock for header in same
    }


def test_each_draw_has_its_own_seed_and_answers_stand_with_their_requests(server):
    server.answer = lambda seen: text(
        seen, f"{seen.body['seed']} {seen.body['messages'][-1]['content']}"
    )
    ready = prepared(server, draws=4)
    completion = list(engine(server).answer(batches(ready)))
    assert len({each.request.seed for each in completion if not each.request.is_greedy}) == 3 * 4
    for each in completion:
        said = json.loads(each.request.prompt.prompt)[-1]["content"]
        assert each.texts == (f"{1234 if each.request.is_greedy else each.request.seed} {said}",)
        assert len(each.request.draws) == 1


def test_tokens_are_those_that_the_server_counted(server):
    usage = {"prompt_tokens": 321, "completion_tokens": 7, "total_tokens": 328}
    completion = completion_of(server, says("C", usage=usage))
    assert (completion.texts, completion.prompt_tokens, completion.completion_tokens) == (
        ("C",),
        321,
        (7,),
    )
    assert completion_of(
        server, says("C", usage={"prompt_tokens": None, "completion_tokens": "7"})
    ).completion_tokens == (None,)
    assert completion_of(server, says("C", usage={"prompt_tokens": 10**30})).prompt_tokens is None
    assert completion_of(server, says("C")).prompt_tokens is None
    assert completion.latency_s > 0


# --- requests in flight ---------------------------------------------------------------------------


def full(stub: Stub, count: int) -> Any:
    """Answers once so many requests are there at a time."""

    def answer(seen: Seen) -> Any:
        with stub.arrival:
            assert stub.arrival.wait_for(lambda: len(stub.seen) >= count, MOST_SECONDS)
        return text(seen)

    return answer


@pytest.mark.parametrize(
    ("given", "expected"),
    [({"num_concurrent": 1}, 1), ({"num_concurrent": 3}, 3), ({}, CONCURRENT)],
)
def test_as_many_requests_are_in_flight_as_were_allowed_and_each_says_how_many(
    given, expected, server
):
    args = {
        key: value for key, value in arguments(server).items() if key != "num_concurrent"
    } | given
    server.answer = full(server, expected)
    ready = prepared(server, draws=20)
    backend = load_backend("local-chat-completions", with_defaults("local-chat-completions", args))
    completion = list(ServerEngine(backend).answer(batches(ready)))
    assert len(completion) == 63
    assert server.most_in_flight == expected
    assert max(each.concurrency for each in completion) == expected
    assert min(each.concurrency for each in completion) >= 1


def test_alone_means_one_at_a_time(server):
    server.answer = text
    completion = list(
        engine(server, num_concurrent=9).answer(batches(prepared(server)), alone=True)
    )
    assert server.most_in_flight == 1
    assert {each.concurrency for each in completion} == {1}


def test_a_request_is_taken_only_when_there_is_room_for_it(server):
    server.answer = text
    taken = []

    def waiting():
        for batch in batches(prepared(server, limit=9)):
            for request in batch:
                taken.append(request)
                yield [request]

    for count, _ in enumerate(engine(server, num_concurrent=3).answer(waiting()), 1):
        assert len(taken) <= count + 3
    assert len(taken) == 27


# --- faults ---------------------------------------------------------------------------------------


def test_too_many_requests_are_sent_again_when_the_server_says(server, waits):
    server.answer = lambda seen: (
        fails(429, "slow down", Retry_After="7") if seen.number == 0 else text(seen)
    )
    [completion] = engine(server).answer(batches(prepared(server, draws=0, limit=1)))
    assert (completion.texts, waits) == (("C",), [7.0])


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_that_recovers_is_heard(status, server, waits):
    server.answer = lambda seen: fails(status) if seen.number < 2 else text(seen)
    [completion] = engine(server).answer(batches(prepared(server, draws=0, limit=1)))
    assert (completion.texts, waits) == (("C",), [1.0, 2.0])


def test_a_server_that_stays_broken_fails_its_requests_and_no_others(server, waits):
    ready = prepared(server, draws=0, limit=6)
    broken = json.loads(batches(ready)[2][0].prompt.prompt)[-1]["content"]
    server.answer = lambda seen: fails(500, "out of order") if seen.prompt == broken else text(seen)
    completion = {
        each.request.question_id: each
        for each in engine(server, max_retries=2).answer(batches(ready))
    }
    failed = completion.pop(ready.items[2])
    assert failed.texts is None
    assert "HTTP 500" in failed.error
    assert "out of order" in failed.error
    assert "(3 tries)" in failed.error
    assert {each.texts for each in completion.values()} == {("C",)}


@pytest.mark.parametrize("silence", [keeps_silent, trickles])
def test_a_server_that_hangs_is_not_waited_for_longer_than_the_timeout(silence, server, waits):
    completion = completion_of(server, silence, timeout=0.05, max_retries=1)
    assert completion.texts is None
    assert "no response within 0.05 s (2 tries)" in completion.error


@pytest.mark.parametrize("fault", CONNECTION_FAULTS.values(), ids=list(CONNECTION_FAULTS))
def test_a_connection_that_breaks_is_an_error_with_its_kind(fault, server, waits):
    completion = completion_of(server, fault, max_retries=1)
    assert completion.texts is None
    assert "Error: " in completion.error
    assert "(2 tries)" in completion.error


def test_a_server_that_is_not_there_is_an_error(server, waits):
    with socket.socket() as taken:  # bound and not listening
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/v1/chat/completions"
        [completion] = engine(server, base_url=address, max_retries=1).answer(
            batches(prepared(server, draws=0, limit=1))
        )
    assert completion.texts is None
    assert "ConnectError" in completion.error


UNUSABLE = {
    "no JSON": b"Bad gateway",
    "an HTML page": b"<html>Bad gateway</html>",
    "cut JSON": b'{"choices": [{"index": 0, "mess',
    "no object": b"[]",
    "null": b"null",
    "no choices": b"{}",
    "empty choices": b'{"choices": []}',
    "two choices": (
        b'{"choices": [{"index": 0, "message": {"content": "A"}}, {"index": 1, '
        b'"message": {"content": "B"}}]}'
    ),
    "an error with status 200": b'{"error": {"message": "overloaded"}}',
    "null choice": b'{"choices": [null]}',
    "null message": b'{"choices": [{"index": 0, "message": null}]}',
    "a number": b'{"choices": [{"index": 0, "message": {"content": 3}}]}',
    "no known content": b'{"choices": [{"index": 0, "message": {"content": {"answer": "C"}}}]}',
    "a choice without a message": b'{"choices": [{"index": 0, "finish_reason": "stop"}]}',
    "an error in the choice": (
        b'{"choices": [{"index": 0, "error": {"code": 502}, "message": {"content": "C"}}]}'
    ),
    "a choice that failed": (
        b'{"choices": [{"index": 0, "finish_reason": "error", "message": {"content": ""}}]}'
    ),
    "deep": b"[" * 100_000,
    "no UTF-8": b"\xff\xfe",
}


@pytest.mark.parametrize("content", UNUSABLE.values(), ids=list(UNUSABLE))
def test_a_reply_that_cannot_be_used_is_an_error_that_shows_it(content, server):
    completion = completion_of(server, sends(content))
    assert completion.texts is None
    assert completion.error.startswith(
        "an HTML page, not a completion: is base_url right?"
        if content.startswith(b"<html")
        else ("no completion: ", "no text in the reply: ", "the reply is an error: ")
    )
    assert len(server.seen) == 1  # asked again it would be the same


@pytest.mark.parametrize("index", [None, 0, 1], ids=["no number", "0", "1"])
def test_the_only_choice_is_the_answer_whatever_its_number(index, server):
    """The harness would read it as an empty text, and the model as one that never answers."""
    choice = {"message": {"content": "C"}} | ({} if index is None else {"index": index})
    assert completion_of(server, sends(json.dumps({"choices": [choice]}).encode())).texts == ("C",)


@pytest.mark.parametrize(
    ("reasoning", "status"),
    [("separate", "truncated"), ("auto", "unanswered"), ("off", "unanswered")],
)
def test_null_content_beside_reasoning_is_truncated_where_the_user_says_that_it_is_kept_back(
    reasoning, status, server
):
    choice = {
        "index": 0,
        "finish_reason": "length",
        "message": {"content": None, "reasoning_content": "It may be C"},
    }
    completion = completion_of(server, sends(json.dumps({"choices": [choice]}).encode()))
    assert completion.texts == ("",)
    ready = prepared(server, reasoning=reasoning)
    assert str(ready.read(completion.request.question_id, "").status) == status


def test_a_message_without_content_is_an_empty_answer_as_in_the_harness(server):
    assert completion_of(
        server, sends(b'{"choices": [{"index": 0, "message": {"role": "assistant"}}]}')
    ).texts == ("",)


@pytest.mark.parametrize(
    "message",
    [
        {"content": None},
        {"content": ""},
        {},
        {"content": "The answer is B"},
        {"content": [{"type": "text", "text": "It may be"}]},
    ],
    ids=["null", "empty", "missing", "cut off", "parts"],
)
@pytest.mark.parametrize("reason", ["content_filter", "SAFETY", "sensitive"])
def test_what_a_content_filter_held_back_is_no_answer_and_no_error(message, reason, server):
    completion = completion_of(server, chooses({"finish_reason": reason, "message": message}))
    assert (completion.status, completion.finish_reasons, completion.error) == (
        Status.FILTERED,
        (reason,),
        "",
    )
    assert len(server.seen) == 1


def test_what_a_content_filter_let_through_is_read(server):
    choice = {"index": 0, "finish_reason": "content_filter", "message": {"content": "C"}}
    completion = completion_of(server, sends(json.dumps({"choices": [choice]}).encode()))
    assert (completion.texts, completion.status) == (("C",), None)


PROMPTS_HELD_BACK = {
    "Azure": {
        "error": {
            "message": "filtered",
            "code": "content_filter",
            "innererror": {"code": "ResponsibleAIPolicyViolation"},
        }
    },
    "Azure's older form": {
        "error": {"code": None, "innererror": {"code": "ResponsibleAIPolicyViolation"}}
    },
    "OpenRouter": {
        "error": {
            "code": 403,
            "message": "flagged",
            "metadata": {"reasons": ["harm"], "flagged_input": "..."},
        }
    },
}


@pytest.mark.parametrize("status", [400, 403])
@pytest.mark.parametrize("body", PROMPTS_HELD_BACK.values(), ids=list(PROMPTS_HELD_BACK))
def test_a_prompt_that_a_content_filter_held_back_stops_no_run_and_is_no_answer(
    body, status, server
):
    completion = completion_of(server, sends(json.dumps(body).encode(), status))
    assert (completion.texts, completion.status) == (("",), Status.FILTERED)
    assert completion.error.startswith(f"HTTP {status}: ")


@pytest.mark.parametrize("content", [None, "", "C", "I would say C"])
def test_a_refusal_in_a_field_of_its_own_is_no_answer(content, server):
    completion = completion_of(
        server, chooses({"message": {"content": content, "refusal": "I can't help with that."}})
    )
    assert (completion.texts, completion.status) == (
        (content or "I can't help with that.",),
        Status.UNANSWERED,
    )
    assert (
        completion_of(server, chooses({"message": {"content": "C", "refusal": None}})).status
        is None
    )


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_a_reply_that_was_cut_off_before_its_text_began_is_truncated_whatever_the_user_said(
    field, server
):
    """The server shows that there was reasoning, and no end to it."""
    message = {"content": None, field: "It may be C"}
    assert (
        completion_of(server, chooses({"finish_reason": "length", "message": message})).status
        == Status.TRUNCATED
    )
    assert (
        completion_of(server, chooses({"finish_reason": "stop", "message": message})).status is None
    )
    assert (
        completion_of(
            server, chooses({"finish_reason": "length", "message": {**message, "content": "C"}})
        ).status
        is None
    )
    parts = {"content": [{"type": "thinking", "thinking": "It may be C"}]}
    assert (
        completion_of(server, chooses({"finish_reason": "length", "message": parts})).status
        == Status.TRUNCATED
    )


@pytest.mark.parametrize(
    ("content", "finish", "reasoning", "status"),
    [
        # the server's parser left it in the content
        ("Let me see. A would", "length", "separate", "truncated"),
        ("The answer is C, for", "length", "separate", "truncated"),
        ("The answer is C, for", "stop", "separate", "ok"),
        ("**C**", "length", "separate", "ok"),
        ("</think>The answer is C, for", "length", "separate", "ok"),
        ("Let me see. A would", "length", "on", "truncated"),
        ("<think>Let me see. A would", "length", "auto", "truncated"),
        ("<think>Let me see. A would", "stop", "off", "truncated"),
        ("The answer is C, for", "length", "auto", "ok"),
        ("The answer is C, for", "length", "off", "ok"),
    ],
)
def test_a_cut_reply_of_a_model_that_reasons_holds_its_reasoning_unless_it_ends(
    content, finish, reasoning, status, server
):
    completion = completion_of(
        server, chooses({"finish_reason": finish, "message": {"content": content}})
    )
    assert completion.status is None
    ready = prepared(server, reasoning=reasoning)
    [(reading, read_as)] = ready.readings(completion)
    assert str(reading.status) == status
    assert reading.response == ("C" if status == "ok" else None)
    assert read_as == ("cut" if finish == "length" and reasoning in ("on", "separate") else None)


def test_what_a_reply_says_of_itself_is_told(server):
    completion = completion_of(
        server, says("C", model="org/m-0826", system_fingerprint="fp_1", id="chatcmpl-1")
    )
    assert (completion.served_model, completion.system_fingerprint, completion.reply_id) == (
        "org/m-0826",
        "fp_1",
        "chatcmpl-1",
    )
    assert completion.finish_reasons == ("stop",)
    odd = completion_of(
        server,
        sends(
            json.dumps(
                {"choices": [{"message": {"content": "C"}}], "model": 5, "id": None}
            ).encode()
        ),
    )
    assert (odd.served_model, odd.system_fingerprint, odd.reply_id, odd.finish_reasons) == (
        None,
        None,
        None,
        (None,),
    )


def test_a_prompt_that_is_too_long_for_the_server_fails_in_its_words_and_is_not_sent_again(server):
    words = (
        "The maximum context length is 4096 tokens. However, your request has 5120 input tokens."
    )
    completion = completion_of(server, fails(400, words))
    assert completion.texts is None
    assert completion.error.startswith("HTTP 400: ")
    assert words in completion.error
    assert completion.failure is FailureKind.REFUSED
    assert len(server.seen) == 1


def test_prompts_that_are_too_long_for_the_server_do_not_pass_for_a_server_that_is_gone(
    server, monkeypatch, tmp_path
):
    """More of them in a row than make a model count as gone; what comes after them is asked."""
    monkeypatch.setattr(asking, "FAILURES_IN_A_ROW", 3)
    monkeypatch.setattr(asking, "FAILING_ITEMS", 1)
    model = runner.Model("local-chat-completions", arguments(server, num_concurrent=1))
    first = batches(prepared(server, limit=9))[0][0].prompt.prompt
    server.answer = lambda seen: (
        text(seen) if seen.body["messages"] == json.loads(first) else fails(400, "too long")
    )
    report = runner.run(
        model, tmp_path / "runs", ["clean"], metadata={"dataset": "demo", "draws": 1}, limit=9
    )
    assert (report.standing.done, report.standing.failed) == (2, 16)
    assert len(report.failures["clean"]) == 8


@pytest.mark.parametrize("status", [400, 404])
def test_a_server_that_refuses_everything_is_not_asked_to_the_end(
    status, server, monkeypatch, tmp_path
):
    monkeypatch.setattr(asking, "FAILURES_IN_A_ROW", 3)
    monkeypatch.setattr(asking, "FAILING_ITEMS", 1)
    server.answer = lambda seen: fails(status, "no such model")
    model = runner.Model("local-chat-completions", arguments(server, num_concurrent=1))
    with pytest.raises(SafescaleError, match="no such model"):
        runner.run(model, tmp_path / "runs", ["clean"], metadata={"dataset": "demo", "draws": 1})
    assert len(server.seen) <= 4


def test_half_a_character_does_not_stop_the_run(server):
    completion = completion_of(
        server, sends(b'{"choices": [{"index": 0, "message": {"content": "C \\ud83d"}}]}')
    )
    assert completion.texts == ("C �",)


# --- keys -----------------------------------------------------------------------------------------


def test_the_key_is_sent_from_the_variable_and_without_the_line_break_of_a_file(
    server, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")
    assert completion_of(server, says("C")).texts == ("C",)
    assert server.seen[0].headers["Authorization"] == f"Bearer {KEY}"


def test_without_a_key_none_is_sent(server):
    assert completion_of(server, says("C")).texts == ("C",)
    assert "Authorization" not in server.seen[0].headers


@pytest.mark.parametrize("key", [f"{KEY}é", f"{KEY}\nX-More: 1"])
def test_a_variable_that_holds_no_key_is_refused_without_showing_it(key, server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(SafescaleError, match="characters that no key has") as caught:
        engine(server)
    assert KEY[:6] not in str(caught.value)


def test_a_backend_that_needs_a_key_says_which_variable_is_missing(server):
    with pytest.raises(SafescaleError, match="OPENAI_API_KEY"):
        engine(server, "openai-chat-completions")


ECHOES = {
    "in an answer": lambda _: says(f"C. You sent Bearer {KEY}"),
    "in an error": lambda _: fails(401, f"Incorrect API key provided: {KEY}"),
    "in what cannot be used": lambda _: sends(f"your key {KEY}".encode()),
    "in an error that may pass": lambda _: fails(500, f"key {KEY}"),
    "in a header": lambda _: sends(b"no", 400, X_Key=KEY),
}


@pytest.mark.parametrize("echo", ECHOES.values(), ids=list(ECHOES))
def test_a_key_that_the_server_sends_back_is_written_nowhere(
    echo, server, waits, monkeypatch, tmp_path, caplog, capfd
):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server.answer = echo
    caplog.set_level(logging.DEBUG)
    logging.getLogger("lm_eval").setLevel(logging.DEBUG)
    said = ""
    try:
        report = runner.run(
            runner.Model("local-chat-completions", arguments(server, max_retries=0)),
            tmp_path / "runs", ["clean"], metadata={"dataset": "demo", "draws": 1}, limit=2,
        )  # fmt: skip
        said = repr(report.failures) + repr(report.runs.answers.to_dicts())
    except SafescaleError as error:
        said = repr(error)
    assert server.seen
    written = b"".join(
        path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file()
    )
    printed = "".join(capfd.readouterr())
    for everything in (written.decode("latin-1"), said, printed, caplog.text):
        assert KEY not in everything
        assert KEY[:12] not in everything
    assert written


@pytest.mark.parametrize(
    "given",
    [
        {"header": {"Authorization": f"Bearer {KEY}"}},
        {"auth_token": KEY},
        {"api_key": KEY},
        {"token": KEY},
        {"password": KEY},
        {"base_url": f"http://me:{KEY}@host/v1/chat/completions"},
        {"base_url": f"http://host/v1/chat/completions?api_key={KEY}"},
    ],
    ids=[
        "header",
        "auth_token",
        "api_key",
        "token",
        "password",
        "password in the address",
        "key in the address",
    ],
)
def test_a_key_among_the_arguments_is_refused_before_anything_is_written(given, server, tmp_path):
    with pytest.raises(
        SafescaleError, match=r"from the environment only.*OPENAI_API_KEY"
    ) as caught:
        runner.run(
            runner.Model("local-chat-completions", arguments(server) | given),
            tmp_path / "runs",
            ["clean"],
        )
    assert KEY not in str(caught.value)
    assert not (tmp_path / "runs").exists()
    assert not server.seen


def test_marks_of_a_text_are_no_keys():
    """They are written down, and tell one run from another."""
    args = {
        "add_bos_token": True,
        "think_end_token": "<|kept|>",
        "tokenizer": "t",
        "max_gen_toks": 3,
    }
    assert without_secrets(args) == args
    assert all(map(is_secret, ("token", "hf_token", "auth_token", "API_KEY", "header")))


def test_a_key_in_an_address_is_not_written_down():
    addresses = {"base_url": "https://me:pw@host/v1?api-version=3&api_key=abc&key=def"}
    assert without_secrets(addresses) == {"base_url": "https://***@host/v1?***"}


# --- addresses ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "url"),
    [
        ("local-chat-completions", "http://host:8000/v1"),
        ("local-chat-completions", "http://host:8000/v1/"),
        ("local-chat-completions", "http://host:8000"),
        ("local-completions", "http://host:8000/v1"),
        ("openai-chat-completions", "https://host/v1"),
        ("local-chat-completions", "host:8000/v1/chat/completions"),
        ("local-chat-completions", "http:///v1/chat/completions"),
        ("local-chat-completions", "http://[/v1/chat/completions"),
    ],
)
def test_an_address_that_takes_no_requests_is_refused_with_one_that_does(name, url):
    """The harness posts to it as it is; completing it would ask another address than stock
    `lm_eval` does."""
    with pytest.raises(SafescaleError, match=r"base_url=.*expected for example http") as caught:
        check_model_args(name, {"base_url": url, "model": "m"})
    assert str(caught.value).endswith(f"/v1/{BACKENDS[name]}")


@pytest.mark.parametrize("name", ["local-chat-completions", "local-completions"])
def test_an_address_is_needed(name):
    with pytest.raises(SafescaleError, match="without base_url"):
        check_model_args(name, {"model": "m"})


@pytest.mark.parametrize(
    ("name", "args"),
    [
        ("local-chat-completions", {"model": "m", "base_url": "http://host/v1/chat/completions"}),
        (
            "local-chat-completions",
            {"pretrained": "/on/the/server", "base_url": "https://host/some/proxy?api-version=2"},
        ),
        ("openai-chat-completions", {"model": "m"}),
        ("dummy", {"header": "whatever", "base_url": "x"}),
    ],
)
def test_other_addresses_and_other_backends_are_left_alone(name, args):
    check_model_args(name, args)


# --- other arguments ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"num_concurent": 4},
            (
                "num_concurent: --model local-chat-completions knows no such argument; did you "
                "mean num_concurrent?"
            ),
        ),
        ({"max_retires": 4}, "did you mean max_retries?"),
        ({"dataset": "demo"}, "dataset: --model local-chat-completions knows no such argument"),
        ({"num_concurrent": 0}, "num_concurrent=0: expected a whole number from 1"),
        ({"num_concurrent": "many"}, "num_concurrent=many: expected a whole number from 1"),
        ({"num_concurrent": True}, "num_concurrent=True: expected"),
        ({"timeout": 0.5}, "timeout=0.5: expected a whole number from 1"),
        ({"timeout": 0}, "timeout=0: expected"),
        ({"max_retries": -1}, "max_retries=-1: expected a whole number from 0"),
        ({"max_length": "4k"}, "max_length=4k: expected"),
        ({"model": ""}, "without model; expected model=NAME"),
        ({"tokenizer": "./not/there"}, "tokenizer=./not/there: no such folder"),
    ],
)
def test_an_argument_of_a_server_that_means_nothing_is_refused_before_anything_is_written(
    given, said, server, tmp_path
):
    """The harness takes any argument of a server without a word, and so it would become a part of
    what the answers are filed under."""
    with pytest.raises(SafescaleError) as caught:
        runner.run(
            runner.Model("local-chat-completions", arguments(server) | given),
            tmp_path / "runs",
            ["clean"],
        )
    assert said in str(caught.value)
    assert not (tmp_path / "runs").exists()


def test_every_argument_that_the_page_names_is_known(server):
    given = {
        "num_concurrent": 1,
        "timeout": 1,
        "max_retries": 0,
        "max_length": 4096,
        "verify_certificate": False,
        "seed": 7,
    }
    for name in BACKENDS:
        check_model_args(
            name,
            arguments(server, name)
            | given
            | {"ca_cert_path": "x", "tokenized_requests": False, "eos_string": ""},
        )


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_a_file_of_certificates_that_cannot_be_read_is_refused(content, server, tmp_path):
    if content:
        (tmp_path / "ca.pem").write_text(content, encoding="utf-8")
    with pytest.raises(SafescaleError, match=r"ca_cert_path=.*expected a file of certificates"):
        engine(server, ca_cert_path=str(tmp_path / "ca.pem"))


def test_chat_completions_without_a_chat_template_are_refused(server):
    ready = ConditionRequests(
        plugins().find("condition", "clean"), arguments(server) | {"dataset": "demo", "draws": 0}
    )
    ready.prepare(
        load_backend("local-chat-completions", arguments(server)), chat_template=False, limit=1
    )
    with pytest.raises(SafescaleError, match="need the chat template"):
        list(engine(server).answer(batches(ready)))
    assert not server.seen


@pytest.mark.parametrize(
    "refusal",
    [fails(401, "wrong key"), fails(403, "wrong key"), fails(429, "insufficient_quota: wrong key")],
)
def test_a_key_that_is_refused_stops_the_run_at_once_and_the_same_command_goes_on(
    refusal, server, waits, tmp_path
):
    model = runner.Model("local-chat-completions", arguments(server, num_concurrent=1))
    options: dict[str, Any] = {"metadata": {"dataset": "demo", "draws": 1}, "limit": 4}
    server.answer = lambda seen: refusal
    with pytest.raises(SafescaleError, match=r"OPENAI_API_KEY.*the same command again.*wrong key"):
        runner.run(model, tmp_path / "runs", ["clean"], **options)
    assert len(server.seen) <= 2
    server.answer = text
    report = runner.run(model, tmp_path / "runs", ["clean"], **options)
    assert (report.standing.done, report.failures, report.damaged) == (8, {}, 0)


# --- a whole run ----------------------------------------------------------------------------------


def test_a_run_keeps_what_was_answered_and_asks_the_rest_again(server, waits, tmp_path):
    """A server that is broken for some requests: the same command asks those again, and no
    others."""
    model = runner.Model("local-chat-completions", arguments(server, max_retries=0))
    options: dict[str, Any] = {"metadata": {"dataset": "demo", "draws": 3}, "limit": 4}
    server.answer = lambda seen: (
        fails(500) if seen.body["seed"] % 2 and seen.body["temperature"] else text(seen)
    )
    first = runner.run(model, tmp_path / "runs", ["clean"], **options)
    failed = first.standing.failed
    assert failed
    server.seen.clear()
    server.answer = text
    second = runner.run(model, tmp_path / "runs", ["clean"], **options)
    assert (len(server.seen), second.standing.done, second.failures) == (failed, failed, {})
    assert second.runs.answers["status"].to_list() == ["ok"] * 16


# --- the page -------------------------------------------------------------------------------------


def test_the_page_states_the_defaults_that_are_in_force(server):
    page = (Path(__file__).resolve().parents[2] / "docs" / "servers.md").read_text(encoding="utf-8")
    rows = [
        [cell.strip(" `") for cell in line.split("|")[1:3]]
        for line in page.splitlines()
        if line.startswith("| `")
    ]
    stated = {name: default for name, default in rows if default.isdigit()}
    args = {"model": "m", "base_url": f"{server.base_url}/chat/completions"}
    backend = load_backend("local-chat-completions", with_defaults("local-chat-completions", args))
    assert stated == {
        "num_concurrent": str(backend._concurrent),
        "timeout": str(backend.timeout),
        "max_retries": str(backend.max_retries),
        "max_length": str(backend.max_length + 1),
        "seed": str(backend._seed),
    }
    assert f"After {asking.FAILURES_IN_A_ROW} requests" in page
    assert f"at most {http.LONGEST_WAIT:g}." in page
    assert "(400, 413, 422)" in page
    assert {
        status for status in range(300, 600) if kind_of_status(status) is FailureKind.REFUSED
    } == {400, 413, 422}
