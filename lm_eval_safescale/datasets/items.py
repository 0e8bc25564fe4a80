"""Records of a data file to items of any kind: what is the same for every family that reads fields
of its own. Multiple-choice questions have `parse_choices`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from lm_eval_safescale.datasets.columns import Given, parts, value_of
from lm_eval_safescale.datasets.problems import Problem, not_read, not_there
from lm_eval_safescale.datasets.record import Record
from lm_eval_safescale.records import Item

Fields = Mapping[str, Any]
Said = Iterable[tuple[str, str]]
"""Fields, each with what is to be said of it."""
SHARED = ("groups", "unit", "source", "notes")
"""Columns that any record may have; nothing is read of notes."""
HALF = "half a character (a lone surrogate), which no file can hold"
T = TypeVar("T", bound=Item)


def parse_items(
    records: Iterable[Record],
    make: Callable[..., T],
    wrong: Callable[[Fields], Said],
    odd: Callable[[T], Said] = lambda _: (),
    *,
    columns: Given | None = None,
    groups: Collection[str] = (),
    exclude: Collection[str] = (),
    identifier: str = "question_id",
    also: Mapping[str, str] | None = None,
    reads: Collection[str] = (),
) -> tuple[list[T], list[Problem]]:
    """Items of all records that are whole, and what is wrong with the others (see
    `Family.parse`).

    Parameters
    ----------
    make
        `make(fields, groups=..., unit=..., source=...)` gives the item of a record in which nothing
        is wrong; the last three are what every item has.
    wrong
        What is wrong with the fields of a record; the identifier, `groups`, `unit` and `source` are
        looked at already.
    odd
        What is to be said of an item that can be used.
    columns, groups, exclude
        As of `Family.parse`.
    identifier
        Which field is the item's id.
    also
        Our names of fields, each with another under which it is known too.
    reads
        The other fields that `make` reads; where they are named, a warning names any column that
        nothing reads.
    """
    items: list[T] = []
    problems: list[Problem] = []
    lines: dict[str, int] = {}
    excluded = dict.fromkeys(exclude, False)
    there: dict[str, None] = {}
    for record in records:
        given = record.fields
        there |= dict.fromkeys(given)
        mapped = {name: value_of(record, name, other) for name, other in (columns or {}).items()}
        fields = {**given, **mapped}
        for name, other in (also or {}).items():
            fields.setdefault(name, fields.get(other))
        item_id = fields.get(identifier)
        item_id = item_id.strip() if isinstance(item_id, str) else None
        if item_id in excluded:
            excluded[item_id] = True
            continue
        found = [*_wrong(fields, identifier, groups), *wrong(fields)]
        if not found and item_id in lines:
            found.append((identifier, f"stands twice, first on line {lines[item_id]}"))
        problems += [Problem(said, record.line, item_id, field) for field, said in found]
        if found or item_id is None:
            continue
        lines[item_id] = record.line
        own = {str(name): str(group) for name, group in (fields.get("groups") or {}).items()}
        own |= {name: str(fields[name]) for name in groups if fields.get(name) is not None}
        item = make(
            {**fields, identifier: item_id},
            groups=own,
            unit=fields.get("unit") or "",
            source=fields.get("source"),
        )
        items.append(item)
        problems += [
            Problem(said, record.line, item_id, field, is_error=False) for field, said in odd(item)
        ]
    if reads:
        known = {identifier, *SHARED, *groups, *reads}
        known |= {each for column in (columns or {}).values() for each in parts(column)}
        known |= {*(also or {}), *(also or {}).values()}
        problems += not_read(column for column in there if column not in known)
    return items, problems + not_there(excluded)


def _wrong(fields: Fields, identifier: str, groups: Collection[str]) -> Iterator[tuple[str, str]]:
    if problem := no_text(fields.get(identifier)):
        yield identifier, problem
    own = fields.get("groups")
    if own is not None and not isinstance(own, dict):
        yield "groups", f"expected a mapping, found {shown(own)}"
        own = None
    for name in ("unit", "source"):
        if (value := fields.get(name)) is not None and not isinstance(value, str):
            yield name, f"expected a text, found {shown(value)}"
    texts = [("groups", text) for pair in (own or {}).items() for text in pair]
    texts += [(name, fields.get(name)) for name in ("unit", "source", *groups)]
    for name, text in texts:
        if isinstance(text, str) and _has_half(text):
            yield name, HALF


def no_text(value: object) -> str:
    """What is wrong with a field that must be a text; empty for nothing."""
    if not isinstance(value, str) or not value.strip():
        return f"expected a text, found {shown(value)}"
    return HALF if _has_half(value) else ""


def _has_half(text: str) -> bool:
    return any("\ud800" <= character <= "\udfff" for character in text)


def shown(value: object) -> str:
    """A field's value as a message shows it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
