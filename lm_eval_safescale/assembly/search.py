"""What is searched: corpus, index, and the tools of the context builders."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from lm_eval_safescale.assembly.lookup import find
from lm_eval_safescale.contexts import (
    ChatSession,
)
from lm_eval_safescale.datasets import DEMO, Dataset, data_folder
from lm_eval_safescale.errors import FAILURES, ArgumentHint, SafescaleError, SettingsHint, reason_of
from lm_eval_safescale.plugins import Part, bind_settings, plugins
from lm_eval_safescale.records import Passage
from lm_eval_safescale.renamed import warn_of_old
from lm_eval_safescale.retrieval import (
    Corpus,
    Index,
    Passages,
    Retriever,
    Settling,
    Store,
    Tokenizer,
    default_root,
    load_corpus,
    load_settling,
    load_tokenizer,
    make_passages,
    open_index,
)
from lm_eval_safescale.retrieval.corpus import JSON_LINES, TEXTS
from lm_eval_safescale.settings import Settings

logger = logging.getLogger(__name__)
Warn = Callable[[str], object]
"""Says a warning. A run has one of its own that says each once, so that the next run of the process
says it again."""


class NoCorpusError(SafescaleError):
    """Something is to be retrieved, and no corpus is named."""


def load_settings_corpus(settings: Settings, warn: Warn = logger.warning) -> Corpus:
    """The corpus a run retrieves from."""
    if settings.corpus_path is not None:
        corpus = load_corpus(settings.corpus_path)
        if corpus.warnings:
            first, more = (
                corpus.warnings[0].describe(str(settings.corpus_path)),
                len(corpus.warnings) - 1,
            )
            warn(first + (f" (and {more:,} more like it)" if more else ""))
        return corpus
    if settings.corpus is None:
        raise NoCorpusError(
            "no corpus to retrieve from: name a file or folder of yours, ",
            SettingsHint({"corpus_path": "FILE.jsonl"}),
            " (or Markdown and text files), or, to try things, the demo corpus: ",
            SettingsHint({"corpus": "demo"}),
        )
    if settings.corpus.casefold() != DEMO:
        raise SafescaleError(
            f"corpus: there is no {settings.corpus!r}; known: {DEMO}; for a file or folder use "
            "corpus_path"
        )
    return load_corpus(demo_file("corpus.jsonl"), name=DEMO)


def setting_of_corpus(name: str) -> str:
    """The setting by which a corpus of this name is asked for: `corpus` for a known one,
    `corpus_path` for a file or folder."""
    is_path = name.casefold() != DEMO and (
        Path(name).suffix.lower() in (*JSON_LINES, *TEXTS) or Path(name).exists()
    )
    return "corpus_path" if is_path else "corpus"


def demo_file(name: str) -> Path:
    """A file that comes with the demo questions."""
    return data_folder() / "radsafe_demo" / name


def load_settings_settling(settings: Settings, corpus: Corpus) -> Settling | None:
    """Which articles settle which question, where that is known: from `settling_path`, or with the
    demo corpus."""
    if settings.settling_path is not None:
        return load_settling(settings.settling_path, [article.id for article in corpus])
    if settings.corpus is not None and settings.corpus.casefold() == DEMO:
        return load_settling(demo_file("settling.jsonl"), [article.id for article in corpus])
    return None


def make_index(
    part: Part,
    args: Mapping[str, Any],
    passages: Passages,
    store: Store,
    *,
    through: tuple[Part, ...] = (),
    warn: Warn = logger.warning,
) -> Index:
    """An index by a registered retriever, and by those that it searches through. `through` are
    those on whose behalf it is made."""
    who = f"retriever {part.name} ({part.provided_by})"
    if part in through:
        raise SafescaleError(f"{who} cannot search through itself")
    bound = bind_settings(part.thing, args, who)
    try:
        retriever: Retriever = part.thing(**bound)
        needs = {name: dict(its_args) for name, its_args in retriever.needs().items()}
    except SafescaleError:
        raise
    except FAILURES as error:
        raise SafescaleError(f"{who} cannot be used: {reason_of(error)}") from error
    parts = {}
    for name, its_args in needs.items():
        needed = plugins().find("retriever", name, near=part.package)
        parts[name] = make_index(
            needed, its_args, passages, store, through=(*through, part), warn=warn
        )
    index = open_index(
        retriever, passages, store, settings=bound, provided_by=part.package, parts=parts
    )
    for warning in retriever.warnings:
        warn(warning)
    return index


@dataclass
class SearchTools:
    """The tools of the builders: they open corpus and index when first searched."""

    settings: Settings
    tokenizer: Tokenizer
    window: int | None = None
    chat: ChatSession | None = None
    warn: Warn = logger.warning
    _counts: dict[str, int] = field(default_factory=dict)

    @cached_property
    def index(self) -> Index:
        """The index that the settings ask for."""
        settings = self.settings
        store = Store(settings.index_dir or default_root())
        part = find("retriever", settings, "retriever")
        passages = make_passages(
            load_settings_corpus(settings, self.warn),
            load_tokenizer(settings.chunk_tokenizer),
            size=settings.chunk_tokens,
            overlap=settings.chunk_overlap,
            store=store,
        )
        return make_index(part, settings.retriever_args, passages, store, warn=self.warn)

    def search(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """The k best passages for each query."""
        return self.index.search(queries, k)

    def count(self, passages: Sequence[Passage]) -> list[int]:
        """Tokens of each passage."""
        new = {passage.id: passage.text for passage in passages if passage.id not in self._counts}
        self._counts.update(zip(new, self.tokenizer.count(list(new.values())), strict=True))
        return [self._counts[passage.id] for passage in passages]

    @property
    def session(self) -> ChatSession:
        """Where models are asked."""
        if self.chat is None:
            raise SafescaleError(
                "there is no model here to write contexts; give one to safescale contexts build (",
                ArgumentHint("model", "NAME"),
                ")",
            )
        return self.chat

    @property
    def desk(self) -> ChatSession:
        """The old name of `session`."""
        warn_of_old("tools.desk", "tools.session")
        return self.session

    @property
    def searched(self) -> Index | None:
        """The index, if it was opened."""
        return self.__dict__.get("index")


def settling_of(tools: SearchTools, dataset: Dataset) -> Settling | None:
    """Which articles of what was searched settle which question; None where nothing was, or it is
    not known."""
    if (index := tools.searched) is None:
        return None
    settling, path = (
        load_settings_settling(tools.settings, index.passages.corpus),
        tools.settings.settling_path,
    )
    if (
        settling
        and path is not None
        and settling.keys().isdisjoint(item.question_id for item in dataset)
    ):
        tools.warn(
            f"{path}: none of its questions is in the data set {dataset.name} (its first is "
            f"{next(iter(settling))!r}, the data set's {dataset.items[0].question_id!r}): recall "
            "and reciprocal rank are not scored"
        )
    return settling
