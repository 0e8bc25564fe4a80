"""What can be wrong with a data file, said so that it can be mended: file, line, item, field, and
all of it at once.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from lm_eval_safescale.errors import SafescaleError

SHOWN = 100
UNSEEN = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufffe\uffff")


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. An error makes the data unusable; a warning was put right, or may be meant."""

    message: str
    line: int | None = None
    item: str | None = None
    field: str | None = None
    is_error: bool = True

    def describe(self, source: str) -> str:
        """`file:line: item ID: field: message`, leaving out what is unknown."""
        place = source if self.line is None else f"{source}:{self.line}"
        parts = [place, f"item {self.item}" if self.item else "", self.field or "", self.message]
        return printable(": ".join(part for part in parts if part))


def not_read(columns: Iterable[str]) -> list[Problem]:
    """A warning that names columns which mean nothing to the family; none for none."""
    if not (listed := ", ".join(repr(column) for column in columns)):
        return []
    said = f"unknown columns, not read: {listed}; map them with `columns` if they matter"
    return [Problem(said, is_error=False)]


def printable(text: str) -> str:
    """The text with what cannot be shown spelled out: it cannot steer a terminal, run backwards, or
    break an SVG file.

    Spelled out are control characters, halves of surrogate pairs, what turns the direction of
    writing round, and U+FFFE and U+FFFF, which XML forbids.
    """
    return "".join(c.encode("unicode_escape").decode() if _is_unseen(c) else c for c in text)


def _is_unseen(character: str) -> bool:
    return character not in "\n\t" and (
        character in UNSEEN or unicodedata.category(character) in ("Cc", "Cs")
    )


class DataError(SafescaleError):
    """A data set that cannot be used, with every problem found in it."""

    def __init__(self, source: str, problems: Sequence[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        errors = [problem for problem in problems if problem.is_error]
        lines = [problem.describe(source) for problem in errors[:SHOWN]]
        if len(errors) > SHOWN:
            lines.append(f"... and {len(errors) - SHOWN} more; `safescale data validate` shows all")
        count = "1 problem" if len(errors) == 1 else f"{len(errors)} problems"
        super().__init__(f"{source} cannot be used: {count}\n" + "\n".join(lines))


def has_errors(problems: Iterable[Problem]) -> bool:
    """Whether any finding makes the data unusable."""
    return any(problem.is_error for problem in problems)
