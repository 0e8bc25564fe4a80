"""Imports code of somebody else's so that it costs only itself. It knows nothing of what is
imported.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any

SLOW, AGAIN = 10.0, 60.0
"""Seconds after which code that is still at work is named, and then between two times."""


class NotAnExceptionError(Exception):
    """Something was raised that is no `Exception` (an exit, a panic), so that nobody would have
    caught it; `__cause__` has it."""


@contextmanager
def isolated(who: str, hint: str = "") -> Iterator[None]:
    """What runs in the block prints nothing to standard output, ends nothing but itself, and is
    named where it is slow.

    Parameters
    ----------
    who
        What to call it on standard error.
    hint
        What to do where it is too slow.

    Raises
    ------
    NotAnExceptionError
        For what is no `Exception`.
    KeyboardInterrupt
        Where the user interrupts, whatever becomes of it in the block; not where the block raises
        one of its own.
    """
    with (
        _named_while_slow(who, hint),
        _printing_to_standard_error(),
        _noting_interrupts() as interrupted,
    ):
        try:
            yield
        except BaseException as error:
            if not interrupted():
                if isinstance(error, Exception):
                    raise
                raise NotAnExceptionError from error
        if interrupted():
            raise KeyboardInterrupt


@contextmanager
def _printing_to_standard_error() -> Iterator[None]:
    """Of Python, of libraries that do not know Python's streams, and of child processes."""
    _flush()
    kept: int | None = None
    with suppress(OSError):  # there may be no standard output, or no standard error
        kept = os.dup(1)
        os.dup2(2, 1)
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _flush()
        if kept is not None:
            os.dup2(kept, 1)
            os.close(kept)


def _flush() -> None:
    for stream in {sys.stdout, sys.__stdout__} - {None}:
        with suppress(OSError, ValueError):  # closed
            stream.flush()  # type: ignore[union-attr]


@contextmanager
def _noting_interrupts() -> Iterator[Callable[[], bool]]:
    """Whether the user has interrupted: code may swallow it, turn it into something else, or raise
    one that nobody gave."""
    noted: list[int] = []
    before: Any = signal.getsignal(signal.SIGINT)
    if (
        not callable(before) or threading.current_thread() is not threading.main_thread()
    ):  # then nobody's interrupt arrives here
        yield lambda: False
        return

    def note(number: int, frame: Any) -> Any:
        noted.append(number)
        return before(number, frame)

    signal.signal(signal.SIGINT, note)
    try:
        yield lambda: bool(noted)
    finally:
        signal.signal(signal.SIGINT, before)  # also where the code has put another one there


@contextmanager
def _named_while_slow(who: str, hint: str) -> Iterator[None]:
    done, began = threading.Event(), time.monotonic()

    def watch() -> None:
        pause = SLOW
        while not done.wait(pause):
            pause = AGAIN
            print(
                f"{who} is being loaded, for {time.monotonic() - began:.0f} s now{hint}",
                file=sys.stderr,
                flush=True,
            )

    threading.Thread(target=watch, daemon=True, name=f"watching {who}").start()
    try:
        yield
    finally:
        done.set()
