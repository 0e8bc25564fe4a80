"""Data files to plain records with line numbers: JSON, JSON lines and tables (`tables`), told apart
by what stands in them. Knows nothing of questions and options.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from lm_eval_safescale.datasets import tables
from lm_eval_safescale.datasets.problems import DataError, Problem, has_errors
from lm_eval_safescale.datasets.record import KEY, Record
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.inputs import InputError, opened, read_bytes
from lm_eval_safescale.json_text import RefusedJSONError, decode_json, decode_json_at
from lm_eval_safescale.words import counted

FORMATS = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".xlsx")
TEXTS = FORMATS[:4]
"""Of them, those that data sets on a hub come as."""
JSON_LINES = (".jsonl", ".ndjson")
BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
LIST_KEYS = ("items", "questions", "data")
_UNDER = re.compile(rf'"(?:{"|".join(LIST_KEYS)})"\s*:\s*\[')
_LIST = re.compile(rf"\s*(?:(\{{[^\[{{]*?){_UNDER.pattern}|\[)")
_SECTIONS = re.compile(rf'\s*\{{[^\[{{]*"\s*:\s*\{{\s*"[^"]*"\s*:\s*\{{[^\[{{]*?{_UNDER.pattern}')
_PARQUET = b"PAR1"
_OTHERS = {
    _PARQUET: "Parquet",
    b"\xd0\xcf\x11\xe0": "an old Excel file (.xls)",
    b"\x1f\x8b": "compressed",
    b"%PDF": "PDF",
}
"""What other files begin with."""


def read_records(path: Path, names: Collection[str] = ()) -> tuple[list[Record], list[Problem]]:
    """Read every record that can be read, and say what could not be.

    Parameters
    ----------
    names
        Of columns that the user expects: the row that holds one of them names the columns.

    Raises
    ------
    DataError
        If the file is missing, unreadable, of an unknown format or not UTF-8: there are then no
        records at all.
    """
    return records_of(read_raw(path), path, names)


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
    """The bytes of a data file; DataError if it is missing or unreadable."""
    try:
        return read_bytes(path)
    except InputError as error:
        raise DataError(
            str(path), [Problem(f"{error.reason}; give the path of a data file")]
        ) from None


def records_of(
    raw: bytes, path: Path, names: Collection[str] = ()
) -> tuple[list[Record], list[Problem]]:
    """As `read_records`, of the bytes that `read_raw` gave of that file."""
    problems: list[Problem] = []
    if raw.startswith(tables.WORKBOOK):
        rows = tables.sheet_rows(raw, path, problems)
        records = list(tables.records_of(rows, problems, names))
    else:
        _refuse_others(raw, path)
        text = _decode(raw, str(path), problems)
        if (reader := _reader_of(text, path.suffix.lower(), names)) is None:
            known = ", ".join(FORMATS)
            said = f"unknown format {path.suffix or '(no suffix)'}; expected one of {known}"
            raise DataError(str(path), [Problem(said)])
        records = list(reader(text, problems))
    if len({record.line for record in records}) < len(records):
        records = [
            record if record.number else replace(record, number=number)
            for number, record in enumerate(records, 1)
        ]
    if not records and not has_errors(problems):
        problems.append(Problem("no records in the file"))
    return records, problems


def _refuse_others(raw: bytes, path: Path) -> None:
    if kind := next((name for mark, name in _OTHERS.items() if raw.startswith(mark)), None):
        said = f"{kind}; expected one of {', '.join(FORMATS)}: "
        if raw.startswith(_PARQUET):
            to = str(path.with_suffix(".jsonl"))
            said += (
                f"in Python, import polars; polars.read_parquet({str(path)!r}).write_ndjson({to!r})"
            )
        else:
            said += "save it as such"
        raise DataError(str(path), [Problem(said)])


Reader = Callable[[str, list[Problem]], Iterator[Record]]


def _reader_of(text: str, suffix: str, names: Collection[str]) -> Reader | None:
    """What reads a text: its beginning says so, and the suffix where it does not."""
    first, _, rest = text.strip().partition("\n")
    is_csv, is_lines = suffix in (".csv", ".tsv"), suffix in JSON_LINES
    if first[:1] in ("[", "{") and not (is_csv and not _is_json(first) and not _is_json(text)):
        one_a_line = first.startswith("{") and _is_json(first) and bool(rest or is_lines)
        if is_lines and first.startswith("{") and not one_a_line:
            one_a_line = not (_LIST.match(text) or _is_json(text))
        return _read_json_lines if one_a_line else _read_json
    if suffix == ".json" or is_lines:
        return _read_json_lines if is_lines else _read_json
    is_table = is_csv or any(each in text for each in tables.DELIMITERS)
    return partial(tables.read_csv, names=names) if is_table else None


def _is_json(text: str) -> bool:
    try:
        decode_json(text)
    except ValueError:
        return False
    return True


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
            "UTF-8 (Excel: CSV UTF-8)"
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
    to survive a torn end. Or an object of objects by their keys, or of such lists."""
    start = _LIST.match(text)
    if not start:
        reader = _read_sections if _SECTIONS.match(text) else _read_keyed
        yield from reader(text, problems)
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
        error.pos >= len(end) - 8 and (error.pos >= len(end) or not end.endswith(("]", "}")))
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


def _read_keyed(text: str, problems: list[Problem]) -> Iterator[Record]:
    """An object of objects, each under its key."""
    position, line, counted = _skip(text, 0, " \t\n"), 1, 0
    records = []
    try:
        if text[position : position + 1] != "{":
            raise ValueError
        position += 1
        while text[position := _skip(text, position, " \t\n,")] != "}":
            line, counted = line + text.count("\n", counted, position), position
            key, position = decode_json_at(text, position)
            position = _skip(text, position, " \t\n")
            if text[position] != ":":
                raise ValueError
            value, position = decode_json_at(text, _skip(text, position + 1, " \t\n"))
            if not isinstance(value, dict):
                raise ValueError
            records.append(Record(line, {**value, KEY: key}))
    except IndexError:
        said = "half-written: the file ends before its object does"
        problems.append(Problem(said, line=text.count("\n") + 1))
    except json.JSONDecodeError as error:
        torn = _is_torn(text, error)
        said = "half-written: the file ends in the middle of this item" if torn else "not JSON"
        problems.append(Problem(f"{said} ({error.msg})", line=line if torn else error.lineno))
    except ValueError as error:
        if isinstance(error, RefusedJSONError):
            problems.append(Problem(f"not JSON: {error}", line=line))
        else:
            expected = (
                "a list of objects, an object of objects by their ids, or an object with such a "
                f"list under {', '.join(LIST_KEYS)}"
            )
            problems.append(Problem(f"not a list of questions; expected {expected}", line=line))
            return
    else:
        _check_rest(text[position + 1 :], False, line, problems)
    yield from records


def _read_sections(text: str, problems: list[Problem]) -> Iterator[Record]:
    """An object with an object of sections, each of which has a list of objects under one of
    `LIST_KEYS`; its other fields are fields of them all."""
    try:
        given = decode_json(text)
    except json.JSONDecodeError as error:
        said = "half-written: the file ends too early" if _is_torn(text, error) else "not JSON"
        problems.append(Problem(f"{said} ({error.msg})", line=error.lineno))
        return
    except RefusedJSONError as error:
        problems.append(Problem(f"not JSON: {error}"))
        return
    outer, sections = next(each for each in given.items() if isinstance(each[1], dict))
    said = f"questions from {counted(len(sections), 'section')} of {outer!r}"
    problems.append(Problem(said, is_error=False, is_note=True))
    position, counted_to, line = 0, 0, 1
    for name, section in sections.items():
        about = dict(section) if isinstance(section, dict) else {}
        key = next((key for key in LIST_KEYS if isinstance(about.get(key), list)), "")
        values = about.pop(key, None)
        if values is None or any(isinstance(each, dict | list) for each in about.values()):
            expected = f"a list under {', '.join(LIST_KEYS)}, and plain values beside it"
            problems.append(Problem(f"{name!r} of {outer!r}: expected {expected}", line=line))
            return
        under = _UNDER.search(text, position)
        position = under.end() if under else position
        for number, value in enumerate(values, 1):
            position = _skip(text, position, " \t\n,")
            line += text.count("\n", counted_to, position)
            counted_to = position
            _, position = decode_json_at(text, position)
            for record in _record(value, line, problems):
                every = {**about, **record.fields}
                yield replace(record, fields=every, number=number, section=name)
