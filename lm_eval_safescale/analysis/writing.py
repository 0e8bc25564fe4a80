"""All tables of a study as files: JSON and CSV, with what they rest on. It knows neither a statistic nor a screen."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any

from lm_eval_safescale.errors import writing
from lm_eval_safescale.families.rows import Columns, Row
from lm_eval_safescale.files import replaced

BEGIN_FORMULAS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
FOLDER, ABOUT = "tables", "about.json"


def write_tables(
    tables: Mapping[str, list[Row] | Columns], about: Mapping[str, Any], folder: Path, known: Mapping[str, Sequence[str]]
) -> None:
    """Write FOLDER/tables/NAME.json and NAME.csv for every table, and FOLDER/about.json last: where it lacks, the tables are not whole.

    Parameters
    ----------
    tables
        Rows by table, or columns of one length.
    about
        What they rest on, as JSON values.
    folder
        Made where it is not there. Tables of an earlier analysis are replaced; one of `known` that could not be made now is removed.
    known
        The columns of all tables by name: the header of a CSV file without rows.

    Raises
    ------
    SafescaleError
        If it cannot be written.
    """
    with writing(folder):
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        (folder / ABOUT).unlink(missing_ok=True)  # cut off from here on, the tables may be of two analyses, and say of none
        for name, columns in known.items():
            for ending, text in _texts(tables.get(name), columns).items():
                _replace(folder / FOLDER / f"{name}.{ending}", text)
        _replace(folder / ABOUT, json.dumps(about, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def _texts(table: list[Row] | Columns | None, columns: Sequence[str]) -> dict[str, str | None]:
    return {"json": None, "csv": None} if table is None else {"json": as_json(table), "csv": as_csv(table, columns)}


def as_json(table: list[Row] | Columns) -> str:
    """A list of flat rows, one a line; None is null."""
    import msgspec

    encode = msgspec.json.Encoder().encode
    rows = (
        (dict(zip(table, values, strict=True)) for values in zip(*table.values(), strict=True))
        if isinstance(table, Mapping)
        else table
    )
    lines = ",\n".join(encode(row).decode() for row in rows)
    return f"[\n{lines}\n]\n" if lines else "[]\n"


def as_csv(table: list[Row] | Columns, columns: Sequence[str]) -> str:
    """The same with a line of column names, without rows too; None is an empty cell, and no text is a formula to a spreadsheet."""
    if isinstance(table, Mapping):
        names, values = list(table), list(table.values())
    elif table:
        names, values = list(table[0]), [list(each) for each in zip(*(row.values() for row in table), strict=True)]
    else:
        names, values = list(columns), []
    lines = map(",".join, zip(*map(_cells, values), strict=True))
    return "\n".join([",".join(map(_cell, names)), *lines, ""])


def _cells(column: Sequence[Any]) -> list[str]:
    """A column's cells; numbers are written all at once, with the digits they have in the JSON file."""
    import msgspec

    if {type(value) for value in column} <= {int, float, NoneType}:
        return msgspec.json.encode(column).decode()[1:-1].replace("null", "").split(",")
    cells = {value: _cell(value) for value in set(column)}
    return [cells[value] for value in column]


def _cell(value: Any) -> str:
    text = io.StringIO()
    # an empty text alone in its row would be quoted; and a writer quotes no line feed or carriage return but those that end its lines
    csv.writer(text, lineterminator="\r\n").writerow(["" if value is None else _inert(value), ""])
    return text.getvalue().removesuffix(",\r\n")


def _inert(value: Any) -> Any:
    """A text that a spreadsheet would compute as a formula (OWASP, CSV injection), behind an apostrophe; numbers are none."""
    return f"'{value}" if isinstance(value, str) and value.startswith(BEGIN_FORMULAS) else value


def _replace(path: Path, text: str | None) -> None:
    """In one step: who reads the folder meanwhile sees the old file or the new one."""
    if text is None:
        path.unlink(missing_ok=True)
        return
    with replaced(path, to_disk=False) as unfinished:  # tables are made again in a second
        unfinished.write_text(text, encoding="utf-8")
