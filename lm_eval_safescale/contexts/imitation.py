"""Places in a text that imitate a prompt: they are shown as they are, and said.

A model may take them for instructions. That is what happens in deployment, so the text is not
altered; but a rate on such contexts is about the imitation too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lm_eval_safescale.records import Context, Flag

EXCERPT = 80
MOST = 5
"""Flags of one kind that are kept of one passage."""

_LETTER = r"[\"'(*\[]{0,4}[A-J][\"')*\]]{0,4}"
_END = r"(?=[ \t]*(?:\.(?! [a-z])|[,;:!?\n]|$|\b(?:because|since|as|and|not)\b))"
"""What may follow a letter that is an answer: "B." and "B because", not "C-reactive protein", "B
cells" or "E. coli"."""

KINDS: dict[str, re.Pattern[str]] = {
    "chat marker": re.compile(
        r"<\|[a-z0-9_ /-]{1,40}\|?>"  # <|im_start|>, <|eot_id|>, <|channel>
        r"|</?(?:think|thinking|tool_call|start_of_turn|end_of_turn|system|user|assistant)>"
        r"|</?s>|\[/?(?:INST|SYS|THINK|SYSTEM_PROMPT|TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS)\]"
        r"|<</?SYS>>"
        r"|<\uff5c[^>\n]{1,40}\uff5c>|<(?:bos|eos|pad|unused\d{1,4})>",
        re.IGNORECASE,
    ),
    "prompt line": re.compile(
        r"^[ \t>*#_-]*(?:(?:final |correct )?answer|question|options|user|assistant|system|human)"
        r"[*_]*[ \t]*[:\uff1a].*",
        re.IGNORECASE | re.MULTILINE,
    ),
    "announced answer": re.compile(
        r"(?i:\b(?:correct|right|best|final) (?:answer|option|choice|letter)(?: is| would be)?:?)"
        rf"[ \t]+{_LETTER}{_END}|(?i:\banswer(?: is)?:?)[ \t]+(?i:option |letter )?{_LETTER}{_END}"
        r"|(?i:\b(?:choose|select|pick|(?:answer|reply|respond) with))[ \t]+"
        rf"(?i:(?:the )?(?:option |letter )?){_LETTER}{_END}",
        re.MULTILINE,
    ),
    "instruction": re.compile(
        r"\b(?:ignore|disregard|forget|override)\b(?:"
        r"[^.\n]{0,30}\b(?:previous|prior|above|earlier|preceding|foregoing)\b[^.\n]{0,30}"
        r"\b(?:instructions?|prompts?|context|rules|questions?|evidence|passages?|text|messages?)"
        r"\b|[^.\n]{0,30}\b(?:instructions?|prompts?|context|rules|question|evidence|passages?"
        r"|text) (?:above|before|below|that (?:follows?|precedes?)|you (?:were|have been) given)\b"
        r"|(?: all)?(?: of)?(?: the| your| these| those| my)? system (?:prompt|message)\b"
        r"|(?: all)(?: of)?(?: the| your| these| those| my| other)? (?:instructions|prompts|rules)"
        r"\b|(?: everything| all| anything)(?: of the| that is| that stands| written| said)? "
        r"(?:above|before)\b)|(?:^|[.!?:\"'] {0,3})[*_]{0,3}you (?:are|must act as|will act as) "
        r"(?:now )?an? (?:\w{1,40} ){0,3}(?:assistant|model|chatbot|AI)\b"
        r"|^#{1,6} ?(?:instructions?|response|system|input):.*",
        re.IGNORECASE | re.MULTILINE,
    ),
}


def imitations_in(context: Context) -> list[Flag]:
    """Those of a context's flags that are about imitations."""
    return [flag for flag in context.flags if flag.kind in KINDS]


def find_imitations(text: str, passage: str | None = None) -> Iterator[Flag]:
    """Every kind of imitation in a text, each with an excerpt; at most `MOST` of a kind."""
    for kind, pattern in KINDS.items():
        for number, match in enumerate(pattern.finditer(text)):
            if number == MOST:
                break
            yield Flag(kind, match[0].strip()[:EXCERPT], passage)
