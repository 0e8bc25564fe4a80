"""What can be wrong with a data file, said so that it can be mended: file, line, item, field, and
all of it at once.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lm_eval_safescale.errors import Hint, SafescaleError

SHOWN = 17
"""Lines of problems in the message of an error; with its head, its end and a hint they are 20."""
NAMED = 5
UNSEEN = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufffe\uffff")


@dataclass(frozen=True, slots=True)
class Problem:
    """One finding. An error makes the data unusable; a warning was put right, or may be meant; a
    note says how a file was understood."""

    message: str
    line: int | None = None
    item: str | None = None
    field: str | None = None
    is_error: bool = True
    kind: str = ""
    """What is the same in the messages of findings that differ in a value; empty: the message."""
    is_note: bool = False

    def describe(self, source: str) -> str:
        """`file:line: item ID: field: message`, leaving out what is unknown."""
        place = source if self.line is None else f"{source}:{self.line}"
        parts = [place, f"item {self.item}" if self.item else "", self.field or "", self.message]
        return printable(": ".join(part for part in parts if part))


def summarized(problems: Iterable[Problem], source: str) -> list[tuple[Problem, str]]:
    """Each kind of finding in a field once: its first, and a line that describes it and counts the
    others."""
    kinds: dict[tuple[str | None, bool, str], list[Problem]] = {}
    for problem in problems:
        key = problem.field, problem.is_error, problem.kind or problem.message
        kinds.setdefault(key, []).append(problem)
    return [(first, first.describe(source) + _others(more)) for first, *more in kinds.values()]


def _others(problems: Collection[Problem]) -> str:
    if not problems:
        return ""
    items = [problem.item for problem in problems if problem.item]
    lines = [str(problem.line) for problem in problems if problem.line]
    what, places = ("items", [*dict.fromkeys(items)]) if items else ("lines", lines)
    shown = f": {what} {', '.join(places[:NAMED])}" if places else ""
    shown += ", ..." if len(places) > NAMED else ""
    return printable(f" (and {len(problems)} more like it{shown})")


def not_there(excluded: Mapping[str, bool]) -> list[Problem]:
    """Items that were to be left out, and whether they were found: those that were not."""
    listed = [name for name, found in excluded.items() if not found]
    shown = ", ".join(map(repr, listed[:NAMED])) + (", ..." if len(listed) > NAMED else "")
    said = f"no item has the id {shown}; expected ids of the data, or a file of them"
    return [Problem(said, field="exclude_items")] if listed else []


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
    """A data set that cannot be used, with every problem found in it, and what to do besides."""

    def __init__(self, source: str, problems: Sequence[Problem], *hints: str | Hint) -> None:
        self.source = source
        self.problems = tuple(problems)
        errors = [problem for problem in problems if problem.is_error]
        lines = [line for _, line in summarized(errors, source)]
        if len(lines) > SHOWN:
            left = f"... and {len(lines) - SHOWN} other kinds of problem; mend these first"
            lines = [*lines[:SHOWN], left]
        count = "1 problem" if len(errors) == 1 else f"{len(errors)} problems"
        super().__init__(f"{source} cannot be used: {count}\n" + "\n".join(lines), *hints)


def has_errors(problems: Iterable[Problem]) -> bool:
    """Whether any finding makes the data unusable."""
    return any(problem.is_error for problem in problems)
