"""The one exception type that means "you, the user, can mend this", and what errors of other
libraries say.
"""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class Hint:
    """What to do next: in plain words as a text, and in its own words wherever somebody phrases it
    (`command_line`)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class SettingsHint(Hint):
    """Settings to give, by name."""

    values: Mapping[str, Any]

    def __str__(self) -> str:
        return ", ".join(
            f"{name} = {json.dumps(value, ensure_ascii=False)}"
            for name, value in self.values.items()
        )


@dataclass(frozen=True, slots=True)
class ArgumentHint(Hint):
    """An argument to give."""

    name: str
    value: str | bool = True

    def __str__(self) -> str:
        return f"{self.name}={self.value}"


@dataclass(frozen=True, slots=True)
class CommandHint(Hint):
    """A command to run."""

    command: str
    """As it is typed, without its options."""
    options: Mapping[str, str]

    def __str__(self) -> str:
        return (
            f"{self.command} with "
            f"{', '.join(f'{name}={value}' for name, value in self.options.items())}"
        )


@dataclass(frozen=True, slots=True)
class FolderHint(Hint):
    """Where to write instead."""

    where: str

    def __str__(self) -> str:
        return self.where


OTHER_FOLDER = FolderHint("choose another folder")


class SafescaleError(ValueError):
    """Bad input or a missing piece: the message says what was wrong, where, what was expected and
    what to do next.

    Parameters
    ----------
    parts
        Of the message: texts, hints, and errors with hints of their own.
    """

    def __init__(self, *parts: str | Hint | SafescaleError) -> None:
        super().__init__(*parts)

    def __str__(self) -> str:
        return self.phrased(str)

    def phrased(self, phrase: Callable[[Hint], str]) -> str:
        """The message, with its hints in the words of whoever shows it."""
        return "".join(
            part.phrased(phrase)
            if isinstance(part, SafescaleError)
            else phrase(part)
            if isinstance(part, Hint)
            else str(part)
            for part in self.args
        )


class PanicError(Exception):
    """A library written in Rust has panicked. Its own exception is no `Exception`, so that nobody
    would catch it."""


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL_IN_TEXT = re.compile(
    "|".join([*(rf"{re.escape(os.strerror(number))}|os error {number}\b" for number in FULL)])
)


def reason_of(error: BaseException) -> str:
    """The first line of an error of somebody else's library, or its type where it says nothing, or
    cannot."""
    said = ""
    with suppress(Exception):
        said = str(error)
    return next(iter(said.strip().splitlines()), type(error).__name__)


FAILURES = (Exception, SystemExit)
"""What code of somebody else's may raise, where it is used: an exit would end the run without a
word."""


def unwritten(path: Path, error: BaseException, *, goes_on: bool = False) -> SafescaleError:
    """The error for something that cannot be written. A full disk is named as the cause, however
    deep in the chain of errors it stands.

    Parameters
    ----------
    goes_on
        What was written before stays, and the same command adds to it; else all must be written
        again, here or elsewhere.
    """
    full = next(filter(None, map(_full, chain_of(error))), "")
    why = full or getattr(error, "strerror", None) or reason_of(error)
    if goes_on:
        then = (
            f"what was written before stays{'. Make room' if full else ''}, and the same command "
            "goes on from there"
        )
    else:
        then = "make room, or choose another folder" if full else "choose another folder"
    return SafescaleError(f"{path}: cannot be written ({why}); {then}")


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Whatever keeps from writing at `path`, a panic too, is told as `unwritten` tells it."""
    try:
        yield
    except SafescaleError:
        raise
    except BaseException as error:
        if (
            isinstance(error, OSError | UnicodeError)
            or _is_of_polars(error)
            or any(map(_full, chain_of(error)))
        ):
            raise unwritten(path, error) from None
        raise


def _is_of_polars(error: BaseException) -> bool:
    """It raises errors of its own for what the system says, and panics."""
    return is_panic(error) or type(error).__module__.partition(".")[0] == "polars"


def _full(error: BaseException) -> str:
    """How an error says that there is no room; empty where it does not."""
    number = getattr(error, "errno", None)
    found = _FULL_IN_TEXT.search(str(error))
    return os.strerror(number) if number in FULL else found[0] if found else ""


def chain_of(error: BaseException | None) -> Iterator[BaseException]:
    """An error and all that it came of."""
    seen: set[int] = set()
    left = [error]
    while left:
        each = left.pop(0)
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            yield each
            left += [each.__cause__, each.__context__]


def is_panic(error: BaseException) -> bool:
    """Whether an error is a Rust library's panic."""
    return type(error).__name__ == "PanicException"


@contextmanager
def panics_as_errors(*, quiet: bool = False) -> Iterator[None]:
    """A Rust library's panic becomes a `PanicError`.

    Parameters
    ----------
    quiet
        Keep what the library prints of it from standard error; and all that others print there
        meanwhile.
    """
    try:
        if quiet:
            with _no_standard_error():
                yield
        else:
            yield
    except BaseException as error:
        if not is_panic(error):
            raise
        raise PanicError(reason_of(error)) from None


@contextmanager
def _no_standard_error() -> Iterator[None]:
    """The library prints past Python's `sys.stderr`."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nothing:  # noqa: PTH123
            os.dup2(nothing.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
