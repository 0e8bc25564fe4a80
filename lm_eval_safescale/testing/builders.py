"""The contract of a context builder, checked on a few questions over a small corpus in a temporary
folder.
"""

from __future__ import annotations

import copy
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lm_eval_safescale.assembly import SearchTools
from lm_eval_safescale.chat import Reply
from lm_eval_safescale.contexts import (
    RESERVED_TOKENS,
    ROLES,
    Ask,
    ContextBuilder,
    Draft,
    ModelSession,
    StepLog,
    make_contexts,
)
from lm_eval_safescale.plugins import bind_settings
from lm_eval_safescale.records import Choice, Context, Item, Passage
from lm_eval_safescale.retrieval import WORDS, Corpus, load_tokenizer
from lm_eval_safescale.settings import Settings
from lm_eval_safescale.testing.chat import (
    GARBAGE,
    StubModel,
    empty,
    garbage,
    helpful,
    moody,
    silent,
)
from lm_eval_safescale.testing.clauses import Clauses, registered
from lm_eval_safescale.testing.sample import (
    CORPUS,
    ITEMS,
    ONE_ARTICLE,
    PASSAGE_TOKENS,
    UNMATCHED,
    flipped,
)

TOP_K = 5
WINDOW = RESERVED_TOKENS + 1000
NARROW = 200
"""Words of a chat model's window that hold hardly a prompt."""


def check_context_builder(
    builder: ContextBuilder,
    *,
    settings: Mapping[str, Any] | None = None,
    reply: Callable[[str], str] | None = None,
) -> None:
    """Build contexts as the package would; its tools search with BM25, by words, and state a window
    where one is needed.

    Parameters
    ----------
    settings
        Of the builder.
    reply
        What a model would reply to a prompt, for a builder that `needs_chat`; it must depend on the
        prompt alone. Ours replies with a verdict (SUPPORTED), a list, a line for each letter and
        parts that begin with For: and Against:, in one text.

    Raises
    ------
    ContractError
        Naming the clause that the builder breaks (`docs/plugins.md`).
    """
    _, clauses = registered("context builder", builder)
    clauses.require(bool(builder.description.strip()), "has a description")
    with TemporaryDirectory(prefix="safescale-check-", ignore_cleanup_errors=True) as folder:
        check = _Check(builder, settings or {}, Path(folder), clauses)
        if builder.needs_chat:
            _check_reports(check, reply)
        else:
            check.run()


@dataclass
class _Watched(SearchTools):
    """Tools that know which passages they gave."""

    given: set[Passage] = field(default_factory=set)

    def search(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        found = super().search(queries, k)
        self.given.update(passage for passages in found for passage in passages)
        return found


class _WatchedSession(ModelSession):
    """A session that knows what it was asked."""

    def __init__(self, model: StubModel) -> None:
        super().__init__(dict.fromkeys(ROLES, model), StepLog(None, {}))
        self.asked: list[Ask] = []

    def ask(self, asks: Sequence[Ask]) -> list[Reply]:
        self.asked += asks
        return super().ask(asks)


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What became of an item."""

    context: Context | None
    failed: str = ""
    asked: tuple[tuple[str, str], ...] = ()
    """Steps that models were asked, with the prompt's hash."""

    @property
    def known(self) -> tuple[object, ...]:
        """All of it, to be compared."""
        context = () if self.context is None else (self.context.text, self.context.as_dict())
        return (*context, self.failed, self.asked)

    def __str__(self) -> str:
        return (
            repr(self.context.text[:80]) if self.context is not None else f"failed: {self.failed}"
        )


def _check_reports(check: _Check, reply: Callable[[str], str] | None) -> None:
    """What holds whatever models reply."""
    clauses, helped = check.clauses, StubModel("helpful", reply or helpful)
    for model in (helped, StubModel("moody", moody)):
        check.model = model
        check.run()
    failed = [each.failed for each in check.built_by(helped) if each.context is None]
    clause = (
        "makes a report of what a model replies (`reply` gives it, where your prompts ask for "
        "another form)"
    )
    clauses.require(len(failed) < len(ITEMS), clause, failed[0] if failed else "")
    for model in (StubModel("empty", empty), StubModel("silent", silent)):
        with clauses.holds("where a model gives nothing, the build goes on"):
            made = check.built_by(model)
        reports = [each for each in made if each.context is not None]
        clauses.require(
            not reports,
            "where a model gives nothing, a report has failed",
            str(next(iter(reports), "")),
        )
    for turn in range(len(GARBAGE)):
        with clauses.holds("where a model gives garbage, the build goes on"):
            check.built_by(StubModel("garbage", partial(garbage, turn=turn)))
    with clauses.holds("where prompts do not fit a model's window, the build goes on"):
        check.built_by(StubModel("narrow", reply or helpful, NARROW))


class _Check:
    def __init__(
        self, builder: ContextBuilder, given: Mapping[str, Any], folder: Path, clauses: Clauses
    ) -> None:
        self._builder, self._folder, self.clauses = builder, folder, clauses
        self.model: StubModel | None = None
        with clauses.holds("its settings can be set and are JSON values"):
            self._bound = bind_settings(
                builder.build, given, "it", known=self._settings(CORPUS).model_dump()
            )
            json.dumps(self._bound)

    def run(self) -> None:
        clauses = self.clauses
        with clauses.holds("gives one Draft with text for each item"):
            contexts = self._build(ITEMS)
        self._check_drafts()
        self._same(contexts, self._build(ITEMS), "gives the same contexts when it is asked again")
        with clauses.holds("builds for one item alone"):
            alone = {
                name: context for item in ITEMS for name, context in self._build([item]).items()
            }
        self._same(
            contexts,
            alone,
            (
                "an item's context does not depend on the other items, and drafts are in the order "
                "of the items"
            ),
        )
        backwards = self._build(ITEMS[::-1])
        self._same(contexts, backwards, "drafts are in the order of the items")
        self._check_leaks(contexts)
        with clauses.holds("works with fewer passages than it asks for"):
            self._build(ITEMS, ONE_ARTICLE)
        with clauses.holds(
            'where nothing is found, the build goes on: Draft("", passages_wanted=...), or a text '
            "that says so"
        ):
            beside = self._build([*ITEMS, UNMATCHED])
        self._same(
            contexts,
            beside,
            (
                "an item's context does not depend on the other items, and drafts are in the order "
                "of the items"
            ),
        )

    def built_by(self, model: StubModel) -> list[_Outcome]:
        """What becomes of the items with another model."""
        self.model = model
        return list(self._build(ITEMS).values())

    def _check_leaks(self, contexts: Mapping[str, _Outcome]) -> None:
        for turn in range(1, max(len(item.options) for item in ITEMS)):
            other = self._build([replace(item, answer=_turned(item, turn)) for item in ITEMS])
            self._same(contexts, other, "the key of an item (`answer`) does not enter its context")
        with self.clauses.holds("works without labels"):
            unlabelled = self._build([replace(item, labels=None) for item in ITEMS])
        turned_round = self._build([flipped(item) for item in ITEMS])
        for other in (unlabelled, turned_round):
            self._same(contexts, other, "the labels of an item do not enter its context")

    def _check_drafts(self) -> None:
        """What a draft says of its passages is what the measures, the logs and the readers of a
        result rely on."""
        items, tools = copy.deepcopy(ITEMS), self._tools(CORPUS)
        with self.clauses.holds("gives one Draft with text for each item"):
            drafts: list[Draft] = list(self._builder.build(items, tools, **self._bound))
        self.clauses.require(items == ITEMS, "leaves the items as they are")
        if isinstance(tools.chat, _WatchedSession):
            steps = Counter((ask.question_id, ask.step) for ask in tools.chat.asked)
            self.clauses.require(bool(steps), "asks models by the session of its tools")
            twice = [step for step, times in steps.items() if times > 1]
            self.clauses.require(
                not twice,
                "a step has a name of its own within its question",
                ", ".join(map(str, twice)),
            )
            unknown = {name for name, _ in steps} - {item.question_id for item in items}
            self.clauses.require(
                not unknown, "a step is of one of the questions", ", ".join(unknown)
            )
        for item, draft in zip(items, drafts, strict=True):
            if strange := [each.id for each in draft.passages if each not in tools.given]:
                clause = (
                    "its passages are as the tools gave them, with their texts, scores and ranks"
                )
                self.clauses.require(
                    False, clause, f"item {item.question_id}: {', '.join(strange)}"
                )
            if not draft.truncated and not self._builder.needs_chat:
                absent = _first_absent(draft)
                clause = (
                    "its passages stand whole in the text, in their order (or it says `truncated`)"
                )
                self.clauses.require(absent is None, clause, f"item {item.question_id}: {absent}")

    def _tools(self, corpus: Corpus) -> _Watched:
        """Each time new tools, so that nothing is carried over."""
        window = WINDOW if self._builder.needs_model else None
        session = None if self.model is None else _WatchedSession(self.model)
        return _Watched(self._settings(corpus), load_tokenizer(WORDS), window, session)

    def _build(self, items: Sequence[Item], corpus: Corpus = CORPUS) -> dict[str, _Outcome]:
        tools = self._tools(corpus)
        made = make_contexts(self._builder, copy.deepcopy(items), tools, settings=self._bound)
        asked = tools.chat.asked if isinstance(tools.chat, _WatchedSession) else []
        return {
            (name := item.question_id): _Outcome(
                made.contexts.get(name),
                made.failed.get(name, ""),
                tuple(
                    sorted(
                        (ask.step, ask.prompt_sha256) for ask in asked if ask.question_id == name
                    )
                ),
            )
            for item in items
        }

    def _settings(self, corpus: Corpus) -> Settings:
        path = self._folder / f"{corpus.name}.jsonl"
        lines = (
            json.dumps({"id": each.id, "title": each.title, "text": each.text}) for each in corpus
        )
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        given = {"chunk_tokens": PASSAGE_TOKENS, "chunk_overlap": 0, "top_k": TOP_K}
        return Settings.model_validate(
            {"corpus_path": path, "index_dir": self._folder / "index", **given}
        )

    def _same(
        self, contexts: Mapping[str, _Outcome], others: Mapping[str, _Outcome], clause: str
    ) -> None:
        for name, one in contexts.items():
            other = others[name]
            asked = "" if one.asked == other.asked else " (models are asked otherwise)"
            self.clauses.require(
                one.known == other.known, clause, f"item {name}: {one} and {other}{asked}"
            )


def _first_absent(draft: Draft) -> str | None:
    """The first passage that does not stand in the text behind those before it."""
    start = 0
    for passage in draft.passages:
        start = draft.text.find(passage.text, start)
        if start < 0:
            return passage.id
    return None


def _turned(item: Choice, turn: int) -> str:
    letters = list(item.options)
    return letters[(letters.index(item.answer) + turn) % len(letters)]
