"""Separates a model's reasoning from its answer, or says that the output stopped before the reasoning did (PROTOCOL §5)."""

from __future__ import annotations

import re
from collections import deque
from typing import Literal

Reasoning = Literal["auto", "on", "off", "separate"]

_PAIRS = re.compile(
    r"(?P<open><(?:seed:)?(?:think|thinking|thought|reasoning)\s*>|\[THINK\]|<\|channel>|<unused94>|◁think▷"
    r"|<\|begin_of_thought\|>|<\|START_THINKING\|>)"
    r"|(?P<close></(?:seed:)?(?:think|thinking|thought|reasoning)\s*>|\[/THINK\]|<channel\|>|<unused95>|◁/think▷"
    r"|<\|end_of_thought\|>|<\|END_THINKING\|>)",
    re.IGNORECASE,
)
"""Qwen3, DeepSeek-R1, Seed; Mistral; Gemma 4; MedGemma; Kimi; and others."""

_OPENERS = ("<think>", "<thinking>", "<thought>", "<reasoning>", "[think]", "<|channel>", "<unused94>")
_HARMONY = re.compile(r"<\|channel\|>\s*(\w+)(?:(?!<\|message\|>).){0,100}<\|message\|>", re.DOTALL)
_HARMONY_BARE = re.compile(r"\s*(?:assistant)?(?:analysis|commentary)(?:(?=[^\W_])|\s*\n|\s+(?=[A-Z]))")
"""gpt-oss with its special tokens removed: the channel's name runs into the first word."""
_THOUGHT_LINE = re.compile(r"\s*thought[ \t]*\n")
_BARE_LETTER = re.compile(r"\W{0,4}([A-Za-z])\W{0,4}")


def opens_reasoning(prompt: str) -> bool:
    """Whether a rendered prompt ends inside an open reasoning block, so that the output begins with reasoning."""
    return prompt.rstrip().lower().endswith(_OPENERS)


def strip_reasoning(text: str, *, reasoning: Reasoning = "auto", opened: bool = False) -> str | None:
    """What stands after the reasoning, or None where the output stopped inside it.

    Parameters
    ----------
    text
        Raw output.
    reasoning
        `on`: the model reasons in its text, so that an output without an end of reasoning is cut off (one bare letter
        excepted); `separate`: a server keeps the reasoning back, so that an empty output is cut off; `auto`, `off`: only
        reasoning that can be seen is stripped.
    opened
        The prompt itself opened the reasoning: without an end marker, all of the output is reasoning.
    """
    if reasoning == "separate" and not text.strip():
        return None
    if "<|channel|>" in text or "<|message|>" in text:
        return _harmony_final(text)
    if _HARMONY_BARE.match(text):
        _, marker, final = text.rpartition("assistantfinal")
        return final if marker else None
    last = deque(_PAIRS.finditer(text), maxlen=1)
    if last:
        return text[last[0].end() :] if last[0]["close"] else None
    if opened:
        return None
    if thought := _THOUGHT_LINE.match(text):
        before, _, final = text[thought.end() - 1 :].rpartition("\n\n")
        is_answer = _BARE_LETTER.fullmatch(final.strip()) and not before.rstrip().endswith(":")
        return final if is_answer else None
    if reasoning == "on" and not _BARE_LETTER.fullmatch(text.strip()):
        return None
    return text


def _harmony_final(text: str) -> str | None:
    channels = list(_HARMONY.finditer(text))
    if not channels:  # the header itself was cut
        return None
    last = channels[-1]
    return re.split(r"<\|(?:return|end|start|call)\|>", text[last.end() :])[0] if last[1] == "final" else None
