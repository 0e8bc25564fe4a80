"""All tables of a study as files: JSON and CSV, with what they rest on. It knows neither a
statistic nor a screen.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any

from lm_eval_safescale.errors import writing
from lm_eval_safescale.families.rows import Columns, Row, height
from lm_eval_safescale.files import replaced

BEGIN_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
FOLDER, ABOUT = "tables", "about.json"
PIECE = 1 << 14
"""Rows that are written together: bounds the memory for thousands of models."""


def write_tables(
    tables: Mapping[str, list[Row] | Columns],
    about: Mapping[str, Any],
    folder: Path,
    known: Mapping[str, Sequence[str]],
) -> None:
    """Write FOLDER/tables/NAME.json and NAME.csv for every table, and FOLDER/about.json last: where
    it lacks, the tables are not whole.

    Parameters
    ----------
    tables
        Rows by table, or columns of one length.
    about
        What they rest on, as JSON values.
    folder
        Made where it is not there. Tables of an earlier analysis are replaced; one of `known` that
        could not be made now is removed.
    known
        The columns of all tables by name: the header of a CSV file without rows.

    Raises
    ------
    SafescaleError
        If it cannot be written.
    """
    with writing(folder):
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        # cut off from here on, the tables may be of two analyses, and say of none
        (folder / ABOUT).unlink(missing_ok=True)
        for name, columns in known.items():
            table = tables.get(name)
            _replace(folder / FOLDER / f"{name}.json", None if table is None else _json(table))
            _replace(
                folder / FOLDER / f"{name}.csv", None if table is None else _csv(table, columns)
            )
        _replace(
            folder / ABOUT, [json.dumps(about, ensure_ascii=False, indent=1, allow_nan=False), "\n"]
        )


def as_json(table: list[Row] | Columns) -> str:
    """A list of flat rows, one a line; None is null."""
    return "".join(_json(table))


def as_csv(table: list[Row] | Columns, columns: Sequence[str]) -> str:
    """The same with a line of column names, without rows too; None is an empty cell, and no text is
    a formula to a spreadsheet."""
    return "".join(_csv(table, columns))


def _json(table: list[Row] | Columns) -> Iterator[str]:
    import msgspec

    encode, before = msgspec.json.Encoder().encode, "[\n"
    for piece in _pieces(table):
        rows = (
            (dict(zip(piece, values, strict=True)) for values in zip(*piece.values(), strict=True))
            if isinstance(piece, Mapping)
            else piece
        )
        yield before + b",\n".join(map(encode, rows)).decode()
        before = ",\n"
    yield "\n]\n" if height(table) else "[]\n"


def _csv(table: list[Row] | Columns, columns: Sequence[str]) -> Iterator[str]:
    names = (
        list(table) if isinstance(table, Mapping) else list(table[0]) if table else list(columns)
    )
    yield ",".join(map(_cell, names)) + "\n"
    for piece in _pieces(table):
        values = (
            piece.values()
            if isinstance(piece, Mapping)
            else zip(*(row.values() for row in piece), strict=True)
        )
        yield "\n".join([*map(",".join, zip(*map(_cells, values), strict=True)), ""])


def _pieces(table: list[Row] | Columns) -> Iterator[list[Row] | Columns]:
    """Some rows at a time, in order."""
    for start in range(0, height(table), PIECE):
        some = slice(start, start + PIECE)
        yield (
            {name: column[some] for name, column in table.items()}
            if isinstance(table, Mapping)
            else table[some]
        )


def _cells(column: Sequence[Any]) -> list[str]:
    """A column's cells; numbers are written all at once, with the digits they have in the JSON
    file."""
    import msgspec

    if {type(value) for value in column} <= {int, float, NoneType}:
        return msgspec.json.encode(column).decode()[1:-1].replace("null", "").split(",")
    cells = {value: _cell(value) for value in set(column)}
    return [cells[value] for value in column]


def _cell(value: Any) -> str:
    text = io.StringIO()
    # an empty text alone in its row would be quoted; and a writer quotes no line feed or carriage
    # return but those that end its lines
    csv.writer(text, lineterminator="\r\n").writerow(["" if value is None else _inert(value), ""])
    return text.getvalue().removesuffix(",\r\n")


def _inert(value: Any) -> Any:
    """A text that a spreadsheet would compute as a formula (OWASP, CSV injection), behind an
    apostrophe; numbers are none."""
    return f"'{value}" if isinstance(value, str) and value.startswith(BEGIN_FORMULAS) else value


def _replace(path: Path, texts: Iterable[str] | None) -> None:
    """In one step: who reads the folder meanwhile sees the old file or the new one."""
    if texts is None:
        path.unlink(missing_ok=True)
        return
    # tables are made again in a second
    with (
        replaced(path, to_disk=False) as unfinished,
        unfinished.open("w", encoding="utf-8") as file,
    ):
        file.writelines(texts)
