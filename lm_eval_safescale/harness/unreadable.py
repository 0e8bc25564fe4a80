"""Counts the answers that cannot be read, by why, and says what would help where they are most. It
reads none itself.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum, auto

from lm_eval_safescale.chat.finish_reason import has_ended, was_cut
from lm_eval_safescale.reading import Reasoning
from lm_eval_safescale.records import Status
from lm_eval_safescale.settings import REASONING_TOKENS

LEAST = 20
"""Answers without which nothing is said while a run is under way."""
MOST = 0.5
"""Share of answers above which those that cannot be read are a fault of the setting, and no longer
the model's."""
MORE = 4
"""By what a token limit is multiplied that was too small even for a model that reasons."""


class Why(Enum):
    """Why an answer could not be read."""

    KEPT_BACK = auto()
    """It is empty, and the server sent reasoning beside it."""
    MISTAKEN = auto()
    """Likewise, though the model came to its end."""
    USED_UP = auto()
    """It is empty, and was cut off at the token limit."""
    EMPTY = auto()
    """It is empty."""
    IN_REASONING = auto()
    """It stopped inside reasoning that stands in it."""
    CUT = auto()
    """It was cut off at the token limit before it chose a letter."""
    WITHHELD = auto()
    """A content filter held it back."""


SAID = {
    Why.KEPT_BACK: "carry {field} and no content: set {apart}",
    Why.MISTAKEN: (
        "carry {field} and no content, though the model came to its end: the server's reasoning "
        "parser does not fit the model. Start it with another, or without one and set {within}"
    ),
    Why.USED_UP: (
        "are empty and were cut off at the limit of {limit}, as where a server keeps the model's "
        "reasoning back: set {apart}"
    ),
    Why.EMPTY: (
        "are empty. Where the server keeps the model's reasoning back (reasoning_content), set "
        "{apart}; else look at its log"
    ),
    Why.IN_REASONING: "stopped inside the model's reasoning: set {within}",
    Why.CUT: (
        "were cut off at the limit of {limit} before they chose a letter: set {more}, or if the "
        "model reasons first {within}"
    ),
    Why.WITHHELD: (
        "were held back by a content filter of the server; they are not scored, so rates are of "
        "the other questions alone"
    ),
}
"""What is said of the replies, and what to set."""


@dataclass(slots=True)
class Unreadable:
    """Answers of a run, and those of them that cannot be read."""

    reasoning: Reasoning
    """The setting in force."""
    token_limit: int
    """The largest that an answer may have."""
    answers: int = 0
    found: Counter[Why] = field(default_factory=Counter)
    fields: Counter[str] = field(default_factory=Counter)
    """Where servers sent reasoning beside an empty text."""

    def add(
        self, status: str, text: str, *, finish_reason: str | None = None, reasoning_field: str = ""
    ) -> None:
        """Count an answer: what became of it, and what its reply says of it as far as the backend
        tells."""
        self.answers += 1
        why = _why(status, not text.strip(), finish_reason, reasoning_field)
        if why is not None:
            self.found[why] += 1
        if why in (Why.KEPT_BACK, Why.MISTAKEN):
            self.fields[reasoning_field] += 1

    @property
    def are_most(self) -> bool:
        """Whether they are more than half of the answers."""
        return self.found.total() > MOST * self.answers

    @property
    def shows_already(self) -> bool:
        """Whether so many answers are there that it can be said while the run is under way."""
        return self.answers >= LEAST and self.are_most

    def __str__(self) -> str:
        """What most of those that cannot be read have in common, and what to set; empty where there
        are none."""
        if not self.found:
            return ""
        why, number = self.found.most_common(1)[0]
        return f"{number / self.answers:.0%} of the replies {self._said(why)}".replace("%", " %", 1)

    def _said(self, why: Why) -> str:
        where = self.fields.most_common(1)[0][0] if self.fields else ""
        return SAID[why].format(
            field="parts of reasoning" if where == "content" else where,
            apart=self._settings("separate"),
            within=self._settings("on"),
            limit=f"{self.token_limit:,} tokens",
            more=f"max_answer_tokens={self._more}",
        )

    def _settings(self, wanted: Reasoning) -> str:
        return ", ".join(filter(None, (self._reasoning(wanted), f"max_answer_tokens={self._more}")))

    def _reasoning(self, wanted: Reasoning) -> str:
        return "" if self.reasoning == wanted else f"reasoning={wanted}"

    @property
    def _more(self) -> int:
        return REASONING_TOKENS if self.token_limit < REASONING_TOKENS else MORE * self.token_limit


def _why(
    status: str, is_empty: bool, finish_reason: str | None, reasoning_field: str
) -> Why | None:
    if status == Status.FILTERED:
        return Why.WITHHELD
    if status not in (Status.UNANSWERED, Status.TRUNCATED):
        return None
    if is_empty and reasoning_field:
        return Why.MISTAKEN if has_ended(finish_reason) else Why.KEPT_BACK
    if is_empty:
        return Why.USED_UP if was_cut(finish_reason) else Why.EMPTY
    if status == Status.TRUNCATED:
        return Why.IN_REASONING
    return Why.CUT if was_cut(finish_reason) else None
