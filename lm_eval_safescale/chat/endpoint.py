"""Any OpenAI-compatible server as a chat model."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from math import inf
from typing import Any

from lm_eval_safescale.chat.finish_reason import was_withheld
from lm_eval_safescale.chat.http import LastingError, Response, Server, check_let_in, is_address
from lm_eval_safescale.chat.model import ChatRequest, Message, Reply
from lm_eval_safescale.chat.parsing import parse_reply
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.failures import FailureKind
from lm_eval_safescale.secrets import MASK, masked_address, shown_address

KEY = "OPENAI_API_KEY"
HELD_BACK = "a content filter held it back"


class Endpoint:
    """A server that takes `POST {base_url}/chat/completions`.

    Parameters
    ----------
    base_url
        For example `http://localhost:8000/v1`.
    model
        The name by which the server knows the model.
    concurrency
        Requests in flight at once.
    timeout
        Seconds until a request without a response counts as lost.
    retries
        Further tries after connection errors, timeouts and the status 5xx. A rate limit (429) has a
        patience of its own: 15 minutes of waits. Nothing else is tried again.
    backoff
        Seconds before the first of them; doubled each time, up to 60. A server's `Retry-After` goes
        before.
    seed
        Sent with every request.

    The key is read from the variable `OPENAI_API_KEY`, and never written anywhere. Where the server
    refuses it, asking ends with a SafescaleError.
    """

    batch = 1
    window: int | None = None  # a server counts for itself, and refuses what is too long

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        concurrency: int = 32,
        timeout: float = 300.0,
        retries: int = 5,
        backoff: float = 1.0,
        seed: int = 1234,
    ) -> None:
        for name, value, least in (
            ("concurrency", concurrency, 1), ("timeout", timeout, 0.001), ("retries", retries, 0),
            ("backoff", backoff, 0),
        ):  # fmt: skip
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not least <= value < inf
            ):
                raise SafescaleError(
                    f"endpoint: {name} = {value!r}; expected a number of at least {least}"
                )
        if find_spec("httpx") is None:
            raise SafescaleError(
                "an endpoint needs the package httpx: pip install 'lm-eval-safescale[api]'"
            )
        url = str(base_url).rstrip("/")
        if not _is_base(url):
            raise SafescaleError(
                f"endpoint: base_url = {shown_address(url)!r}; expected for example "
                "http://localhost:8000/v1, without ? and #"
            )
        self._url = url if url.endswith("/chat/completions") else f"{url}/chat/completions"
        self._model, self._concurrency, self._timeout = str(model), int(concurrency), float(timeout)
        self._retries, self._backoff, self._seed = int(retries), float(backoff), seed
        self._answered = False
        self.about: Mapping[str, Any] = {
            "backend": "endpoint",
            "base_url": masked_address(url).replace(f"{MASK}@", ""),
            "model": self._model,
            "seed": seed,
        }

    def tokens(self, messages: Sequence[Message]) -> int | None:  # noqa: ARG002
        """Unknown: the server counts for itself."""
        return None

    def chat(self, requests: Sequence[ChatRequest]) -> Iterator[tuple[int, Reply]]:
        """Replies as they come."""
        if not requests:
            return
        key = _key()
        headers = {"Content-Type": "application/json"} | (
            {"Authorization": f"Bearer {key}"} if key else {}
        )
        server = Server(
            self._url, headers, key, self._concurrency, self._timeout, self._retries, self._backoff
        )
        for number, response in server.exchange(
            (number, self._body(request)) for number, request in enumerate(requests)
        ):
            check_let_in(response, answered=self._answered, keyed=bool(key))
            self._answered |= response.content is not None
            yield number, reply_to(response)

    def _body(self, request: ChatRequest) -> dict[str, Any]:
        return {
            "model": self._model,
            "messages": [message.as_dict() for message in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": 0,
            "seed": self._seed,
        }


def reply_to(response: Response) -> Reply:
    """What a response of a server says, as those who ask a chat model get it; what a filter held
    back is no reply."""
    if (failure := response.failure) is not None:
        error = (
            f"{HELD_BACK}: {failure}" if failure.kind is FailureKind.WITHHELD else failure.message
        )
        return Reply(None, error, seconds=response.seconds)
    try:
        parsed = parse_reply(response, chat=True)
    except LastingError as error:
        return Reply(None, str(error), seconds=response.seconds)
    text = None if was_withheld(parsed.finish_reason) else parsed.text
    return Reply(
        text,
        f"{HELD_BACK} (finish_reason {parsed.finish_reason})" if text is None else "",
        parsed.prompt_tokens,
        parsed.completion_tokens,
        response.seconds,
        parsed.finish_reason,
        bool(parsed.reasoning_field),
        response.in_flight,
    )


def _key() -> str:
    key = os.environ.get(KEY, "").strip()
    if not key.isascii() or not key.isprintable():
        raise SafescaleError(
            f"endpoint: the variable {KEY} holds characters that no key has; set it again"
        )
    return key


def _is_base(url: str) -> bool:
    return is_address(url) and "?" not in url and "#" not in url
