"""A stub of an OpenAI-compatible server: real HTTP on this machine, in threads, and whatever fault
a test asks for.

A test sets `server.answer`: what is done with a request, by the request.
"""

from __future__ import annotations

import asyncio
import json
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from lm_eval_safescale.chat import http

MOST_SECONDS = 10
"""Until a stub gives up waiting, so that no test hangs."""


@dataclass(frozen=True)
class Seen:
    """A request, as it arrived."""

    number: int
    """From 0, in order of arrival."""
    path: str
    headers: Mapping[str, str]
    body: Any

    @property
    def prompt(self) -> str:
        """What was said last."""
        return self.body["messages"][-1]["content"]


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    timeout = MOST_SECONDS
    # else the body of each response waits 40 ms for the receipt of its headers
    disable_nagle_algorithm = True
    server: Stub

    def setup(self) -> None:
        super().setup()
        with self.server.arrival:
            self.server.connections += 1

    def finish(self) -> None:
        with self.server.arrival:
            self.server.connections -= 1
            self.server.arrival.notify_all()
        super().finish()

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        with self.server.arrival:
            self.server.seen.append(
                Seen(len(self.server.seen), self.path, dict(self.headers), body)
            )
            seen = self.server.seen[-1]
            self.server.in_flight += 1
            self.server.most_in_flight = max(self.server.most_in_flight, self.server.in_flight)
            self.server.arrival.notify_all()
        try:
            answer = self.server.answer(seen)
        finally:
            with self.server.arrival:
                # before the answer: the count is never above what the client has in flight
                self.server.in_flight -= 1
        answer(self)

    def log_message(self, *_: Any) -> None:
        """Nothing."""


Answer = Callable[[Handler], None]


class Stub(ThreadingHTTPServer):
    """The server."""

    daemon_threads = False
    request_queue_size = 256

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: Callable[[Seen], Answer] = lambda seen: says(f"reply to {seen.prompt}")
        self.seen: list[Seen] = []
        self.in_flight = self.most_in_flight = self.connections = 0
        self.arrival = threading.Condition()
        self.over = threading.Event()
        self.errors: list[BaseException] = []

    @property
    def base_url(self) -> str:
        """As `--model_args` takes it."""
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def asked(self, prompt: str) -> int:
        """How often."""
        return sum(seen.prompt == prompt for seen in self.seen)

    def is_left(self) -> bool:
        """Whether all who connected hang up, in half the time after which the stub itself would."""
        with self.arrival:
            return self.arrival.wait_for(lambda: self.connections == 0, MOST_SECONDS / 2)

    def handle_error(self, *_: Any) -> None:
        """A client that hung up is no error of the stub; anything else is one of the test."""
        import sys

        error = sys.exception()
        if error is not None and not isinstance(error, ConnectionError):
            self.errors.append(error)


@pytest.fixture
def server() -> Iterator[Stub]:
    """A stub that answers properly until a test says otherwise."""
    with Stub() as stub:
        thread = threading.Thread(target=stub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield stub
        stub.over.set()
        stub.shutdown()
        thread.join()
    assert stub.errors == []


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between tries, which are noted instead of waited."""
    noted: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        noted.append(seconds)
        await sleep(0)

    monkeypatch.setattr(http.asyncio, "sleep", note)
    return noted


# --- answers --------------------------------------------------------------------------------------


def sends(body: bytes, status: int = 200, **headers: str) -> Answer:
    """A whole response."""

    def answer(handler: Handler) -> None:
        handler.send_response(status)
        for name, value in {
            "Content_Type": "application/json",
            "Content_Length": str(len(body)),
            **headers,
        }.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def says(content: Any, **others: Any) -> Answer:
    """A chat completion."""
    return chooses({"message": {"role": "assistant", "content": content}}, **others)


def chooses(choice: Any, **others: Any) -> Answer:
    """A response of one choice, which lacks nothing but what it is given without."""
    whole = {"index": 0, "finish_reason": "stop", **choice} if isinstance(choice, dict) else choice
    return sends(
        json.dumps({"id": "x", "object": "chat.completion", "choices": [whole], **others}).encode()
    )


def fails(status: int, message: str = "", **headers: str) -> Answer:
    """An error as servers state it."""
    return sends(
        json.dumps({"error": {"message": message or f"status {status}"}}).encode(),
        status,
        **headers,
    )


def drops(handler: Handler) -> None:
    """The connection is closed without a word."""
    handler.close_connection = True


def resets(handler: Handler) -> None:
    """The connection is reset in the middle of the response."""
    sends(b"", 200, Content_Length="1000")(handler)
    handler.wfile.flush()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.connection.close()
    handler.close_connection = True


def cut(handler: Handler) -> None:
    """The connection is closed in the middle of the response."""
    sends(b'{"choices": [{"message": {"content": "half of', 200, Content_Length="1000")(handler)
    handler.close_connection = True


def twice(answer: Answer) -> Answer:
    """A proxy that sends each response two times, and does not close the connection though it was
    asked to."""

    def both(handler: Handler) -> None:
        answer(handler)
        answer(handler)
        handler.close_connection = False

    return both


def twice_in_time(answer: Answer) -> Answer:
    """Likewise, but the second comes only once the next request is on the connection: before,
    nothing of it can be seen."""

    def both(handler: Handler) -> None:
        answer(handler)
        handler.close_connection = False
        if select.select([handler.connection], [], [], MOST_SECONDS)[0]:  # a request, or the end
            answer(handler)

    return both


def keeps_silent(handler: Handler) -> None:
    """Nothing ever comes."""
    handler.server.over.wait(MOST_SECONDS)
    handler.close_connection = True


def trickles(handler: Handler) -> None:
    """A byte now and then, for as long as anybody listens: no single read takes long."""
    sends(b"", 200, Content_Length="1000000")(handler)
    while not handler.server.over.wait(0.01):
        handler.wfile.write(b" ")
    handler.close_connection = True


CONNECTION_FAULTS = {"dropped": drops, "reset": resets, "cut in mid-response": cut}
