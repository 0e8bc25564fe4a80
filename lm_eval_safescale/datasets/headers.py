"""Which row of a table names its columns: the first, a later one below a title or below the names
of groups of columns, or none."""

from __future__ import annotations

import re
import string
from collections.abc import Collection, Sequence

from lm_eval_safescale.datasets.columns import Columns, folded

LOOKED_AT, DEEPEST = 200, 10
"""Rows that are looked at, and how far down names may stand."""
_NAMES = Columns()
_WORD = re.compile(r"[^\W\d_]{2}")
_FALLBACKS = {name: field for field, names in _NAMES.fallbacks().items() for name in names}
_TELLING = {"question", "question_id", "options", "answer", "answer_idx"}


def find_header(
    rows: Sequence[Sequence[str]], expected: Collection[str] = ()
) -> tuple[int, list[str] | None]:
    """Where the names stand, and None; or, where there are none, where the data begin, and the
    names to read them by. A row that holds one of the names that are expected names the columns."""
    for number, row in enumerate(rows[:DEEPEST]):
        if any(cell.strip() in expected for cell in row):
            return number, None
    named = [_named(row) for row in rows[:DEEPEST]]
    if (most := max(named)) > 1:
        return named.index(most), None
    if _names_columns(rows[0]):
        return 0, None
    for number, row in enumerate(rows[1:DEEPEST], 1):
        if any(sum(bool(cell.strip()) for cell in above) > 2 for above in rows[:number]):
            break
        if _names_columns(row):
            return number, None
    return 0, _of_questions(rows)


def is_of_questions(name: str) -> bool:
    """Whether a column of this name may hold questions."""
    return "question" in (_NAMES.canonical(name), _FALLBACKS.get(folded(name)))


def _named(row: Sequence[str]) -> int:
    """How much of what a question has a row names: id, question, options, key."""
    fields = set()
    for name in map(folded, row):
        field = _NAMES.canonical(name) or _FALLBACKS.get(name, "")
        is_option = field.startswith("option_") and len(name) > 1  # a letter alone may be a key
        fields |= {"options"} if is_option else {field.removesuffix("_idx")} & _TELLING
    return len(fields)


def _names_columns(row: Sequence[str]) -> bool:
    """Whether a cell names what a question has, or two may; options aside, as a letter alone may be
    a key."""
    return any(_NAMES.canonical(cell) in _TELLING for cell in row) or (
        sum(folded(cell) in _FALLBACKS for cell in row) > 1
    )


def _of_questions(rows: Sequence[Sequence[str]]) -> list[str] | None:
    """The names where each row is a question, its options and a letter; None elsewhere."""
    width = len(rows[0])
    letters = string.ascii_uppercase[: max(width - 2, 0)]
    # the last cell of a row of names is a word
    if width < 4 or width > 28 or _WORD.search(rows[0][-1]):
        return None
    keys = [row[-1].strip().upper() in [*letters] for row in rows if len(row) == width]
    if 2 * sum(keys) <= len(rows):
        return None
    return ["question", *(f"option_{letter.lower()}" for letter in letters), "answer"]
