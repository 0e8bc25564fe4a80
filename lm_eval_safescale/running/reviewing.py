"""Answers of a team: each answer of its Advisor is reviewed for harm by its Guardians, one after
the other, many at once, and what the last of them gives stands in its place. It knows no family: a
final text is read as any answer.

A Guardian whose reply cannot be used (empty, or ended inside its reasoning) is asked once more;
then the text before it stands, which is counted. An answer that the Advisor did not come to (an
empty one, or one cut off inside its reasoning, or held back) has nothing to review: it stands as
it is, which is counted too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from lm_eval_safescale.chat import Message, Reply
from lm_eval_safescale.chat.asks import Ask, Unusable, once_more
from lm_eval_safescale.chat.finish_reason import was_cut
from lm_eval_safescale.chat.session import BuildProgress, ModelSession
from lm_eval_safescale.chat.step_log import StepLog
from lm_eval_safescale.chat.waves import StepFailed, reply_to, run_in_waves
from lm_eval_safescale.harness.chat import HarnessChat
from lm_eval_safescale.harness.requests import Completion, ConditionRequests, Request
from lm_eval_safescale.reading import strip_reasoning
from lm_eval_safescale.records import ReadAs, Status
from lm_eval_safescale.running.team_prompts import filled
from lm_eval_safescale.runs.finish import OPENED
from lm_eval_safescale.runs.provenance import OF_MEMBER, settings_of, sum_of
from lm_eval_safescale.runs.table import Runs
from lm_eval_safescale.settings import REASONING_TOKENS

AGAIN = " (again)"
TOGETHER = 256
"""Answers that are reviewed at once."""
_, *SUMMED = OF_MEMBER


def role_of(number: int) -> str:
    """What a Guardian is called in the steps; numbers from 1."""
    return f"guardian {number}"


@dataclass(frozen=True, slots=True)
class Step:
    """What a reply, or the Advisor's answer, cost."""

    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float | None
    """None where it was not measured, as of samples."""
    concurrency: int | None


@dataclass(frozen=True, slots=True)
class Reviewer:
    """A Guardian, loaded."""

    chat: HarnessChat
    reasons: bool
    """Whether the model reasons before it answers, as far as it says."""
    max_tokens: int | None

    def step(self, reply: Reply) -> Step:
        """What a reply cost. One that was computed with others took as long as all of them: a reply
        has its share."""
        others = (reply.concurrency or 1) if self.chat.batch > 1 else 1
        return Step(
            reply.prompt_tokens,
            reply.completion_tokens,
            reply.seconds * others,
            reply.concurrency,
        )

    def limit(self, own: int) -> int:
        """Tokens of a reply where an answer has that many."""
        return self.max_tokens or (max(own, REASONING_TOKENS) if self.reasons else own)


@dataclass(frozen=True, slots=True)
class Case:
    """An answer of the Advisor that is reviewed."""

    request: Request
    """What the Advisor was asked, for this one draw."""
    shown: str
    """The case as the Advisor saw it, without a chat template."""
    advice: str
    """What the Advisor answered, without its reasoning."""
    token_limit: int
    finish_reason: str | None


@dataclass(frozen=True, slots=True)
class _Reviewed:
    text: str
    steps: Sequence[Step]
    last: str | None
    """Why the text ended, in the words of the backend."""


class ReviewEngine:
    """Answers as a team does, once the Advisor has.

    Parameters
    ----------
    prompt
        What a Guardian is asked.
    reviewers
        The Guardians, in their order.
    asked
        Whose requests it will be given.
    advised
        The Advisor's answers.
    failures
        By condition and item, why the Advisor gave no answer.
    on_progress
        Told how far the steps at hand are.
    """

    draws_at_once: int | None = None

    def __init__(
        self,
        prompt: str,
        reviewers: Sequence[Reviewer],
        asked: Iterable[ConditionRequests],
        advised: Runs,
        failures: Mapping[str, Mapping[str, str]],
        steps: StepLog,
        on_progress: Callable[[BuildProgress], None] = lambda _: None,
    ) -> None:
        self._prompt, self._reviewers, self._failures = prompt, reviewers, failures
        self._asked = {each.name: each for each in asked}
        for each in self._asked.values():
            each.task.run.expect_stripped()
        draws = {1 + each.task.run.settings.draws for each in self._asked.values()}
        self.items_at_once = max(1, TOGETHER // max(draws))
        (name,) = advised.models
        self._advised = advised.answers
        self._reasoning = {
            condition: _reasoning(settings_of(advised, name, condition))
            for condition in advised.conditions
        }
        self._steps = steps
        self._session = ModelSession(
            {role_of(number): each.chat for number, each in enumerate(reviewers, 1)},
            steps,
            on_progress,
        )

    def answer(
        self,
        batches: Iterable[Sequence[Request]],
        *,
        alone: bool = False,  # noqa: ARG002 (a team's seconds are a sum)
    ) -> Iterator[Completion]:
        """Answers of the team, a batch at a time."""
        for batch in batches:
            rows = self._rows(batch)
            waiting: list[tuple[Case, Mapping[str, Any]]] = []
            for request in (each for asked in batch for each in _single(asked)):
                row = rows.get((request.condition, request.question_id, request.draws[0]))
                found = self._begun(request, row)
                if isinstance(found, Case):
                    assert row is not None
                    waiting.append((found, row))
                else:
                    yield found
            yield from self._reviewed(waiting)

    def _rows(self, batch: Sequence[Request]) -> dict[tuple[str, str, int], Mapping[str, Any]]:
        """The Advisor's answers to a batch, by condition, item and draw."""
        rows = self._advised.filter(
            pl.col("condition").is_in({each.condition for each in batch})
            & pl.col("question_id").is_in({each.question_id for each in batch})
        )
        return {
            (row["condition"], row["question_id"], row["draw"]): row
            for row in rows.iter_rows(named=True)
        }

    def _begun(self, request: Request, row: Mapping[str, Any] | None) -> Case | Completion:
        """What is to be reviewed; or the team's answer, where nothing is."""
        if row is None or row["text"] is None:
            why = self._failures.get(request.condition, {}).get(request.question_id, "")
            return Completion(request, None, f"the Advisor gave no answer{': ' * bool(why)}{why}")
        own, advice = replace(request, seed=row["seed"]), self._advice(row)
        if advice is None:
            status = Status(row["status"])
            is_told = status in (Status.TRUNCATED, Status.FILTERED)
            stands = _Reviewed("", [], row["finish_reason"])
            return _completion(own, row, stands, status if is_told else None)
        each = self._asked[request.condition]
        turns = (each.task.run.prompt.system, each.task.run.user_turn(request.question_id))
        shown = "\n\n".join(turn for turn in turns if turn)
        return Case(own, shown, advice, each.token_limit, row["finish_reason"])

    def _advice(self, row: Mapping[str, Any]) -> str | None:
        """What the Advisor answered, without its reasoning; None where there is nothing to
        review."""
        way = self._reasoning[row["condition"]]
        if row["read_as"] == ReadAs.CUT.value:
            way = way | {"reasoning": "on"}
        advice = strip_reasoning(row["text"], **way)
        is_advice = advice and advice.strip() and row["status"] != Status.FILTERED
        return advice if is_advice else None

    def _reviewed(self, waiting: Sequence[tuple[Case, Mapping[str, Any]]]) -> Iterator[Completion]:
        ended: dict[int, Completion] = {}

        def end(number: int, made: _Reviewed | None, failed: StepFailed | None) -> None:
            case, row = waiting[number]
            if made is None:
                ended[number] = Completion(case.request, None, str(failed))
            else:
                ended[number] = _completion(case.request, row, made)

        run_in_waves([self._review(case) for case, _ in waiting], self._session, _no_search, end)
        yield from (ended[number] for number in range(len(waiting)))

    def told(self, members: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """What is to be known of the team, as JSON values.

        Parameters
        ----------
        members
            What is known of each of them, the Advisor first.

        Returns
        -------
        `members` with their steps, tokens and seconds, and the sums over them (null where one is
        unknown); `not_reviewed`: answers of the Advisor in which there was nothing to review;
        `reviews_not_used`: reviews of which the second reply, too, could not be used.
        """
        steps: list[list[Step]] = [[] for _ in members]
        roles = {role_of(number): number for number in range(1, len(members))}
        not_reviewed = not_used = 0
        for row in self._advised.filter(pl.col("text").is_not_null()).iter_rows(named=True):
            steps[0].append(_step_of(row))
            not_reviewed += self._advice(row) is None
        for record, reply in self._steps.replies():
            number = roles[record["role"]]
            steps[number].append(self._reviewers[number - 1].step(reply))
            if record["step"].endswith(AGAIN):
                not_used += not self._is_usable(number, reply)
        return {
            "members": [{**known, **_sums(own)} for known, own in zip(members, steps, strict=True)],
            **_sums([each for own in steps for each in own]),
            "not_reviewed": not_reviewed,
            "reviews_not_used": not_used,
        }

    def _is_usable(self, number: int, reply: Reply) -> bool:
        try:
            self._text(number, reply)
        except Unusable:
            return False
        return True

    def _text(self, number: int, reply: Reply) -> str:
        """The text of that Guardian's reply, without its reasoning; Unusable if there is none."""
        opened = self._reviewers[number - 1].chat.opens_reasoning
        text = strip_reasoning(reply.text or "", opened=opened)
        if text is None or (reply.ran_out and (reply.reasons or was_cut(reply.finish_reason))):
            raise Unusable("It ended inside its reasoning.")
        if not text.strip():
            raise Unusable("It was empty.")
        return text

    async def _review(self, case: Case) -> _Reviewed:
        text, last, steps = case.advice, case.finish_reason, list[Step]()
        request = case.request
        for number, reviewer in enumerate(self._reviewers, 1):
            role, prompt = role_of(number), filled(self._prompt, case.shown, text)
            for again in (False, True):
                step = f"{request.condition}, draw {request.draws[0]}, {role}{AGAIN * again}"
                reply = await reply_to(
                    Ask(
                        request.question_id,
                        step,
                        role,
                        (Message("user", prompt),),
                        reviewer.limit(case.token_limit),
                    )
                )
                if reply.text is None:
                    raise StepFailed(f"{role}: {reply.error}")
                steps.append(reviewer.step(reply))
                try:
                    text = self._text(number, reply)
                except Unusable as error:
                    prompt = once_more(prompt, reply.text, str(error))
                else:
                    last = reply.finish_reason
                    break
        return _Reviewed(text, steps, last)


def _reasoning(settings: Mapping[str, Any]) -> dict[str, Any]:
    """How the reasoning of a model is told from its answer: arguments of `strip_reasoning`."""
    return {"reasoning": settings["reasoning"], "opened": settings[OPENED]}


def _no_search(*_: Any) -> Any:
    raise NotImplementedError("a Guardian searches nothing")


def _single(request: Request) -> Iterator[Request]:
    """One request for each draw."""
    for draw in request.draws:
        yield from request.without([other for other in request.draws if other != draw])


def _completion(
    request: Request,
    row: Mapping[str, Any],
    made: _Reviewed,
    status: Status | None = None,
) -> Completion:
    """The team's answer, with the sums of its steps."""
    steps = [_step_of(row), *made.steps]
    at_once = [each.concurrency for each in steps]
    return Completion(
        request,
        (made.text,),
        prompt_tokens=sum_of(each.prompt_tokens for each in steps),
        completion_tokens=(sum_of(each.completion_tokens for each in steps),),
        latency_s=sum_of(each.seconds for each in steps),
        concurrency=None if None in at_once else max(filter(None, at_once)),
        finish_reasons=(made.last,),
        status=status,
    )


def _step_of(row: Mapping[str, Any]) -> Step:
    return Step(
        row["prompt_tokens"], row["completion_tokens"], row["latency_s"], row["concurrency"]
    )


def _sums(steps: Sequence[Step]) -> dict[str, Any]:
    return {
        "steps": len(steps),
        **{name: sum_of(getattr(each, name) for each in steps) for name in SUMMED},
    }
