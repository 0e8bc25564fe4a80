"""How a judge is asked: many texts at once, until it is silent. It knows no verdict."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from lm_eval_safescale.chat import ChatModel, ChatRequest, Message, Reply
from lm_eval_safescale.chat.asks import Ask
from lm_eval_safescale.chat.session import BuildProgress, ModelSession
from lm_eval_safescale.chat.step_log import StepLog
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.judge import ROLE
from lm_eval_safescale.records import Passage

TOGETHER = 1024
"""Texts that are handed to the judge at once."""
SILENT = 16
"""So many texts in a row without any reply: the judge is down, and those to come are not tried."""


class JudgeSession:
    """Asks a judge, and stops where it gives no reply at all."""

    def __init__(
        self,
        model: ChatModel,
        steps: StepLog,
        on_progress: Callable[[BuildProgress, int], None] = lambda _, __: None,
    ) -> None:
        """Parameters are those of `judging.judge`."""
        self._model, self._steps, self._on_progress = model, steps, on_progress
        self._last: deque[Reply] = deque(maxlen=SILENT)
        self.asked = 0
        """Steps that have their reply."""
        self.known = 0
        """Of these, known from an earlier, interrupted judging."""

    def ask(self, asks: Sequence[Ask]) -> list[Reply]:
        """Replies, in order.

        Raises
        ------
        SafescaleError
            If there was none to `SILENT` of them in a row.
        """
        replies: list[Reply] = []
        together = max(1, TOGETHER // self._model.batch) * self._model.batch
        for start in range(0, len(asks), together):
            part = asks[start : start + together]
            self.known += sum(self._steps.known(ask) is not None for ask in part)
            told = functools.partial(_tell, self._on_progress, self.asked)
            watched = _Watched(self._model, self._last)
            given = ModelSession({ROLE: watched}, self._steps, told).ask(part)
            replies += given
            self.asked += len(given)
        return replies

    def room(self, role: str, messages: Sequence[Message], max_tokens: int) -> int | None:
        """See `chat.asks.ChatSession`."""
        return ModelSession({role: self._model}, self._steps).room(role, messages, max_tokens)

    def searched(
        self, question_id: str, queries: Sequence[str], found: Sequence[Sequence[Passage]]
    ) -> None:
        """A judge searches nothing."""

    def ended(self, question_id: str, failed: str) -> None:
        """What became of a judging is in its verdicts."""


class _Watched:
    """A judge that is given up as soon as it is silent, whatever else it was asked."""

    def __init__(self, model: ChatModel, last: deque[Reply]) -> None:
        self.batch, self.window, self.about = model.batch, model.window, model.about
        self._model, self._last = model, last
        self._is_first = True

    def tokens(self, messages: Sequence[Message]) -> int | None:
        """See `ChatModel`."""
        return self._model.tokens(messages)

    def chat(self, requests: Sequence[ChatRequest]) -> Iterator[tuple[int, Reply]]:
        """Replies as they come."""
        # what failed is asked once more, and may well fail again
        is_first, self._is_first = self._is_first, False
        for number, reply in self._model.chat(requests):
            yield number, reply
            if is_first:
                self._last.append(reply)
                self._give_up_if_silent()

    def _give_up_if_silent(self) -> None:
        if len(self._last) == SILENT and all(reply.text is None for reply in self._last):
            raise SafescaleError(
                f"the judge gave no reply to any of {SILENT} texts in a row, the last: "
                f"{self._last[-1].error}; what it replied before is stored, and the same command "
                "goes on from there"
            )


def about_asking(model: ChatModel, prompt_sha256: str, max_tokens: int) -> dict[str, Any]:
    """What makes two judgings the same."""
    # the same judge may move
    own = {name: value for name, value in model.about.items() if name != "base_url"}
    return {"model": own, "prompt_sha256": prompt_sha256, "max_tokens": max_tokens}


def _tell(
    on_progress: Callable[[BuildProgress, int], None], before: int, now: BuildProgress
) -> None:
    on_progress(now, before)
