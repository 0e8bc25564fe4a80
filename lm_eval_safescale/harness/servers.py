"""Servers that the harness asks over the network, asked with its own payloads: answers as they come, a request for each draw."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import Any

from lm_eval_safescale.chat.exchange import Response, Server, check_let_in, excerpt, token_counts, unusable, whole
from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.harness.asking import Heard, Request
from lm_eval_safescale.harness.payloads import payload_of, seed_in

BACKOFF = 1.0
REFUSED = ("HTTP 400", "HTTP 413", "HTTP 422")
"""Of one request: a prompt that is too long, or one that a filter holds back."""


class ServerEngine:
    """An OpenAI-compatible server, or any other that the harness has a `TemplateAPI` for.

    Payload, header and what is made of a response are the harness's; the key comes from the variable that it reads.
    """

    items_at_once = 1
    draws_at_once: int | None = 1

    def __init__(self, backend: Any) -> None:
        if not backend.base_url:
            raise SafescaleError(
                "--model_args without base_url; expected for example base_url=http://HOST:8000/v1/chat/completions"
            )
        self._backend = backend
        self._header, self._key = _header_of(backend)
        self._verify = _verify_of(backend)
        self._answered = False

    def answer(self, batches: Iterable[Sequence[Request]], *, alone: bool = False) -> Iterator[Heard]:
        """Answers as they come; SafescaleError where the server refuses the key."""
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
        requests = chain.from_iterable(batches)
        for request, response in server.exchange(self._sent(request) for request in requests):
            check_let_in(response, answered=self._answered, keyed=bool(self._key))
            self._answered |= response.content is not None
            yield self._heard(request, response)

    def _sent(self, request: Request) -> tuple[Request, dict[str, Any]]:
        """The request as it leaves, with the seed that is sent: what is recorded of it."""
        payload = payload_of(self._backend, request.prompt, request.generation, request.seed)
        return (request if request.is_greedy else replace(request, seed=seed_in(payload))), payload

    def _heard(self, request: Request, response: Response) -> Heard:
        if response.content is None:
            return Heard(request, None, response.error, refused=response.error.startswith(REFUSED))
        try:
            parsed = response.parsed()
            (text,) = [""] if _is_empty(parsed) else self._backend.parse_generations(outputs=parsed)
        except _Withheld:
            return Heard(request, None, f"the server's content filter withheld the reply: {excerpt(response.content)}")
        except (ValueError, KeyError, TypeError, AttributeError):
            return Heard(request, None, unusable(response.content, "completion"))
        if not isinstance(text, str):
            return Heard(request, None, f"no text in the reply: {excerpt(response.content)}")
        usage = token_counts(parsed)
        return Heard(
            request,
            (whole(text),),
            prompt_tokens=usage.get("prompt_tokens"),
            completion_tokens=(usage.get("completion_tokens"),),
            latency_s=response.seconds,
            concurrency=response.in_flight,
        )


class _Withheld(Exception):
    """The server did not let the reply through."""


def _header_of(backend: Any) -> tuple[dict[str, str], str]:
    """What is sent with every request, and the key in it; SafescaleError if there is none where one is needed, or it cannot be one."""
    try:
        key, header = str(backend.api_key or "").strip(), dict(backend.header)
    except ValueError as error:  # the harness's, which names the variable
        raise SafescaleError(reason_of(error)) from None
    if not key.isascii() or not key.isprintable():
        raise SafescaleError("the variable that holds the server's key has characters that no key has; set it anew")
    sent = {name: str(value).strip() for name, value in header.items()}
    return {name: value for name, value in sent.items() if value not in ("", "Bearer")}, key


def _verify_of(backend: Any) -> bool | ssl.SSLContext:
    """Whether the server's certificate is checked, or by which file; SafescaleError if that cannot be read."""
    path = backend.ca_cert_path
    if not path or not backend.verify_certificate:
        return bool(backend.verify_certificate)
    try:
        return ssl.create_default_context(cafile=path)
    except OSError as error:
        raise SafescaleError(
            f"--model_args ca_cert_path={path}: {reason_of(error)}; expected a file of certificates (PEM)"
        ) from None


def _is_empty(parsed: Any) -> bool:
    """Whether a server says that the output is empty; KeyError, TypeError or the like where it says nothing that can be used.

    The harness would read an empty output into a response without one, and into one whose only choice has no number.
    """
    if "choices" not in parsed:
        return not parsed["content"]  # the form of Anthropic
    (choice,) = parsed["choices"]
    text = choice["message"].get("content") if "message" in choice else choice["text"]
    if not text and choice.get("finish_reason") == "content_filter":
        raise _Withheld
    choice["index"] = 0
    return text is None
