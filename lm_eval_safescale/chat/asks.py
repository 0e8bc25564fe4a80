"""What it takes to ask a model while contexts are built: the steps, and the session that takes
them. It does not know what is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from lm_eval_safescale.chat import Message, Reply
from lm_eval_safescale.records import Passage

ORCHESTRATE, WRITE = "orchestrate", "write"
ROLES = (ORCHESTRATE, WRITE)
"""Who is asked: the model that plans, or the one that researches and writes. They may be the
same."""
SHOWN = 300
"""Characters of a reply that its model is shown again."""


class Unusable(Exception):
    """What a parser raises for a reply that it cannot use: what was expected, said to the model."""


def once_more(prompt: str, text: str, why: str) -> str:
    """A prompt again, with what was wrong with the reply to it."""
    began = f"It began: {repr(text.strip())[:SHOWN]}\n" if text.strip() else ""
    return (
        f"{prompt}\n\nYour last reply could not be used. {why}\n"
        f"{began}Reply again, in the form that is asked for above."
    )


@dataclass(frozen=True, slots=True)
class Ask:
    """A step that waits for a model."""

    question_id: str
    step: str
    """Its name, of its own within the question."""
    role: str
    messages: tuple[Message, ...]
    max_tokens: int

    @property
    def prompt_sha256(self) -> str:
        """SHA-256 (hex) of what is asked, its token limit included."""
        digest = hashlib.sha256(str(self.max_tokens).encode())
        for message in self.messages:
            digest.update(f"\0{message.role}\0{message.content}".encode(errors="surrogatepass"))
        return digest.hexdigest()


class ChatSession(Protocol):
    """Where models are asked."""

    def ask(self, asks: Sequence[Ask]) -> list[Reply]:
        """Replies, in order; those known from before are not asked again."""
        ...

    def room(self, role: str, messages: Sequence[Message], max_tokens: int) -> int | None:
        """Tokens of the model's window that are left (less than 0: missing); None where that is
        unknown."""
        ...

    def searched(
        self, question_id: str, queries: Sequence[str], found: Sequence[Sequence[Passage]]
    ) -> None:
        """Take a search down."""
        ...

    def ended(self, question_id: str, failed: str) -> None:
        """A report is made, or failed for that reason."""
        ...
