"""`Endpoint` against a stub server on this machine, with everything that a server can do wrong."""

from __future__ import annotations

import asyncio
import gc
import gzip
import json
import socket
import threading
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lm_eval_safescale.chat import ChatRequest, Endpoint, Message, Reply, endpoint, http
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.failures import Failure, FailureKind
from tests.stub_server import (
    CONNECTION_FAULTS,
    MOST_SECONDS,
    Seen,
    cut,
    drops,
    fails,
    keeps_silent,
    says,
    sends,
    trickles,
    twice,
    twice_in_time,
)

pytest.importorskip("httpx")
pytestmark = pytest.mark.filterwarnings("error")
KEY = "sk-quite-secret-0123456789"


@pytest.fixture(scope="module", autouse=True)
def _nothing_older():
    """What was there before is not looked through again and again."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _no_leaks(monkeypatch):
    """No key and no proxy of whoever runs the tests; and what is not closed speaks up within its
    own test."""
    for name in ("OPENAI_API_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    yield
    gc.collect()


def model(server, **settings):
    return Endpoint(
        **{
            "base_url": server.base_url,
            "model": "m",
            "timeout": MOST_SECONDS,
            "retries": 3,
            "backoff": 0.001,
        }
        | settings
    )


def requests(*prompts):
    return [ChatRequest((Message("user", prompt),), 50) for prompt in prompts]


def ask(server, prompt="hello", **settings) -> Reply:
    [(number, reply)] = list(model(server, **settings).chat(requests(prompt)))
    assert number == 0
    return reply


def answered(server, *answers):
    """Let the stub give these answers in order, the last one for good."""
    server.answer = lambda seen: answers[min(seen.number, len(answers) - 1)]


# --- what is sent, and which reply is whose -------------------------------------------------------


def test_a_request_arrives_as_it_was_meant(server):
    conversation = (Message("system", "Be brief."), Message("user", 'Ünïcode 🩻 "quoted"\n\x00'))
    [(_, reply)] = list(model(server, seed=7).chat([ChatRequest(conversation, 123)]))
    assert reply.error == ""
    [seen] = server.seen
    assert seen.path == "/v1/chat/completions"
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.body == {
        "model": "m",
        "messages": [message.as_dict() for message in conversation],
        "max_tokens": 123,
        "temperature": 0,
        "seed": 7,
    }


def test_each_request_gets_its_own_reply_once_whatever_comes_back_first(server):
    """The stub answers the last request first: each waits until the next one was answered."""
    count = 12
    turns = [threading.Event() for _ in range(count + 1)]
    turns[count].set()

    def answer(seen: Seen):
        number = int(seen.prompt)
        assert turns[number + 1].wait(MOST_SECONDS)

        def in_turn(handler):
            says(f"reply to {number}")(handler)
            turns[number].set()

        return in_turn

    server.answer = answer
    replies = list(model(server, concurrency=count).chat(requests(*map(str, range(count)))))
    assert sorted(number for number, _ in replies) == list(range(count))
    assert {number: reply.text for number, reply in replies} == {
        number: f"reply to {number}" for number in range(count)
    }
    assert [number for number, _ in replies] != list(range(count))
    assert len(server.seen) == count


def test_a_reply_does_not_wait_for_slower_ones(server):
    """The second request is answered only once the first reply was taken."""
    taken = threading.Event()

    def answer(seen: Seen):
        if seen.prompt == "slow":
            assert taken.wait(MOST_SECONDS)
        return says(seen.prompt)

    server.answer = answer
    replies = model(server).chat(requests("slow", "fast"))
    assert next(replies)[0] == 1
    taken.set()
    assert [number for number, _ in replies] == [0]


def test_no_requests_ask_nothing(server):
    assert list(model(server).chat([])) == []
    assert server.seen == []


def test_a_model_can_be_asked_again(server):
    chat = model(server)
    for _ in range(3):
        assert [reply.text for _, reply in chat.chat(requests("x"))] == ["reply to x"]


@pytest.mark.parametrize("concurrency", [1, 2, 7])
def test_exactly_as_many_requests_as_allowed_are_in_flight(server, concurrency):
    """The stub answers none until that many are there, and never sees one more."""
    rounds = threading.Barrier(concurrency)

    def answer(seen: Seen):
        rounds.wait(MOST_SECONDS)
        return says("x")

    server.answer = answer
    replies = list(
        model(server, concurrency=concurrency).chat(requests(*["x"] * (6 * concurrency)))
    )
    assert [reply.text for _, reply in replies] == ["x"] * (6 * concurrency)
    assert server.most_in_flight == concurrency


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.lists(st.sampled_from(["dropped", "500", "429", "junk", "400"]), max_size=4), max_size=12
    ),
    st.integers(1, 8),
)
def test_whatever_fails_each_request_has_one_reply_of_its_own(server, faults, concurrency):
    """Each request meets its own faults in order, then is answered. Three retries get it past three
    that may pass, and past no other; a rate limit takes none of them."""
    met = [0] * len(faults)
    answers = {
        "dropped": drops,
        "500": fails(500),
        "429": fails(429),
        "junk": sends(b"junk"),
        "400": fails(400),
    }

    def answer(seen: Seen):
        number = int(seen.prompt)
        met[number] += 1
        return (
            answers[faults[number][met[number] - 1]]
            if met[number] <= len(faults[number])
            else says(f"reply to {number}")
        )

    server.answer = answer
    chat = model(server, concurrency=concurrency, backoff=0)
    replies = list(chat.chat(requests(*map(str, range(len(faults))))))
    assert sorted(number for number, _ in replies) == list(range(len(faults)))
    for number, reply in replies:
        its = faults[number]
        lasting = [fault in ("junk", "400") for fault in its]
        faulty = [
            its[: place + 1].count("dropped") + its[: place + 1].count("500") == 4
            for place in range(len(its))
        ]
        end = next((place for place in range(len(its)) if lasting[place] or faulty[place]), None)
        assert reply.text == (f"reply to {number}" if end is None else None)
        assert bool(reply.error) == (end is not None)
        assert met[number] == (len(its) if end is None else end) + 1


# --- retries --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504, 529])
def test_a_status_that_may_pass_is_tried_again(server, status, waits):
    answered(server, fails(status), fails(status), says("there"))
    assert ask(server).text == "there"
    assert len(server.seen) == 3


@pytest.mark.parametrize("fault", CONNECTION_FAULTS.values(), ids=CONNECTION_FAULTS)
def test_a_broken_connection_is_tried_again(server, fault, waits):
    answered(server, fault, fault, says("there"))
    assert ask(server).text == "there"
    assert len(server.seen) == 3


@pytest.mark.parametrize("fault", [keeps_silent, trickles], ids=["never answers", "trickles"])
def test_a_server_that_takes_for_ever_is_given_up_and_tried_again(server, fault, waits):
    answered(server, fault, says("there"))
    assert ask(server, timeout=0.5).text == "there"
    assert len(server.seen) >= 2  # on a busy machine the good answer may come late too
    answered(server, fault)
    reply = ask(server, timeout=0.5, retries=1)
    assert reply.text is None
    assert reply.error == "no response within 0.5 s (2 tries)"
    assert 1 <= reply.seconds < MOST_SECONDS


@pytest.mark.parametrize("status", [201, 204, 301, 307, 400, 404, 409, 422])
def test_a_status_that_will_not_pass_is_not_tried_again(server, status, waits):
    body = b"" if status == 204 else b'{"error": {"message": "it is so"}}'
    answered(server, sends(body, status, Location="/elsewhere"))
    reply = ask(server)
    assert reply.text is None
    assert reply.error.startswith(f"HTTP {status}: ")
    assert ("it is so" in reply.error) == bool(body)
    assert len(server.seen) == 1
    assert waits == []


def test_nobody_there_is_said(waits):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound, not listening: refused
        chat = Endpoint(
            base_url=f"http://127.0.0.1:{free.getsockname()[1]}", model="m", retries=2, backoff=0.5
        )
        [(_, reply)] = list(chat.chat(requests("x")))
    assert reply.text is None
    assert "ConnectError" in reply.error
    assert reply.error.endswith("(3 tries)")
    assert waits == [0.5, 1.0]


def test_without_retries_a_request_is_sent_once(server, waits):
    answered(server, fails(500))
    assert (
        ask(server, retries=0).error
        == 'HTTP 500: \'{"error": {"message": "status 500"}}\' (1 tries)'
    )
    assert len(server.seen) == 1
    assert waits == []


def test_waits_double_up_to_a_minute(server, waits):
    answered(server, fails(500))
    reply = ask(server, retries=9, backoff=1.5)
    assert waits == [1.5, 3, 6, 12, 24, 48, 60, 60, 60]
    assert len(server.seen) == 10
    assert reply.error.endswith("(10 tries)")


def test_a_rate_limit_outlasts_the_retries(server, waits):
    answered(server, *[fails(429)] * 15, fails(500), says("there"))
    assert ask(server, retries=1, backoff=1).text == "there"
    assert waits == [1, 2, 4, 8, 16, 32, *[60] * 10]


@pytest.mark.parametrize(("stated", "tries"), [("60", 16), ("30", 31), ("0", 901)])
def test_a_rate_limit_that_never_passes_is_waited_for_a_quarter_of_an_hour(
    server, waits, stated, tries
):
    answered(server, fails(429, "slow down", Retry_After=stated))
    reply = ask(server, retries=0)
    assert "slow down" in reply.error
    assert reply.error.endswith(f"({tries} tries)")
    assert sum(waits) <= 900
    assert len(server.seen) == tries


def test_credit_that_is_used_up_does_not_come_back_by_waiting(server, waits):
    answered(server, fails(429, f"You used it up. {300 * '.'} insufficient_quota"))
    with pytest.raises(SafescaleError, match=r"credit is used up.*You used it up"):
        ask(server)
    assert len(server.seen) == 1


# --- keys that are refused ------------------------------------------------------------------------


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize(("key", "why"), [(KEY, "it refused the key"), ("", "no key was sent")])
def test_a_key_that_is_refused_ends_all_asking_in_the_words_of_the_server(
    server, status, key, why, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    answered(server, fails(status, f"not with {KEY}" if key else "who are you?"))
    with pytest.raises(
        SafescaleError, match=rf"{why}.*OPENAI_API_KEY.*HTTP {status}.*(not with|who are you)"
    ) as caught:
        list(model(server, concurrency=1).chat(requests(*"abcdefgh")))
    assert KEY not in str(caught.value)
    assert len(server.seen) <= 2


def test_what_is_forbidden_among_answers_is_forbidden_to_one_request_alone(server):
    server.answer = lambda seen: fails(403, "not this") if seen.prompt == "b" else says("x")
    replies = dict(model(server, concurrency=1).chat(requests("a", "b", "c")))
    assert [replies[0].text, replies[1].text, replies[2].text] == ["x", None, "x"]
    assert "not this" in replies[1].error


def test_a_key_that_ends_midway_leaves_the_replies_before_it(server):
    server.answer = lambda seen: fails(401) if seen.prompt == "c" else says("x")
    heard: list[str | None] = []
    replies = model(server, concurrency=1).chat(requests("a", "b", "c"))
    with pytest.raises(SafescaleError, match="OPENAI_API_KEY"):
        heard.extend(reply.text for _, reply in replies)
    assert heard == ["x", "x"]


@pytest.mark.parametrize(
    "page", [b"<html>Log in</html>", b"  \n<!DOCTYPE html><title>x</title>", b"<!doctype HTML>"]
)
def test_a_page_for_people_asks_after_the_address(server, page):
    answered(server, sends(page))
    assert ask(server).error.startswith(
        "an HTML page, not a completion: is base_url right? It begins '<"
    )
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("stated", "wait"),
    [
        ("7", 7), ("0", 0), ("0.25", 0.25), ("60", 60), ("61", 60), ("1e9", 60), ("9" * 400, 60),
        ("inf", 60), ("nan", 2), ("-5", 2), ("-inf", 2), ("", 2), ("soon", 2),
        ("Wed, 21 Oct 2065 07:28:00 GMT", 2), ("1, 2", 2),
    ],
)  # fmt: skip
def test_retry_after_goes_before_where_it_can_be_used_and_never_above_a_minute(
    server, waits, stated, wait
):
    answered(
        server,
        fails(429, Retry_After=stated),
        fails(503, Retry_After=stated),
        fails(500),
        says("there"),
    )
    assert ask(server, backoff=2).text == "there"
    assert waits == [wait, wait if wait != 2 else 4, 8]


# --- what comes back ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b"[[[", b"{}", b"0", b'"text"', b"<p>Bad gateway", b"\xff\xfe\x00",
        b'{"choices": [', b"[" * 200_000, b'{"n": ' + b"9" * 5000 + b"}",
        b'{"error": {"message": "overloaded"}}', b'{"choices": null}', b'{"choices": []}',
        b'{"choices": {}}', b'{"choices": "text"}', b'{"choices": [null]}',
        b'{"choices": ["text"]}', b'{"choices": [{}]}', b'{"choices": [{"text": "x"}]}',
        b'{"choices": [{"message": null}]}', b'{"choices": [{"message": "x"}]}',
        b'{"choices": [{"message": []}]}',
    ],
    ids=lambda body: body[:30].decode("latin-1") or "empty",
)  # fmt: skip
def test_what_is_no_chat_completion_is_an_error_and_not_tried_again(server, waits, body):
    answered(server, sends(body))
    reply = ask(server)
    assert reply.text is None
    assert reply.error.startswith("no chat completion: ")
    assert len(reply.error) < 300
    assert (reply.prompt_tokens, reply.completion_tokens) == (None, None)
    assert len(server.seen) == 1


@pytest.mark.parametrize("content", [{}, {"answer": "x"}, [5, {"answer": "x"}], 5, 0, True, False])
def test_content_that_is_no_text_is_an_error(server, content):
    answered(server, says(content))
    reply = ask(server)
    assert reply.text is None
    assert reply.error.startswith("no text in the reply: ")


@pytest.mark.parametrize(
    "content",
    [
        [{"type": "text", "text": "x"}],
        {"text": "x"},
        [{"type": "thinking", "thinking": "y"}, {"type": "text", "text": "x"}],
    ],
)
def test_content_in_parts_is_the_text_in_them(server, content):
    answered(server, says(content))
    assert ask(server).text == "x"


@pytest.mark.parametrize(
    "content", ["", " \n", "x", "\x00\x1b[2J", "é🩻", "\ufeffmark", "a" * 200_000, "null"]
)
def test_any_text_is_a_reply_as_it_is(server, content):
    answered(server, says(content))
    assert ask(server).text == content


@pytest.mark.parametrize(
    "message", [{"content": None}, {}, {"content": None, "reasoning_content": "hm"}]
)
def test_a_reply_without_content_is_an_empty_text(server, message):
    """As of a model whose reasoning used the limit up."""
    answered(server, sends(json.dumps({"choices": [{"message": message}]}).encode()))
    assert (ask(server).text, ask(server).error) == ("", "")


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (r"a\ud83d b", "a\ufffd b"),
        (r"\ude00", "\ufffd"),
        (r"\ud83d\ude00", "😀"),
        (r"\ufeff\ud83dx", "\ufeff\ufffdx"),
    ],
)
def test_half_a_surrogate_pair_does_not_get_into_a_text(server, sent, read):
    """It is no character, and whatever it is written to would fail."""
    answered(server, sends(b'{"choices": [{"message": {"content": "%s"}}]}' % sent.encode()))
    assert ask(server).text == read


def test_half_a_surrogate_pair_in_a_prompt_is_sent_and_harms_no_other(server):
    server.answer = lambda seen: says("heard") if seen.prompt == "x\ud800" else says("other")
    replies = dict(model(server).chat(requests("x\ud800", "y")))
    assert [replies[0].text, replies[1].text] == ["heard", "other"]


def test_a_response_that_never_ends_is_cut_off(server, monkeypatch, waits):
    monkeypatch.setattr(http, "MOST_BYTES", 100_000)
    answered(server, says("a" * 99_000), says("a" * 100_000))
    assert len(ask(server).text) == 99_000
    reply = ask(server)
    assert reply.text is None
    assert reply.error == "a response of more than 100,000 bytes"
    assert len(server.seen) == 2


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "deflate, gzip", "x-unheard-of"])
def test_what_is_compressed_is_refused_before_it_is_unpacked_and_none_is_asked_for(
    server, encoding, waits
):
    """Seven kilobytes on the way can be gigabytes here."""
    answered(server, sends(gzip.compress(b" " * 10_000_000), Content_Encoding=encoding))
    reply = ask(server)
    assert reply.text is None
    assert reply.error == (
        f"a compressed response ({encoding.lower()}), though identity was asked for: what stands "
        "in between?"
    )
    assert [seen.headers["Accept-Encoding"] for seen in server.seen] == ["identity"]


def test_a_compressed_error_is_still_an_error_with_its_status(server, waits):
    answered(server, sends(gzip.compress(b"busy"), 503, Content_Encoding="gzip"), says("there"))
    assert ask(server).text == "there"
    answered(server, sends(gzip.compress(b"no"), 404, Content_Encoding="gzip"))
    assert ask(server).error == "HTTP 404: '(compressed: gzip)'"


@pytest.mark.parametrize("encoding", ["identity", ""])
def test_a_response_that_says_it_is_not_compressed_is_read(server, encoding):
    answered(
        server, sends(b'{"choices": [{"message": {"content": "x"}}]}', Content_Encoding=encoding)
    )
    assert ask(server).text == "x"


# --- connections ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "broken", [twice, twice_in_time], ids=["at once", "when the next request is there"]
)
@pytest.mark.parametrize("concurrency", [1, 4])
def test_no_request_is_answered_by_what_a_broken_proxy_sends_a_second_time(
    server, broken, concurrency
):
    server.answer = lambda seen: broken(says(f"reply to {seen.prompt}"))
    names = [str(number) for number in range(12)]
    replies = dict(model(server, concurrency=concurrency).chat(requests(*names)))
    assert [replies[number].text for number in range(12)] == [f"reply to {name}" for name in names]
    assert {seen.headers["Connection"] for seen in server.seen} == {"close"}


def test_the_time_of_a_reply_does_not_hold_the_time_it_took_to_connect(server, monkeypatch):
    """A connection is made for every request; latencies are to be those of the model."""
    import httpcore

    clock, connect = [0.0], httpcore.AnyIOBackend.connect_tcp

    async def slow(*args, **options):
        clock[0] += 1000
        return await connect(*args, **options)

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", slow)
    monkeypatch.setattr(http, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    answered(server, says("x"))
    assert ask(server).seconds == 0


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        ({"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}, (12, 3)),
        ({"prompt_tokens": 0, "completion_tokens": 0}, (0, 0)),
        ({"prompt_tokens": 12}, (12, None)),
        ({"prompt_tokens": "12", "completion_tokens": None}, (None, None)),
        ({"prompt_tokens": True, "completion_tokens": 3.5}, (None, None)),
        ({"prompt_tokens": -1, "completion_tokens": [3]}, (None, None)),
        (None, (None, None)), ([], (None, None)), ("12", (None, None)), ({}, (None, None)),
    ],
)  # fmt: skip
def test_tokens_are_counted_only_where_the_server_says_so(server, usage, counts):
    answered(server, says("x", usage=usage))
    reply = ask(server)
    assert (reply.prompt_tokens, reply.completion_tokens) == counts
    assert reply.text == "x"


def test_no_usage_is_no_count(server):
    assert (ask(server).prompt_tokens, ask(server).completion_tokens) == (None, None)


# --- the key --------------------------------------------------------------------------------------


def test_the_key_is_sent(server, monkeypatch):
    ask(server)
    assert "Authorization" not in server.seen[0].headers
    monkeypatch.setenv("OPENAI_API_KEY", f"{KEY}\n")  # as read from a file
    ask(server)
    assert server.seen[1].headers["Authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("padding", [0, 150, 180, 190, 780])
@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_the_key_is_nowhere_else_even_if_a_server_sends_it_back(
    server, monkeypatch, status, padding
):
    """Wherever a message is cut off, no part of the key is left of it."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    body = b" " * padding + b"x" * (padding % 200) + f"wrong key: {KEY}".encode()
    answered(server, sends(body, status))
    chat = model(server, retries=0)
    try:
        [(_, reply)] = list(chat.chat(requests("x")))
        assert reply.error
        said = repr(reply)
    except SafescaleError as error:
        assert status == 401
        said = repr(error)
    for each in (said, repr(chat.about), repr(vars(chat))):
        assert KEY[:6] not in each


def test_the_key_is_in_no_text(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    answered(server, says(f"You sent é Bearer {KEY}."))
    assert ask(server).text == "You sent é Bearer ***."


def test_a_placeholder_for_a_key_may_be_a_word_of_a_reply(server, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "EMPTY")
    answered(server, says("EMPTY sella"))
    assert ask(server).text == "EMPTY sella"


@pytest.mark.parametrize("key", [f"{KEY}é", f"{KEY}\nX-More: 1", f"{KEY}\x00"])
def test_a_key_that_is_none_is_refused_without_being_shown(server, monkeypatch, key):
    if "\x00" in key:
        monkeypatch.setattr(endpoint.os, "environ", {"OPENAI_API_KEY": key})
    else:
        monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(SafescaleError, match="OPENAI_API_KEY holds characters") as error:
        ask(server)
    assert KEY[:6] not in str(error.value)
    assert server.seen == []


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ending", ["", "/", "///", "/chat/completions", "/chat/completions/"])
def test_a_base_url_may_be_written_in_any_of_the_usual_ways(server, ending):
    assert ask(server, base_url=server.base_url + ending).text == "reply to hello"
    assert [seen.path for seen in server.seen] == ["/v1/chat/completions"]


def test_a_password_in_the_address_is_used_and_not_recorded(server):
    host = server.base_url.removeprefix("http://")
    chat = model(server, base_url=f"http://someone:hidden%40word@{host}")
    answered(server, fails(400))
    [(_, reply)] = list(chat.chat(requests("x")))
    assert server.seen[0].headers["Authorization"].startswith("Basic ")
    assert chat.about == {
        "backend": "endpoint",
        "base_url": server.base_url,
        "model": "m",
        "seed": 1234,
    }
    assert "hidden" not in repr(chat.about) + repr(reply)


@pytest.mark.parametrize(
    "url",
    [
        "", "localhost:8000/v1", "ftp://host/v1", "file:///v1", "http://", "http:///v1",
        "http://host:abc/v1", "http://host:99999/v1", "http://[::1/v1", "http://host/v1\n",
        "http://\ud800/v1", "http://host/\ud800", "http://host/v1?api-version=hidden",
        "someone:hidden@host/v1", "ftp://someone:hidden@host", "http://someone:hid/den@host",
        "http://someone:hidden@host:x?k=hidden", 5,
    ],
)  # fmt: skip
def test_an_address_that_is_none_is_refused_at_once_without_its_secrets(url):
    with pytest.raises(
        SafescaleError, match=r"expected for example http://localhost:8000/v1"
    ) as error:
        Endpoint(base_url=url, model="m")
    assert "hid" not in str(error.value)


@pytest.mark.parametrize("name", ["concurrency", "timeout", "retries", "backoff"])
@pytest.mark.parametrize("value", [-1, float("nan"), float("inf"), "3", None, True])
def test_a_setting_that_cannot_be_used_is_refused_at_once(name, value):
    with pytest.raises(SafescaleError, match=f"endpoint: {name} = "):
        Endpoint(base_url="http://localhost", model="m", **{name: value})


@pytest.mark.parametrize("name", ["concurrency", "timeout"])
def test_no_request_at_once_and_no_time_are_refused(name):
    with pytest.raises(
        SafescaleError, match=f"endpoint: {name} = 0; expected a number of at least"
    ):
        Endpoint(base_url="http://localhost", model="m", **{name: 0})


# --- ending early ---------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["closed", "forgotten", "thrown into"])
def test_what_is_not_waited_for_is_ended(server, how):
    """One reply is taken; the others are in flight, or not yet sent, and never will be."""
    server.answer = lambda seen: says("x") if seen.prompt == "first" else keeps_silent
    replies = model(server, concurrency=4, retries=0).chat(requests("first", *["other"] * 12))
    assert next(replies)[0] == 0
    if how == "closed":
        replies.close()
    elif how == "thrown into":
        with pytest.raises(KeyboardInterrupt):
            replies.throw(KeyboardInterrupt())
    del replies
    gc.collect()
    sent = len(server.seen)
    assert sent <= 5
    assert [
        thread.name for thread in threading.enumerate() if "asyncio" in thread.name.lower()
    ] == []
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
    assert ask(server, "first").text == "x"  # and another may begin
    assert len(server.seen) <= 6


def test_a_wait_before_the_next_try_is_ended_too(server):
    server.answer = lambda seen: (
        says("x") if seen.prompt == "first" else fails(429, Retry_After="60")
    )
    replies = model(server).chat(requests("other", "first"))
    assert next(replies)[0] == 1
    replies.close()
    assert server.asked("other") <= 1


@pytest.mark.parametrize("steps", range(6))
def test_a_request_is_ended_at_whatever_step_of_its_failure(steps, monkeypatch):
    """Else whoever ends a build waits as long as the server's limit lasts, up to 15 minutes."""
    given = http.Server("http://localhost", {})

    async def ended() -> bool:
        arrived = asyncio.Event()

        async def posted(*_):
            await arrived.wait()
            raise http._MayPass(Failure(FailureKind.RATE_LIMITED, "HTTP 429"), 60.0)

        monkeypatch.setattr(http.Server, "_posted", posted)
        request = asyncio.create_task(given._response(None, {}))
        for _ in range(10):
            await asyncio.sleep(0)
        arrived.set()
        for _ in range(steps):
            await asyncio.sleep(0)
        request.cancel()
        await asyncio.wait([request], timeout=MOST_SECONDS / 10)
        return request.cancelled()

    assert asyncio.run(ended())


def test_replies_that_were_never_asked_for_send_nothing(server):
    replies = model(server).chat(requests("x"))
    del replies
    gc.collect()
    assert server.seen == []


def test_no_connection_is_left_open(server, waits):
    assert len(list(model(server).chat(requests(*"abcdefgh")))) == 8
    for fault in (drops, cut, fails(500), fails(400), sends(b"junk")):
        answered(server, fault)
        assert ask(server, retries=1).text is None
    assert server.is_left()
