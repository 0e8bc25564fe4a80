"""What is sent to a server is what was asked, and what is recorded is what was sent: `lm_eval` and
`safescale run` on a stub server.
"""

from __future__ import annotations

import json
import threading
from typing import Any

import lm_eval.models  # noqa: F401 (registers the backends)
import pytest
from lm_eval import simple_evaluate
from lm_eval.api.instance import Instance
from lm_eval.models.openai_completions import LocalChatCompletion

from lm_eval_safescale.chat import ChatRequest, Message
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.harness import payloads
from lm_eval_safescale.harness.chat import load_chat_model
from lm_eval_safescale.harness.loading import load_backend
from lm_eval_safescale.harness.payloads import payload_of
from lm_eval_safescale.running import runner
from tests.harness.conftest import manager
from tests.harness.stub import StubLM
from tests.stub_server import Seen, Stub, fails, says

for _package in ("aiohttp", "tenacity", "httpx"):
    pytest.importorskip(_package)

OPENAI, LOCAL = "openai-chat-completions", "local-chat-completions"
MISTAKEN = [
    "gpt-3.5-turbo",
    "Qwen2.5-72B-Instruct",
    "o3-mini",
    "gpt-5.1",
    "my-o1-clone",
    "claude-4-5",
]
"""Names that hold o1, o3, o4 or the character 5: the harness sends temperature 1 and no stop
sequence for every one of them."""


@pytest.fixture(autouse=True)
def _environment(monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")


def args_of(stub: Stub, model: str, **given: Any) -> dict[str, Any]:
    return {
        "model": model,
        "base_url": f"{stub.base_url}/chat/completions",
        "num_concurrent": 2,
        "max_retries": 1,
        **given,
    }


def stock(
    stub: Stub,
    backend: str,
    model: str,
    *,
    args: Any = None,
    gen_kwargs: Any = None,
    limit: int = 2,
    **metadata: Any,
) -> Any:
    arguments = args_of(stub, model, **(args or {}))
    return simple_evaluate(
        model=backend,
        model_args=arguments,
        tasks=["radsafe_clean"],
        task_manager=manager(arguments | {"dataset": "demo", "draws": 2} | metadata),
        apply_chat_template=True,
        gen_kwargs=gen_kwargs,
        limit=limit,
        bootstrap_iters=0,
    )


def ours(
    stub: Stub, backend: str, model: str, folder: Any, *, limit: int = 2, **metadata: Any
) -> runner.Report:
    return runner.run(
        runner.Model(backend, args_of(stub, model)),
        folder,
        ["clean"],
        metadata={"dataset": "demo", "draws": 2} | metadata,
        limit=limit,
    )


@pytest.fixture(params=["lm_eval", "safescale run"])
def ask(request, server, tmp_path):
    """Ask a stub server in either way."""

    def ask(backend: str, model: str, **metadata: Any) -> Any:
        if request.param == "lm_eval":
            return stock(server, backend, model, **metadata)
        return ours(server, backend, model, tmp_path / "runs", **metadata)

    return ask


# --- a difference stops the run -------------------------------------------------------------------


@pytest.mark.parametrize("model", MISTAKEN)
def test_a_temperature_that_nobody_asked_for_stops_the_run_before_any_request(model, ask, server):
    with pytest.raises(SafescaleError) as refused:
        ask(OPENAI, model)
    said = str(refused.value)
    assert "temperature: 0 asked for, 1 would be sent" in said
    assert "temperature: 0.7 asked for, 1 would be sent" in said
    assert (
        "--model local-chat-completions --model_args "
        f"model={model},base_url={server.base_url}/chat/completions"
    ) in said
    assert '{"accept_temperature": 1}' in said
    assert "seed" not in said
    assert not server.seen


def test_the_way_on_for_a_name_that_misled_the_harness_leads_on(ask, server):
    ask(LOCAL, "gpt-3.5-turbo")
    assert {seen.body["temperature"] for seen in server.seen} == {0, 0.7}
    assert all(seen.body["stop"] for seen in server.seen)


def test_an_accepted_temperature_is_that_of_every_request(ask, server):
    ask(OPENAI, "o3-mini", accept_temperature=1)
    assert {seen.body["temperature"] for seen in server.seen} == {1}
    assert len(server.seen) == 2 * 3


def test_an_accepted_temperature_that_the_harness_does_not_send_stops_the_run_too(ask, server):
    with pytest.raises(SafescaleError, match=r"temperature: 0\.6 asked for, 1 would be sent"):
        ask(OPENAI, "o3-mini", accept_temperature=0.6)
    assert not server.seen


def test_a_model_that_the_harness_asks_as_it_is_told_is_asked(ask, server):
    ask(OPENAI, "gpt-4o")
    assert {seen.body["temperature"] for seen in server.seen} == {0, 0.7}
    assert {seen.body["max_completion_tokens"] for seen in server.seen} == {10}


class _Otherwise(LocalChatCompletion):
    """A backend that changes one parameter on its way."""

    change: dict[str, Any] = {}  # noqa: RUF012

    def _create_payload(self, *args: Any, **kwargs: Any) -> dict:
        made = super()._create_payload(*args, **kwargs) | self.change
        return {name: value for name, value in made.items() if value != "LEFT OUT"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"temperature": "LEFT OUT"}, "temperature: 0.7 asked for, nothing would be sent"),
        ({"max_tokens": 16}, "max_tokens: 10 asked for, 16 would be sent"),
        ({"max_tokens": "LEFT OUT"}, "max_tokens: 10 asked for, nothing would be sent"),
        ({"max_completion_tokens": 9}, "max_completion_tokens: 10 asked for, 9 would be sent"),
        ({"seed": 7}, "seed: 1235 asked for, 7 would be sent"),
        ({"seed": "LEFT OUT"}, "seed: 1234 asked for, nothing would be sent"),
        ({"n": 2}, "n: 1 asked for, 2 would be sent"),
        ({"stop": ["\n\n"]}, r"stop: ('<|im_end|>',) asked for, ('\n\n',) would be sent"),
    ],
)
def test_each_parameter_is_compared(change, said, server):
    backend = _Otherwise(**args_of(server, "m"))
    backend.change = change
    with pytest.raises(SafescaleError) as refused:
        simple_evaluate(
            model=backend,
            tasks=["radsafe_clean"],
            task_manager=manager({"dataset": "demo", "draws": 1}),
            apply_chat_template=True,
            limit=1,
        )
    assert said in str(refused.value)
    assert len([line for line in str(refused.value).splitlines() if "would be sent" in line]) <= 2
    assert "-> " in str(refused.value)
    assert not server.seen


@pytest.mark.parametrize(
    "change", [{}, {"stop": "LEFT OUT"}, {"stop": ["<|endoftext|>"]}, {"user": "someone"}]
)
def test_what_changes_no_answer_stops_nothing(change, server):
    """Our own stop sequence stands in no answer, so it may be left out; an end-of-text mark ends
    none."""
    backend = _Otherwise(**args_of(server, "m", eos_string="<|endoftext|>"))
    backend.change = change
    payloads.check(
        backend,
        [(backend.apply_chat_template([{"role": "user", "content": "?"}]), GREEDY)],
        stop="<|im_end|>",
    )


GREEDY = {"until": ["<|im_end|>"], "max_gen_toks": 10, "do_sample": False, "temperature": 0.0}


def test_stop_sequences_of_the_user_that_a_backend_leaves_out_stop_the_run(server):
    with pytest.raises(
        SafescaleError,
        match=r"stop: \('a', 'b', 'c', 'd', 'e'\) asked for, \('a', 'b', 'c', 'd'\) would be sent",
    ):
        stock(server, LOCAL, "m", gen_kwargs={"until": ["a", "b", "c", "d", "e"]})
    with pytest.raises(SafescaleError, match=r"stop: \('a',\) asked for, nothing would be sent"):
        stock(server, OPENAI, "o3", gen_kwargs={"until": ["a"]}, accept_temperature=1)
    assert not server.seen


def test_other_generation_arguments_leave_as_they_were_given(server):
    stock(server, LOCAL, "m", gen_kwargs={"top_p": 0.9}, limit=1)
    assert {seen.body["top_p"] for seen in server.seen} == {0.9}
    backend = _Otherwise(**args_of(server, "m"))
    backend.change = {"top_p": 1}
    prompt = backend.apply_chat_template([{"role": "user", "content": "?"}])
    with pytest.raises(SafescaleError, match=r"top_p: 0\.9 asked for, 1 would be sent"):
        payloads.check(backend, [(prompt, GREEDY | {"top_p": 0.9})], stop="<|im_end|>")


def test_the_check_looks_at_the_very_payload_that_leaves(server):
    """A second way to it: what the backend itself posts for the same request."""
    backend = load_backend(LOCAL, args_of(server, "m", num_concurrent=1))
    prompt = backend.apply_chat_template([{"role": "user", "content": "?"}])
    backend.generate_until(
        [Instance("generate_until", {}, (prompt, dict(GREEDY)), 0)], disable_tqdm=True
    )
    assert payload_of(backend, prompt, GREEDY) == server.seen[0].body


def test_a_backend_that_sends_the_same_whatever_is_asked_is_refused():
    class GGUFLM:
        model = "m"

    sampled = GREEDY | {"do_sample": True, "temperature": 0.7}
    with pytest.raises(
        SafescaleError,
        match=r"temperature: 0\.7 asked for, 0 would be sent\n.*max_tokens: 10 asked for, nothing",
    ):
        payloads.check(GGUFLM(), [("?", sampled)], stop="<|im_end|>")


# --- what the results say -------------------------------------------------------------------------


def test_results_of_an_accepted_temperature_say_so(server, warnings):
    results = stock(server, OPENAI, "o3-mini", accept_temperature=1)
    assert results["results"]["radsafe_clean"]["alias"] == "radsafe_clean (DEMO, sampled at 1)"
    settings = results["configs"]["radsafe_clean"]["metadata"]["safescale"]["settings"]
    assert (settings["temperature"], settings["accept_temperature"]) == (1.0, 1.0)
    assert any("sampled at 1: greedy answers are samples too" in said for said in warnings)
    for sample in results["samples"]["radsafe_clean"]:
        assert {generation["temperature"] for _, generation in sample["arguments"]} == {1.0}


def test_runs_of_an_accepted_temperature_say_so(server, tmp_path):
    about = ours(server, OPENAI, "o3-mini", tmp_path / "runs", accept_temperature=1).runs.about
    settings = about["models"]["o3-mini"]["settings"]
    assert (settings["temperature"], settings["accept_temperature"]) == (1.0, 1.0)


def test_answers_at_an_accepted_temperature_do_not_mix_with_others(server, tmp_path):
    ours(server, OPENAI, "gpt-4o", tmp_path / "runs", temperature=1)
    with pytest.raises(SafescaleError, match=r"settings.accept_temperature: there null, now 1\.0"):
        ours(server, OPENAI, "gpt-4o", tmp_path / "runs", accept_temperature=1)


def test_a_model_on_this_machine_takes_any_temperature(run):
    for setting in ({"accept_temperature": 1}, {"send_seed": False}):
        with pytest.raises(SafescaleError, match="is for models behind a server"):
            run(lm=StubLM(), metadata=setting)


# --- seeds ----------------------------------------------------------------------------------------


def forbids_seeds(seen: Seen) -> Any:
    """As a server does that knows no such name, whatever its value."""
    return (
        fails(422, "body.seed: Extra inputs are not permitted")
        if "seed" in seen.body
        else says("C")
    )


def test_a_server_that_forbids_seeds_gets_none(ask, server):
    server.answer = forbids_seeds
    ask(LOCAL, "m", send_seed=False)
    assert len(server.seen) == 2 * 3
    assert not any("seed" in seen.body for seen in server.seen)


def test_answers_without_a_seed_have_none_and_the_results_say_that_they_cannot_be_repeated(
    server, tmp_path
):
    runs = ours(server, LOCAL, "m", tmp_path / "runs", send_seed=False).runs
    assert runs.answers["seed"].null_count() == runs.answers.height
    assert runs.about["models"]["m"]["settings"]["send_seed"] is False
    results = stock(server, LOCAL, "m", send_seed=False)
    assert results["results"]["radsafe_clean"]["alias"] == "radsafe_clean (DEMO, no seed sent)"


def test_all_draws_arrive_however_they_are_asked(server):
    """Without seeds the K samples are one request, repeated."""
    texts, lock = iter("ABCDABCD" * 9), threading.Lock()

    def next_letter(seen: Seen) -> Any:
        with lock:
            return says(next(texts))

    server.answer = next_letter
    results = stock(server, LOCAL, "m", send_seed=False, draws=3)
    for sample in results["samples"]["radsafe_clean"]:
        assert [len(texts) for texts in sample["resps"]] == [1, 3]


def test_without_its_backend_a_task_cannot_leave_the_seed_out(server):
    arguments = args_of(server, "m", tokenizer_backend="none") | {
        "base_url": f"{server.base_url}/completions"
    }
    with pytest.raises(SafescaleError, match="safescale run can leave it out"):
        simple_evaluate(
            model="local-completions", model_args=arguments, tasks=["radsafe_clean"], limit=1,
            bootstrap_iters=0,
            task_manager=manager(arguments | {"dataset": "demo", "draws": 1, "send_seed": False}),
        )  # fmt: skip
    assert not server.seen


def test_a_seed_that_a_backend_does_not_send_is_not_recorded(server, tmp_path, monkeypatch):
    """Anthropic's servers take none."""
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-0123456789")
    reply = {"content": [{"type": "text", "text": "C"}], "model": "claude-x", "usage": {}}
    server.answer = lambda seen: lambda handler: _send(handler, reply)
    arguments = {"model": "claude-x", "base_url": f"{server.base_url}/messages"}
    runs = runner.run(
        runner.Model("anthropic-chat-completions", arguments),
        tmp_path / "runs",
        ["clean"],
        metadata={"dataset": "demo", "draws": 2},
        limit=1,
    ).runs
    assert not any("seed" in seen.body for seen in server.seen)
    assert runs.answers["seed"].null_count() == 3
    assert runs.about["models"]["claude-x"]["settings"]["send_seed"] is False


def _send(handler: Any, reply: Any) -> None:
    from tests.stub_server import sends

    sends(json.dumps(reply).encode())(handler)


# --- judges and writers of reports ----------------------------------------------------------------


@pytest.mark.parametrize(("backend", "recorded"), [(OPENAI, 1.0), (LOCAL, None)])
def test_a_judge_that_is_asked_at_another_temperature_than_0_has_it_in_its_record(
    backend, recorded, server, caplog
):
    args = f"model=o3-mini,base_url={server.base_url}/chat/completions"
    model = load_chat_model(backend, args)
    list(model.chat([ChatRequest((Message("user", "?"),), 5)]))
    assert model.about.get("temperature") == recorded
    assert server.seen[0].body["temperature"] == (recorded or 0)
    assert ("o3-mini is asked at temperature 1, not at 0" in caplog.text) == bool(recorded)
