"""Tables as they stand in a page: every cell as text, with what it is sorted by and where it leads.
It knows no layout.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lm_eval_safescale.analysis.writing import as_csv
from lm_eval_safescale.figures import DataColumn, DataTable, Value
from lm_eval_safescale.sentences import number, rounded, share_of_100

MINUS = "\N{MINUS SIGN}"
NOT_SCORED = "–"
"""In a page; in a CSV file the cell is empty."""
Link = Callable[[Mapping[str, str]], str]
"""From filters of the case browser to an address."""


@dataclass(frozen=True, slots=True)
class Head:
    """A column's head."""

    words: str
    unit: str = ""
    is_number: bool = False


@dataclass(frozen=True, slots=True)
class ShownCell:
    """A cell of a page's table."""

    text: str
    interval: str = ""
    order: str = ""
    """What it is sorted by, where that is not its text."""
    href: str = ""


@dataclass(frozen=True, slots=True)
class ShownTable:
    """A table of a page."""

    heads: tuple[Head, ...]
    rows: tuple[tuple[ShownCell, ...], ...]


def shown_table(table: DataTable, link: Link | None = None) -> ShownTable:
    """A table for a page: a bound of an interval stands below its value, and has no column."""
    place = {column.name: number for number, column in enumerate(table.columns)}
    bounds = {each for column in table.columns for each in (column.low, column.high) if each}
    shown = [column for column in table.columns if column.name not in bounds]

    def cell(column: DataColumn, number: int) -> ShownCell:
        row = table.rows[number]
        value = row[place[column.name]]
        low, high = (row[place[end]] if end else None for end in (column.low, column.high))
        href = ""
        if link is not None and column.cases is not None and value is not None:
            shared = table.cases[number] if table.cases else {}
            href = "" if shared is None else link({**shared, **column.cases})
        return ShownCell(
            text_of(value, column.kind),
            interval_of(low, high, column.kind),
            "" if isinstance(value, str) or value is None else repr(value),
            href,
        )

    return ShownTable(
        tuple(
            Head(
                column.head or column.name.replace("_", " "),
                "%" if column.kind == "percent" else "",
                column.kind != "text",
            )
            for column in shown
        ),
        tuple(tuple(cell(column, number) for column in shown) for number in range(len(table.rows))),
    )


def text_of(value: Value, kind: str) -> str:
    """A value as it stands in a page."""
    if value is None:
        return NOT_SCORED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if kind == "percent":
        return share_of_100(value)
    if kind == "coefficient":
        return f"{value:.3f}".replace("-", MINUS)
    return f"{value:,}".replace("-", MINUS) if isinstance(value, int) else number(value)


def interval_of(low: Value, high: Value, kind: str) -> str:
    """An interval as it stands below its value; empty without one."""
    if low is None or high is None:
        return ""
    low, high = (
        rounded(100 * end) if kind == "percent" and isinstance(end, float) else text_of(end, kind)
        for end in (low, high)
    )
    return f"{low} to {high}"


def csv_of(table: DataTable) -> str:
    """The table as a CSV file; no text is a formula to a spreadsheet."""
    names = [column.name for column in table.columns]
    columns = {name: [row[number] for row in table.rows] for number, name in enumerate(names)}
    return as_csv(columns, names)
