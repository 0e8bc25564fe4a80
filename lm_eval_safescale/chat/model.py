"""What a chat model is to those who ask it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from lm_eval_safescale.chat.finish_reason import has_ended


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str

    def as_dict(self) -> dict[str, str]:
        """As chat templates and servers take it."""
        return {"role": self.role, "content": self.content}


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """A conversation to be continued by at most `max_tokens` tokens, at temperature 0."""

    messages: tuple[Message, ...]
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    text: str | None
    """The text, however bad; None where it gave no reply."""
    error: str = ""
    """Why it gave none."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    """None where the backend does not say."""
    seconds: float = 0.0
    """Wall time of the request; of one that was computed together with others, its equal share."""
    finish_reason: str | None = None
    """Why it ended, in the words of the backend; None where it does not say."""
    reasons: bool = False
    """Whether reasoning came beside the text, which is not part of it."""
    concurrency: int | None = None
    """The most replies that were in the making at a time while this one was, itself included; None
    where that is unknown."""

    @property
    def ran_out(self) -> bool:
        """Whether it is empty because the tokens were used up, by reasoning that is held back as a
        rule."""
        return (
            self.text is not None
            and not self.text.strip()
            and (self.reasons or not has_ended(self.finish_reason))
        )


class ChatModel(Protocol):
    """A model that continues conversations."""

    about: Mapping[str, Any]
    """What a record must say of it, as JSON values; never a secret."""
    batch: int
    """Conversations that are computed together, so that a reply may depend on its neighbours. After
    an interruption a batch is asked as a whole again. 1 where each stands for itself."""
    window: int | None
    """Tokens of prompt and reply together; None where it is unknown."""

    def tokens(self, messages: Sequence[Message]) -> int | None:
        """Tokens of the prompt as the model gets it; None where that is unknown."""
        ...

    def chat(self, requests: Sequence[ChatRequest]) -> Iterator[tuple[int, Reply]]:
        """Replies with the number of their request, as they come; each exactly once.

        What is wrong with one request is in its reply. SafescaleError only where no reply can be
        had at all.
        """
        ...
