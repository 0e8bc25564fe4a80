"""Many requests to one server: some in flight, none that hangs, retries only where they can help.
It knows no model and no prompt.
"""

from __future__ import annotations

import asyncio
import json
import logging
import re
import ssl
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from lm_eval_safescale.errors import SafescaleError, chain_of, reason_of
from lm_eval_safescale.failures import Failure, FailureKind, kind_of_status
from lm_eval_safescale.json_text import decode_json
from lm_eval_safescale.secrets import Mask, masked, secrets_in

if TYPE_CHECKING:
    import httpx

_K = TypeVar("_K")
MOST_BYTES = 16_000_000
"""Of one response: more is no reply to anything asked here."""
UNPACKED = "identity"
OURS = {"Accept-Encoding": UNPACKED, "Connection": "close"}
"""Sent with every request. A connection is used once: a proxy that sends one response too many
would have the next request answered by it, and all answers on that connection shifted by one; what
may still be on the way cannot be seen."""
CONNECTED = "send_request_headers.started"
"""How the name of the event ends that httpx reports once a connection stands."""
WITHHELD = frozenset({"content_filter", "content_policy_violation", "ResponsibleAIPolicyViolation"})
"""Codes of an error by which a content filter refuses a request."""
LONGEST_WAIT = 60.0
LIMIT_PATIENCE = 900.0
"""Seconds of waiting for a rate limit (429) to pass, of one request; no fault of the server, so it
is not counted as a retry."""
LEAST_WAIT = 1.0
"""What each of these waits counts for at least, so that there are not more than 900 tries where the
server asks for none."""
NO_CREDIT = b"insufficient_quota"
"""OpenAI's word, sent with 429 though no waiting helps."""
NOT_TLS = "WRONG_VERSION_NUMBER"
"""OpenSSL's name of the reason."""
PASSING = (FailureKind.RATE_LIMITED, FailureKind.BROKEN)
SHOWN = 200


class _MayPass(Exception):
    """A failure that may be gone at the next try."""

    def __init__(self, failure: Failure, after: float | None = None) -> None:
        super().__init__(failure.message)
        self.failure, self.after = failure, after


class LastingError(Exception):
    """A failure that another try would meet again."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Response:
    """What came back for one body."""

    content: bytes | None
    """None where nothing came that could be used."""
    failure: Failure | None = None
    """Why."""
    seconds: float = 0.0
    """Wall time of the try that succeeded, from when it was connected; of a failure, of all
    tries."""
    in_flight: int = 1
    """The most requests that were under way at a time while this one was, itself included."""
    mask: Mask = field(default=Mask(()), repr=False)
    """Hides what was sent in secret."""

    def parsed(self) -> Any:
        """The content as JSON of bounded depth, in whose texts no secret stands, however it was
        escaped; ValueError where it is none."""
        return self.mask.hide_in(decode_json(self.content or b"", names_once=False))


@dataclass(frozen=True)
class Server:
    """Where bodies are posted to, and how patiently.

    Parameters
    ----------
    url
        Takes POST requests with a JSON body.
    headers
        Sent with every request.
    secret
        A key that a server may send back. It, and what else is sent in secret (in `headers`, or in
        the address), is in no text that comes from here.
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
    verify
        As for httpx: whether certificates are checked, or how.
    """

    url: str = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    secret: str = field(default="", repr=False)
    concurrency: int = 32
    timeout: float = 300.0
    retries: int = 5
    backoff: float = 1.0
    verify: bool | ssl.SSLContext = True

    def exchange(
        self, bodies: Iterable[tuple[_K, Mapping[str, Any]]]
    ) -> Iterator[tuple[_K, Response]]:
        """Responses as they come, each with the name of its body; a body is taken when there is
        room for it.

        SafescaleError, which does not show it, if the address is none.
        """
        import httpx

        if not is_address(self.url):
            raise SafescaleError(
                "the server's address cannot be used (it is not shown, for it may hold a key); "
                "expected for example http://localhost:8000/v1/chat/completions"
            )
        for chatty in ("httpx", "httpcore"):  # their lines hold addresses and headers
            logging.getLogger(chatty).setLevel(logging.WARNING)
        # and the most that were under way beside it
        waiting: dict[asyncio.Task[tuple[_K, Response]], int] = {}
        source = iter(bodies)
        limits = httpx.Limits(max_connections=self.concurrency)
        with asyncio.Runner() as runner:
            headers = {**self.headers, **OURS}
            client = httpx.AsyncClient(
                headers=headers, timeout=self.timeout, limits=limits, verify=self.verify
            )

            async def sent(name: _K, body: Mapping[str, Any]) -> tuple[_K, Response]:
                return name, await self._response(client, body)

            async def send(some: Sequence[tuple[_K, Mapping[str, Any]]]) -> None:
                for name, body in some:
                    waiting[asyncio.create_task(sent(name, body))] = 0
                waiting.update({task: max(most, len(waiting)) for task, most in waiting.items()})

            try:
                while True:
                    if some := list(islice(source, self.concurrency - len(waiting))):
                        runner.run(send(some))
                    if not waiting:
                        return
                    done, _ = runner.run(_some_done(set(waiting)))
                    most = {task: waiting.pop(task) for task in done}
                    for task in done:
                        name, response = task.result()
                        yield name, replace(response, in_flight=most[task])
            finally:
                runner.run(_ended(set(waiting), client))

    @cached_property
    def _mask(self) -> Mask:
        return Mask([self.secret, *secrets_in(dict(self.headers)), *secrets_in(self.url)])

    async def _response(self, client: httpx.AsyncClient, body: Mapping[str, Any]) -> Response:
        began, wait = time.monotonic(), self.backoff
        tries, tries_left, patience = 0, self.retries, LIMIT_PATIENCE
        while True:
            started = time.monotonic()
            tries += 1
            try:
                # wait_for of Python 3.11 loses a cancellation that meets the end
                async with asyncio.timeout(self.timeout):
                    content, connected = await self._posted(client, body)
            except _MayPass as error:
                failure, after = error.failure, error.after
            except TimeoutError:
                failure, after = (
                    Failure(FailureKind.TIMED_OUT, f"no response within {self.timeout:g} s"),
                    None,
                )
            except LastingError as error:
                return Response(None, error.failure, time.monotonic() - began)
            else:
                return Response(
                    content, seconds=time.monotonic() - (connected or started), mask=self._mask
                )
            pause = min(LONGEST_WAIT, wait if after is None else after)
            if failure.kind is FailureKind.RATE_LIMITED:
                patience -= max(LEAST_WAIT, pause)
            else:
                tries_left -= 1
            if tries_left < 0 or patience < 0:
                failure = replace(failure, message=f"{failure.message} ({tries} tries)")
                return Response(None, failure, time.monotonic() - began)
            await asyncio.sleep(pause)
            wait = min(LONGEST_WAIT, 2 * wait)

    async def _posted(
        self, client: httpx.AsyncClient, body: Mapping[str, Any]
    ) -> tuple[bytes, float | None]:
        """A response's content, and when the connection was there on which it came."""
        import httpx

        connected: list[float] = []

        async def note(event: str, _: Mapping[str, Any]) -> None:
            if event.endswith(CONNECTED):
                connected.append(time.monotonic())

        try:  # our own JSON is ASCII: httpx's cannot hold half a surrogate pair
            async with client.stream(
                "POST", self.url, content=json.dumps(body), extensions={"trace": note}
            ) as response:
                content = self._without_secrets(await _received(response))
        except httpx.TransportError as error:
            failure = Failure(
                _kind_of(error), f"{type(error).__name__}: {self._shown(reason_of(error))}"
            )
            raise (LastingError if failure.kind is FailureKind.UNTRUSTED else _MayPass)(
                failure
            ) from error
        _check_status(response, content)
        return content, max(connected, default=None)

    def _without_secrets(self, content: bytes) -> bytes:
        """In UTF-8, whatever JSON may be written in: bytes that are no text stay as they are."""
        encoding = json.detect_encoding(content)
        text = content.decode(
            encoding, "surrogateescape" if encoding.startswith("utf-8") else "replace"
        )
        return self._mask.hide(text).encode(errors="surrogateescape")

    def _shown(self, said: str) -> str:
        return masked(self._mask.hide(said))


def _kind_of(error: httpx.TransportError) -> FailureKind:
    """Of a connection that failed: OpenSSL's reason stands deeper in the chain."""
    for cause in chain_of(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return FailureKind.UNTRUSTED
        if isinstance(cause, ssl.SSLError) and cause.reason == NOT_TLS:
            return FailureKind.NOT_TLS
    import httpx

    return (
        FailureKind.TIMED_OUT
        if isinstance(error, httpx.TimeoutException)
        else FailureKind.UNREACHABLE
    )


def is_address(url: str) -> bool:
    """Whether requests can be sent to an address: http or https, a host, and a port that is one."""
    import httpx

    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError):
        return False
    is_host = re.fullmatch(r"[\w.:-]+", parsed.host) is not None
    return parsed.scheme in ("http", "https") and is_host and (parsed.port or 0) < 2**16


async def _received(response: httpx.Response) -> bytes:
    """The body of a response, which is never unpacked: what is small on the way could fill the
    memory."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in ("", UNPACKED):
        if response.status_code == 200:
            raise unusable(
                f"a compressed response ({encoding[:SHOWN]}), though {UNPACKED} was asked for: "
                "what stands in between?"
            )
        return f"(compressed: {encoding[:SHOWN]})".encode()
    received = bytearray()
    async for part in response.aiter_raw():
        received += part
        if len(received) > MOST_BYTES:
            raise unusable(f"a response of more than {MOST_BYTES:,} bytes")
    return bytes(received)


def _check_status(response: httpx.Response, content: bytes) -> None:
    """The error of a response that is none; nothing where it is one."""
    status, said = response.status_code, excerpt(content)
    if status == 200:
        return
    failure = Failure(kind_of_status(status), f"HTTP {status}: {said}", status, said)
    if status == 429 and NO_CREDIT in content:
        message = f"HTTP {status}, and no credit left: {said}"
        raise LastingError(replace(failure, kind=FailureKind.NO_CREDIT, message=message))
    if failure.kind in PASSING:
        raise _MayPass(failure, _seconds(response.headers.get("retry-after")))
    raise LastingError(
        replace(failure, kind=FailureKind.WITHHELD) if _is_withheld(content) else failure
    )


def _is_withheld(content: bytes) -> bool:
    """Whether an error says that a content filter refused the request: Azure's form, and
    OpenRouter's."""
    try:
        error = decode_json(content, names_once=False)["error"]
        inner, more = error.get("innererror") or {}, error.get("metadata") or {}
        return "flagged_input" in more or not WITHHELD.isdisjoint(
            (str(error.get("code")), str(inner.get("code")))
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


async def _some_done(
    waiting: set[asyncio.Task[_K]],
) -> tuple[set[asyncio.Task[_K]], set[asyncio.Task[_K]]]:
    return await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)


async def _ended(waiting: set[asyncio.Task[_K]], client: httpx.AsyncClient) -> None:
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await client.aclose()


def excerpt(content: bytes) -> str:
    """The beginning of a response, for an error message."""
    text = " ".join(content[: 4 * SHOWN].decode(errors="replace").split())
    return repr(text if len(text) <= SHOWN else text[: SHOWN - 3] + "...")


def unusable(message: str) -> LastingError:
    """The error for what came back and is no answer."""
    return LastingError(Failure(FailureKind.UNUSABLE, message))


def lacking(content: bytes, wanted: str) -> LastingError:
    """The error for a response in which nothing was found that was wanted."""
    if content[:SHOWN].lstrip().lower().startswith((b"<!doctype html", b"<html")):
        return unusable(
            f"an HTML page, not a completion: is base_url right? It begins {excerpt(content)}"
        )
    return unusable(f"no {wanted}: {excerpt(content)}")


def check_let_in(response: Response, *, answered: bool, keyed: bool) -> None:
    """SafescaleError where a server lets nobody in with this key (401, or 403 before it has
    answered anything), or its credit is used up.

    Parameters
    ----------
    answered
        Whether the server has answered before: then 403 is of one request alone, say of a prompt
        that a filter in between holds back.
    keyed
        Whether a key was sent.
    """
    failure = response.failure
    if failure is None:
        return
    spent = failure.kind is FailureKind.NO_CREDIT
    if (
        spent
        or failure.kind is FailureKind.UNAUTHORIZED
        or (failure.kind is FailureKind.FORBIDDEN and not answered)
    ):
        why = (
            "its credit is used up"
            if spent
            else "it refused the key"
            if keyed
            else "no key was sent"
        )
        raise SafescaleError(
            f"the server answers nothing: {why}. A key is read from the variable OPENAI_API_KEY "
            "(of other providers, from theirs); set it, and give the same command again. The "
            f"server said: {failure}"
        )


def _seconds(stated: str | None) -> float | None:
    """What `Retry-After` says; None where it is no number of seconds (a date, say)."""
    try:
        seconds = float(stated or "")
    except ValueError:
        return None
    return seconds if seconds >= 0 else None
