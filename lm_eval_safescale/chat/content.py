"""Text of a reply's `content`, whatever shape the server gave it. It knows no server and no
question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

DEEPEST = 8
"""Levels of parts within parts; what goes on below is no content."""
REASONING = ("thinking", "thought", "reasoning", "summary_text")
"""How the types of parts begin or end that hold the model's reasoning: Mistral, Anthropic, OpenAI,
Cohere."""
REASONING_KEYS = (
    "thinking",
    "reasoning",
    "reasoningContent",
    "reasoning_content",
    "redacted_thinking",
)
"""Of a part without a type (Amazon's, for one)."""
HOLDERS = ("text", "value", "content", "parts", "output_text")
"""Where a part holds its text, or other parts."""
WITHOUT_TEXT = (
    "tool",
    "function",
    "image",
    "audio",
    "video",
    "file",
    "document",
    "reference",
    "citation",
    "server_tool",
)
"""How the types of parts begin that are no text of the model's."""


@dataclass(frozen=True, slots=True)
class Content:
    """What a content holds."""

    text: str | None
    """Its text without the model's reasoning; None where it is of no known shape."""
    reasons: bool = False
    """Whether it holds parts of reasoning, which were dropped."""
    refusal: str = ""
    """The words of a part by which the model refuses."""


NOTHING, UNKNOWN = Content(""), Content(None)


def read_content(content: Any) -> Content:
    """What a content holds.

    Parameters
    ----------
    content
        As decoded from JSON: a text; a list of texts and parts (`{"type": "text", "text": ...}` and
        its kin; reasoning and refusals are told apart, tool calls and pictures passed over); one
        such part; None for nothing.

    Returns
    -------
    The parts' texts, joined without anything between them. A list that holds something unknown
    beside texts still has its texts; one of nothing known has none, and neither has a number.
    """
    return _read(content, DEEPEST)


def text_of(content: Any) -> str | None:
    """The text of a content (`read_content`); None where it is of no known shape."""
    return read_content(content).text


def _read(content: Any, depth: int) -> Content:
    if content is None:
        return NOTHING
    if isinstance(content, str):
        return Content(content)
    if not depth:
        return UNKNOWN
    if isinstance(content, list):
        return _joined([_read(part, depth - 1) for part in content])
    return _read_part(content, depth) if isinstance(content, Mapping) else UNKNOWN


def _read_part(part: Mapping[str, Any], depth: int) -> Content:
    kind = str(part.get("type") or "").casefold()
    # Gemini marks its thoughts so
    if kind.startswith(REASONING) or kind.endswith(REASONING) or part.get("thought") is True:
        return Content("", reasons=True)
    if kind.startswith(WITHOUT_TEXT):
        return NOTHING
    reasons, refusal = any(part.get(name) for name in REASONING_KEYS), part.get("refusal") or ""
    inner = next(
        (_read(part[name], depth - 1) for name in HOLDERS if part.get(name) is not None), None
    )
    if inner is not None:
        return Content(inner.text, inner.reasons or reasons, inner.refusal or str(refusal))
    known = reasons or refusal or kind.endswith("text") or any(name in part for name in HOLDERS)
    return Content("" if known else None, reasons, str(refusal))


def _joined(parts: list[Content]) -> Content:
    if parts and all(part.text is None for part in parts):
        return UNKNOWN
    return Content(
        "".join(part.text or "" for part in parts),
        any(part.reasons for part in parts),
        "\n".join(part.refusal for part in parts if part.refusal),
    )
