"""One record of a data file, and where it stands. Knows no format."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LINE, KEY = "#line", "#key"
"""Columns that are in no file: the line on which a record begins, or its place where the line does
not tell; and the name under which it stands in an object of records."""


class DateCell(str):
    """A cell that a table program stores as a date: what was typed may have been another text."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Record:
    """One question as the file has it, and the line on which it begins."""

    line: int
    fields: dict[str, Any]
    number: int = 0
    """Its place among the questions, where several may stand on one line."""
    section: str = ""
    """Of the file, in which it has that place."""

    @property
    def place(self) -> str:
        """Where in the file it stands."""
        return "-".join(filter(None, [self.section, str(self.number or self.line)]))
