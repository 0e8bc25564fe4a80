"""Reads a reply to the option protocol: a JSON array of grades. What is repaired or ignored is
counted, and nothing is guessed.

The rules are ours, as the protocol publishes none (docs/noharm.md): the answer is the first JSON
array in the text that holds an object with an `Option` key, also inside a fence, behind text, or
inside an object.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

OPTION, GRADE, RATIONALE = "Option", "GradeAI", "Rationale"
APPROPRIATE, INAPPROPRIATE = "Appropriate", "Inappropriate"
GRADES = {APPROPRIATE.lower(): APPROPRIATE, INAPPROPRIATE.lower(): INAPPROPRIATE}
WORK = 20
"""Times the length of a text that may be looked through for the array: one that opens thousands of
them would take very long."""
WINDOW = 1 << 14
"""Characters in which an array is tried before the whole text is."""
_IS_OPEN = re.compile(r'\s*(?:"(?:[^"\\]|\\.)*\\?|[\w.+-]*)\Z', re.DOTALL)
"""What stands where a text cannot be decoded any further because it ends: nothing, a string without
its end, or a part of a number, of a word or of an escape in a string."""
_decoder = json.JSONDecoder()


class _Entry(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    option: int = msgspec.field(name=OPTION)
    grade: Literal["Appropriate", "Inappropriate"] = msgspec.field(name=GRADE)
    rationale: str = msgspec.field(name=RATIONALE)


_as_asked = msgspec.json.Decoder(list[_Entry])


@dataclass(frozen=True, slots=True)
class Grades:
    """What a reply says of a case's options."""

    grades: dict[int, str | None]
    """By option, in ascending order: its grade, None for one that is unreadable. Options that the
    reply does not list are missing."""
    unknown: int = 0
    """Entries with a number that the case does not have, or that is none."""
    no_objects: int = 0
    """Entries that are no objects."""
    repeated: int = 0
    """Entries that give an option the grade that it has already."""
    without_rationale: int = 0
    """Entries without a rationale."""

    def as_text(self) -> str:
        """The canonical text: itself a reply, without rationales, that reads the same."""
        entries = [
            f'{{"{OPTION}":{number},"{GRADE}":"{grade}"}}' if grade else f'{{"{OPTION}":{number}}}'
            for number, grade in self.grades.items()
        ]
        # an empty array would be no answer
        return f"[{','.join(entries)}]" if entries else f'[{{"{OPTION}":null}}]'

    def rule(self) -> str:
        """How it was read: what was repaired or ignored, with the count of each."""
        counts = {
            "unreadable grades": list(self.grades.values()).count(None),
            "unknown options": self.unknown,
            "no objects": self.no_objects,
            "repeated": self.repeated,
            "without rationale": self.without_rationale,
        }
        return "; ".join(
            ["json array", *(f"{number} {what}" for what, number in counts.items() if number)]
        )


def reply_choosing(chosen: Mapping[int, bool]) -> str:
    """A reply as it is asked for, by option whether it is chosen; nothing is behind it, and its
    rationales say so."""
    return json.dumps(
        [
            {OPTION: number, GRADE: APPROPRIATE if is_chosen else INAPPROPRIATE, RATIONALE: "None."}
            for number, is_chosen in chosen.items()
        ]
    )


def read_grades(text: str, options: Collection[int]) -> Grades | None:
    """What a reply says of a case with these options; None where it holds no array with an `Option`
    in it. It never raises."""
    if found := _read_as_asked(text, options):
        return found
    array = _array(text)
    return None if array is None else _grades(array, options)


def ends_in_array(text: str) -> bool:
    """Whether a text without a whole array ends inside one: it was cut off."""
    return any(
        value is None and _IS_OPEN.match(rest, end) and f'"{OPTION}"' in rest
        for rest, value, end in _attempts(text)
    )


def _read_as_asked(text: str, options: Collection[int]) -> Grades | None:
    """The same, several times as fast, of a text whose one array is as the prompt asks for it;
    None for any other."""
    try:
        entries = _as_asked.decode(text[text.find("[") : text.rfind("]") + 1])
    except (ValueError, RecursionError):  # a lone surrogate too
        return None
    grades: dict[int, str | None] = {entry.option: entry.grade for entry in entries}
    if len(grades) < len(entries) or not all(number in options for number in grades):
        return None
    return Grades(dict(sorted(grades.items()))) if grades else None


def _array(text: str) -> list[Any] | None:
    """The first array with an object that has an `Option`."""
    for _, value, _ in _attempts(text):
        if value and any(isinstance(entry, dict) and OPTION in entry for entry in value):
            return value
    return None


def _attempts(text: str) -> Iterator[tuple[str, list[Any] | None, int]]:
    """From each opening bracket on: the text, as far as it was needed, the array that it begins
    with or None, and where decoding it ended."""
    start, work = text.find("["), WORK * len(text) + 1000
    while start != -1 and work > 0:
        # most end soon: not all of a long text is copied for each
        rest = text[start : start + WINDOW]
        value, end = _decoded(rest)
        if value is None and start + WINDOW < len(text) and _IS_OPEN.match(rest, end):
            rest = text[start:]
            value, end = _decoded(rest)
        yield rest, value, end
        work -= end + 1
        start = text.find("[", start + 1)


def _decoded(text: str) -> tuple[list[Any] | None, int]:
    """The array that a text begins with, None for none, an empty one for what cannot be decoded
    though it may be whole; and where decoding it ended."""
    try:
        return _decoder.raw_decode(text)
    except json.JSONDecodeError as error:
        return None, error.pos
    except (RecursionError, ValueError):  # nested too deeply; a number of thousands of digits
        return [], min(len(text), WORK * 1000)


def _grades(array: list[Any], options: Collection[int]) -> Grades:
    found: dict[int, set[str | None]] = {}
    unknown = no_objects = repeated = without = 0
    for entry in array:
        if not isinstance(entry, dict):
            no_objects += 1
            continue
        without += not isinstance(entry.get(RATIONALE), str)
        number = _number(entry.get(OPTION))
        if number is None or number not in options:
            unknown += 1
            continue
        grade = entry.get(GRADE)
        grade = GRADES.get(grade.strip().lower()) if isinstance(grade, str) else None
        given = found.setdefault(number, set())
        repeated += grade in given
        given.add(grade)
    grades = {
        number: next(iter(given)) if len(given) == 1 else None
        for number, given in sorted(found.items())
    }
    return Grades(grades, unknown, no_objects, repeated, without)


def _number(value: object) -> int | None:
    """A whole number, an integral float, or digits in a text."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if (
        isinstance(value, str)
        and value.strip().isascii()
        and value.strip().isdigit()
        and len(value.strip()) < 10
    ):
        return int(value)
    return None
