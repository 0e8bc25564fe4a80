"""Runs one strategy for many questions at once: every step that waits for a model, of all questions, is asked in one batch (a wave).

A strategy is an `async` function for one question. It knows nothing of the others, of the key or of the labels.
"""

from __future__ import annotations

import functools
import inspect
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import coroutine
from typing import Any, Protocol, TypeVar

from lm_eval_safescale.chat import Message, Reply
from lm_eval_safescale.chat.finish import was_cut
from lm_eval_safescale.contexts.asking import ROLES, Ask
from lm_eval_safescale.contexts.builders import Draft, Workbench
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.reading import strip_reasoning
from lm_eval_safescale.records import Choice, Item, Passage

T = TypeVar("T")
LONGEST_TOKEN = 40
"""Characters: a reply of more for each token that was asked for is no text."""
SHOWN = 300
AGAIN_TOKENS = 300
"""Room that the second asking needs in a window besides the first."""


class Unusable(Exception):
    """What a parser raises for a reply that it cannot use: what was expected, said to the model."""


class ReportFailed(Exception):
    """What a strategy raises where no report can be made: why."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a strategy sees of an item: neither key nor labels nor evidence."""

    question_id: str
    question: str
    options: Mapping[str, str]


@dataclass
class Agent:
    """What a strategy works with. Counts of what it did are kept in its report's notes."""

    question: Question
    _tools: Workbench
    queries: list[str] = field(default_factory=list)
    """Every query searched, in order."""
    counts: Counter[str] = field(default_factory=Counter)
    """What the notes say of this report besides its fallbacks, by name."""
    fallbacks: Counter[str] = field(default_factory=Counter)
    """Steps that fell back, by what fell back."""
    _steps: set[str] = field(default_factory=set)
    _uncounted: set[str] = field(default_factory=set)
    """Counts of tokens that the backend did not give for every step: their sum is unknown, not small."""

    async def ask(
        self,
        role: str,
        step: str,
        prompt: str,
        *,
        max_tokens: int,
        parse: Callable[[str], T],
        fallback: Callable[[str], T] | None = None,
    ) -> T:
        """What `parse` makes of a model's reply.

        Where it raises `Unusable`, the model is asked once more with the reason; where it raises again, the value is that of
        `fallback(last text)`, which is counted under the step's name up to a colon.

        Raises
        ------
        ReportFailed
            If the model cannot be heard, or there is no fallback (or it raises `Unusable` too).
        """
        text, why = "", ""
        for again in (False, True):
            asked = _once_more(prompt, text, why) if again else prompt
            reply = await self._heard(role, f"{step} (again)" if again else step, asked, max_tokens)
            text = reply if reply is not None else ""
            try:
                if reply is None:
                    raise Unusable("It ended inside its reasoning.")
                if len(reply) > LONGEST_TOKEN * max_tokens:
                    text = ""
                    raise Unusable(f"It was {len(reply):,} characters long, far longer than asked.")
                return parse(reply)
            except Unusable as error:
                why = str(error)
        if fallback is not None:
            try:
                value = fallback(text)
            except Unusable as error:
                why = str(error) if text else why  # of a reply that was no text, what was wrong with it
            else:
                self.fallbacks[step.partition(":")[0]] += 1
                return value
        raise ReportFailed(f"{step}: {why} (asked twice)")

    async def search(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """The k best passages for each query; fewer, or none, where no more match."""
        self.queries += queries
        found: list[list[Passage]] = await _wait(_Search(self.question.question_id, tuple(queries), k))
        return found

    async def together(self, *parts: Coroutine[Any, Any, T]) -> list[T]:
        """What they give, in order, all advanced at the same time; where some fail, the first failure once all have ended."""
        results: list[T] = await _wait(_Together(parts))
        return results

    def fitting(
        self, role: str, prompt: Callable[[Sequence[Passage]], str], passages: Sequence[Passage], *, max_tokens: int
    ) -> list[Passage]:
        """The longest beginning of the passages with which the prompt fits the model's window; what is left out is counted.

        All of them where the window is unknown.
        """
        kept = list(passages)
        while kept and not self.fits(role, prompt(kept), max_tokens=max_tokens):
            kept.pop()
        if dropped := len(passages) - len(kept):
            self.counts["passages_left_out"] += dropped
        return kept

    def fits(self, role: str, prompt: str, *, max_tokens: int) -> bool:
        """Whether a prompt and its reply fit the model's window, a second asking included; True where the window is unknown."""
        room = self._tools.desk.room(role, _conversation(prompt), max_tokens + AGAIN_TOKENS)
        return room is None or room >= 0

    async def _heard(self, role: str, step: str, prompt: str, max_tokens: int) -> str | None:
        if role not in ROLES:
            raise SafescaleError(f"step {step!r}: there is no role {role!r}; expected {' or '.join(ROLES)}")
        if step in self._steps:
            raise SafescaleError(f"the step {step!r} is asked twice for one question; give each step a name of its own")
        self._steps.add(step)
        reply: Reply = await _wait(Ask(self.question.question_id, step, role, _conversation(prompt), max_tokens))
        self.counts["steps"] += 1
        if reply.text is None:
            raise ReportFailed(f"{step}: {reply.error}")
        for name, tokens in (("prompt_tokens", reply.prompt_tokens), ("completion_tokens", reply.completion_tokens)):
            self.counts[name] += tokens or 0
            if tokens is None:
                self._uncounted.add(name)
        if reply.ran_out and (reply.reasons or was_cut(reply.finish_reason)):
            return None
        too_long = len(reply.text) > LONGEST_TOKEN * max_tokens  # and slow to look through
        return reply.text if too_long else strip_reasoning(reply.text, headings=False)


class WriteReport(Protocol):
    """A strategy: for one question, what shall stand above it."""

    def __call__(self, agent: Agent, /, **settings: Any) -> Coroutine[Any, Any, Draft]:
        """Keyword-only parameters are its settings."""
        ...


def in_waves(write: Callable[..., Coroutine[Any, Any, Draft]]) -> Callable[..., list[Draft]]:
    """The build function of a builder that `needs_chat`, from a strategy: `ContextBuilder(..., build=in_waves(write), needs_chat=True)`."""

    @functools.wraps(write)
    def build(items: Sequence[Item], tools: Workbench, /, **settings: Any) -> list[Draft]:
        agents = [
            Agent(Question(item.question_id, item.question, dict(item.options) if isinstance(item, Choice) else {}), tools)
            for item in items
        ]
        return _Run(tools).drafts(agents, [functools.partial(write, agent, **settings) for agent in agents])

    takes = [each for each in inspect.signature(write).parameters.values() if each.kind is each.KEYWORD_ONLY]
    positional = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in ("items", "tools")]
    build.__signature__ = inspect.Signature([*positional, *takes])  # type: ignore[attr-defined]
    return build


def _conversation(prompt: str) -> tuple[Message, ...]:
    return (Message("user", prompt),)  # one turn of the user: every chat template takes it


def _once_more(prompt: str, text: str, why: str) -> str:
    began = f"It began: {repr(text.strip())[:SHOWN]}\n" if text.strip() else ""
    return f"{prompt}\n\nYour last reply could not be used. {why}\n{began}Reply again, in the form that is asked for above."


# --- the trampoline -----------------------------------------------------------------------------------------------------


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
    then: Callable[[Any, Exception | None], None]


class _Run:
    def __init__(self, tools: Workbench) -> None:
        self._tools = tools
        self._ready: deque[tuple[_Task, Any, Exception | None]] = deque()
        self._asks: list[tuple[_Task, Ask]] = []
        self._searches: list[tuple[_Task, _Search]] = []

    def drafts(self, agents: Sequence[Agent], writers: Sequence[Callable[[], Coroutine[Any, Any, Draft]]]) -> list[Draft]:
        drafts: dict[int, Draft] = {}

        def ended(number: int, draft: Any, error: Exception | None) -> None:
            if error is not None and not isinstance(error, ReportFailed):
                raise error
            drafts[number] = (
                Draft("", failed=str(error) or "no reason was given") if error is not None else _noted(draft, agents[number])
            )
            self._tools.desk.ended(agents[number].question.question_id, drafts[number].failed)

        for number, writer in enumerate(writers):
            self._ready.append((_Task(writer(), functools.partial(ended, number)), None, None))
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
        return [drafts[number] for number in range(len(agents))]

    def _advance(self, task: _Task, value: Any, error: Exception | None) -> None:
        try:
            request = task.runs.throw(error) if error is not None else task.runs.send(value)
        except StopIteration as end:
            task.then(end.value, None)
        except Exception as raised:
            task.then(None, raised)
        else:
            if isinstance(request, Ask):
                self._asks.append((task, request))
            elif isinstance(request, _Search):
                self._searches.append((task, request))
            elif isinstance(request, _Together):
                self._fork(task, request.parts)
            else:
                self._ready.append((task, None, SafescaleError("a strategy may wait for ask, search and together only")))

    def _fork(self, task: _Task, parts: Sequence[Any]) -> None:
        results: list[Any] = [None] * len(parts)
        errors: dict[int, ReportFailed] = {}
        left = set(range(len(parts)))

        def ended(number: int, value: Any, error: Exception | None) -> None:
            if error is not None and not isinstance(error, ReportFailed):
                raise error
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
            found = iter(self._tools.search([query for _, search in these for query in search.queries], k))
            for task, search in these:
                passages = [next(found) for _ in search.queries]
                self._tools.desk.searched(search.question_id, search.queries, passages)
                self._ready.append((task, passages, None))

    def _ask(self) -> None:
        """A wave: all that wait for a model."""
        waiting, self._asks = self._asks, []
        replies = self._tools.desk.ask([ask for _, ask in waiting])
        self._ready += [(task, reply, None) for (task, _), reply in zip(waiting, replies, strict=True)]


def _noted(draft: Any, agent: Agent) -> Draft:
    if not isinstance(draft, Draft):
        raise SafescaleError(f"item {agent.question.question_id}: the strategy gave {type(draft).__name__}; expected a Draft")
    counts = {**agent.counts, **dict.fromkeys(agent._uncounted)}
    notes = {**draft.notes, **counts, "queries": list(agent.queries), "fallbacks": dict(agent.fallbacks)}
    return replace(draft, notes=notes)
