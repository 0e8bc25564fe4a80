"""The harness's OpenAI-compatible backends, for real, against a small server on this machine."""

from __future__ import annotations

import lm_eval.models  # noqa: F401 (registers the backends)
import pytest
from lm_eval import simple_evaluate

from tests.harness.conftest import manager
from tests.stub_server import Answer, Seen, Stub, chooses

pytest.importorskip("aiohttp")
pytest.importorskip("tenacity")


@pytest.fixture
def server(server):
    """Answers by seed alone, as a server does that honours it."""

    def answer(seen: Seen) -> Answer:
        text = "B" if seen.body["temperature"] == 0 else "ABCD"[seen.body["seed"] % 4]
        content = None if text == "D" else text  # as where the reasoning used up the token limit
        return chooses(
            {"message": {"content": content}} if "messages" in seen.body else {"text": text}
        )

    server.answer = answer
    return server


def payloads(server: Stub) -> list[dict]:
    return [seen.body for seen in server.seen]


def ask(
    server, concurrency=1, model="local-chat-completions", endpoint="chat/completions", **metadata
):
    arguments = {
        "model": "some-model",
        "base_url": f"{server.base_url}/{endpoint}",
        "num_concurrent": concurrency,
        "tokenizer_backend": "none",
    }
    return simple_evaluate(
        model=model,
        model_args=arguments,
        tasks=["radsafe_clean"],
        task_manager=manager(arguments | {"dataset": "demo", "draws": 4} | metadata),
        apply_chat_template="chat" in model,
        limit=3,
        bootstrap_iters=0,
    )


@pytest.mark.parametrize("concurrency", [1, 3])
def test_every_draw_has_a_seed_of_its_own(server, concurrency):
    """The backend sends one fixed seed with all requests; K draws would be one draw K times, and
    confidence always 1."""
    results = ask(server, concurrency)
    sampled = [payload for payload in payloads(server) if payload["temperature"] > 0]
    assert len(payloads(server)) == 3 * 5
    assert sorted({payload["seed"] for payload in sampled}) == [1235, 1236, 1237, 1238]
    for sample in results["samples"]["radsafe_clean"]:
        # in the order of the draws, whatever came back first
        assert sample["resps"] == [["B"], ["", "A", "B", "C"]]
        assert sample["filtered_resps"] == [["B"], ["unanswered", "A", "B", "C"]]
        assert sample["confidence"] < 0.4


def test_content_that_a_server_kept_back_as_reasoning_is_truncated_where_the_user_says_so(server):
    results = ask(server, reasoning="separate")
    assert results["samples"]["radsafe_clean"][0]["filtered_resps"][1][0] == "truncated"


def test_the_system_turn_and_the_question_arrive_as_messages(server):
    ask(server, draws=0)
    roles = [[message["role"] for message in payload["messages"]] for payload in payloads(server)]
    assert roles == [["system", "user"]] * 3
    assert all(payload["max_tokens"] == 10 for payload in payloads(server))


def test_plain_completions_work_too(server):
    ask(server, model="local-completions", endpoint="completions")
    assert sorted(
        {payload["seed"] for payload in payloads(server) if payload["temperature"] > 0}
    ) == [1235, 1236, 1237, 1238]
