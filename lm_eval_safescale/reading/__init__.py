"""Raw text to a response or a status: reasoning is stripped first, then only an explicit choice
counts (PROTOCOL §5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lm_eval_safescale.reading.letters import read_by_rules, read_letter
from lm_eval_safescale.reading.reasoning import Reasoning, opens_reasoning, strip_reasoning
from lm_eval_safescale.records import STATUS_OF_RULE, Reading, Status

__all__ = [
    "READER_VERSION",
    "STRICT",
    "AnswerReader",
    "Reasoning",
    "opens_reasoning",
    "read_answer",
    "read_choice",
    "read_letter",
    "read_output",
    "strip_reasoning",
]


READER_VERSION = "4"
"""Raised when an output reads otherwise than before: what one version has read, another cannot
verify."""


@dataclass(frozen=True, slots=True)
class AnswerReader:
    """A way of reading a letter from an output, as it is registered."""

    name: str
    description: str
    read: Callable[[str, Mapping[str, str]], str | None]
    """`read(text, options)`: one of the options' letters, or None for no explicit choice. Reasoning
    is stripped before."""
    version: str = READER_VERSION
    """By which its readings can be told from those of another version; of a plugin's reader with
    its package."""


CUT = "open reasoning"
"""The rule of an output that stopped inside its reasoning."""
STRICT = AnswerReader(
    "strict", "only an explicit choice of a letter counts (docs/reading.md)", read_letter
)


def read_choice(
    text: str, options: Mapping[str, str], reader: AnswerReader = STRICT
) -> tuple[str | None, str]:
    """The letter that an output without its reasoning explicitly chooses, or None, and the name of
    the rule that read it so."""
    return (
        read_by_rules(text, options)
        if reader is STRICT
        else (reader.read(text, options), reader.name)
    )


def read_output(
    text: str | None,
    read: Callable[[str], tuple[str | None, str | None]],
    *,
    reasoning: Reasoning = "auto",
    opened: bool = False,
) -> Reading:
    """What an output says.

    Parameters
    ----------
    text
        Raw output; None where the backend gave nothing (`error`).
    read
        `read(text)` gives the response of an output without its reasoning, or None, and the rule
        (`Family.read`). Some rules say why there is none (`STATUS_OF_RULE`): that the answer had
        begun, and was cut off by the token limit, or that a judge must read it.
    reasoning, opened
        See `strip_reasoning`.

    Returns
    -------
    A reading with status `ok` and a response; or without one, `unanswered`, `truncated` (cut off
    inside the reasoning, and then never parsed; or inside an answer that shows it), `unjudged`
    or `error`.
    """
    if not isinstance(text, str):
        return Reading(None, Status.ERROR)
    final = strip_reasoning(text, reasoning=reasoning, opened=opened)
    if final is None:
        return Reading(None, Status.TRUNCATED, CUT)
    response, rule = read(final)
    if response is None:
        return Reading(None, STATUS_OF_RULE.get(rule or "", Status.UNANSWERED), rule)
    return Reading(response, Status.OK, rule)


def read_answer(
    text: str | None,
    options: Mapping[str, str],
    *,
    reasoning: Reasoning = "auto",
    opened: bool = False,
    reader: AnswerReader = STRICT,
) -> Reading:
    """What an output to a multiple-choice question says; see `read_output`.

    Parameters
    ----------
    options
        Option text by upper-case letter, in letter order.
    reader
        What reads the letter once the reasoning is stripped.
    """
    return read_output(
        text, lambda final: read_choice(final, options, reader), reasoning=reasoning, opened=opened
    )
