"""The shapes in which options, keys and lists of letters are written. It knows single values, and
neither records nor files.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from lm_eval_safescale.datasets.columns import blank, compared, option_letter
from lm_eval_safescale.json_text import decode_json

NAMES = ("letter", "label", "id", "aid", "key", "option_id", "index")
TEXTS = ("text", "content", "atext", "value", "option", "answer", "option_text")
"""In an option that is an object: what it is called, and what it says."""
_MARKER = r"(?:\({0}\)|(?<![^\s]){0}[.):])\s+"
_HEAD = re.compile(r"\s*\b(?:answer (?:choices|options)|options|choices)\s*:?\s*$", re.IGNORECASE)
_CARRIED = re.compile(r"\(?([A-Za-z])[.):]\s*(\S.*)", re.DOTALL)
_LETTERS = frozenset(string.ascii_uppercase)
_NUMBER = re.compile(r"(-?\d{1,9})(?:\.0+)?")
_SEPARATES = re.compile(r"[\s,;/&+|]+|\band\b")
_NONE = ("none", "no", "-", "0", "n/a", "na")


@dataclass(frozen=True)
class Options:
    """The options of one question."""

    texts: dict[str, Any]
    """By letter, or by whatever stands in a letter's place; as they are written."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Letters by what the file calls the options, where that is something else."""


def options_of(given: Any) -> Options | None:
    """Options as a list of texts or of objects, as lists of texts and of names, or by name; None
    for anything else."""
    if isinstance(given, dict):
        lists = [_pick(given, NAMES), _pick(given, TEXTS)]
        if len(given) > 1 and all(isinstance(each, list) for each in lists):
            return _by_name(list(zip(*lists, strict=False)))
        named = {name: text for name, text in sorted(given.items()) if text is not None}
        if _are_letters(named):
            return Options(named)
        letters = {name: option_letter(str(name)) for name in named}
        if not all(letters.values()):
            return Options(named)
        return _by_name(sorted(named.items(), key=lambda pair: str(letters[pair[0]])))
    if not isinstance(given, list):
        return None
    if given and all(isinstance(each, dict) for each in given):
        return _by_name([(_pick(each, NAMES), _pick(each, TEXTS)) for each in given])
    return Options(dict(zip(_letters(len(given)), given, strict=True)))


def _by_name(pairs: list[tuple[Any, Any]]) -> Options:
    names = [str(name) for name, _ in pairs if not blank(name)]
    if len(names) == len(pairs) and _are_letters(names):
        return Options({name.strip().upper(): text for name, text in sorted(pairs)})
    letters = _letters(len(pairs))
    return Options(
        dict(zip(letters, (text for _, text in pairs), strict=True)),
        {
            compared(str(name)): letter
            for letter, (name, _) in zip(letters, pairs, strict=True)
            if not blank(name)
        },
    )


def _letters(number: int) -> list[str]:
    """Letters, and numbers beyond Z."""
    return [*string.ascii_uppercase, *map(str, range(27, number + 1))][:number]


def _are_letters(names: Iterable[Any]) -> bool:
    return all(str(name).strip().upper() in _LETTERS for name in names)


def _pick(fields: Mapping[str, Any], names: Iterable[str]) -> Any:
    return next((fields[name] for name in names if name in fields), None)


def options_in(question: str) -> tuple[str, dict[str, str]] | None:
    """A question whose options stand at the end of its text, without them, and they; None where
    there are none."""
    for start in reversed(list(re.finditer(_MARKER.format("A"), question))):
        places = [start]
        for letter in string.ascii_uppercase[1:]:
            match = re.compile(_MARKER.format(letter)).search(question, places[-1].end())
            if match is None:
                break
            places.append(match)
        ends = [*(each.start() for each in places[1:]), len(question)]
        if len(places) > 1:
            texts = [question[each.end() : end] for each, end in zip(places, ends, strict=True)]
            named = dict(zip(string.ascii_uppercase, map(str.strip, texts), strict=False))
            return _HEAD.sub("", question[: start.start()]).strip(), named
    return None


def options_by_line(cell: str) -> dict[str, str] | None:
    """The options of one cell, each on a line of its own behind its letter; None where they are not
    so."""
    carried = [carried_letter(line.strip()) for line in cell.splitlines() if line.strip()]
    named = dict(each for each in carried if each is not None)
    return named if 1 < len(named) == len(carried) else None


def without_letters(texts: Mapping[str, str]) -> dict[str, str] | None:
    """The options without their own letters at their beginnings; None where not all have them."""
    found = {}
    for letter, text in texts.items():
        match = _CARRIED.fullmatch(text)
        if match is None or match[1].upper() != letter:
            return None
        found[letter] = match[2]
    return found if len(found) > 1 else None


def carried_letter(text: str) -> tuple[str, str] | None:
    """The letter and the text of `B. text`; None for anything else."""
    match = _CARRIED.fullmatch(text)
    return (match[1].upper(), match[2]) if match else None


def one_of_list(value: Any, texts: Iterable[str]) -> Any:
    """The one key of a list, be it JSON in a cell; any other value as it is, and the text of an
    option too, which may begin with a bracket."""
    given = value
    if isinstance(value, str) and value.lstrip().startswith("[") and value.strip() not in texts:
        with suppress(ValueError):
            given = decode_json(value)
    if not isinstance(given, list):
        return value
    return given[0] if len(given) == 1 else given


def whole_number(value: Any) -> int | None:
    """A number that counts options, as a number or as its text; None for anything else."""
    if isinstance(value, bool) or not (match := _NUMBER.fullmatch(str(value).strip())):
        return None
    return int(match[1])


def letters_in(cell: Any, options: Iterable[str] = string.ascii_uppercase) -> set[str] | None:
    """The letters of a list in one cell, as `A, C`; None where it is none."""
    text = "" if blank(cell) else str(cell).strip()
    if text.casefold() in ("", *_NONE):
        return set()
    known, found = set(options), set[str]()
    for word in filter(None, _SEPARATES.split(text)):
        if word.isupper() and set(word) <= known:  # "AC"
            found |= set(word)
        elif (letter := option_letter(word)) is not None and not word.isdigit():
            found.add(letter)
        else:
            return None
    return found
