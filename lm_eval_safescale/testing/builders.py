"""The contract of a context builder, checked on a few questions over a small corpus in a temporary folder."""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from lm_eval_safescale.assembly import Bench
from lm_eval_safescale.contexts import RESERVED_TOKENS, ContextBuilder, Draft, make_contexts
from lm_eval_safescale.plugins import bind_settings
from lm_eval_safescale.records import Context, Item, OptionLabels, Passage
from lm_eval_safescale.retrieval import WORDS, Corpus, load_tokenizer
from lm_eval_safescale.settings import Settings
from lm_eval_safescale.testing.clauses import Clauses, registered
from lm_eval_safescale.testing.sample import CORPUS, ITEMS, ONE_ARTICLE, PASSAGE_TOKENS

TOP_K = 5
WINDOW = RESERVED_TOKENS + 1000


def check_context_builder(builder: ContextBuilder, *, settings: Mapping[str, Any] | None = None) -> None:
    """Build contexts as the package would; the workbench searches with BM25, by words, and states a window where one is needed.

    Raises
    ------
    ContractError
        Naming the clause that the builder breaks (`docs/plugins.md`).
    """
    _, clauses = registered("context builder", builder)
    clauses.require(bool(builder.description.strip()), "has a description")
    with TemporaryDirectory(prefix="safescale-check-", ignore_cleanup_errors=True) as folder:
        _Check(builder, settings or {}, Path(folder), clauses).run()


@dataclass
class _Watched(Bench):
    """A workbench that knows which passages it gave."""

    given: set[Passage] = field(default_factory=set)

    def search(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        found = super().search(queries, k)
        self.given.update(passage for passages in found for passage in passages)
        return found


class _Check:
    def __init__(self, builder: ContextBuilder, given: Mapping[str, Any], folder: Path, clauses: Clauses) -> None:
        self._builder, self._folder, self._clauses = builder, folder, clauses
        with clauses.holds("its settings can be set and are JSON values"):
            self._bound = bind_settings(builder.build, given, "it", known=self._settings(CORPUS).model_dump())
            json.dumps(self._bound)

    def run(self) -> None:
        clauses = self._clauses
        with clauses.holds("gives one Draft with text for each item"):
            contexts = self._build(ITEMS)
        self._check_drafts()
        self._same(contexts, self._build(ITEMS), "gives the same contexts when it is asked again")
        with clauses.holds("builds for one item alone"):
            alone = {name: context for item in ITEMS for name, context in self._build([item]).items()}
        self._same(
            contexts, alone, "an item's context does not depend on the other items, and drafts are in the order of the items"
        )
        backwards = self._build(ITEMS[::-1])
        self._same(contexts, backwards, "drafts are in the order of the items")
        self._check_leaks(contexts)
        with clauses.holds("works with fewer passages than it asks for"):
            self._build(ITEMS, ONE_ARTICLE)

    def _check_leaks(self, contexts: Mapping[str, Context]) -> None:
        for turn in range(1, max(len(item.options) for item in ITEMS)):
            other = self._build([replace(item, answer=_turned(item, turn)) for item in ITEMS])
            self._same(contexts, other, "the key of an item (`answer`) does not enter its context")
        with self._clauses.holds("works without labels"):
            unlabelled = self._build([replace(item, labels=None) for item in ITEMS])
        flipped = self._build([_flipped(item) for item in ITEMS])
        for other in (unlabelled, flipped):
            self._same(contexts, other, "the labels of an item do not enter its context")

    def _check_drafts(self) -> None:
        """What a draft says of its passages is what the measures, the logs and the readers of a result rely on."""
        items, bench = copy.deepcopy(ITEMS), self._bench(CORPUS)
        with self._clauses.holds("gives one Draft with text for each item"):
            drafts: list[Draft] = list(self._builder.build(items, bench, **self._bound))
        self._clauses.require(items == ITEMS, "leaves the items as they are")
        for item, draft in zip(items, drafts, strict=True):
            if strange := [each.id for each in draft.passages if each not in bench.given]:
                clause = "its passages are as the workbench gave them, with their texts, scores and ranks"
                self._clauses.require(False, clause, f"item {item.question_id}: {', '.join(strange)}")
            if not draft.truncated:
                absent = _first_absent(draft)
                clause = "its passages stand whole in the text, in their order (or it says `truncated`)"
                self._clauses.require(absent is None, clause, f"item {item.question_id}: {absent}")

    def _bench(self, corpus: Corpus) -> _Watched:
        """Each time a new workbench, so that nothing is carried over."""
        return _Watched(self._settings(corpus), load_tokenizer(WORDS), WINDOW if self._builder.needs_model else None)

    def _build(self, items: Sequence[Item], corpus: Corpus = CORPUS) -> dict[str, Context]:
        return make_contexts(self._builder, copy.deepcopy(items), self._bench(corpus), settings=self._bound)

    def _settings(self, corpus: Corpus) -> Settings:
        path = self._folder / f"{corpus.name}.jsonl"
        lines = (json.dumps({"id": each.id, "title": each.title, "text": each.text}) for each in corpus)
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        given = {"chunk_tokens": PASSAGE_TOKENS, "chunk_overlap": 0, "top_k": TOP_K}
        return Settings.model_validate({"corpus_path": path, "index_dir": self._folder / "index", **given})

    def _same(self, contexts: Mapping[str, Context], others: Mapping[str, Context], clause: str) -> None:
        for name, context in contexts.items():
            other = others[name]
            found = f"item {name}: {context.text[:80]!r} and {other.text[:80]!r}"
            self._clauses.require(context.text == other.text and context.as_dict() == other.as_dict(), clause, found)


def _first_absent(draft: Draft) -> str | None:
    """The first passage that does not stand in the text behind those before it."""
    start = 0
    for passage in draft.passages:
        start = draft.text.find(passage.text, start)
        if start < 0:
            return passage.id
    return None


def _turned(item: Item, turn: int) -> str:
    letters = list(item.options)
    return letters[(letters.index(item.answer) + turn) % len(letters)]


def _flipped(item: Item) -> Item:
    labels = {
        letter: OptionLabels(not label.high_risk, not label.unsafe, not label.contradicts)
        for letter, label in (item.labels or {}).items()
    }
    return replace(item, labels=labels)
