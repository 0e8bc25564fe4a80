"""YAML of bounded size, depth and number of values, aliases counted as often as they stand. It
knows no files.

A text of a few lines can stand for more values than any memory holds, by aliases of aliases;
nothing is made of it before they are counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import yaml

MOST_CHARACTERS = 500_000
MOST_VALUES = 50_000
DEEPEST = 50
LONGEST_NUMBER = 100
"""Characters. YAML knows numbers to the base of 60, whose making takes the square of their
length."""
MERGE, TEXT = "tag:yaml.org,2002:merge", "tag:yaml.org,2002:str"


class RefusedYAMLError(ValueError):
    """What is no YAML, or that we do not take; `line` counts from 1, None where it is unknown."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.line = line


def decode_yaml(text: str) -> Any:
    """A YAML value of plain kinds; RefusedYAMLError where it is none, stands for too much, or has a
    name twice in a mapping."""
    if len(text) > MOST_CHARACTERS:
        raise RefusedYAMLError(
            f"{len(text):,} characters; expected YAML of at most {MOST_CHARACTERS:,}"
        )
    try:
        return yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        reason = getattr(error, "problem", None) or next(iter(str(error).splitlines()), "no YAML")
        raise RefusedYAMLError(f"no YAML: {reason}", mark.line + 1 if mark else None) from None
    except (ValueError, OverflowError) as error:
        # a date that is none, a number that Python does not read
        if isinstance(error, RefusedYAMLError):
            raise
        raise RefusedYAMLError(f"no YAML: {error}; expected such a text in quotes") from None


class _Loader(yaml.SafeLoader):
    """As the safe loader, with bounds; and a name that stands twice in a mapping is an error: which
    is meant is not ours to guess."""

    _depth = _composed = 0

    def get_single_node(self) -> Any:
        node = super().get_single_node()
        if node is not None:
            self._measure(node, {})
        return node

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._depth += 1
        self._composed += 1
        if self._depth > DEEPEST:
            raise _too_deep(self.peek_event())  # type: ignore[no-untyped-call]
        if self._composed > MOST_VALUES:
            raise _too_many(self.peek_event())  # type: ignore[no-untyped-call]
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _measure(self, node: Any, known: dict[int, tuple[int, int]]) -> tuple[int, int]:
        """Values that a node stands for, and levels, each alias as what it stands for; it comes
        after that in the text, so it is known."""
        if id(node) in known:
            return known[id(node)]
        known[id(node)] = MOST_VALUES, 0  # an alias of what it stands in has no end
        pairs = node.value if isinstance(node, yaml.MappingNode) else ()
        inner = (
            node.value
            if isinstance(node, yaml.SequenceNode)
            else [each for pair in pairs for each in pair]
        )
        _refuse_twins(key for key, _ in pairs)
        if (
            isinstance(node, yaml.ScalarNode)
            and node.tag != TEXT
            and len(node.value) > LONGEST_NUMBER
        ):
            raise _refused(
                f"a number of {len(node.value):,} characters; expected it in quotes, if it is a "
                "text",
                node,
            )
        values, levels = 1, 0
        for each in inner:
            its_values, its_levels = self._measure(each, known)
            values, levels = values + its_values, max(levels, 1 + its_levels)
        if values > MOST_VALUES:
            raise _too_many(node)
        if levels > DEEPEST:
            raise _too_deep(node)
        known[id(node)] = values, levels
        return values, levels


def _refuse_twins(keys: Iterable[Any]) -> None:
    seen: set[tuple[str, str]] = set()
    for key in keys:
        # what that brings in gives way to what stands here
        if isinstance(key, yaml.ScalarNode) and key.tag != MERGE:
            if (key.tag, key.value) in seen:
                raise _refused(f"{key.value} stands here twice", key)
            seen.add((key.tag, key.value))


def _too_many(at: Any) -> RefusedYAMLError:
    return _refused(
        f"more than {MOST_VALUES:,} values, aliases counted as often as they stand; expected "
        "fewer, written out",
        at,
    )


def _too_deep(at: Any) -> RefusedYAMLError:
    return _refused(f"nested too deeply; expected at most {DEEPEST} levels", at)


def _refused(reason: str, at: Any) -> RefusedYAMLError:
    return RefusedYAMLError(reason, at.start_mark.line + 1)


_Loader.add_implicit_resolver(  # type: ignore[no-untyped-call]
    "tag:yaml.org,2002:float", re.compile(r"[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)  # 989e12 is a number to everybody but YAML 1.1
