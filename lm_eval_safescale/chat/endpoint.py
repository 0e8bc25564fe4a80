"""Any OpenAI-compatible server as a chat model: many requests in flight, none that hangs, retries only where they can help."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from math import inf
from typing import TYPE_CHECKING, Any

from lm_eval_safescale.chat.model import ChatRequest, Message, Reply
from lm_eval_safescale.errors import SafescaleError, reason_of

if TYPE_CHECKING:
    import httpx

KEY = "OPENAI_API_KEY"
MOST_BYTES = 16_000_000
"""Of one response: more is no reply to anything asked here."""
LONGEST_WAIT = 60.0
SHOWN = 200
LEAST_KEY = 8
"""Characters: what is shorter is no secret (servers without keys are given `EMPTY` or the like), and may be a word of a reply."""


class _MayPass(Exception):
    """A failure that may be gone at the next try."""

    def __init__(self, said: str, after: float | None = None) -> None:
        super().__init__(said)
        self.after = after


class _Lasting(Exception):
    """A failure that another try would meet again."""


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
        Further tries after connection errors, timeouts and the statuses 429 and 5xx; no others are tried again.
    backoff
        Seconds before the first of them; doubled each time, up to 60. A server's `Retry-After` goes before.
    seed
        Sent with every request.

    The key is read from the variable `OPENAI_API_KEY`, and never written anywhere.
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
            ("concurrency", concurrency, 1), ("timeout", timeout, 0.001), ("retries", retries, 0), ("backoff", backoff, 0),
        ):  # fmt: skip
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value < inf:
                raise SafescaleError(f"endpoint: {name} = {value!r}; expected a number of at least {least}")
        if find_spec("httpx") is None:
            raise SafescaleError("an endpoint needs the package httpx: pip install 'lm-eval-safescale[api]'")
        url = str(base_url).rstrip("/")
        if not _is_base(url):
            shown = url.rpartition("@")[2].partition("?")[0]  # what stands before or behind may be a secret
            raise SafescaleError(f"endpoint: base_url = {shown!r}; expected for example http://localhost:8000/v1")
        self._url = url if url.endswith("/chat/completions") else f"{url}/chat/completions"
        self._model, self._concurrency, self._timeout = str(model), int(concurrency), float(timeout)
        self._retries, self._backoff, self._seed = int(retries), float(backoff), seed
        self.about: Mapping[str, Any] = {
            "backend": "endpoint",
            "base_url": _without_password(url),
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
        import httpx

        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if (key := _key()) else {})
        limits = httpx.Limits(max_connections=self._concurrency)
        with asyncio.Runner() as runner:
            client = httpx.AsyncClient(headers=headers, timeout=self._timeout, limits=limits)
            free = asyncio.Semaphore(self._concurrency)

            async def numbered(number: int, request: ChatRequest) -> tuple[int, Reply]:
                async with free:
                    return number, await self._reply(client, request)

            async def start() -> set[asyncio.Task[tuple[int, Reply]]]:
                return {asyncio.create_task(numbered(number, request)) for number, request in enumerate(requests)}

            waiting = runner.run(start())
            try:
                while waiting:
                    done, waiting = runner.run(_some_done(waiting))
                    for task in done:
                        yield task.result()
            finally:
                runner.run(_ended(waiting, client))

    async def _reply(self, client: httpx.AsyncClient, request: ChatRequest) -> Reply:
        started, wait = time.monotonic(), self._backoff
        for tries_left in range(self._retries, -1, -1):
            try:
                text, usage = await asyncio.wait_for(self._asked(client, request), self._timeout)
            except _MayPass as error:
                said, after = str(error), error.after
            except TimeoutError:
                said, after = f"no response within {self._timeout:g} s", None
            except _Lasting as error:
                return Reply(None, _without_key(str(error)), seconds=time.monotonic() - started)
            else:
                return Reply(text, "", usage.get("prompt_tokens"), usage.get("completion_tokens"), time.monotonic() - started)
            if tries_left:
                await asyncio.sleep(min(LONGEST_WAIT, wait if after is None else after))
                wait *= 2
        return Reply(None, f"{_without_key(said)} ({self._retries + 1} tries)", seconds=time.monotonic() - started)

    async def _asked(self, client: httpx.AsyncClient, request: ChatRequest) -> tuple[str, dict[str, int]]:
        import httpx

        body = {
            "model": self._model,
            "messages": [message.as_dict() for message in request.messages],
            "max_tokens": request.max_tokens,
            "temperature": 0,
            "seed": self._seed,
        }
        try:  # our own JSON is ASCII: httpx's cannot hold half a surrogate pair
            async with client.stream("POST", self._url, content=json.dumps(body)) as response:
                received = bytearray()
                async for part in response.aiter_bytes():
                    received += part
                    if len(received) > MOST_BYTES:
                        raise _Lasting(f"a response of more than {MOST_BYTES:,} bytes")
        except httpx.TransportError as error:
            raise _MayPass(f"{type(error).__name__}: {reason_of(error)}") from error
        except httpx.DecodingError as error:
            raise _Lasting(f"a response that cannot be decoded: {reason_of(error)}") from error
        content = _without_key(received.decode("latin-1")).encode("latin-1")
        if response.status_code == 429 or response.status_code >= 500:
            raise _MayPass(f"HTTP {response.status_code}: {_excerpt(content)}", _seconds(response.headers.get("retry-after")))
        if response.status_code != 200:
            raise _Lasting(f"HTTP {response.status_code}: {_excerpt(content)}")
        return _parsed(content)


async def _some_done(
    waiting: set[asyncio.Task[tuple[int, Reply]]],
) -> tuple[set[asyncio.Task[tuple[int, Reply]]], set[asyncio.Task[tuple[int, Reply]]]]:
    return await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)


async def _ended(waiting: set[asyncio.Task[tuple[int, Reply]]], client: httpx.AsyncClient) -> None:
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await client.aclose()


def _parsed(content: bytes) -> tuple[str, dict[str, int]]:
    try:
        response = json.loads(content)
        message = response["choices"][0]["message"]
        text = message["content"] if message.get("content") is not None else ""
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError):
        raise _Lasting(f"no chat completion: {_excerpt(content)}") from None
    if not isinstance(text, str):
        raise _Lasting(f"no text in the reply: {_excerpt(content)}")
    usage = response.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # half a surrogate pair is no character
    return whole, {name: value for name, value in counts.items() if type(value) is int and value >= 0}


def _excerpt(content: bytes) -> str:
    text = " ".join(content[: 4 * SHOWN].decode(errors="replace").split())
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 3] + "...")


def _key() -> str:
    key = os.environ.get(KEY, "").strip()
    if not key.isascii() or not key.isprintable():
        raise SafescaleError(f"endpoint: the variable {KEY} holds characters that no key has; set it anew")
    return key


def _without_key(said: str) -> str:
    """A server may send the key back."""
    key = _key()
    return said.replace(key, "***") if len(key) >= LEAST_KEY else said


def _seconds(stated: str | None) -> float | None:
    """What `Retry-After` says; None where it is no number of seconds (a date, say)."""
    try:
        seconds = float(stated or "")
    except ValueError:
        return None
    return seconds if seconds >= 0 else None


def _is_base(url: str) -> bool:
    import httpx

    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        return False
    return parsed.scheme in ("http", "https") and bool(parsed.host) and (parsed.port or 0) < 2**16 and not parsed.query


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
