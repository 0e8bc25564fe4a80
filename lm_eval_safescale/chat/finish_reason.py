"""What the words mean by which backends say why a reply ended. It knows no reply."""

from __future__ import annotations

ENDED = frozenset(
    {"stop", "end_turn", "stop_sequence", "eos", "eos_token", "complete", "completed"}
)
"""The model came to its end."""
CUT = frozenset(
    {"length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"}
)
"""It was cut off at a limit of tokens."""
WITHHELD = frozenset(
    {
        "content_filter",
        "content_filtered",
        "safety",
        "sensitive",
        "refusal",
        "prohibited_content",
        "blocklist",
        "guardrail_intervened",
    }
)
"""A filter held it back, or cut it off."""
FAILED = frozenset({"error"})
"""The server could not make it."""


def has_ended(reason: str | None) -> bool:
    """Whether the model came to its end."""
    return _is(reason, ENDED)


def was_cut(reason: str | None) -> bool:
    """Whether the reply was cut off at a limit of tokens."""
    return _is(reason, CUT)


def was_withheld(reason: str | None) -> bool:
    """Whether a filter held the reply back, or cut it off."""
    return _is(reason, WITHHELD)


def has_failed(reason: str | None) -> bool:
    """Whether the server could not make the reply."""
    return _is(reason, FAILED)


def _is(reason: str | None, words: frozenset[str]) -> bool:
    return (reason or "").casefold() in words
