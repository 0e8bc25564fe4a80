"""Runs many coroutines at once: every step that waits for a model, of all of them, is asked in one
batch (a wave).

What a coroutine works with is handed in: a session that asks models, and a function that searches.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Coroutine, Generator, Sequence
from dataclasses import dataclass
from types import coroutine
from typing import Any, TypeVar

from lm_eval_safescale.chat.asks import Ask, ChatSession
from lm_eval_safescale.chat.model import Reply
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.records import Passage

T = TypeVar("T")
Search = Callable[[Sequence[str], int], list[list[Passage]]]
"""The k best passages for each query."""


class StepFailed(Exception):
    """What a coroutine raises where it cannot go on: why. It ends that coroutine alone; any other
    exception ends the whole run."""


async def reply_to(ask: Ask) -> Reply:
    """A model's reply."""
    reply: Reply = await _wait(ask)
    return reply


async def passages_for(question_id: str, queries: Sequence[str], k: int) -> list[list[Passage]]:
    """The k best passages for each query; fewer, or none, where no more match."""
    found: list[list[Passage]] = await _wait(_Search(question_id, tuple(queries), k))
    return found


async def together(*parts: Coroutine[Any, Any, T]) -> list[T]:
    """What they give, in order, all advanced at the same time; where some fail, the first failure
    once all have ended."""
    results: list[T] = await _wait(_Together(parts))
    return results


def run_in_waves(
    coroutines: Sequence[Coroutine[Any, Any, T]],
    session: ChatSession,
    search: Search,
    on_end: Callable[[int, T | None, StepFailed | None], None] = lambda *_: None,
) -> None:
    """Run coroutines that wait for `reply_to`, `passages_for` and `together` alone.

    Parameters
    ----------
    on_end
        Told of each as it ends: its number, and what it gave or how it failed.

    Raises
    ------
    SafescaleError
        If one waits for anything else.
    Exception
        What one raises, unless it is `StepFailed`; all others are closed then.
    """
    _Waves(session, search).run(coroutines, on_end)


@dataclass(frozen=True, slots=True)
class _Search:
    question_id: str
    queries: tuple[str, ...]
    k: int


@dataclass(frozen=True, slots=True)
class _Together:
    parts: tuple[Coroutine[Any, Any, Any], ...]


@coroutine
def _wait(request: object) -> Generator[object, Any, Any]:
    return (yield request)


@dataclass(eq=False)
class _Task:
    """A coroutine, and whom to tell when it ends."""

    runs: Any
    then: Callable[[Any, StepFailed | None], None]


class _Waves:
    def __init__(self, session: ChatSession, search: Search) -> None:
        self._session, self._find = session, search
        self._ready: deque[tuple[_Task, Any, Exception | None]] = deque()
        self._asks: list[tuple[_Task, Ask]] = []
        self._searches: list[tuple[_Task, _Search]] = []

    def run(
        self, coroutines: Sequence[Coroutine[Any, Any, T]], on_end: Callable[..., None]
    ) -> None:
        for number, each in enumerate(coroutines):
            self._ready.append((_Task(each, functools.partial(on_end, number)), None, None))
        try:
            while self._ready or self._searches or self._asks:
                if self._ready:
                    self._advance(*self._ready.popleft())
                elif self._searches:
                    self._search()
                else:
                    self._ask()
        finally:
            for task in (
                *(each[0] for each in self._ready),
                *(each[0] for each in self._searches),
                *(each[0] for each in self._asks),
            ):
                task.runs.close()

    def _advance(self, task: _Task, value: Any, error: Exception | None) -> None:
        try:
            request = task.runs.throw(error) if error is not None else task.runs.send(value)
        except StopIteration as end:
            task.then(end.value, None)
        except StepFailed as failed:
            task.then(None, failed)
        else:
            if isinstance(request, Ask):
                self._asks.append((task, request))
            elif isinstance(request, _Search):
                self._searches.append((task, request))
            elif isinstance(request, _Together):
                self._fork(task, request.parts)
            else:
                self._ready.append(
                    (
                        task,
                        None,
                        SafescaleError("a strategy may wait for ask, search and together only"),
                    )
                )

    def _fork(self, task: _Task, parts: Sequence[Any]) -> None:
        results: list[Any] = [None] * len(parts)
        errors: dict[int, StepFailed] = {}
        left = set(range(len(parts)))

        def ended(number: int, value: Any, error: StepFailed | None) -> None:
            left.discard(number)
            results[number] = value
            if error is not None:
                errors[number] = error
            if not left:
                self._ready.append((task, results, errors[min(errors)] if errors else None))

        if not parts:
            self._ready.append((task, results, None))
        for number, part in enumerate(parts):
            self._ready.append((_Task(part, functools.partial(ended, number)), None, None))

    def _search(self) -> None:
        """All searches that wait, one batch for each depth."""
        waiting, self._searches = self._searches, []
        for k in dict.fromkeys(search.k for _, search in waiting):
            these = [(task, search) for task, search in waiting if search.k == k]
            found = iter(self._find([query for _, search in these for query in search.queries], k))
            for task, search in these:
                passages = [next(found) for _ in search.queries]
                self._session.searched(search.question_id, search.queries, passages)
                self._ready.append((task, passages, None))

    def _ask(self) -> None:
        """A wave: all that wait for a model."""
        waiting, self._asks = self._asks, []
        replies = self._session.ask([ask for _, ask in waiting])
        self._ready += [
            (task, reply, None) for (task, _), reply in zip(waiting, replies, strict=True)
        ]
