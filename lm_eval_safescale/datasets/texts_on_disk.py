"""Texts of a data set that stand in a temporary file, each read when it is asked for: those of a
large one would fill the memory.
"""

from __future__ import annotations

import json
import threading
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import Any

from lm_eval_safescale.errors import SafescaleError, writing

IN_MEMORY = 1 << 20
"""Characters that need no file."""


class KeptTexts:
    """Where the texts are: the first of them in memory, all others in a file that goes with
    them."""

    def __init__(self) -> None:
        self._room, self._size = IN_MEMORY, 0
        self._file: Any = None
        self._lock = threading.Lock()
        self._last: tuple[int, dict[str, str]] = -1, {}

    def add(self, texts: Mapping[str, str]) -> Mapping[str, str]:
        """The same texts by the same names, kept; SafescaleError where they cannot be written."""
        self._room -= sum(map(len, texts.values()))
        if self._room >= 0 or not texts:
            return texts
        content, start = json.dumps(texts).encode(), self._size
        with writing(Path(gettempdir())):
            if self._file is None:
                self._file = TemporaryFile()  # noqa: SIM115 (its own end closes it)
                weakref.finalize(self, self._file.close)
            with self._lock:
                self._file.seek(start)
                self._file.write(content)
        self._size += len(content)
        return _OfItem(self, start, len(content))

    def read(self, start: int, length: int) -> dict[str, str]:
        """The texts that stand there; SafescaleError where they cannot be read."""
        last, texts = self._last
        if last != start:
            try:
                with self._lock:
                    self._file.seek(start)
                    content = self._file.read(length)
                texts = json.loads(content)
            except (OSError, ValueError) as error:
                raise SafescaleError(
                    f"{gettempdir()}: texts of the data set, kept there, cannot be read ({error})"
                ) from None
            self._last = start, texts
        return texts


class _OfItem(Mapping[str, str]):
    """The texts of an item by name; as a dict where it is copied."""

    __slots__ = ("_kept", "_length", "_start")

    def __init__(self, kept: KeptTexts, start: int, length: int) -> None:
        self._kept, self._start, self._length = kept, start, length

    def __getitem__(self, name: str) -> str:
        return self._kept.read(self._start, self._length)[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kept.read(self._start, self._length))

    def __len__(self) -> int:
        return len(self._kept.read(self._start, self._length))

    def __repr__(self) -> str:
        return repr(dict(self))

    def __reduce__(self) -> tuple[type[dict[str, str]], tuple[dict[str, str]]]:
        return dict, (dict(self),)
