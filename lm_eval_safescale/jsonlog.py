"""JSON lines that survive a kill: appended whole or not at all, each with a checksum. It knows
nothing of what they say.

A line that is not what its checksum was made of does not count. Lines of older formats bear no
checksum; they may stand at the beginning of a file, never behind one that bears one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from lm_eval_safescale.checksums import is_whole, with_checksum

try:
    import fcntl
except ImportError:  # no such lock on Windows
    fcntl = None  # type: ignore[assignment]


class LogLine(NamedTuple):
    """A line that counts."""

    number: int
    """In the file, from 1."""
    data: bytes
    """The JSON object, with its checksum where it bears one."""
    is_checked: bool
    """Whether it bears one."""


class Log(NamedTuple):
    """What a file of JSON lines holds."""

    lines: list[LogLine]
    damaged: list[int]
    """Numbers of lines that do not count."""
    size: int
    """Bytes up to the end of the last line; behind it stands what a kill has torn."""


def read_log(content: bytes) -> Log:
    """The lines of a file that are whole, as far as checksums tell; whether those without one are
    JSON is not looked at."""
    damaged: list[int] = []
    lines = [
        LogLine(number, data, bool(whole))
        for number, data, whole in lines_of(content.split(b"\n"), damaged)
    ]
    return Log(lines, damaged, content.rfind(b"\n") + 1)


def lines_of(lines: Iterable[bytes], damaged: list[int]) -> Iterator[tuple[int, bytes, bool]]:
    """The same one by one, as plain tuples, of all lines of a file; `damaged` takes the numbers of
    those that do not count."""
    must_bear = False
    for number, data in enumerate(lines, 1):
        if not data:
            continue
        whole = is_whole(data)
        if whole or (whole is None and not must_bear):
            must_bear = must_bear or bool(whole)
            yield number, data, bool(whole)
        else:
            damaged.append(number)


class LogFile:
    """A file of JSON lines, open for appending; one process at a time. A context manager."""

    def __init__(self, path: Path, *, new: bool) -> None:
        """Make it (`new`), or open what there is.

        Raises
        ------
        OSError
            If it cannot be written; FileExistsError if it is to be new and is there;
            BlockingIOError if another process writes to it.
        """
        self.path = path
        flags = (
            os.O_RDWR
            | os.O_CREAT
            | os.O_APPEND
            | (os.O_EXCL if new else 0)
            | getattr(os, "O_BINARY", 0)
        )
        self.descriptor = os.open(path, flags, 0o644)
        try:
            _lock(self.descriptor)
            self.size = os.fstat(self.descriptor).st_size
        except OSError:
            os.close(self.descriptor)
            raise

    def __enter__(self) -> LogFile:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> bytes:
        """All that stands in it."""
        with open(os.dup(self.descriptor), "rb") as file:  # noqa: PTH123 (a descriptor, no path)
            file.seek(0)
            return file.read()

    def append(self, *lines: bytes) -> None:
        """Add JSON objects, each in a line with its checksum; with the operating system at once.

        Raises
        ------
        OSError
            If they cannot be written (a full disk). What stood there before still does, and nothing
            of these.
        """
        left = memoryview(b"".join(with_checksum(line) + b"\n" for line in lines))
        size = self.size + len(left)
        try:
            while left:
                left = left[os.write(self.descriptor, left) :]
        except OSError:
            with suppress(OSError):  # else a torn line stays, which does not count
                os.ftruncate(self.descriptor, self.size)
            raise
        self.size = size

    def cut(self, size: int) -> None:
        """Leave nothing but the first so many bytes."""
        os.ftruncate(self.descriptor, size)
        self.size = size

    def sync(self) -> None:
        """Wait until the disk has it; OSError if it does not take it."""
        os.fsync(self.descriptor)

    def is_in_place(self) -> bool:
        """Whether the file still stands under its name: a file that was removed takes all that is
        written, and keeps nothing."""
        try:
            return os.path.samestat(os.fstat(self.descriptor), self.path.stat())
        except OSError:
            return False

    def close(self) -> None:
        """Let others write to it."""
        os.close(self.descriptor)


def _lock(descriptor: int) -> None:
    if fcntl is None:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:  # a file system without locks
        return
