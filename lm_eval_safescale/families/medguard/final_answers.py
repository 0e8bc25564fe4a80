"""The final answer of an output that reasons first. It knows no question but its options."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lm_eval_safescale.reading import STRICT, AnswerReader, read_choice
from lm_eval_safescale.reading.choices import BARE, FIELD, FINAL
from lm_eval_safescale.reading.cleaning import clean
from lm_eval_safescale.records import CUT_OFF

NO_FINAL = "no final answer"
"""The rule of an output that chooses on the way, and ends without a choice."""
_ENDS = re.compile(r"[.!?…。！？][\"')\]]*\s*\Z")
_BEHIND = " .,;:!?\"')]"


def read_final(
    text: str, options: Mapping[str, str], reader: AnswerReader = STRICT
) -> tuple[str | None, str]:
    """The letter of the final answer, or None, and the rule.

    What the strict reader calls a final answer counts, and so does a choice that the last line ends
    with. A choice in the reasoning does not. Without either an output is cut off (`CUT_OFF`)
    unless it ends with a sentence: no text says why it ends. Another reader decides by itself.
    """
    letter, rule = read_choice(text, options, reader)
    if reader is not STRICT or rule in (BARE, FIELD, FINAL) or not text.strip():
        return letter, rule
    last = clean(text).strip().rpartition("\n")[2]
    chosen, _ = read_choice(last, options)
    ends_with_it = chosen is not None and last.rstrip(_BEHIND).casefold().endswith(
        (f" {chosen}".casefold(), options[chosen].rstrip(_BEHIND).casefold())
    )
    if not ends_with_it and not _ENDS.search(last):
        return None, CUT_OFF
    return (letter, rule) if letter == chosen else (None, NO_FINAL)
