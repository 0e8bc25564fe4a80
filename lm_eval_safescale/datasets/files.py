"""JSON, JSON lines and CSV files to plain records with line numbers. Knows nothing of questions and
options.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval_safescale.datasets.problems import DataError, Problem, has_errors
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.inputs import InputError, opened, read_bytes
from lm_eval_safescale.json_text import RefusedJSONError, decode_json, decode_json_at

FORMATS = (".json", ".jsonl", ".ndjson", ".csv")
JSON_LINES = (".jsonl", ".ndjson")
BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
LIST_KEYS = ("items", "questions", "data")


@dataclass(frozen=True, slots=True)
class Record:
    """One question as the file has it, and the line on which it begins."""

    line: int
    fields: dict[str, Any]


def read_records(path: Path) -> tuple[list[Record], list[Problem]]:
    """Read every record that can be read, and say what could not be.

    Raises
    ------
    DataError
        If the file is missing, unreadable, of an unknown format or not UTF-8: there are then no
        records at all.
    """
    return records_of(read_raw(path), path)


@dataclass(frozen=True, slots=True)
class PlainRecords(Collection[Record]):
    """The records of a file of JSON lines in which nothing is wrong, read from it one by one
    whenever they are gone through."""

    path: Path
    lines: int
    """Of them, blank ones aside."""

    @classmethod
    def of(cls, path: Path) -> PlainRecords | None:
        """Those of a file; None for another format, and where there is anything to say of it."""
        if path.suffix.lower() not in JSON_LINES:
            return None
        try:
            records = cls(path, 0)
            return cls(path, number) if (number := sum(1 for _ in records._plain())) else None
        except (ValueError, SafescaleError):
            return None

    def __iter__(self) -> Iterator[Record]:
        try:
            yield from self._plain()
        except ValueError:
            raise DataError(
                str(self.path), [Problem("was changed while it was read; start again")]
            ) from None

    def __len__(self) -> int:
        return self.lines

    def __contains__(self, record: object) -> bool:
        return any(record == each for each in self)

    def _plain(self) -> Iterator[Record]:
        """The records; ValueError where something is to be said of the file."""
        with opened(self.path) as file:
            for number, raw in enumerate(file, 1):
                if b"\r" in raw or (number == 1 and (raw.startswith(BOMS) or b"\0" in raw)):
                    raise ValueError("not plain")
                if (line := raw.decode("utf-8")).strip():
                    value = decode_json(line)
                    if not isinstance(value, dict):
                        raise ValueError("no object")
                    yield Record(number, value)


def read_raw(path: Path) -> bytes:
    """The bytes of a data file; DataError if it is missing, unreadable or of an unknown format."""
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise DataError(
            str(path),
            [
                Problem(
                    f"unknown format {suffix or '(no suffix)'}; expected one of "
                    f"{', '.join(FORMATS)}"
                )
            ],
        )
    try:
        return read_bytes(path)
    except InputError as error:
        raise DataError(
            str(path), [Problem(f"{error.reason}; give the path of a data file")]
        ) from None


def records_of(raw: bytes, path: Path) -> tuple[list[Record], list[Problem]]:
    """As `read_records`, of the bytes that `read_raw` gave of that file."""
    problems: list[Problem] = []
    text = _decode(raw, str(path), problems)
    reader = {".json": _read_json, ".csv": _read_csv}.get(path.suffix.lower(), _read_json_lines)
    records = list(reader(text, problems))
    if not records and not has_errors(problems):
        problems.append(Problem("no records in the file"))
    return records, problems


# --- text -----------------------------------------------------------------------------------------


def _decode(raw: bytes, source: str, problems: list[Problem]) -> str:
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")) or raw[:200].count(0) > len(raw[:200]) // 4:
        raise DataError(
            source,
            [
                Problem(
                    "UTF-16 text; expected UTF-8 (for example: iconv -f UTF-16 -t UTF-8)", line=1
                )
            ],
        )
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        message = (
            f"not UTF-8: byte 0x{raw[error.start]:02x} at position {error.start}; save the file as "
            "UTF-8"
        )
        if error.reason == "unexpected end of data":
            message = "half-written: the file ends in the middle of a character"
        raise DataError(
            source, [Problem(message, line=raw.count(b"\n", 0, error.start) + 1)]
        ) from None
    if text.startswith("\ufeff"):
        text = text[1:]
        problems.append(
            Problem("byte-order mark at the start of the file, removed", line=1, is_error=False)
        )
    text = text.replace("\r\n", "\n")
    if "\r" in text:
        line = text.count("\n", 0, text.index("\r")) + 1
        message = (
            f"{text.count(chr(13))} stray carriage return(s), the first here, read as line ends"
        )
        problems.append(Problem(message, line=line, is_error=False))
        text = text.replace("\r", "\n")
    return text


# --- JSON -----------------------------------------------------------------------------------------


def _read_json_lines(text: str, problems: list[Problem]) -> Iterator[Record]:
    lines = text.split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = decode_json(line)
        except ValueError as error:
            torn = number == len(lines) and not isinstance(error, RefusedJSONError)
            problems.append(
                Problem(
                    f"half-written last line ({error})" if torn else f"not JSON: {error}",
                    line=number,
                )
            )
            continue
        yield from _record(value, number, problems)


def _record(value: Any, line: int, problems: list[Problem]) -> Iterator[Record]:
    if isinstance(value, dict):
        yield Record(line, value)
    else:
        problems.append(
            Problem(f"expected an object of fields, found {type(value).__name__}", line=line)
        )


def _read_json(text: str, problems: list[Problem]) -> Iterator[Record]:
    """A list of objects, bare or under one of `LIST_KEYS`; read object by object, to know lines and
    to survive a torn end."""
    start = re.match(rf'\s*(\{{(?:[^\[{{]*?)"(?:{"|".join(LIST_KEYS)})"\s*:\s*)?\[', text)
    if not start:
        expected = "a list of objects, or an object with such a list under " + ", ".join(LIST_KEYS)
        problems.append(Problem(f"not a list of questions; expected {expected}", line=1))
        return
    position, counted, line = start.end(), 0, 1
    while True:
        position = _skip(text, position, " \t\n,")
        if position >= len(text):
            problems.append(
                Problem(
                    "half-written: the file ends before the list does", line=text.count("\n") + 1
                )
            )
            return
        line, counted = line + text.count("\n", counted, position), position
        if text[position] == "]":
            _check_rest(text[position + 1 :], bool(start[1]), line, problems)
            return
        try:
            value, position = decode_json_at(text, position)
        except RefusedJSONError as error:
            problems.append(Problem(f"not JSON: {error}", line=line))
            return
        except json.JSONDecodeError as error:
            torn = _is_torn(text, error)
            message = (
                f"half-written: the file ends in the middle of this item ({error.msg})"
                if torn
                else f"not JSON: {error.msg}"
            )
            problems.append(Problem(message, line=line if torn else error.lineno))
            return
        yield from _record(value, line, problems)


def _skip(text: str, position: int, characters: str) -> int:
    while position < len(text) and text[position] in characters:
        position += 1
    return position


def _is_torn(text: str, error: json.JSONDecodeError) -> bool:
    """Whether the decoder failed only because the text ends: inside a string, or within a few
    characters of the end."""
    end = text.rstrip()
    return "Unterminated string" in error.msg or (
        error.pos >= len(end) - 8 and not end.endswith(("]", "}"))
    )


def _check_rest(rest: str, in_object: bool, line: int, problems: list[Problem]) -> None:
    """What follows the list must be nothing, or the rest of the object that holds it."""
    try:
        whole = isinstance(decode_json('{"": 0' + rest), dict) if in_object else not rest.strip()
    except ValueError:
        whole = False
    if not whole:
        problems.append(
            Problem(
                "not JSON: something stands after the end of the list, or the object around it is "
                "not closed",
                line=line,
            )
        )


# --- CSV ------------------------------------------------------------------------------------------


def _read_csv(text: str, problems: list[Problem]) -> Iterator[Record]:
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] = []
    before = 0
    try:
        for row in reader:
            line, before = before + 1, reader.line_num
            if not any(cell.strip() for cell in row):
                continue
            if not header:
                header = [name.strip() for name in row]
                _check_header(header, line, problems)
            elif len(row) != len(header):
                torn = (
                    reader.line_num >= text.count("\n") + 1
                    and not text.endswith("\n")
                    and len(row) < len(header)
                )
                what = "half-written last line: " if torn else ""
                problems.append(
                    Problem(f"{what}{len(row)} fields, but the header has {len(header)}", line=line)
                )
            else:
                yield Record(line, dict(zip(header, row, strict=True)))
    except csv.Error as error:
        torn = "unexpected end" in str(error)
        message = (
            "half-written: the file ends inside a quoted field" if torn else f"not CSV: {error}"
        )
        problems.append(Problem(message, line=before + 1))


def _check_header(header: list[str], line: int, problems: list[Problem]) -> None:
    for name in sorted({name for name in header if name and header.count(name) > 1}):
        problems.append(
            Problem(f"column {name!r} stands twice in the header", line=line, field=name)
        )
    if len(header) == 1 and ";" in header[0]:
        problems.append(
            Problem("one column only; separate the fields by commas, not by semicolons", line=line)
        )
