"""Places in a text that imitate a prompt: they are shown as they are, and said.

A model may take them for instructions. That is what happens in deployment, so the text is not altered; but a rate on such contexts is
about the imitation too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from lm_eval_safescale.records import Flag

EXCERPT = 80
MOST = 5
"""Flags of one kind that are kept of one passage."""

KINDS: dict[str, re.Pattern[str]] = {
    "chat marker": re.compile(
        r"<\|[a-zA-Z0-9_ /-]{1,40}\|?>"  # <|im_start|>, <|eot_id|>, <|channel>
        r"|</?(?:think|thinking|tool_call|start_of_turn|end_of_turn|system|user|assistant)>"
        r"|</?s>|\[/?(?:INST|SYS|THINK|SYSTEM_PROMPT)\]|<</?SYS>>|<\uff5c[^>\n]{1,40}\uff5c>|<(?:bos|eos|pad|unused\d+)>",
        re.IGNORECASE,
    ),
    "prompt line": re.compile(
        r"^[ \t>*#_-]*(?:(?:final |correct )?answer|question|options|user|assistant|system|human)[*_]*[ \t]*:.*",
        re.IGNORECASE | re.MULTILINE,
    ),
    "announced answer": re.compile(
        r"\b(?:the )?(?:correct|right|best|final) (?:answer|option|choice|letter) (?:is|would be|:)[ \t]*[\"'(*]*[A-J]\b(?![a-z'])"
        r"|\b(?:answer|choose|select|pick|reply|respond)(?: with| is|:)?[ \t]+(?:option |letter )?[\"'(*]*[A-J][\"')*]*[ \t]*(?:[.!\n]|$)",
        re.MULTILINE,
    ),
    "instruction": re.compile(
        r"\b(?:ignore|disregard|forget|override)\b[^.\n]{0,40}\b(?:instructions?|prompts?|context|rules|question|evidence)\b"
        r"|\byou (?:are|must act as) (?:now )?(?:an? )?(?:\w+ ){0,2}(?:assistant|model|chatbot|AI)\b"
        r"|^#+ ?(?:instruction|response|system)\b.*",
        re.IGNORECASE | re.MULTILINE,
    ),
}


def find_imitations(text: str, passage: str | None = None) -> Iterator[Flag]:
    """Every kind of imitation in a text, each with an excerpt; at most `MOST` of a kind."""
    for kind, pattern in KINDS.items():
        for number, match in enumerate(pattern.finditer(text)):
            if number == MOST:
                break
            yield Flag(kind, match[0].strip()[:EXCERPT], passage)
