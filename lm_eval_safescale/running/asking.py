"""One start of a run: what is missing is asked, read and written down as it comes."""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lm_eval_safescale.chat.served import ServedModels
from lm_eval_safescale.errors import OTHER_FOLDER, SafescaleError
from lm_eval_safescale.failures import FailureKind
from lm_eval_safescale.prompts import sha256_of_prompt
from lm_eval_safescale.records import NOT_SCORED, Status
from lm_eval_safescale.running.progress import RunProgress
from lm_eval_safescale.runs.held import draws_in, mask_of
from lm_eval_safescale.runs.journal import Journal
from lm_eval_safescale.runs.lines import Draw, Line
from lm_eval_safescale.runs.provenance import ENDED_AT

if TYPE_CHECKING:
    from lm_eval_safescale.harness.engines import Engine
    from lm_eval_safescale.harness.requests import Completion, ConditionRequests, Request
    from lm_eval_safescale.harness.unreadable import Unreadable

TIMED_ITEMS = 20
"""Items of each condition whose latency is measured one at a time, with `latency="isolated"`."""
FAILURES_IN_A_ROW, FAILING_ITEMS = 50, 10
"""Requests without an answer, one after the other, and items that they are of, after which a model
counts as gone. A server may refuse all draws of a few items for what they say, or for their length:
that must not keep it from the others."""


RECENT = 10_000
"""Items whose prompts are remembered while answers that are there are looked at: those to one item
stand near one another."""


@dataclass
class Asking:
    """One start: what is missing is asked, read and written."""

    journal: Journal
    asked: Mapping[str, ConditionRequests]
    engine: Engine
    asked_for: str
    """The model's name at a server; empty where it is none."""
    standing: RunProgress
    on_progress: Callable[[RunProgress], object]
    say: Callable[[str, str], object]
    """Tells what is being done besides asking, and how much of it is."""
    retry_filtered: bool = False
    _failures_in_a_row: list[tuple[str, str]] = field(default_factory=list)
    _failed: dict[tuple[str, str], int] = field(default_factory=dict)
    """Masks of draws that failed since the start, and were not answered since."""
    _again: dict[tuple[str, str], int] = field(default_factory=dict)
    """Masks of draws that are there and asked for again, as a content filter held them back."""
    _unreadable: Unreadable = field(init=False)
    _is_control: bool = field(init=False)
    _served: ServedModels = field(init=False)
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        from lm_eval_safescale.harness.controls import ControlEngine
        from lm_eval_safescale.harness.unreadable import Unreadable

        self._is_control = isinstance(self.engine, ControlEngine)
        settings = next(iter(self.asked.values())).task.run.settings
        self._unreadable = Unreadable(
            settings.reasoning, max(each.token_limit for each in self.asked.values())
        )
        if self.retry_filtered:
            self._again = dict(self.journal.held.filtered)
        draws = 1 + settings.draws
        self.standing.of = sum(
            draws * (len(each.items) + len(each.impossible)) for each in self.asked.values()
        )
        self.standing.known = sum(
            self._there(each.name, item).bit_count()
            for each in self.asked.values()
            for item in each.items
        )

    def look_back(self) -> None:
        """Count the answers that are there.

        Raises
        ------
        SafescaleError
            If one was given to another prompt than the one that would be asked now, or by another
            model.
        """
        items = {name: frozenset(each.items) for name, each in self.asked.items()}

        @functools.lru_cache(maxsize=RECENT)
        def prompt_now(condition: str, item: str) -> str:
            return _sha256(next(self.asked[condition].requests(item, at_once=None)).prompt)

        names: dict[str | None, None] = {}
        for number, line in enumerate(self.journal.replay() if len(self.journal.held) else ()):
            if not number % RECENT:
                self.say("looking at the answers that are there", f"{number:,} requests")
            names[line.served_model] = None
            if line.condition not in self.asked:
                continue
            count_answers(self.standing, self.asked[line.condition], line)
            if (
                line.draws
                and line.question_id in items[line.condition]
                and line.prompt_sha256 != prompt_now(line.condition, line.question_id)
            ):
                raise SafescaleError(
                    f"{self.journal.folder}: the answers to item {line.question_id} under "
                    f"{line.condition} were given to another prompt than it would be asked with "
                    "now (its context or the chat template is another); ",
                    OTHER_FOLDER,
                )

        settings = next(iter(self.asked.values())).task.run.settings
        self._served = ServedModels(self.asked_for, settings.served_model or (), names)

    def _there(self, condition: str, item: str) -> int:
        """The mask of an item's draws that are not asked for."""
        return self.journal.held.of(condition, item) & ~self._again.get((condition, item), 0)

    def ask(self, *, isolated: bool) -> None:
        """All that is missing."""
        self._note_impossible()
        self._began = time.monotonic()
        self.standing.what = ""
        self.on_progress(self.standing)
        if isolated:
            sample = list(self._sample())
            if sample:
                for _ in self.engine.answer([sample[:1]], alone=True):
                    # the first request of all also warms the engine up; it is asked again, and
                    # timed then
                    pass
            for request in sample:
                for completion in self.engine.answer([[request]], alone=True):
                    self._take(completion, timed=True)
                    self.standing.timed += completion.texts is not None
        for completion in self.engine.answer(self._batches()):
            self._take(completion, timed=not isolated)
        self._note_forgotten()
        self.journal.note({ENDED_AT: now()})
        self.standing.warning = str(self._unreadable) if self._unreadable.are_most else ""

    def _batches(self) -> Iterator[list[Request]]:
        """What is missing, in the order of conditions and items. A batch holds the same items
        whatever is missing of them."""
        size = self.engine.items_at_once
        for each in self.asked.values():
            for start in range(0, len(each.items), size):
                # else no prompt is needed
                batch = [
                    missing
                    for item in each.items[start : start + size]
                    if self._there(each.name, item).bit_count() <= each.task.run.settings.draws
                    for request in each.requests(item, at_once=self.engine.draws_at_once)
                    for missing in self._missing(request)
                ]
                if batch:
                    yield batch

    def _missing(self, request: Request) -> Iterator[Request]:
        """What is left of a request without the draws that are there."""
        return request.without(draws_in(self._there(request.condition, request.question_id)))

    def _sample(self) -> Iterator[Request]:
        """Greedy requests whose latency is measured: the same items at every start."""
        for each in self.asked.values():
            names = sorted(each.items)
            for name in random.Random(0).sample(names, min(TIMED_ITEMS, len(names))):
                yield from self._missing(next(each.requests(name, at_once=None)))

    def _take(self, completion: Completion, *, timed: bool) -> None:
        request = completion.request
        self.standing.seconds = time.monotonic() - self._began
        if completion.texts is not None and len(completion.texts) != len(request.draws):
            completion = replace(
                completion,
                texts=None,
                error=(
                    f"the backend gave {len(completion.texts)} texts for {len(request.draws)} draws"
                ),
            )
        if completion.texts is None:
            self._fail(request.condition, request.question_id, request.draws, completion.error)
            if completion.failure is FailureKind.REFUSED and (
                self.standing.done or self.standing.known
            ):  # it is this request alone
                self._failures_in_a_row.clear()
            else:
                self._failures_in_a_row.append((request.condition, request.question_id))
            in_a_row = len(self._failures_in_a_row)
            if in_a_row >= FAILURES_IN_A_ROW and len(set(self._failures_in_a_row)) >= FAILING_ITEMS:
                raise SafescaleError(
                    f"the last {in_a_row} requests had no answer, the last because of: "
                    f"{completion.error}; what was answered is stored, and the same command goes "
                    "on from there"
                )
        else:
            key, draws = (request.condition, request.question_id), mask_of(request.draws)
            if self._there(*key) & draws:
                raise SafescaleError(
                    f"the backend answered item {request.question_id} under {request.condition} "
                    "twice; which answer is whose cannot be known"
                )
            self._served.check(completion.served_model)
            self._failures_in_a_row.clear()
            line = self._line(completion, timed=timed)
            self.journal.write(line)
            if key in self._again:
                self._again[key] &= ~draws
            self._note_failed(key, self._failed.get(key, 0) & ~draws)
            self.standing.done += len(request.draws)
            count_answers(self.standing, self.asked[line.condition], line)
            self._look_at(line, completion)
        self.on_progress(self.standing)

    def _look_at(self, line: Line, completion: Completion) -> None:
        """Whether the answers can be read, said as soon as it shows; a control says what it is to
        say."""
        if self._is_control:
            return
        for draw in line.draws:
            self._unreadable.add(
                draw.status,
                draw.text,
                finish_reason=draw.finish_reason,
                reasoning_field=completion.reasoning_field,
            )
        self.standing.warning = str(self._unreadable) if self._unreadable.shows_already else ""

    def _line(self, completion: Completion, *, timed: bool) -> Line:
        request, each = completion.request, self.asked[completion.request.condition]
        assert completion.texts is not None
        unknown = (None,) * len(completion.texts)
        told = zip(
            request.draws,
            each.readings(completion),
            completion.texts,
            completion.completion_tokens or unknown,
            completion.finish_reasons or unknown,
            strict=True,
        )
        context = each.context(request.question_id)
        return Line(
            request.condition,
            request.question_id,
            [
                Draw(
                    draw,
                    reading.status.value,
                    text,
                    reading.response,
                    tokens,
                    reading.rule,
                    why,
                    read_as,
                )
                for draw, (reading, read_as), text, tokens, why in told
            ],
            error=completion.error,
            seed=request.seed,
            prompt_sha256=_sha256(request.prompt),
            prompt_tokens=completion.prompt_tokens,
            latency_s=completion.latency_s if timed and request.is_greedy else None,
            concurrency=completion.concurrency if timed and request.is_greedy else None,
            context_fingerprint=context.fingerprint if context else None,
            context_tokens=context.tokens if context else None,
            evidence_coverage=context.measures.get("evidence_coverage") if context else None,
            recall=context.measures.get("recall") if context else None,
            nothing_found=context.nothing_found if context else None,
            served_model=completion.served_model,
            system_fingerprint=completion.system_fingerprint,
            reply_id=completion.reply_id,
        )

    def _fail(self, condition: str, item: str, draws: Iterable[int], error: str) -> None:
        key = condition, item
        failed = self._failed.get(key, 0)
        if missing := mask_of(draws) & ~self._there(*key) & ~failed:
            self._note_failed(key, failed | missing)
            self.journal.write(Line(condition, item, failed=draws_in(missing), error=error))

    def _note_failed(self, key: tuple[str, str], now: int) -> None:
        before = self._failed.get(key, 0)
        if now != before:
            self._failed[key] = now
            self.standing.failed += now.bit_count() - before.bit_count()

    def _note_impossible(self) -> None:
        for each in self.asked.values():
            for item, why in each.impossible.items():
                self._fail(each.name, item, range(each.task.run.settings.draws + 1), why)

    def _note_forgotten(self) -> None:
        """An engine that passes a request over must not make a table without it."""
        for each in self.asked.values():
            for item in each.items:
                self._fail(
                    each.name,
                    item,
                    range(each.task.run.settings.draws + 1),
                    "the backend gave no answer, and no error",
                )

    def failures(self) -> dict[str, dict[str, str]]:
        """By condition, the items of this start that lack answers, and why."""
        found = self.journal.held.failures(self.asked)
        return {
            name: {item: error for item, (_, error) in items.items()}
            for name, items in found.items()
        }

    def too_long(self) -> dict[str, frozenset[str]]:
        """By condition, those of them whose prompt does not fit the model's window."""
        return {each.name: frozenset(each.task.too_long) for each in self.asked.values()}


def now() -> str:
    """The time, as it is noted of a start."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def count_answers(standing: RunProgress, each: ConditionRequests, line: Line) -> None:
    """Count answers that wait for a judge, and a greedy one for the running rates."""
    for draw in line.draws:
        standing.unjudged += draw.status == Status.UNJUDGED
        if draw.draw == 0 and draw.status not in NOT_SCORED:
            standing.greedy += 1
            for metric, value in each.task.run.family.running(
                each.item(line.question_id), draw.response
            ).items():
                standing.sums[metric] = standing.sums.get(metric, 0.0) + value
                standing.counts[metric] = standing.counts.get(metric, 0) + 1


def _sha256(prompt: Any) -> str:
    """Of a prompt as the model gets it: a text, or a conversation that the harness has written as
    JSON."""
    return sha256_of_prompt(str(getattr(prompt, "prompt", prompt)))
