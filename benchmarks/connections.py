"""What a connection for each request costs: `chat.http` against an httpx client that uses
connections again.

    python benchmarks/connections.py [--requests 1000] [--certificate cert.pem key.pem]

The server is a stub in a process of its own, which answers at once; it stops with this process, or
after ten minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import ssl
import statistics
import time
from typing import Any

import httpx

from lm_eval_safescale.chat.http import Server

REPLY = json.dumps(
    {"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": "C"}}]}
).encode()
RESPONSE = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(REPLY)
    + REPLY
)
BODY = {"model": "m", "messages": [{"role": "user", "content": "x" * 2000}]}
ROUNDS, MOST_SECONDS = 3, 600


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            (length,) = (
                line[15:] for line in head.split(b"\r\n") if line.startswith(b"content-length:")
            )
            await reader.readexactly(int(length))
            writer.write(RESPONSE)
            if b"connection: close" in head:
                break
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()


def _serve(ports: Any, certificate: list[str] | None) -> None:
    async def serve() -> None:
        context = None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
        server = await asyncio.start_server(_answer, "127.0.0.1", 0, ssl=context)
        ports.put(server.sockets[0].getsockname()[1])
        async with server:
            await asyncio.sleep(MOST_SECONDS)

    asyncio.run(serve())


def ours(url: str, requests: int, concurrency: int, verify: Any) -> float:
    """Milliseconds a request."""
    server = Server(
        url, {"Content-Type": "application/json"}, concurrency=concurrency, verify=verify
    )
    started = time.perf_counter()
    assert all(
        response.content
        for _, response in server.exchange((number, BODY) for number in range(requests))
    )
    return (time.perf_counter() - started) / requests * 1000


def peer(url: str, requests: int, concurrency: int, verify: Any) -> float:
    """Milliseconds a request."""

    async def ask() -> None:
        limits, gate = httpx.Limits(max_connections=concurrency), asyncio.Semaphore(concurrency)

        async def one(client: httpx.AsyncClient) -> None:
            async with gate:
                (await client.post(url, content=json.dumps(BODY))).raise_for_status()

        async with httpx.AsyncClient(limits=limits, verify=verify, timeout=60) as client:
            await asyncio.gather(*(one(client) for _ in range(requests)))

    started = time.perf_counter()
    asyncio.run(ask())
    return (time.perf_counter() - started) / requests * 1000


def main() -> None:
    """Prints a row for each number of requests in flight."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=1000)
    parser.add_argument("--certificate", nargs=2, metavar=("CERTIFICATE", "KEY"))
    given = parser.parse_args()
    ports: Any = multiprocessing.Queue()
    server = multiprocessing.Process(target=_serve, args=(ports, given.certificate), daemon=True)
    server.start()
    url = f"http{'s' if given.certificate else ''}://127.0.0.1:{ports.get()}/v1/chat/completions"
    verify = ssl.create_default_context(cafile=given.certificate[0]) if given.certificate else True
    for concurrency in (1, 32):
        pairs = [
            [each(url, given.requests, concurrency, verify) for each in (ours, peer)]
            for _ in range(ROUNDS)
        ]
        own, other = (statistics.median(column) for column in zip(*pairs, strict=True))
        print(f"| {concurrency} | {own:.2f} | {other:.2f} | {own / other:.2f} |")
    server.terminate()


if __name__ == "__main__":
    main()
