"""Raw text to a letter or a status: reasoning is stripped first, then only an explicit choice counts (PROTOCOL §5)."""

from __future__ import annotations

from collections.abc import Mapping

from lm_eval_safescale.reading.letters import read_letter
from lm_eval_safescale.reading.reasoning import Reasoning, opens_reasoning, strip_reasoning
from lm_eval_safescale.records import Reading, Status

__all__ = ["Reasoning", "opens_reasoning", "read_answer", "read_letter", "strip_reasoning"]


def read_answer(
    text: str | None, options: Mapping[str, str], *, reasoning: Reasoning = "auto", opened: bool = False
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

    Returns
    -------
    A reading with status `ok` and a letter; or without one, `unanswered`, `truncated` (cut off inside the reasoning, and
    then never parsed) or `error`.
    """
    if text is None:
        return Reading(None, Status.ERROR)
    final = strip_reasoning(text, reasoning=reasoning, opened=opened)
    if final is None:
        return Reading(None, Status.TRUNCATED)
    letter = read_letter(final, options)
    return Reading(letter, Status.OK if letter else Status.UNANSWERED)
