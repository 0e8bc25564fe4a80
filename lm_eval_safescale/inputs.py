"""Files that a user names, read with bounds: regular ones only, and no larger than expected. It
knows nothing of what is in them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.json_text import decode_json
from lm_eval_safescale.yaml_text import MOST_CHARACTERS, RefusedYAMLError, decode_yaml

MAX_FILE_MB = "SAFESCALE_MAX_FILE_MB"
DEFAULT_MB = 2000
"""Megabytes of 1,000,000 bytes: files are read into memory."""
BUFFER = 1 << 20
"""Bytes read at once: a line may have all draws of an item, and is long."""
KINDS = {
    stat.S_IFDIR: "a directory", stat.S_IFIFO: "a pipe", stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device", stat.S_IFSOCK: "a socket",
}  # fmt: skip


class InputError(SafescaleError):
    """A file that cannot be used."""

    def __init__(self, path: Path, reason: str, line: int | None = None) -> None:
        super().__init__(f"{path}{'' if line is None else f', line {line}'}: {reason}")
        self.reason, self.line = reason, line


def most_bytes() -> int:
    """The size that a file may have; SafescaleError if the variable that raises it holds no
    number."""
    given = os.environ.get(MAX_FILE_MB, "").strip()
    try:
        megabytes = float(given or DEFAULT_MB)
        if not 0 < megabytes < 1e12:
            raise ValueError
    except ValueError:
        raise SafescaleError(
            f"{MAX_FILE_MB} = {given!r}; expected a number of megabytes above 0, for example "
            f"{DEFAULT_MB}"
        ) from None
    return int(megabytes * 1e6)


@contextmanager
def opened(path: Path, most: int | None = None) -> Iterator[BinaryIO]:
    """A regular file of bounded size, open for reading.

    Parameters
    ----------
    most
        Bytes that it may have; None for as many as the variable says.

    Raises
    ------
    InputError
        If it is not there, cannot be read, is no regular file (a pipe or a device may have no end),
        or is too large; also for an error while it is read.
    """
    try:
        # before it is opened: opening a device may do something
        _refuse_irregular(path, path.stat().st_mode)
        flags = (
            os.O_RDONLY
            | getattr(os, "O_NONBLOCK", 0)
            | getattr(os, "O_CLOEXEC", 0)
            | getattr(os, "O_BINARY", 0)
        )
        with os.fdopen(os.open(path, flags), "rb", buffering=BUFFER) as file:
            found = os.fstat(file.fileno())
            _refuse_irregular(path, found.st_mode)
            _refuse_large(path, found.st_size, most)
            yield file
    except OSError as error:
        raise InputError(path, f"cannot be read ({error.strerror})") from None
    except SafescaleError:
        raise
    except ValueError as error:  # a null character, or half of a surrogate pair
        raise InputError(path, f"no name of a file ({error})") from None


def read_bytes(path: Path, most: int | None = None) -> bytes:
    """What is in a file; parameters and InputError as for `opened`."""
    with opened(path, most) as file:
        content = file.read((most_bytes() if most is None else most) + 1)
    _refuse_large(path, len(content), most)  # it may have grown
    return content


def read_text(path: Path, most: int | None = None) -> str:
    """A UTF-8 text, with or without a byte-order mark; InputError as for `opened`, or if it is
    none."""
    return _text_of(path, read_bytes(path, most))


def _text_of(path: Path, content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InputError(
            path, f"not UTF-8 text (byte 0x{error.object[error.start]:02x}); save it as UTF-8", line
        ) from None


def read_yaml(path: Path) -> Any:
    """A YAML value of plain kinds and bounded size; InputError as for `read_text`, or if it is
    none."""
    return yaml_and_bytes(path)[0]


def yaml_and_bytes(path: Path) -> tuple[Any, bytes]:
    """`read_yaml`, and the bytes that it was read from."""
    content = read_bytes(path, 4 * MOST_CHARACTERS)
    try:
        return decode_yaml(_text_of(path, content)), content
    except RefusedYAMLError as error:
        raise InputError(path, str(error), error.line) from None


def read_json(path: Path, *, names_once: bool = False) -> Any:
    """A JSON value of bounded depth (`names_once`: see `decode_json`); InputError as for
    `read_text`, or if it is none."""
    return _json_of(path, read_bytes(path), names_once=names_once)


def json_and_bytes(path: Path, most: int | None = None) -> tuple[Any, bytes]:
    """`read_json` with each name once in an object, and the bytes that it was read from."""
    content = read_bytes(path, most)
    return _json_of(path, content, names_once=True), content


def _json_of(path: Path, content: bytes, *, names_once: bool) -> Any:
    text = _text_of(path, content)
    try:
        return decode_json(text, names_once=names_once)
    except ValueError as error:
        raise InputError(path, f"not JSON: {error}") from None


def _refuse_irregular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = KINDS.get(stat.S_IFMT(mode), "no regular file")
        raise InputError(path, f"{kind}; expected a file, whose size is known before it is read")


def _refuse_large(path: Path, size: int, most: int | None) -> None:
    allowed = most_bytes() if most is None else most
    if size > allowed:
        said = (
            f"{size / 1e6:,.1f} MB; expected at most {allowed / 1e6:,g} MB, so that a wrong file "
            "does not fill the memory"
        )
        raise InputError(
            path,
            said
            if most is not None
            else f"{said}. If it is the right one, set {MAX_FILE_MB} to more megabytes",
        )
