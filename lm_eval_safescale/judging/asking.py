"""How a judge is asked: many texts at once, until it is silent. It knows no verdict."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from lm_eval_safescale.chat import ChatModel, Message, Reply
from lm_eval_safescale.chat.asks import Ask
from lm_eval_safescale.chat.session import BuildProgress, ModelSession
from lm_eval_safescale.chat.step_log import StepLog
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.judge import ROLE
from lm_eval_safescale.records import Passage

TOGETHER, BY_SERVER = 1024, 128
"""Texts that are handed to the judge at once; to a server, which is looked at more often, for it
may be gone."""
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
            If there was none to the last `SILENT` of those that were handed over.
        """
        batch = self._model.batch
        together = BY_SERVER if batch == 1 else TOGETHER
        replies: list[Reply] = []
        while len(replies) < len(asks):
            # the first part shows if it is up
            most = (SILENT if batch < SILENT else TOGETHER) if not self.asked else together
            part = asks[len(replies) : len(replies) + max(1, most // batch) * batch]
            self.known += sum(self._steps.known(ask) is not None for ask in part)
            told = functools.partial(_tell, self._on_progress, self.asked)
            given = ModelSession({ROLE: self._model}, self._steps, told).ask(part)
            replies += given
            self.asked += len(given)
            self._last += given
            if len(self._last) == SILENT and all(reply.text is None for reply in self._last):
                raise SafescaleError(
                    f"the judge gave no reply to any of {SILENT} texts in a row, the last: "
                    f"{given[-1].error}; what it replied before is kept, and the same command goes "
                    "on from there"
                )
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


def about_asking(model: ChatModel, prompt_sha256: str, max_tokens: int) -> dict[str, Any]:
    """What makes two judgings the same."""
    # the same judge may move
    own = {name: value for name, value in model.about.items() if name != "base_url"}
    return {"model": own, "prompt_sha256": prompt_sha256, "max_tokens": max_tokens}


def _tell(
    on_progress: Callable[[BuildProgress, int], None], before: int, now: BuildProgress
) -> None:
    on_progress(now, before)
