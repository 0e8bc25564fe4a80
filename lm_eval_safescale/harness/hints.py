"""What to do about a refusal that servers are known for: they name a parameter, and not the way on.
It asks nobody.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from lm_eval_safescale.failures import Failure, FailureKind
from lm_eval_safescale.harness import backends

NO = (
    r"(not|n't|un|in)[ -]?(be )?(support|allow|permit|enabl|recogni|accept|valid)|\bonly\b|unknown"
    r"|unexpected|forbidden|deprecated"
)
"""Ways to say that something is refused."""
SYSTEM = r"(system|developer)['\"` _]*(role|message|prompt|instruction|turn)"


REFUSING = (400, 404, 422)
"""Statuses by which a server says that it does not take what stands in a request."""


def _refused(*what: str) -> re.Pattern[str]:
    """Any of these in what a server says."""
    return re.compile("|".join(what), re.IGNORECASE | re.DOTALL)


def _parameter(name: str) -> re.Pattern[str]:
    """The refusal of a parameter, in whatever order."""
    return _refused(rf"\b{name}\b.*({NO})", rf"({NO}).*\b{name}\b")


class Refusal(NamedTuple):
    """How a server says that it does not take something, and what to do."""

    says: re.Pattern[str]
    advice: str


REFUSALS = (
    Refusal(
        _refused(
            rf"{SYSTEM}.*({NO})",
            rf"({NO}).*{SYSTEM}",
            r"role.{0,40}\bsystem\b",
            r"system.{0,5} is not one of",
            "roles must alternate",
        ),
        (
            'a model without a system turn: give a prompt file with system: "", '
            'whose user turn holds the instruction (--metadata \'{"prompt_file": "prompt.yaml"}\')'
        ),
    ),
    Refusal(
        _parameter("temperature"),
        (
            "a model that allows one temperature only: --metadata '{\"accept_temperature\": 1}'; "
            "greedy answers are then samples too, and every table says so"
        ),
    ),
    Refusal(
        _parameter("seed"),
        "--metadata '{\"send_seed\": false}' sends no seed; the draws can then not be repeated",
    ),
    Refusal(
        _refused("api[- ]version", "DeploymentNotFound", "deployment for this resource"),
        (
            "Azure: base_url=https://RESOURCE.openai.azure.com/openai/v1/chat/completions with "
            "model=DEPLOYMENT needs no api-version"
        ),
    ),
)
LIMITS = (
    Refusal(
        _refused(rf"max_tokens\b.{{0,60}}({NO}).*max_completion_tokens"),
        (
            "it wants max_completion_tokens: --model openai-chat-completions with the same "
            "base_url sends that (with OPENAI_API_KEY set, to anything where the server wants no "
            "key)"
        ),
    ),
    Refusal(
        _parameter("max_completion_tokens"),
        "it wants max_tokens: --model local-chat-completions with the same base_url sends that",
    ),
)
"""The token limit under another name: first what is said of `max_tokens`, then of
`max_completion_tokens`."""


OF_CONNECTION = {
    FailureKind.UNTRUSTED: (
        "a certificate of an authority that this machine does not know: --model_args "
        "ca_cert_path=FILE (PEM), or verify_certificate=False in a network that you trust"
    ),
    FailureKind.NOT_TLS: (
        "the server does not speak TLS: base_url begins with http://, not https://"
    ),
}


def advice_on(failure: Failure, backend: Any) -> str:
    """What to do about a failure; empty where nothing is known.

    Parameters
    ----------
    backend
        The harness's model object that sent the request.
    """
    if failure.status not in REFUSING:
        return OF_CONNECTION.get(failure.kind, "")
    of_limit = LIMITS["OpenAIChatCompletion" in backends.classes(type(backend))]
    return next(
        (refusal.advice for refusal in (of_limit, *REFUSALS) if refusal.says.search(failure.said)),
        "",
    )
