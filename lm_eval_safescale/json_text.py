"""JSON of bounded depth. It knows no files: whoever reads one says where the text comes from."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

DEEPEST = 100
"""Levels of lists and objects. No data has as many, and what is deeper ends in Python's own limit
wherever it is looked at."""

_T = TypeVar("_T")


class RefusedJSONError(ValueError):
    """JSON that is well-formed, but that we do not take: a name twice in an object, nested too
    deeply, a monstrous number."""


def decode_json(text: str | bytes, *, names_once: bool = True) -> Any:
    """A JSON value.

    Parameters
    ----------
    names_once
        Whether an object in which a name stands twice is refused, as one of the two would be lost;
        else the last one counts.

    Raises
    ------
    json.JSONDecodeError, UnicodeDecodeError
        Where it is none.
    RefusedJSONError
        Where we do not take it.
    """
    if isinstance(text, bytes):
        text = text.decode(json.detect_encoding(text))
    decoder = _ONCE if names_once else _ANY
    return _refusing(lambda: _shallow(decoder.decode(text), text))


def decode_json_at(text: str, start: int) -> tuple[Any, int]:
    """The JSON value that begins at `start`, and where it ends; names stand once in it. Raises as
    `decode_json` does."""
    value, end = _refusing(lambda: _ONCE.raw_decode(text, start))
    return _shallow(value, text[start:end]), end


def whole(text: str) -> str:
    """The text, with the replacement character for each half of a surrogate pair: JSON can escape
    one, and no file can hold it."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def is_deep(value: Any, levels: int = DEEPEST) -> bool:
    """Whether a value holds lists and mappings within each other on more levels than that."""
    waiting = [(value, 0)]
    while waiting:
        each, level = waiting.pop()
        if isinstance(each, dict | list | tuple):
            if level >= levels:
                return True
            waiting += [
                (inner, level + 1) for inner in (each.values() if isinstance(each, dict) else each)
            ]
    return False


def _shallow(value: _T, text: str) -> _T:
    if text.count("[") + text.count("{") > DEEPEST and is_deep(value):
        raise RefusedJSONError(f"nested too deeply; expected at most {DEEPEST} levels")
    return value


def _refusing(decode: Callable[[], _T]) -> _T:
    try:
        return decode()
    except RecursionError:
        raise RefusedJSONError(f"nested too deeply; expected at most {DEEPEST} levels") from None
    except (json.JSONDecodeError, RefusedJSONError):
        raise
    except ValueError as error:  # Python's limit on the digits of a number
        raise RefusedJSONError(str(error)) from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        names = [name for name, _ in pairs]
        raise RefusedJSONError(
            f"the name {next(n for n in names if names.count(n) > 1)!r} stands twice in one object"
        )
    return result


def in_one_form(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of a model's reply, its names in small letters with underscores; ValueError for a
    name that stands twice with different values."""
    fields: dict[str, Any] = {}
    for name, value in pairs:
        key = re.sub(r"[\s_-]+", "_", name.strip().lower())
        if key in fields and fields[key] != value:
            raise ValueError(f"{key} stands twice")
        fields[key] = value
    return fields


OF_REPLIES = json.JSONDecoder(strict=False, object_pairs_hook=in_one_form)
"""For JSON as models write it, with line breaks inside its texts."""
_ONCE, _ANY = json.JSONDecoder(object_pairs_hook=_object), json.JSONDecoder()
