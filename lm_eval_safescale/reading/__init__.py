"""Raw text to a letter or a status: reasoning is stripped first, then only an explicit choice counts (PROTOCOL §5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lm_eval_safescale.reading.letters import read_by_rules, read_letter
from lm_eval_safescale.reading.reasoning import Reasoning, opens_reasoning, strip_reasoning
from lm_eval_safescale.records import Reading, Status

__all__ = [
    "READER_VERSION",
    "STRICT",
    "AnswerReader",
    "Reasoning",
    "opens_reasoning",
    "read_answer",
    "read_letter",
    "strip_reasoning",
]


READER_VERSION = "4"
"""Raised when an output reads otherwise than before: what one version has read, another cannot verify."""


@dataclass(frozen=True, slots=True)
class AnswerReader:
    """A way of reading a letter from an output, as it is registered."""

    name: str
    description: str
    read: Callable[[str, Mapping[str, str]], str | None]
    """`read(text, options)`: one of the options' letters, or None for no explicit choice. Reasoning is stripped before."""
    version: str = READER_VERSION
    """By which its readings can be told from those of another version; of a plugin's reader with its package."""


CUT = "open reasoning"
"""The rule of an output that stopped inside its reasoning."""
STRICT = AnswerReader("strict", "only an explicit choice of a letter counts (docs/reading.md)", read_letter)


def read_answer(
    text: str | None,
    options: Mapping[str, str],
    *,
    reasoning: Reasoning = "auto",
    opened: bool = False,
    reader: AnswerReader = STRICT,
) -> Reading:
    """What an output says.

    Parameters
    ----------
    text
        Raw output; None where the backend gave nothing (`error`).
    options
        Option text by upper-case letter, in letter order.
    reasoning, opened
        See `strip_reasoning`.
    reader
        What reads the letter once the reasoning is stripped.

    Returns
    -------
    A reading with status `ok` and a letter; or without one, `unanswered`, `truncated` (cut off inside the reasoning, and
    then never parsed) or `error`.
    """
    if not isinstance(text, str):
        return Reading(None, Status.ERROR)
    final = strip_reasoning(text, reasoning=reasoning, opened=opened)
    if final is None:
        return Reading(None, Status.TRUNCATED, CUT)
    letter, rule = read_by_rules(final, options) if reader is STRICT else (reader.read(final, options), reader.name)
    return Reading(letter, Status.OK if letter else Status.UNANSWERED, rule)
