"""A server's refusal of a parameter is answered with the way on; other errors are left as they
are.
"""

from __future__ import annotations

import re
import shutil
import ssl
import subprocess
from pathlib import Path

import lm_eval.models  # noqa: F401 (registers the backends)
import pytest
from lm_eval import simple_evaluate

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.failures import Failure, FailureKind, kind_of_status
from lm_eval_safescale.families.choice.family import PROMPT
from lm_eval_safescale.harness.hints import advice_on
from lm_eval_safescale.harness.servers import SURE
from lm_eval_safescale.running import runner
from tests.harness.conftest import manager
from tests.stub_server import fails, says

for _package in ("aiohttp", "tenacity", "httpx"):
    pytest.importorskip(_package)


class LocalChatCompletion:
    """Stands for the harness's class of that name."""


class OpenAIChatCompletion(LocalChatCompletion):
    """The same."""


SYSTEM, TEMPERATURE, SEED = 'system: ""', '"accept_temperature": 1', '"send_seed": false'
REFUSALS = {
    "HTTP 400: System role not supported": SYSTEM,
    "HTTP 400: Developer instruction is not enabled for models/gemma-3-27b-it": SYSTEM,
    (
        "HTTP 400: Unsupported value: 'messages[0].role' does not support 'system' with this model."
    ): SYSTEM,
    "HTTP 400: 'system' is not one of ['user', 'assistant'] - 'messages.0.role'": SYSTEM,
    "HTTP 400: Conversation roles must alternate user/assistant/user/assistant/...": SYSTEM,
    "HTTP 422: this model does not accept system messages": SYSTEM,
    (
        "HTTP 400: Unsupported value: 'temperature' does not support 0 with this model. Only the "
        "default (1) value is supported."
    ): TEMPERATURE,
    "HTTP 400: invalid temperature: only 1 is allowed for this model": TEMPERATURE,
    "HTTP 400: `temperature` may only be set to 1 when thinking is enabled.": TEMPERATURE,
    (
        "HTTP 422: {'detail': [{'type': 'extra_forbidden', 'loc': ['body', 'seed'], "
        "'msg': 'Extra inputs are not permitted'}]}"
    ): SEED,
    "HTTP 400: Unknown parameter: seed": SEED,
    "HTTP 400: property 'seed' is unsupported": SEED,
    (
        "HTTP 400: Unsupported parameter: 'max_tokens' is not supported with this model. Use "
        "'max_completion_tokens' instead."
    ): ("--model openai-chat-completions"),
    (
        "HTTP 404: {'code': 'DeploymentNotFound', "
        "'message': 'The API deployment for this resource does not exist.'}"
    ): "openai/v1",
    "HTTP 400: Missing required query parameter: api-version": "openai/v1",
}


def refusal(said):
    """As `chat.http` makes it of a response."""
    _, status, words = said.split(maxsplit=2)
    number = int(status.rstrip(":"))
    return Failure(kind_of_status(number), said, number, words)


@pytest.mark.parametrize(("said", "way"), REFUSALS.items())
def test_a_refused_parameter_is_answered_with_the_way_on(said, way):
    assert way in advice_on(refusal(said), LocalChatCompletion())


@pytest.mark.parametrize(
    ("kind", "way"),
    {FailureKind.UNTRUSTED: "ca_cert_path=", FailureKind.NOT_TLS: "http://"}.items(),
)
def test_a_connection_that_fails_for_tls_is_answered_with_the_way_on(kind, way):
    assert way in advice_on(Failure(kind, "ConnectError: of whatever words"), LocalChatCompletion())


def test_the_token_limit_may_be_wanted_under_either_name():
    said = "HTTP 422: body.max_completion_tokens: Extra inputs are not permitted"
    assert "--model local-chat-completions" in advice_on(refusal(said), OpenAIChatCompletion())
    assert advice_on(refusal(said), LocalChatCompletion()) == ""


@pytest.mark.parametrize(
    "said",
    [
        (
            "HTTP 400: This model's maximum context length is 4096 tokens. However, your request "
            "has 5120 input tokens."
        ),
        (
            "HTTP 400: 'max_tokens' or 'max_completion_tokens' is too large: 4096. This model's "
            "maximum context length is 4096 tokens"
        ),
        (
            "HTTP 400: The response was filtered due to the prompt triggering our content "
            "management policy"
        ),
        "HTTP 404: The model `gpt-x` does not exist",
        "HTTP 500: temperature of the machine is not supported",
        "HTTP 503: seed server unknown",
    ],
)
def test_other_refusals_have_no_advice(said):
    assert (
        advice_on(refusal(said), LocalChatCompletion())
        == advice_on(refusal(said), OpenAIChatCompletion())
        == ""
    )


@pytest.mark.parametrize("kind", [FailureKind.UNREACHABLE, FailureKind.TIMED_OUT])
def test_what_our_own_message_says_has_no_advice(kind):
    """The kind decides, and the words of the server."""
    said = "HTTP 400: certificate verify failed, wrong version number, temperature not supported"
    assert advice_on(Failure(kind, said), LocalChatCompletion()) == ""


# --- a run on a picky server ----------------------------------------------------------------------


def picky(*, refuses: object, says_so: str, status: int = 400):
    """Refuses a request for what stands in it."""
    return lambda seen: fails(status, says_so) if refuses(seen.body) else says("C")  # type: ignore[operator]


PICKY = {
    "no system turn": (
        picky(
            refuses=lambda body: body["messages"][0]["role"] == "system",
            says_so="System role not supported",
        ),
        'system: ""',
    ),
    "one temperature": (
        picky(
            refuses=lambda body: body["temperature"] != 1,
            says_so="Unsupported value: 'temperature' does not support 0",
        ),
        '"accept_temperature": 1',
    ),
    "no seed": (
        picky(
            refuses=lambda body: "seed" in body,
            says_so="seed: Extra inputs are not permitted",
            status=422,
        ),
        '"send_seed"',
    ),
    "another name of the limit": (
        picky(
            refuses=lambda body: "max_tokens" in body,
            says_so=(
                "Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                "'max_completion_tokens' instead."
            ),
        ),
        "--model openai-chat-completions with the same base_url",
    ),
}
WAYS = {
    "no system turn": ("local-chat-completions", {"prompt_file": "prompt.yaml"}),
    "one temperature": ("local-chat-completions", {"accept_temperature": 1}),
    "no seed": ("local-chat-completions", {"send_seed": False}),
    "another name of the limit": ("openai-chat-completions", {}),
}


@pytest.fixture
def ask(server, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).resolve().parents[2] / "docs" / "servers.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "prompt.yaml").write_text(example, encoding="utf-8")
    args = {
        "model": "m",
        "base_url": f"{server.base_url}/chat/completions",
        "max_retries": 0,
        "num_concurrent": 2,
    }

    def ask(backend="local-chat-completions", **metadata):
        model = runner.Model(backend, args)
        return runner.run(
            model,
            tmp_path / "runs",
            ["closed_book", "clean"],
            metadata={"dataset": "demo", "draws": 1} | metadata,
            limit=9,
        )

    return ask


@pytest.mark.parametrize("kind", PICKY)
def test_a_run_stops_at_once_with_the_way_on_and_the_way_leads_on(kind, ask, server):
    server.answer, way = PICKY[kind]
    with pytest.raises(SafescaleError) as stopped:
        ask()
    assert str(stopped.value).startswith("the server takes no request: HTTP 4")
    assert way in str(stopped.value)
    assert len(server.seen) <= SURE + 2
    backend, metadata = WAYS[kind]
    report = ask(backend, **metadata)
    assert (report.failures, report.runs.answers["status"].unique().to_list()) == ({}, ["ok"])


def test_a_refusal_of_one_request_alone_stops_no_run_and_has_its_advice(ask, server):
    """Say the text of a question is what is refused."""
    server.answer = lambda seen: (
        fails(400, "temperature is not valid here") if seen.number == 4 else says("C")
    )
    report = ask()
    ((_, items),) = report.failures.items()
    (why,) = items.values()
    assert why.startswith("HTTP 400: ")
    assert '"accept_temperature": 1' in why


def test_the_prompt_file_of_the_page_leaves_no_system_turn_and_loses_no_instruction(ask, server):
    ask(prompt_file="prompt.yaml")
    for seen in server.seen:
        (turn,) = seen.body["messages"]
        assert turn["role"] == "user"
        assert " ".join(PROMPT.system.split()) in " ".join(turn["content"].split())
        assert turn["content"].endswith("Answer:")


def test_stock_lm_eval_sends_no_system_turn_either(ask, server, tmp_path):
    args = {"model": "m", "base_url": f"{server.base_url}/chat/completions"}
    simple_evaluate(
        model="local-chat-completions",
        model_args=args,
        tasks=["radsafe_clean"],
        apply_chat_template=True,
        limit=2,
        bootstrap_iters=0,
        task_manager=manager(
            args | {"dataset": "demo", "draws": 1, "prompt_file": str(tmp_path / "prompt.yaml")}
        ),
    )
    assert [[turn["role"] for turn in seen.body["messages"]] for seen in server.seen] == [
        ["user"]
    ] * 4


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate")
def test_a_certificate_that_nobody_vouches_for_is_said_with_what_to_do(ask, server, tmp_path):
    pair = tmp_path / "server.pem"
    command = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        pair,
        "-out",
        tmp_path / "own.pem",
        "-days",
        "2",
    ]
    subprocess.run(
        [*command, "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "own.pem", pair)
    # shaken hands with in the thread of each connection: one that a stopped run left open would
    # hold up all others
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    server.answer = lambda seen: says("C")
    server.handle_error = lambda *_: None  # a client that hangs up at once
    args = {
        "model": "m",
        "base_url": f"{server.base_url.replace('http', 'https')}/chat/completions",
        "max_retries": 1,
    }

    def ask(**more):
        model = runner.Model("local-chat-completions", args | more)
        return runner.run(
            model, tmp_path / "tls", ["clean"], metadata={"dataset": "demo", "draws": 1}, limit=2
        )

    with pytest.raises(SafescaleError, match="ca_cert_path=FILE") as stopped:
        ask()
    assert "tries" not in str(stopped.value)
    assert ask(ca_cert_path=str(tmp_path / "own.pem")).failures == {}


# --- Azure ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "key", "sent"),
    [
        (
            "openai/deployments/gpt/chat/completions?api-version=2024-10-21",
            "0123456789abcdef",
            {"api-key": "0123456789abcdef"},
        ),
        (
            "openai/deployments/gpt/chat/completions?api-version=2024-10-21",
            "eyJ0eXAi.x.y",
            {"Authorization": "Bearer eyJ0eXAi.x.y"},
        ),
        (
            "openai/v1/chat/completions",
            "0123456789abcdef",
            {"Authorization": "Bearer 0123456789abcdef"},
        ),
    ],
)
def test_a_deployment_of_azure_gets_the_key_in_the_header_that_it_reads(
    path, key, sent, server, monkeypatch, tmp_path
):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    server.answer = lambda seen: says("C")
    address = f"http://127.0.0.1:{server.server_address[1]}/{path}"
    model = runner.Model("local-chat-completions", {"model": "gpt", "base_url": address})
    runner.run(
        model, tmp_path / "runs", ["clean"], metadata={"dataset": "demo", "draws": 0}, limit=1
    )
    (seen,) = server.seen
    assert seen.path == f"/{path}"
    headers = {name.lower(): value for name, value in seen.headers.items()}
    assert {name: headers[name] for name in ("api-key", "authorization") if name in headers} == {
        name.lower(): value for name, value in sent.items()
    }
