"""Tables to plain records: CSV, with commas, semicolons or tabs, and the first sheet of an Excel
workbook. Which row names the columns is told by the names that questions go by (`headers`).
"""

from __future__ import annotations

import csv
import datetime
import io
import itertools
import re
import zipfile
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval_safescale.datasets.headers import LOOKED_AT, find_header, is_of_questions
from lm_eval_safescale.datasets.problems import DataError, Problem
from lm_eval_safescale.datasets.record import DateCell, Record
from lm_eval_safescale.errors import reason_of
from lm_eval_safescale.inputs import most_bytes
from lm_eval_safescale.words import counted

DELIMITERS = ",;\t"
WORKBOOK = b"PK\x03\x04"
"""What an Excel workbook begins with: it is a zip archive."""
_SEPARATOR = re.compile(r"sep=([,;|\t])\n")
"""A first line that Excel writes and reads."""


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of a row, and the line on which it begins."""

    line: int
    cells: list[str]
    is_last: bool = False
    """Whether the text ends in it, without the end of a line."""


def records_of(
    rows: Iterator[Row], problems: list[Problem], names: Collection[str] = ()
) -> Iterator[Record]:
    """A record for each row below the header, which holds one of `names` where any row does. Blank
    rows do not count."""
    rows = (row for row in rows if any(cell.strip() for cell in row.cells))
    looked_at = list(itertools.islice(rows, LOOKED_AT))
    if not looked_at:
        return
    first, given = find_header([row.cells for row in looked_at], names)
    if given is None:
        header = [name.strip() for name in looked_at[first].cells]
        _check_header(header, looked_at[first].line, problems)
        first += 1
        if first > 1:
            said = f"{counted(first - 1, 'row')} above the names of the columns, not read"
            problems.append(Problem(said, line=looked_at[0].line, is_error=False, is_note=True))
    else:
        header = given
        said = f"no row names the columns; read as {', '.join(header)}"
        problems.append(Problem(said, is_error=False, is_note=True))
    for row in _of_questions(itertools.chain(looked_at[first:], rows), header, problems):
        cells = _as_wide(row.cells, len(header))
        if len(cells) != len(header):
            torn = row.is_last and len(cells) < len(header)
            what = "half-written last line: " if torn else ""
            said = f"{what}{len(cells)} fields, but the header has {len(header)}"
            problems.append(Problem(said, line=row.line))
            continue
        yield Record(row.line, {
            name or f"column {number}": cell
            for number, (name, cell) in enumerate(zip(header, cells, strict=True), 1)
            if name or cell.strip()
        })  # fmt: skip


def _of_questions(rows: Iterator[Row], header: list[str], problems: list[Problem]) -> Iterator[Row]:
    """The rows without those between and below the questions: several words in one cell and nothing
    else, unless it is in the only column that may hold questions, or the header again."""
    of_questions = [number for number, name in enumerate(header) if is_of_questions(name)]
    left_out = []
    for row in rows:
        filled = [number for number, cell in enumerate(row.cells) if cell.strip()]
        is_cut = row.is_last and len(row.cells) < len(header)
        is_remark = (
            len(header) > 2
            and len(filled) == 1
            and filled != of_questions
            and len(row.cells[filled[0]].split()) > 1
            and not is_cut
        )
        if is_remark or [cell.strip() for cell in row.cells] == header:
            left_out.append(row.line)
        else:
            yield row
    if left_out:
        said = f"{counted(len(left_out), 'row')} with a remark or the header again, not read"
        problems.append(Problem(said, line=left_out[0], is_error=False, is_note=True))


def _as_wide(cells: list[str], width: int) -> list[str]:
    """The cells without blank ones beyond that width."""
    return cells if any(cell.strip() for cell in cells[width:]) else cells[:width]


def _check_header(header: list[str], line: int, problems: list[Problem]) -> None:
    for name in sorted({name for name in header if name and header.count(name) > 1}):
        problems.append(
            Problem(f"column {name!r} stands twice in the header", line=line, field=name)
        )


# --- CSV ------------------------------------------------------------------------------------------


def read_csv(text: str, problems: list[Problem], names: Collection[str] = ()) -> Iterator[Record]:
    """The records of a CSV file; `names` as of `records_of`."""
    yield from records_of(_csv_rows(text, problems), problems, names)


def _csv_rows(text: str, problems: list[Problem]) -> Iterator[Row]:
    csv.field_size_limit(max(csv.field_size_limit(), len(text) + 1))
    said = _SEPARATOR.match(text)
    delimiter = said[1] if said else _delimiter_of(text)
    skipped = said.end() if said else 0
    reader = csv.reader(io.StringIO(text[skipped:], newline=""), delimiter=delimiter, strict=True)
    lines, offset, before = text.count("\n") + 1, int(bool(said)), int(bool(said))
    try:
        for cells in reader:
            line, before = before + 1, reader.line_num + offset
            yield Row(line, cells, before >= lines and not text.endswith("\n"))
    except csv.Error as error:
        torn = "unexpected end" in str(error)
        message = (
            "half-written: the file ends inside a quoted field" if torn else f"not CSV: {error}"
        )
        problems.append(Problem(message, line=before + 1))


def _delimiter_of(text: str) -> str:
    """That by which the first rows have the same number of fields, the more the better; else that
    by which the first row has most."""
    found = {}
    for delimiter in DELIMITERS:
        widths = list[int]()
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        with suppress(csv.Error):
            for cells in itertools.islice(reader, 20):
                widths += [len(cells)] if cells else []
        if widths:
            found[delimiter] = len(set(widths)) == 1 and widths[0] > 1, widths[0]
    return max(found, key=lambda each: found[each], default=",")


# --- Excel ----------------------------------------------------------------------------------------


def sheet_rows(raw: bytes, path: Path, problems: list[Problem]) -> Iterator[Row]:
    """The rows of the first sheet of a workbook in which anything stands.

    Raises
    ------
    DataError
        If it cannot be read, or the library that reads it is not installed.
    """
    try:
        import openpyxl
    except ImportError:
        said = (
            "an Excel workbook, which the package openpyxl reads: install lm_eval_safescale with "
            "the extra `excel`, or save the sheet as CSV (UTF-8)"
        )
        raise DataError(str(path), [Problem(said)]) from None
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            size = sum(each.file_size for each in archive.infolist())
        if size > most_bytes():
            raise ValueError(f"{size / 1e6:,.0f} MB when unpacked")
        book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
        sheets = {sheet.title: list(_rows_of(sheet)) for sheet in book.worksheets}
    except Exception as error:  # the library raises its own, zipfile's, XML's and others
        said = f"an Excel workbook that cannot be read ({reason_of(error)}); save it as CSV (UTF-8)"
        raise DataError(str(path), [Problem(said)]) from None
    filled = [name for name, rows in sheets.items() if rows]
    if len(filled) > 1:
        said = f"the sheet {filled[0]!r} is read, and no other: {', '.join(map(repr, filled[1:]))}"
        problems.append(Problem(said, is_error=False, is_note=True))
    return iter(sheets[filled[0]] if filled else [])


def _rows_of(sheet: Any) -> Iterator[Row]:
    """Those in which anything stands, all as wide as the widest of them."""
    rows = [
        Row(line, [_text(cell) for cell in cells])
        for line, cells in enumerate(sheet.iter_rows(values_only=True), 1)
        if any(cell is not None for cell in cells)
    ]
    wide = max(
        (number for row in rows for number, cell in enumerate(row.cells, 1) if cell.strip()),
        default=0,
    )
    for row in rows:
        yield Row(row.line, [*row.cells[:wide], *[""] * (wide - len(row.cells))])


def _text(cell: object) -> str:
    if cell is None:
        return ""
    if isinstance(cell, datetime.date | datetime.time):
        return DateCell(cell.isoformat())
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell)
