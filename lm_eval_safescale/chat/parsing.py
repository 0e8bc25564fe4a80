"""What a server's response says: the text, why it ended, and who gave it. It knows the forms of
OpenAI and Anthropic, and no question.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lm_eval_safescale.chat.content import read_content
from lm_eval_safescale.chat.finish_reason import has_failed
from lm_eval_safescale.chat.http import Response, excerpt, lacking, unusable
from lm_eval_safescale.json_text import whole

REASONING_FIELDS = ("reasoning_content", "reasoning", "reasoning_details", "thinking")
"""Of a message: where servers put the reasoning that they keep out of its content."""
MOST_TOKENS = 2**31
"""Of one response: what a server says beyond that is no count, and would fit no table."""
LONGEST_NAME = 200
"""Characters of a name that a server gives (of a model, a reply, a reason)."""


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """What a response says."""

    text: str
    """The reply without reasoning that the server keeps apart; the words of a refusal where there
    is nothing else."""
    finish_reason: str | None = None
    """In the words of the server; None where it says none."""
    reasoning_field: str = ""
    """Where the reply carries reasoning beside its text; empty where it carries none."""
    refused: bool = False
    """Whether the model refuses, in a field that says so."""
    served_model: str | None = None
    system_fingerprint: str | None = None
    reply_id: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


def parse_reply(response: Response, *, chat: bool = False) -> ParsedReply:
    """What the JSON of a response says, in which no secret stands that was sent.

    Parameters
    ----------
    response
        A completion or chat completion of one choice, or a message in the form of Anthropic.
    chat
        Whether it must be a chat completion.

    Raises
    ------
    LastingError
        If it is none, holds no text in any known shape, or says that the reply failed; with the
        beginning of the response.
    """
    raw = response.content or b""
    try:
        parsed = response.parsed()
        choice = _choice(parsed)
        failed = bool(choice.get("error"))
        message, content = ({}, None) if failed else _message(choice, chat=chat)
        refusal = message.get("refusal")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise lacking(raw, "chat completion" if chat else "completion") from None
    finish = _finish(choice)
    if failed or has_failed(finish):
        raise unusable(f"the reply is an error: {excerpt(raw)}")
    read = read_content(content)
    if read.text is None:
        raise unusable(f"no text in the reply: {excerpt(raw)}")
    refusal = refusal or read.refusal
    text = read.text or (refusal if isinstance(refusal, str) else "")
    field = next(
        (name for name in REASONING_FIELDS if message.get(name)), "content" if read.reasons else ""
    )
    usage = token_counts(parsed)
    return ParsedReply(
        whole(text),
        finish,
        field,
        bool(refusal),
        served_model=_name(parsed.get("model")),
        system_fingerprint=_name(parsed.get("system_fingerprint")),
        reply_id=_name(parsed.get("id")),
        prompt_tokens=usage.get("prompt_tokens", usage.get("input_tokens")),
        completion_tokens=usage.get("completion_tokens", usage.get("output_tokens")),
    )


def _choice(parsed: Any) -> Mapping[str, Any]:
    """The only choice; KeyError, TypeError or the like where there is none, or where there are
    several."""
    if "choices" not in parsed:  # the form of Anthropic
        return {"message": {"content": parsed["content"]}, "stop_reason": parsed.get("stop_reason")}
    (choice,) = parsed["choices"]
    return choice  # type: ignore[no-any-return]


def _message(choice: Mapping[str, Any], *, chat: bool) -> tuple[Mapping[str, Any], Any]:
    """A message, and its content; of a plain completion, nothing and the text."""
    if "message" not in choice and not chat:
        return {}, choice["text"]
    return choice["message"], choice["message"].get("content")


def _finish(choice: Mapping[str, Any]) -> str | None:
    reason = choice.get("finish_reason") or choice.get("stop_reason")
    return _name(reason.get("type") if isinstance(reason, Mapping) else reason)


def _name(value: Any) -> str | None:
    return whole(value)[:LONGEST_NAME] if isinstance(value, str) and value else None


def token_counts(response: Mapping[str, Any]) -> dict[str, int]:
    """What a response says of tokens, as far as it is numbers."""
    usage = response.get("usage")
    counts = usage if isinstance(usage, dict) else {}
    return {
        name: value
        for name, value in counts.items()
        if type(value) is int and 0 <= value < MOST_TOKENS
    }
