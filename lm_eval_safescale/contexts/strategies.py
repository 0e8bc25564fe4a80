"""Strategies that write a context with chat models, and what one works with.

A strategy is an `async` function for one question. It knows nothing of the others, of the key or of
the labels; all questions are written at the same time, in waves (`chat.waves`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from lm_eval_safescale.chat import Message
from lm_eval_safescale.chat.asks import ROLES, Ask, Unusable, once_more
from lm_eval_safescale.chat.finish_reason import was_cut
from lm_eval_safescale.chat.waves import StepFailed, passages_for, reply_to, run_in_waves, together
from lm_eval_safescale.contexts.builders import BuildTools, Draft
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.reading import strip_reasoning
from lm_eval_safescale.records import Choice, Item, Passage

T = TypeVar("T")
LONGEST_TOKEN = 40
"""Characters: a reply of more for each token that was asked for is no text."""
AGAIN_TOKENS = 300
"""Room that the second asking needs in a window besides the first."""


class ReportFailed(StepFailed):
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
    _tools: BuildTools
    queries: list[str] = field(default_factory=list)
    """Every query searched, in order."""
    counts: Counter[str] = field(default_factory=Counter)
    """What the notes say of this report besides its fallbacks, by name."""
    fallbacks: Counter[str] = field(default_factory=Counter)
    """Steps that fell back, by what fell back."""
    _steps: set[str] = field(default_factory=set)
    _uncounted: set[str] = field(default_factory=set)
    """Counts of tokens that the backend did not give for every step: their sum is unknown, not
    small."""

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

        Where it raises `Unusable`, the model is asked once more with the reason; where it raises
        again, the value is that of `fallback(last text)`, which is counted under the step's name up
        to a colon.

        Raises
        ------
        ReportFailed
            If the model gives no reply, or there is no fallback (or it raises `Unusable` too).
        """
        text, why = "", ""
        for again in (False, True):
            asked = once_more(prompt, text, why) if again else prompt
            reply = await self._reply_to(
                role, f"{step} (again)" if again else step, asked, max_tokens
            )
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
                # of a reply that was no text, what was wrong with it
                why = str(error) if text else why
            else:
                self.fallbacks[step.partition(":")[0]] += 1
                return value
        raise ReportFailed(f"{step}: {why} (asked twice)")

    async def search(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """The k best passages for each query; fewer, or none, where no more match."""
        self.queries += queries
        return await passages_for(self.question.question_id, queries, k)

    async def together(self, *parts: Coroutine[Any, Any, T]) -> list[T]:
        """What they give, in order, all advanced at the same time; where some fail, the first
        failure once all have ended."""
        return await together(*parts)

    def fitting(
        self,
        role: str,
        prompt: Callable[[Sequence[Passage]], str],
        passages: Sequence[Passage],
        *,
        max_tokens: int,
    ) -> list[Passage]:
        """The longest beginning of the passages with which the prompt fits the model's window; what
        is left out is counted.

        All of them where the window is unknown.
        """
        kept = list(passages)
        while kept and not self.fits(role, prompt(kept), max_tokens=max_tokens):
            kept.pop()
        if dropped := len(passages) - len(kept):
            self.counts["passages_left_out"] += dropped
        return kept

    def fits(self, role: str, prompt: str, *, max_tokens: int) -> bool:
        """Whether a prompt and its reply fit the model's window, a second asking included; True
        where the window is unknown."""
        room = self._tools.session.room(role, _conversation(prompt), max_tokens + AGAIN_TOKENS)
        return room is None or room >= 0

    async def _reply_to(self, role: str, step: str, prompt: str, max_tokens: int) -> str | None:
        if role not in ROLES:
            raise SafescaleError(
                f"step {step!r}: there is no role {role!r}; expected {' or '.join(ROLES)}"
            )
        if step in self._steps:
            raise SafescaleError(
                f"the step {step!r} is asked twice for one question; give each step a name of its "
                "own"
            )
        self._steps.add(step)
        reply = await reply_to(
            Ask(self.question.question_id, step, role, _conversation(prompt), max_tokens)
        )
        self.counts["steps"] += 1
        if reply.text is None:
            raise ReportFailed(f"{step}: {reply.error}")
        for name, tokens in (
            ("prompt_tokens", reply.prompt_tokens),
            ("completion_tokens", reply.completion_tokens),
        ):
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


@dataclass(frozen=True, slots=True)
class InWaves:
    """The build function of a builder whose texts a strategy writes."""

    write: Callable[..., Coroutine[Any, Any, Draft]]

    @property
    def settings_of(self) -> Callable[..., Any]:
        """Whose keyword-only parameters are the builder's settings (`plugins.bind_settings` asks
        it)."""
        return self.write

    def __call__(self, items: Sequence[Item], tools: BuildTools, /, **settings: Any) -> list[Draft]:
        """One draft for each item, in order; the reason in `failed` where the strategy made no
        report."""
        agents = [
            Agent(
                Question(
                    item.question_id,
                    item.question,
                    dict(item.options) if isinstance(item, Choice) else {},
                ),
                tools,
            )
            for item in items
        ]
        drafts: dict[int, Draft] = {}

        def ended(number: int, draft: Draft | None, failed: StepFailed | None) -> None:
            if failed is None:
                drafts[number] = _noted(draft, agents[number])
            else:
                drafts[number] = Draft("", failed=str(failed) or "no reason was given")
            tools.session.ended(agents[number].question.question_id, drafts[number].failed)

        run_in_waves(
            [self.write(agent, **settings) for agent in agents], tools.session, tools.search, ended
        )
        return [drafts[number] for number in range(len(agents))]


def in_waves(write: Callable[..., Coroutine[Any, Any, Draft]]) -> Callable[..., list[Draft]]:
    """The build function of a builder that `needs_chat`, from a strategy: `ContextBuilder(...,
    build=in_waves(write), needs_chat=True)`."""
    return InWaves(write)


def _conversation(prompt: str) -> tuple[Message, ...]:
    return (Message("user", prompt),)  # one turn of the user: every chat template takes it


def _noted(draft: Any, agent: Agent) -> Draft:
    if not isinstance(draft, Draft):
        raise SafescaleError(
            f"item {agent.question.question_id}: the strategy gave {type(draft).__name__}; "
            "expected a Draft"
        )
    counts = {**agent.counts, **dict.fromkeys(agent._uncounted)}
    notes = {
        **draft.notes,
        **counts,
        "queries": list(agent.queries),
        "fallbacks": dict(agent.fallbacks),
    }
    return replace(draft, notes=notes)
