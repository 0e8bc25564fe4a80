"""Contexts that stand in a file, each read when it is asked for: the texts of a large data set
would fill the memory.
"""

from __future__ import annotations

import pickle
import threading
import weakref
from array import array
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from sys import intern
from tempfile import SpooledTemporaryFile, gettempdir
from typing import Any

from lm_eval_safescale.errors import SafescaleError, writing
from lm_eval_safescale.records import Context

IN_MEMORY = 1 << 20
"""Bytes of contexts that need no file on the disk."""
RECENT = 64
"""Contexts that are kept: a prompt is made, and its answers are noted, of a few items at a time."""


class Shelf(Mapping[str, Context]):
    """Contexts by question id.

    Parameters
    ----------
    file
        Where they stand, open for reading for as long as they are used.
    read
        From the bytes of one to the context; ValueError where they are damaged.
    name
        What an error calls the file.
    """

    def __init__(self, file: Any, read: Callable[[bytes], Context], name: Path) -> None:
        self._file, self._decode, self._name = file, read, name
        self._numbers: dict[str, int] = {}
        self._starts, self._lengths = array("q"), array("q")
        self._lock = threading.Lock()
        self._recent: dict[int, Context] = {}
        weakref.finalize(self, file.close)

    def place(self, question_id: str, start: int, length: int) -> None:
        """Say where a context stands, which is none of those before: its first byte, and its length
        in bytes."""
        self._numbers[intern(question_id)] = len(self._numbers)
        self._starts.append(start)
        self._lengths.append(length)

    def __getitem__(self, question_id: str) -> Context:
        """SafescaleError where the file cannot be read, or is not as it was."""
        number, recent = self._numbers[question_id], self._recent
        if (context := recent.get(number)) is None:
            context = recent[number] = self._read(number)
            if len(recent) > RECENT:
                del recent[next(iter(recent))]
        return context

    def __contains__(self, question_id: object) -> bool:
        return question_id in self._numbers

    def __iter__(self) -> Iterator[str]:
        return iter(self._numbers)

    def __len__(self) -> int:
        return len(self._numbers)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self)} contexts in {self._name})"

    def _read(self, number: int) -> Context:
        try:
            with self._lock:
                self._file.seek(self._starts[number])
                content = self._file.read(self._lengths[number])
            return self._decode(content)
        except OSError as error:
            raise SafescaleError(f"{self._name}: cannot be read ({error.strerror})") from None
        except ValueError:
            raise SafescaleError(
                f"{self._name}: was changed while it was used; start again"
            ) from None


class MadeShelf(Shelf):
    """Contexts that were made just now, in a temporary file that goes with them."""

    def __init__(self) -> None:
        # its own end closes it
        super().__init__(SpooledTemporaryFile(IN_MEMORY), pickle.loads, Path(gettempdir()))  # noqa: SIM115
        self._size = 0

    def add(self, question_id: str, context: Context) -> None:
        """Keep one more; SafescaleError where it cannot be written."""
        content = pickle.dumps(context)
        with writing(self._name), self._lock:
            self._file.seek(self._size)
            self._file.write(content)
        self.place(question_id, self._size, len(content))
        self._size += len(content)
