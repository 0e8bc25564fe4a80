"""A harness model as a chat model: its template, its window, its batches, and what it cannot do."""

from __future__ import annotations

import os

import pytest

from lm_eval_safescale.chat import ChatRequest, Endpoint, Message
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.harness.chat import HarnessChat, load_chat_model

from .stub import StubLM


def requests(*prompts: str, max_tokens: int = 20) -> list[ChatRequest]:
    return [ChatRequest((Message("user", prompt),), max_tokens) for prompt in prompts]


def words(prompt: str, arguments: dict, draw: int) -> str:
    return f"reply to {prompt}"


def test_a_conversation_goes_through_the_chat_template_and_is_asked_greedily():
    lm = StubLM(words)
    (reply,) = [
        reply for _, reply in HarnessChat(lm, about={}).chat(requests("What?", max_tokens=7))
    ]
    assert reply.text == "reply to <system></system><user>What?</user><assistant>"
    ((prompt, arguments),) = lm.requests
    assert prompt == "<system></system><user>What?</user><assistant>"
    assert arguments == {"until": [], "do_sample": False, "temperature": 0.0, "max_gen_toks": 7}
    assert (reply.prompt_tokens, reply.completion_tokens) == (1, 3)


def test_each_request_has_its_own_limit_and_its_reply_its_number():
    lm = StubLM(lambda prompt, arguments, draw: f"{arguments['max_gen_toks']}")
    asked = [ChatRequest((Message("user", "same"),), limit) for limit in (5, 9, 5)]
    replies = dict(HarnessChat(lm, about={}, batch=2).chat(asked))
    assert {number: reply.text for number, reply in replies.items()} == {0: "5", 1: "9", 2: "5"}


def test_replies_come_a_batch_at_a_time():
    lm = StubLM(words)
    coming = HarnessChat(lm, about={}, batch=2).chat(requests("a", "b", "c"))
    next(coming)
    assert len(lm.requests) == 2
    assert [number for number, _ in coming] == [1, 2]
    assert len(lm.requests) == 3


class Untemplated(StubLM):
    def apply_chat_template(self, chat_history, add_generation_prompt=True):
        raise ValueError("no template here")


def test_a_model_without_a_template_gets_plain_text_and_the_record_says_so():
    model = HarnessChat(Untemplated(words), about={"backend": "stub"})
    assert model.about == {"backend": "stub", "chat_template": False}
    assert [reply.text for _, reply in model.chat(requests("What?"))] == ["reply to What?\n"]
    assert HarnessChat(StubLM(), about={}).about == {"chat_template": True}


def test_the_window_and_the_tokens_of_a_prompt_are_the_model_s_own():
    class Windowed(StubLM):
        tokenized_requests = True

    model = HarnessChat(Windowed(max_length=50), about={})
    assert model.window == 50
    assert model.tokens([Message("user", "one two three")]) == 3


class Failing(StubLM):
    def generate_until(self, requests, disable_tqdm=False):
        raise RuntimeError("CUDA out of memory\nmore")


def test_a_model_that_fails_is_said_with_what_can_be_done():
    with pytest.raises(
        SafescaleError,
        match=r"RuntimeError: CUDA out of memory; what was written .* lower --batch_size",
    ):
        list(HarnessChat(Failing(), about={}).chat(requests("What?")))


def test_a_reply_that_the_backend_does_not_give_is_an_error_of_its_own():
    replies = dict(HarnessChat(StubLM(lambda *_: None), about={}).chat(requests("What?")))
    assert replies[0].text is None
    assert "gave nothing" in replies[0].error


@pytest.mark.parametrize(
    ("name", "args", "said"),
    [
        ("no_such", "", "no_such"),
        ("hf", "pretrained=/no/such/model", "pretrained=/no/such/model: no such folder"),
        ("endpoint", "base_url=http://localhost/v1", "needs a value for model"),
        ("endpoint", "base_url=http://localhost/v1,model=m,api_key=123", "OPENAI_API_KEY"),
        ("endpoint", "base_url=http://localhost/v1,model=m,API_KEY=123", "OPENAI_API_KEY"),
        ("endpoint", "base_url=http://localhost/v1,model=m,speed=3", "no setting speed"),
        ("endpoint", "base_url=localhost,model=m", "expected for example http://"),
        ("endpoint", "base_url=http://localhost/v1,model=m,concurrency=0", "concurrency = 0"),
    ],
)
def test_a_model_that_cannot_be_had_is_said(name, args, said):
    with pytest.raises(SafescaleError, match=said):
        load_chat_model(name, args)


def test_an_endpoint_is_made_from_its_arguments():
    model = load_chat_model("endpoint", "base_url=http://localhost:9/v1/,model=some/model,seed=7")
    assert isinstance(model, Endpoint)
    assert model.about == {
        "backend": "endpoint",
        "base_url": "http://localhost:9/v1",
        "model": "some/model",
        "seed": 7,
    }


def test_vllm_is_told_to_put_its_batches_together_in_the_same_way_each_time(monkeypatch):
    monkeypatch.setattr("lm_eval_safescale.harness.loading.get_model", lambda name: StubLM)
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "1")
    load_chat_model("vllm", "pretrained=x")
    assert os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "1"  # whoever sets it, means it
    monkeypatch.delenv("VLLM_ENABLE_V1_MULTIPROCESSING")
    load_chat_model("hf", "pretrained=x")
    assert "VLLM_ENABLE_V1_MULTIPROCESSING" not in os.environ
    load_chat_model("vllm", "pretrained=x")
    assert os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"
    monkeypatch.delenv("VLLM_ENABLE_V1_MULTIPROCESSING")


def test_a_record_says_the_model_s_arguments_but_no_secret(monkeypatch):
    monkeypatch.setattr("lm_eval_safescale.harness.loading.get_model", lambda name: StubLM)
    model = load_chat_model(
        "dummy",
        "token=hf_abc,my_API_KEY=123,header=Bearer,base_url=http://me:pw@host/v1,pretrained=x",
        batch_size="3",
    )
    assert model.about["model_args"] == {
        "token": "***", "my_API_KEY": "***", "header": "***", "base_url": "http://***@host/v1",
        "pretrained": "x",
    }  # fmt: skip
    assert model.batch == 12
