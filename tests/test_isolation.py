"""Somebody else's code costs only itself, however it fails; and the user's own interrupt is still
one.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from lm_eval_safescale import isolation
from lm_eval_safescale.isolation import NotAnExceptionError, isolated

WAIT = 10
"""Seconds until a test gives up."""


def interrupt() -> None:
    """As Ctrl-C does it."""
    os.kill(os.getpid(), signal.SIGINT)


def test_what_is_printed_goes_to_standard_error_whoever_prints_it(capfd):
    with isolated("it"):
        print("by Python")
        sys.__stdout__.write("past Python's stream\n")
        os.write(1, b"by the system\n")
        subprocess.run(["echo", "by a child"], check=True)
    print("after")
    captured = capfd.readouterr()
    assert captured.out == "after\n"
    for who in ("by Python", "by the system", "by a child"):
        assert who in captured.err


@pytest.mark.parametrize("stream", ["closed", None])
def test_where_there_is_no_standard_output_the_block_runs(stream, monkeypatch):
    if stream == "closed":
        stream = open(os.devnull, "w")  # noqa: PTH123, SIM115
        stream.close()
    monkeypatch.setattr(sys, "stdout", stream)
    with isolated("it"):
        print("x")
    assert sys.stdout is stream


@pytest.mark.parametrize(
    "error",
    [
        SystemExit(3),
        KeyboardInterrupt(),
        GeneratorExit(),
        asyncio.CancelledError(),
        type("PanicException", (BaseException,), {})("x"),
    ],
)
def test_what_is_no_exception_becomes_one(error):
    with pytest.raises(NotAnExceptionError) as raised, isolated("it"):
        raise error
    assert raised.value.__cause__ is error


def test_an_exception_stays_what_it_is():
    error = ValueError("x")
    with pytest.raises(ValueError) as raised, isolated("it"):  # noqa: PT011
        raise error
    assert raised.value is error


def swallowing() -> None:
    with suppress(BaseException):
        interrupt()


def turning() -> None:
    try:
        interrupt()
    except KeyboardInterrupt:
        raise ImportError("interrupted") from None


@pytest.mark.parametrize("become", [interrupt, swallowing, turning])
def test_the_users_interrupt_is_one_whatever_becomes_of_it(become):
    with pytest.raises(KeyboardInterrupt), isolated("it"):
        become()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_handler_of_interrupts_is_back_whatever_the_block_did_to_it():
    with isolated("it"):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(KeyboardInterrupt):
        interrupt()


def test_another_handler_is_still_called():
    called = []
    before = signal.signal(signal.SIGINT, lambda *_: called.append(1))
    try:
        with pytest.raises(KeyboardInterrupt), isolated("it"):
            interrupt()
    finally:
        signal.signal(signal.SIGINT, before)
    assert called == [1]


def test_it_works_in_a_thread():
    caught = []

    def run():
        try:
            with isolated("it"):
                raise SystemExit
        except NotAnExceptionError as error:
            caught.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join(WAIT)
    assert len(caught) == 1


def test_what_is_slow_is_named_while_it_lasts(monkeypatch):
    monkeypatch.setattr(isolation, "SLOW", 0.01)
    monkeypatch.setattr(isolation, "AGAIN", 0.01)

    class Told:
        times, twice = 0, threading.Event()

        def write(self, text):
            if "plugin slow 1.0 is being loaded, for 0 s now; wait" in text:
                self.times += 1
                if self.times == 2:
                    self.twice.set()

        def flush(self): ...

    told = Told()
    monkeypatch.setattr(sys, "stderr", told)
    with isolated("plugin slow 1.0", "; wait"):
        assert told.twice.wait(WAIT)
    assert not any(
        thread.name == "watching plugin slow 1.0" and not thread.daemon
        for thread in threading.enumerate()
    )
