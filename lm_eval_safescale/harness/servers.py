"""Servers that the harness asks over the network, asked with its own payloads: answers as they
come, a request for each draw.
"""

from __future__ import annotations

import ssl
import string
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from lm_eval_safescale.chat.finish_reason import has_ended, was_withheld
from lm_eval_safescale.chat.http import LastingError, Response, Server, check_let_in
from lm_eval_safescale.chat.parsing import ParsedReply, parse_reply
from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.failures import FailureKind
from lm_eval_safescale.harness.hints import advice_on
from lm_eval_safescale.harness.payloads import payload_of, seed_in
from lm_eval_safescale.harness.requests import Completion, Request
from lm_eval_safescale.reading.judge import bare_letter
from lm_eval_safescale.records import Status

BACKOFF = 1.0
LETTERS = string.ascii_uppercase
DEPLOYMENT, TOKEN = "/openai/deployments/", "eyJ"
"""In an address of Azure that takes keys in a header of its own, and how what is no key, but a
token of a user or service, begins."""
SURE = 3
"""Requests that are refused for what stands in all of them, after which no other needs to be asked.
One may say so of its own text."""


class ServerEngine:
    """An OpenAI-compatible server, or any other that the harness has a `TemplateAPI` for.

    Payload and header are the harness's; the key comes from the variable that it reads. What is
    made of a response is ours: the harness takes what was withheld, or has no choice or an odd one,
    for an empty text.
    """

    items_at_once = 1
    draws_at_once: int | None = 1

    def __init__(self, backend: Any) -> None:
        if not backend.base_url:
            raise SafescaleError(
                "--model_args without base_url; expected for example "
                "base_url=http://HOST:8000/v1/chat/completions"
            )
        self._backend = backend
        self._header, self._key = _header_of(backend)
        self._verify = _verify_of(backend)
        self._answered, self._refusals = False, 0

    def answer(
        self, batches: Iterable[Sequence[Request]], *, alone: bool = False
    ) -> Iterator[Completion]:
        """Answers as they come; SafescaleError where the server refuses the key."""
        for request, response in self.responses(chain.from_iterable(batches), alone=alone):
            yield _completion(request, response)

    def responses(
        self, requests: Iterable[Request], *, alone: bool = False
    ) -> Iterator[tuple[Request, Response]]:
        """Responses as they come; SafescaleError where the server refuses the key."""
        backend = self._backend
        server = Server(
            backend.base_url,
            {"Content-Type": "application/json", **self._header},
            self._key,
            1 if alone else max(1, backend._concurrent),
            backend.timeout,
            max(0, backend.max_retries),
            BACKOFF,
            self._verify,
        )
        for request, response in server.exchange(self._sent(request) for request in requests):
            check_let_in(response, answered=self._answered, keyed=bool(self._key))
            self._answered |= response.content is not None
            yield request, self._advised(response)

    def _advised(self, response: Response) -> Response:
        """A failure with what to do about it; SafescaleError where it meets every request, because
        of what stands in all of them."""
        failure = response.failure
        advice = advice_on(failure, self._backend) if failure is not None else ""
        if failure is None or not advice:
            return response
        self._refusals += 1
        if not self._answered and self._refusals >= SURE:
            raise SafescaleError(f"the server takes no request: {failure}\n  -> {advice}")
        return replace(response, failure=replace(failure, message=f"{failure}. {advice}"))

    def _sent(self, request: Request) -> tuple[Request, dict[str, Any]]:
        """The request as it leaves, with the seed that is sent: what is recorded of it."""
        payload = payload_of(self._backend, request.prompt, request.generation, request.seed)
        return (request if request.is_greedy else replace(request, seed=seed_in(payload))), payload


def _completion(request: Request, response: Response) -> Completion:
    if (failure := response.failure) is not None:
        if failure.kind is FailureKind.WITHHELD:
            return Completion(request, ("",), failure.message, status=Status.FILTERED)
        return Completion(request, None, failure.message, failure.kind)
    try:
        reply = parse_reply(response)
    except LastingError as error:
        return Completion(request, None, error.failure.message, error.failure.kind)
    return Completion(
        request,
        (reply.text,),
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=(reply.completion_tokens,),
        latency_s=response.seconds,
        concurrency=response.in_flight,
        finish_reasons=(reply.finish_reason,),
        status=_status(reply),
        reasoning_field=reply.reasoning_field,
        served_model=reply.served_model,
        system_fingerprint=reply.system_fingerprint,
        reply_id=reply.reply_id,
    )


def _status(reply: ParsedReply) -> Status | None:
    """What a reply says of itself that its text does not; None where the text is to be read.

    Of a text that a filter cut off, one bare letter is whole, and more may have gone on in any way.
    """
    if was_withheld(reply.finish_reason) and bare_letter(reply.text, LETTERS) is None:
        return Status.FILTERED
    if reply.refused:
        return Status.UNANSWERED
    only_reasons = reply.reasoning_field and not reply.text.strip()
    return Status.TRUNCATED if only_reasons and not has_ended(reply.finish_reason) else None


def _header_of(backend: Any) -> tuple[dict[str, str], str]:
    """What is sent with every request, and the key in it; SafescaleError if there is none where one
    is needed, or it cannot be one."""
    try:
        key, header = str(backend.api_key or "").strip(), dict(backend.header)
    except ValueError as error:  # the harness's, which names the variable
        raise SafescaleError(reason_of(error)) from None
    if not key.isascii() or not key.isprintable():
        raise SafescaleError(
            "the variable that holds the server's key has characters that no key has; set it again"
        )
    sent = {name: str(value).strip() for name, value in header.items()}
    if DEPLOYMENT in backend.base_url and not key.startswith(TOKEN):
        sent = {name: value for name, value in sent.items() if name != "Authorization"} | {
            "api-key": key
        }
    return {name: value for name, value in sent.items() if value not in ("", "Bearer")}, key


def _verify_of(backend: Any) -> bool | ssl.SSLContext:
    """Whether the server's certificate is checked, or by which file; SafescaleError if that cannot
    be read."""
    path = backend.ca_cert_path
    if not path or not backend.verify_certificate:
        return bool(backend.verify_certificate)
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise SafescaleError(
            f"--model_args ca_cert_path={path}: {reason_of(error)}; expected a file of "
            "certificates (PEM)"
        ) from None
