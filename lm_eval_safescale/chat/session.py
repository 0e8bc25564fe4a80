"""Where chat models are asked: what was answered before is not asked again, and every step is
stored in a file as it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lm_eval_safescale.chat import ChatModel, ChatRequest, Message, Reply
from lm_eval_safescale.chat.asks import Ask
from lm_eval_safescale.chat.step_log import StepLog
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.json_text import whole
from lm_eval_safescale.records import Passage


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """How far a build has come."""

    wave: int
    asked: int
    """Steps of this wave that have their reply."""
    of: int
    """Steps of this wave."""
    replied: int
    """Replies that models gave since the start."""
    known: int
    """Replies known from an interrupted build."""
    made: int
    """Reports that are made."""
    failed: int
    """Reports that could not be made."""
    damaged: int = 0
    """Lines of the file of steps that do not count: their steps are asked again."""


class ModelSession:
    """Asks the models of a build."""

    def __init__(
        self,
        models: Mapping[str, ChatModel],
        steps: StepLog,
        on_progress: Callable[[BuildProgress], None] = lambda _: None,
    ) -> None:
        self._models, self._steps, self._on_progress = models, steps, on_progress
        self._progress = BuildProgress(0, 0, 0, 0, 0, 0, 0, steps.damaged)

    def ask(self, asks: Sequence[Ask]) -> list[Reply]:
        """Replies, in order. One model's steps are one batch, whatever their roles; a failed
        request is sent once more."""
        self._progress = replace(
            self._progress, wave=self._progress.wave + 1, asked=0, of=len(asks)
        )
        replies: dict[int, Reply] = {}
        for model in {id(model): model for model in self._models.values()}.values():
            numbers = [number for number, ask in enumerate(asks) if self._models[ask.role] is model]
            replies |= self._asked(model, {number: asks[number] for number in numbers})
        self._steps.sync()
        return [replies[number] for number in range(len(asks))]

    def room(self, role: str, messages: Sequence[Message], max_tokens: int) -> int | None:
        """Tokens of the window that are left."""
        model = self._models[role]
        tokens = None if model.window is None else model.tokens(messages)
        return (
            None if model.window is None or tokens is None else model.window - tokens - max_tokens
        )

    def searched(
        self, question_id: str, queries: Sequence[str], found: Sequence[Sequence[Passage]]
    ) -> None:
        """Take a search down."""
        ids = [[passage.id for passage in passages] for passages in found]
        self._steps.note({"question_id": question_id, "queries": list(queries), "passages": ids})

    def ended(self, question_id: str, failed: str) -> None:
        """A report is made, or failed."""
        self._steps.note(
            {
                "question_id": question_id,
                "report": "failed" if failed else "made",
                **({"failed": failed} if failed else {}),
            }
        )
        now = self._progress
        self._moved(**({"failed": now.failed + 1} if failed else {"made": now.made + 1}))

    def _asked(self, model: ChatModel, asks: Mapping[int, Ask]) -> dict[int, Reply]:
        replies = {number: self._refusal(model, ask) for number, ask in asks.items()}
        answered = {number: reply for number, reply in replies.items() if reply is not None}
        self._moved(asked=self._progress.asked + len(answered))
        left = [number for number in asks if number not in answered]
        for _ in range(2):  # a second time what failed at first
            left = self._not_known(model, asks, left, answered)
            if left:
                self._ask_model(model, asks, left, answered)
            left = [number for number in left if answered[number].text is None]
        return answered

    def _refusal(self, model: ChatModel, ask: Ask) -> Reply | None:
        """A prompt that is too long would be cut by the backend, sources first: it is not sent."""
        room = self.room(ask.role, ask.messages, ask.max_tokens)
        if room is None or room >= 0:
            return None
        return Reply(
            None,
            (
                f"the prompt and a reply of {ask.max_tokens:,} tokens are {-room:,} tokens longer "
                f"than the model's window of {model.window:,}; give the model a larger window, or "
                "show it less"
            ),
        )

    def _not_known(
        self,
        model: ChatModel,
        asks: Mapping[int, Ask],
        left: Sequence[int],
        answered: dict[int, Reply],
    ) -> list[int]:
        """What must be asked: batches of which a reply is missing, whole."""
        missing: list[int] = []
        for start in range(0, len(left), model.batch):
            batch = left[start : start + model.batch]
            known = [
                (number, reply)
                for number in batch
                if (reply := self._steps.known(asks[number])) is not None
            ]
            if len(known) < len(batch):
                missing += batch
            else:
                answered.update(known)
                self._moved(
                    asked=self._progress.asked + len(batch), known=self._progress.known + len(batch)
                )
        return missing

    def _ask_model(
        self,
        model: ChatModel,
        asks: Mapping[int, Ask],
        numbers: Sequence[int],
        answered: dict[int, Reply],
    ) -> None:
        requests = [
            ChatRequest(asks[number].messages, asks[number].max_tokens) for number in numbers
        ]
        for place, given in model.chat(requests):
            text, error = given.text, given.error or ""
            reply = replace(given, text=text and whole(text), error=whole(error))
            ask = asks[numbers[place]]
            first = numbers[place] not in answered
            answered[numbers[place]] = reply
            self._steps.replied(ask, reply, self._progress.wave)
            self._moved(asked=self._progress.asked + first, replied=self._progress.replied + 1)
        if lost := [asks[number] for number in numbers if number not in answered]:
            raise SafescaleError(
                f"the model gave {len(lost)} replies too few, the first to {lost[0].question_id}, "
                f"{lost[0].step}"
            )

    def _moved(self, **changes: int) -> None:
        self._progress = replace(self._progress, **changes)
        self._on_progress(self._progress)
