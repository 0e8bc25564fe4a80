"""Asks a model under conditions, item by item, and keeps every answer as it comes: what is there already is never asked again."""

from __future__ import annotations

import functools
import hashlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lm_eval_safescale import __version__
from lm_eval_safescale.assembly import family_of, prompts_of, where_data_is
from lm_eval_safescale.chat.served import ServedModels
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.plugins import Part, plugins
from lm_eval_safescale.records import NOT_SCORED
from lm_eval_safescale.runs.about import read_about
from lm_eval_safescale.runs.finish import write_run_tables
from lm_eval_safescale.runs.held import draws_in, mask_of
from lm_eval_safescale.runs.identity import identity_of, path_of
from lm_eval_safescale.runs.journal import SCORED_WITH, Journal
from lm_eval_safescale.runs.lines import Draw, Line
from lm_eval_safescale.runs.store import open_by_condition, open_runs
from lm_eval_safescale.runs.table import Runs, about_dataset, items_of
from lm_eval_safescale.secrets import without_secrets
from lm_eval_safescale.settings import MAKE_SCORES, load_settings, recorded

if TYPE_CHECKING:
    from lm_eval_safescale.harness.engines import Engine
    from lm_eval_safescale.harness.requests import Completion, ConditionRequests, Request
    from lm_eval_safescale.harness.unreadable import Unreadable

TIMED_ITEMS = 20
"""Items of each condition whose latency is measured one at a time, with `latency="isolated"`."""
FAILURES_IN_A_ROW, FAILING_ITEMS = 50, 10
"""Requests without an answer, one after the other, and items that they are of, after which a model counts as gone. A server may refuse
all draws of a few items for what they say, or for their length: that must not keep it from the others."""


RECENT = 10_000
"""Items whose prompts are remembered while answers that are there are looked at: those to one item stand near one another."""


@dataclass(frozen=True, slots=True)
class Model:
    """A model as `lm_eval` names it.

    Parameters
    ----------
    backend
        As for `--model`: `hf`, `vllm`, `local-chat-completions`, ...
    args
        As for `--model_args`, parsed.
    batch_size, device
        As for `lm_eval`; None for `auto` with engines that make their own batches, else 8.
    name
        Under which the answers stand in tables; by default the last part of `pretrained` or `model`.
    """

    backend: str
    args: Mapping[str, Any]
    batch_size: str | None = None
    device: str | None = None
    name: str = ""

    @property
    def shown(self) -> str:
        """The name in tables."""
        given = str(self.args.get("pretrained") or self.args.get("model") or self.backend)
        path = None if self.name else path_of(given)
        return self.name or (path.resolve().name if path is not None else given)


@dataclass(slots=True)
class RunProgress:
    """How far a run is; answers are draws."""

    of: int = 0
    """Answers that the run is to have."""
    known: int = 0
    """Of them, those that were there at the start."""
    done: int = 0
    """Answered since."""
    failed: int = 0
    """Asked since, without an answer."""
    seconds: float = 0.0
    """Since the first request."""
    greedy: int = 0
    """Greedy answers there are, over all conditions."""
    sums: dict[str, float] = field(default_factory=dict)
    """Of them, by metric (`Family.running`)."""
    counts: dict[str, int] = field(default_factory=dict)
    """Greedy answers for which that is scored, by metric."""
    headlines: Mapping[str, str] = field(default_factory=dict)
    """Words for the metrics (`Family.headlines`)."""
    timed: int = 0
    """Greedy answers since that were asked one at a time, for their latency."""
    what: str = ""
    """What is being done, before the first request and after the last."""
    amount: str = ""
    """How much of that is done, where it can take long."""
    warning: str = ""
    """Why most answers since the start cannot be read, and what would help; empty where that is not so."""

    @property
    def rate(self) -> float:
        """Answers a second since the start."""
        return self.done / self.seconds if self.seconds else 0.0

    @property
    def seconds_left(self) -> float | None:
        """At the present rate; None as long as there is none."""
        return (self.of - self.known - self.done - self.failed) / self.rate if self.done else None


@dataclass(frozen=True)
class Report:
    """What became of a run."""

    folder: Path
    standing: RunProgress
    failures: Mapping[str, Mapping[str, str]]
    """By condition: items that have no answers, or not all, and why."""
    damaged: int
    """Lines of an earlier start that were torn, and asked again."""

    @cached_property
    def runs(self) -> Runs:
        """All that is there, read when it is first asked for; SafescaleError as for `open_runs`."""
        return open_runs(self.folder)

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """What `Runs.about` says; SafescaleError likewise."""
        return read_about(self.folder)

    def by_condition(self) -> Iterator[Runs]:
        """The same, one condition after the other, as far as statistics need it; SafescaleError likewise."""
        return open_by_condition(self.folder)


def run(
    model: Model,
    folder: Path,
    conditions: Sequence[str] = RADSAFE.default_conditions,
    *,
    metadata: Mapping[str, Any] | None = None,
    chat_template: bool | None = None,
    limit: int | None = None,
    latency: Literal["loaded", "isolated"] = "loaded",
    retry_filtered: bool = False,
    on_progress: Callable[[RunProgress], object] = lambda _: None,
) -> Report:
    """Ask a model, as the stock harness would, and store every answer as it comes.

    Parameters
    ----------
    folder
        Where the answers are kept. Those that are there are not asked again; answers of anything else are refused.
    conditions
        Names of registered conditions.
    metadata
        Settings, as for `lm_eval --metadata`.
    chat_template
        Whether prompts go through the chat template; None: where the model has one.
    limit
        Ask the first so many items of the data set only.
    latency
        `loaded`: of each greedy answer among the others; `isolated`: of a sample of 20 items a condition, one at a time, and of no other.
    retry_filtered
        Ask again for what a content filter held back before.
    on_progress
        Told how far the run is, after each answer.

    Raises
    ------
    SafescaleError
        For what is wrong with the settings, the data, the folder or the model. What was answered before is kept.
    """
    standing = RunProgress()

    def say(what: str, amount: str = "") -> None:
        standing.what, standing.amount = what, amount
        on_progress(standing)

    say("reading the data")
    from lm_eval_safescale.harness import backends
    from lm_eval_safescale.harness.engines import engine_of
    from lm_eval_safescale.harness.loading import check_model_args, load_backend, with_defaults
    from lm_eval_safescale.harness.requests import ConditionRequests

    check_model_args(model.backend, model.args)  # before anything is written
    load_settings({name: value for name, value in (metadata or {}).items() if name != "seed"}, strict=True)
    args = without_secrets(model.args)
    given = {**model.args, **(metadata or {})}
    asked: list[ConditionRequests] = []
    for part in conditions_named(conditions):
        asked.append(ConditionRequests(part, given, asked[0] if asked else None, lambda amount: say(standing.what, amount)))
    data, settings = asked[0].task.run.data, asked[0].task.run.settings
    about = {**about_dataset(data), "settings": where_data_is(settings)}
    identity = identity_of(
        model.backend, args, settings, about, prompts_of(asked[0].task.run.family, settings), backends.first_seed(given)
    )
    start = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "model_args": args,
        "batch_size": model.batch_size,
        "device": model.device,
        "conditions": [each.name for each in asked],
        "items": min(limit or len(data), len(data)),
        "latency": latency,
        SCORED_WITH: recorded(settings.model_dump(mode="json"), MAKE_SCORES),
        "name": model.shown,
        "reader_version": asked[0].task.run.reader.version,
        "data": about["settings"],
    }
    family = asked[0].task.run.family
    standing.headlines = family.headlines
    possible = {item.question_id: family.possible(family.columns(item)) for item in data}
    with Journal(folder, identity, start, possible) as journal:
        say("loading the model")
        args_in_force = with_defaults(model.backend, model.args)
        backend = load_backend(model.backend, args_in_force, batch_size=model.batch_size, device=model.device)
        templated = backends.takes_conversations(backend) if chat_template is None else chat_template
        say("making the prompts")
        for each in asked:
            each.prepare(backend, chat_template=templated, limit=limit)
            facts = {"token_limit": each.token_limit, "chat_template": templated, "revision": backends.revision_of(backend)}
            journal.of_condition(each.name, facts, {"reasoning_opened": each.task.run.reasoning_opened})
        asked_for = str(backend.model) if backends.is_server(backend) else ""
        asking = _Asking(
            journal,
            {each.name: each for each in asked},
            engine_of(backend, model.backend),
            asked_for,
            standing,
            on_progress,
            say,
            retry_filtered=retry_filtered,
        )
        asking.look_back()
        asking.ask(isolated=latency == "isolated")
        of = standing.of
        write_run_tables(
            journal, items_of(data), about, model.shown, lambda rows: say("writing the tables", f"{rows:,} of {of:,} rows")
        )
        return Report(folder, standing, asking.failures(), journal.damaged)


def conditions_named(names: Iterable[str]) -> list[Part]:
    """Registered conditions, each once; the name of a family stands for its own.

    Raises
    ------
    SafescaleError
        For none, for those of two families, or for two whose answers would stand under one name.
    """
    every = [each for name in names for each in _of_family(name)]
    parts = {part.full_name: part for part in (plugins().find("condition", name) for name in every)}
    if not parts:
        raise SafescaleError("no conditions named")
    for name, number in Counter(part.name for part in parts.values()).items():
        if number > 1:
            twins = " and ".join(full for full, part in parts.items() if part.name == name)
            raise SafescaleError(
                f"{twins}: answers would stand under the one name {name}; ask each in a folder of its own (-o)"
            )
    families = {family_of(part).name for part in parts.values()}
    if len(families) > 1:
        raise SafescaleError(
            f"conditions of the families {' and '.join(sorted(families))}: their answers have no common table; ask each in a folder of its "
            "own (-o)"
        )
    return list(parts.values())


def _of_family(name: str) -> Sequence[str]:
    """The conditions of the family of that name; or the name itself, which is a condition's."""
    known = plugins()
    if any(name in (part.name, part.full_name) for part in known.all("condition")):
        return (name,)
    for part in known.all("family"):
        if name in (part.name, part.full_name):
            return part.thing.default_conditions or tuple(condition.name for condition in part.thing.conditions)
    return (name,)


@dataclass
class _Asking:
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
    _served: ServedModels = field(init=False)
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        from lm_eval_safescale.harness.unreadable import Unreadable

        settings = next(iter(self.asked.values())).task.run.settings
        self._unreadable = Unreadable(settings.reasoning, max(each.token_limit for each in self.asked.values()))
        if self.retry_filtered:
            self._again = dict(self.journal.held.filtered)
        draws = 1 + settings.draws
        self.standing.of = sum(draws * (len(each.items) + len(each.impossible)) for each in self.asked.values())
        self.standing.known = sum(
            self._there(each.name, item).bit_count() for each in self.asked.values() for item in each.items
        )

    def look_back(self) -> None:
        """Count the answers that are there.

        Raises
        ------
        SafescaleError
            If one was given to another prompt than the one that would be asked now, or by another model.
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
            self._count(line)
            if (
                line.draws
                and line.question_id in items[line.condition]
                and line.prompt_sha256 != prompt_now(line.condition, line.question_id)
            ):
                raise SafescaleError(
                    f"{self.journal.folder}: the answers to item {line.question_id} under {line.condition} were given to another prompt "
                    "than it would be asked with now (its context or the chat template is another); choose another folder with -o"
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
                    pass  # the first request of all also warms the engine up; it is asked again, and timed then
            for request in sample:
                for heard in self.engine.answer([[request]], alone=True):
                    self._take(heard, timed=True)
                    self.standing.timed += heard.texts is not None
        for heard in self.engine.answer(self._batches()):
            self._take(heard, timed=not isolated)
        self._note_forgotten()
        self.standing.warning = str(self._unreadable) if self._unreadable.are_most else ""

    def _batches(self) -> Iterator[list[Request]]:
        """What is missing, in the order of conditions and items. A batch holds the same items whatever is missing of them."""
        size = self.engine.items_at_once
        for each in self.asked.values():
            for start in range(0, len(each.items), size):
                batch = [
                    missing
                    for item in each.items[start : start + size]
                    if self._there(each.name, item).bit_count() <= each.task.run.settings.draws  # else no prompt is needed
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

    def _take(self, heard: Completion, *, timed: bool) -> None:
        request = heard.request
        self.standing.seconds = time.monotonic() - self._began
        if heard.texts is not None and len(heard.texts) != len(request.draws):
            heard = replace(
                heard, texts=None, error=f"the backend gave {len(heard.texts)} texts for {len(request.draws)} draws"
            )
        if heard.texts is None:
            self._fail(request.condition, request.question_id, request.draws, heard.error)
            if heard.refused and (self.standing.done or self.standing.known):  # it is this request alone
                self._failures_in_a_row.clear()
            else:
                self._failures_in_a_row.append((request.condition, request.question_id))
            in_a_row = len(self._failures_in_a_row)
            if in_a_row >= FAILURES_IN_A_ROW and len(set(self._failures_in_a_row)) >= FAILING_ITEMS:
                raise SafescaleError(
                    f"the last {in_a_row} requests had no answer, the last because of: {heard.error}; what was answered is "
                    "kept, and the same command goes on from there"
                )
        else:
            key, draws = (request.condition, request.question_id), mask_of(request.draws)
            if self._there(*key) & draws:
                raise SafescaleError(
                    f"the backend answered item {request.question_id} under {request.condition} twice; which answer is whose "
                    "cannot be known"
                )
            self._served.check(heard.served_model)
            self._failures_in_a_row.clear()
            line = self._line(heard, timed=timed)
            self.journal.write(line)
            if key in self._again:
                self._again[key] &= ~draws
            self._note_failed(key, self._failed.get(key, 0) & ~draws)
            self.standing.done += len(request.draws)
            self._count(line)
            self._look_at(line, heard)
        self.on_progress(self.standing)

    def _look_at(self, line: Line, heard: Completion) -> None:
        """Whether the answers can be read, said as soon as it shows."""
        for draw in line.draws:
            self._unreadable.add(
                draw.status, draw.text, finish_reason=draw.finish_reason, reasoning_field=heard.reasoning_field
            )
        self.standing.warning = str(self._unreadable) if self._unreadable.shows_already else ""

    def _line(self, heard: Completion, *, timed: bool) -> Line:
        request, each = heard.request, self.asked[heard.request.condition]
        assert heard.texts is not None
        unknown = (None,) * len(heard.texts)
        told = zip(
            request.draws,
            each.readings(heard),
            heard.texts,
            heard.completion_tokens or unknown,
            heard.finish_reasons or unknown,
            strict=True,
        )
        context = each.context(request.question_id)
        return Line(
            request.condition,
            request.question_id,
            [
                Draw(draw, reading.status.value, text, reading.response, tokens, reading.rule, why, read_as)
                for draw, (reading, read_as), text, tokens, why in told
            ],
            error=heard.error,
            seed=request.seed,
            prompt_sha256=_sha256(request.prompt),
            prompt_tokens=heard.prompt_tokens,
            latency_s=heard.latency_s if timed and request.is_greedy else None,
            concurrency=heard.concurrency if timed and request.is_greedy else None,
            context_fingerprint=context.fingerprint if context else None,
            context_tokens=context.tokens if context else None,
            evidence_coverage=context.measures.get("evidence_coverage") if context else None,
            recall=context.measures.get("recall") if context else None,
            nothing_found=context.nothing_found if context else None,
            served_model=heard.served_model,
            system_fingerprint=heard.system_fingerprint,
            reply_id=heard.reply_id,
        )

    def _count(self, line: Line) -> None:
        """A greedy answer, for the running rates."""
        each = self.asked[line.condition]
        for draw in line.draws:
            if draw.draw == 0 and draw.status not in NOT_SCORED:
                self.standing.greedy += 1
                for metric, value in each.task.run.family.running(each.item(line.question_id), draw.response).items():
                    self.standing.sums[metric] = self.standing.sums.get(metric, 0.0) + value
                    self.standing.counts[metric] = self.standing.counts.get(metric, 0) + 1

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
                self._fail(each.name, item, range(each.task.run.settings.draws + 1), "the backend gave no answer, and no error")

    def failures(self) -> dict[str, dict[str, str]]:
        """By condition, the items of this start that lack answers, and why."""
        found = self.journal.held.failures(self.asked)
        return {name: {item: error for item, (_, error) in items.items()} for name, items in found.items()}


def _sha256(prompt: Any) -> str:
    """Of a prompt as the model gets it: a text, or a conversation that the harness has written as JSON."""
    text = getattr(prompt, "prompt", prompt)
    return hashlib.sha256(str(text).encode(errors="surrogatepass")).hexdigest()
