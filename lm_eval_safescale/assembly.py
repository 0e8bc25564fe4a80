"""From settings to parts: which data set, metrics, reader, corpus, index and contexts a run uses. It knows no harness.

Everything that a name in the settings stands for is looked up here, so that tasks, commands and contract checks agree.
"""

from __future__ import annotations

import functools
import inspect
import json
import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import isfinite
from pathlib import Path
from typing import Any

from lm_eval_safescale import __version__
from lm_eval_safescale.contexts import (
    RESERVED_TOKENS,
    Condition,
    ContextBuilder,
    ContextSet,
    check_belongs,
    make_contexts,
    read_contexts,
)
from lm_eval_safescale.datasets import DEMO, Dataset, data_folder, load_file, recheck
from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.metrics import Metric, Params
from lm_eval_safescale.plugins import OURS, Part, bind_settings, parameters_of, plugins
from lm_eval_safescale.reading import AnswerReader
from lm_eval_safescale.records import Answers, Item, Passage, Reading, Status
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
from lm_eval_safescale.settings import Settings

RAG = "rag"
warn_once = functools.cache(logging.getLogger(__name__).warning)


class NoCorpusError(SafescaleError):
    """Something is to be retrieved, and no corpus is named."""


def find(kind: str, settings: Settings, field: str) -> Part:
    """The part that a setting names; our own of that name where the user did not set it."""
    near = None if field in settings.model_fields_set else OURS
    return plugins().find(kind, getattr(settings, field), near=near)


# --- data sets ----------------------------------------------------------------------------------------------------------


def load_dataset(settings: Settings, evidence: Collection[str] = ()) -> Dataset:
    """The data set a run asks for; no item may lack the evidence named.

    Raises
    ------
    DataError
        If the data cannot be used, with every problem found.
    SafescaleError
        If there is no such data set, or it cannot be had here; the message names the ways on.
    """
    if settings.dataset_path is not None:
        if settings.dataset_args:
            raise SafescaleError(
                "dataset_args are the settings of a data set asked for by name; a file (dataset_path) has none"
            )
        return load_file(settings.dataset_path, settings.columns, evidence)
    try:
        part = find("data set", settings, "dataset")
    except SafescaleError as error:
        hint = "; for a file use dataset_path" if "." in settings.dataset else ""
        raise SafescaleError(f"{error}{hint}") from None
    return load_part(part, settings.dataset_args, columns=settings.columns, evidence=evidence)


def load_part(
    part: Part,
    args: Mapping[str, Any] | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    evidence: Collection[str] = (),
    local_only: bool = False,
) -> Dataset:
    """The data set of a registered source."""
    who = f"data set {part.name} ({part.provided_by})"
    load = part.thing.load
    takes = parameters_of(load, who)
    ours = {"columns": columns, "evidence": evidence, "local_only": local_only}
    if columns and "columns" not in takes:
        raise SafescaleError(f"{who} does not take columns; its fields are fixed")
    if taken := set(args or {}) & set(ours):
        raise SafescaleError(f"{who}: {', '.join(sorted(taken))} is set by itself, not in dataset_args")
    own = inspect.Signature([each.replace(kind=each.KEYWORD_ONLY) for name, each in takes.items() if name not in ours])
    bound = bind_settings(_with_signature(own), args or {}, who)
    try:
        dataset = load(**bound, **{name: value for name, value in ours.items() if name in takes})
    except SafescaleError:
        raise
    except Exception as error:
        raise SafescaleError(f"{who} cannot be loaded: {type(error).__name__}: {reason_of(error)}") from error
    if not isinstance(dataset, Dataset):
        raise SafescaleError(f"{who}: expected a Dataset, found {type(dataset).__name__}")
    if odd := next((each for each in dataset.items if not isinstance(each, Item)), None):
        raise SafescaleError(f"{who}: expected Items, found {type(odd).__name__} (dataset_from_records makes them)")
    return dataset if part.is_ours else recheck(dataset, evidence)


def _with_signature(signature: inspect.Signature) -> Any:
    def function() -> None: ...

    function.__signature__ = signature  # type: ignore[attr-defined]
    return function


# --- metrics and readers ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AskedMetric:
    """A metric of the table, with its key there and its parameters."""

    key: str
    metric: Metric
    params: Params
    part: Part

    def score(self, item: Item, answers: Answers) -> float | None:
        """The item's value; SafescaleError naming the plugin if it fails, or gives anything but a number in [0, 1] or None."""
        try:
            value = self.metric.score(item, answers, self.params)
        except Exception as error:
            raise SafescaleError(
                f"{self._who} failed for item {item.question_id}: {type(error).__name__}: {reason_of(error)}"
            ) from error
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or not 0 <= value <= 1
        ):
            raise SafescaleError(
                f"{self._who} gave {value!r} for item {item.question_id}; expected a number in [0, 1], or None"
            )
        return None if value is None else float(value)

    @property
    def _who(self) -> str:
        return f"metric {self.key} ({self.part.provided_by})"


def table_metrics(settings: Settings) -> list[AskedMetric]:
    """Our metrics of the table, then those that the settings ask for."""
    params = Params(settings.overconfidence_threshold)
    parts = [part for part in plugins().all("metric") if part.is_ours and part.thing.in_table]
    found = [AskedMetric(part.name, part.thing, params, part) for part in parts]
    for name, args in settings.metrics.items():
        part = plugins().find("metric", name)
        key = part.name if part.name not in {each.key for each in found} else part.full_name
        if part not in [each.part for each in found]:
            found.append(AskedMetric(key, part.thing, Params(settings.overconfidence_threshold, args), part))
    return found


def try_metrics(metrics: Sequence[AskedMetric], dataset: Dataset, draws: int) -> None:
    """Score every item with every answer it could get, so that a broken metric is found before a model is asked."""
    for asked in metrics:
        if asked.part.is_ours:
            continue
        for item in dataset:
            for letter in (*item.options, None):
                reading = Reading(letter, Status.OK if letter else Status.UNANSWERED)
                asked.score(item, Answers(reading, (reading,) * draws))


def find_reader(settings: Settings) -> AnswerReader:
    """What reads the letter, tried on a few outputs, so that a broken one is found before a model is asked."""
    part = find("answer reader", settings, "reader")
    reader: AnswerReader = part.thing
    if part.is_ours:
        return reader
    checked = AnswerReader(reader.name, reader.description, functools.partial(_read_letter, part))
    for text in ("", "A", "Answer: B", "I do not know."):
        checked.read(text, {"A": "Yes", "B": "No"})
    return checked


def _read_letter(part: Part, text: str, options: Mapping[str, str]) -> str | None:
    who = f"answer reader {part.name} ({part.provided_by})"
    try:
        letter = part.thing.read(text, options)
    except Exception as error:
        raise SafescaleError(
            f"{who} failed for the output {text[:80]!r}: {type(error).__name__}: {reason_of(error)}"
        ) from error
    if letter is not None and (not isinstance(letter, str) or letter not in options):
        raise SafescaleError(
            f"{who} gave {letter!r} for the output {text[:80]!r}; expected one of {', '.join(options)}, or None"
        )
    return letter


# --- corpora and indexes ------------------------------------------------------------------------------------------------


def load_settings_corpus(settings: Settings) -> Corpus:
    """The corpus a run retrieves from."""
    if settings.corpus_path is not None:
        corpus = load_corpus(settings.corpus_path)
        if corpus.warnings:
            first, more = corpus.warnings[0].describe(str(settings.corpus_path)), len(corpus.warnings) - 1
            warn_once(first + (f" (and {more:,} more like it)" if more else ""))
        return corpus
    if settings.corpus is None:
        raise NoCorpusError(
            'no corpus to retrieve from: name a file or folder of yours, --metadata \'{"corpus_path": "FILE.jsonl"}\' (or Markdown '
            'and text files), or, to try things, the demo corpus: {"corpus": "demo"}'
        )
    if settings.corpus.casefold() != DEMO:
        raise SafescaleError(f"corpus: there is no {settings.corpus!r}; known: {DEMO}; for a file or folder use corpus_path")
    return load_corpus(_demo("corpus.jsonl"), name=DEMO)


def _demo(name: str) -> Path:
    return data_folder() / "radsafe_demo" / name


def load_settings_settling(settings: Settings, corpus: Corpus) -> Settling | None:
    """Which articles settle which question, where that is known: from `settling_path`, or with the demo corpus."""
    if settings.settling_path is not None:
        return load_settling(settings.settling_path, [article.id for article in corpus])
    if settings.corpus is not None and settings.corpus.casefold() == DEMO:
        return load_settling(_demo("settling.jsonl"), [article.id for article in corpus])
    return None


def make_index(
    part: Part, args: Mapping[str, Any], passages: Passages, store: Store, *, through: tuple[Part, ...] = ()
) -> Index:
    """An index by a registered retriever, and by those that it searches through. `through` are those on whose behalf it is made."""
    who = f"retriever {part.name} ({part.provided_by})"
    if part in through:
        raise SafescaleError(f"{who} cannot search through itself")
    bound = bind_settings(part.thing, args, who)
    try:
        retriever: Retriever = part.thing(**bound)
        needs = {name: dict(its_args) for name, its_args in retriever.needs().items()}
    except SafescaleError:
        raise
    except Exception as error:
        raise SafescaleError(f"{who} cannot be used: {reason_of(error)}") from error
    parts = {}
    for name, its_args in needs.items():
        needed = plugins().find("retriever", name, near=part.package)
        parts[name] = make_index(needed, its_args, passages, store, through=(*through, part))
    return open_index(retriever, passages, store, settings=bound, provided_by=part.package, parts=parts)


# --- contexts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a context may depend on of the model."""

    window: int | None = None
    tokenizer: Tokenizer | None = None


@dataclass
class Bench:
    """The workbench of the builders: opens corpus and index when first searched."""

    settings: Settings
    tokenizer: Tokenizer
    window: int | None = None
    _counts: dict[str, int] = field(default_factory=dict)

    @cached_property
    def index(self) -> Index:
        """The index that the settings ask for."""
        settings = self.settings
        store = Store(settings.index_dir or default_root())
        part = find("retriever", settings, "retriever")
        passages = make_passages(
            load_settings_corpus(settings),
            load_tokenizer(settings.chunk_tokenizer),
            size=settings.chunk_tokens,
            overlap=settings.chunk_overlap,
            store=store,
        )
        return make_index(part, settings.retriever_args, passages, store)

    def search(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """The k best passages for each query."""
        return self.index.search(queries, k)

    def count(self, passages: Sequence[Passage]) -> list[int]:
        """Tokens of each passage."""
        new = {passage.id: passage.text for passage in passages if passage.id not in self._counts}
        self._counts.update(zip(new, self.tokenizer.count(list(new.values())), strict=True))
        return [self._counts[passage.id] for passage in passages]

    @property
    def searched(self) -> Index | None:
        """The index, if it was opened."""
        return self.__dict__.get("index")


def builder_of(condition: Part, settings: Settings) -> Part | None:
    """The context builder of a condition: its own, or the one that the settings put in the place of `rag`; None for no context."""
    builder = condition.thing.builder
    if builder is None:
        return None
    if _builds_by_setting(condition):
        return find("context builder", settings, "context_builder")
    return plugins().find("context builder", builder, near=condition.package)


def contexts_of(condition: Part, dataset: Dataset, settings: Settings, model: ModelFacts | None = None) -> ContextSet | None:
    """What a condition shows above each question: from the file that the settings name, or built now; None for nothing.

    Parameters
    ----------
    model
        What is known of the model; needed where the builder `needs_model`.

    Raises
    ------
    SafescaleError
        Whatever is missing, does not fit or fails: the message names it and the setting.
    """
    builder = builder_of(condition, settings)
    if builder is None:
        return None
    if settings.contexts is None:
        return _build(builder, condition, dataset, settings, model)
    made = read_contexts(settings.contexts)
    if made.condition == condition.name:
        check_belongs(made, dataset, settings.contexts)
        _check_window(made, builder.thing, settings, model)
        _check_made_as_asked(made, condition, builder.thing, settings)
        return made
    try:
        return _build(builder, condition, dataset, settings, model)
    except NoCorpusError as error:
        raise NoCorpusError(
            f"{settings.contexts} was built for {made.condition}, not for {condition.name}; so a corpus is needed: {error}"
        ) from None


def _builds_by_setting(condition: Part) -> bool:
    """Whether `context_builder` and `builder_args` are about it."""
    return bool(condition.is_ours and condition.thing.builder == RAG)


def _build(part: Part, shown: Part, dataset: Dataset, settings: Settings, model: ModelFacts | None) -> ContextSet:
    builder: ContextBuilder = part.thing
    condition: Condition = shown.thing
    who = f"context builder {part.name} ({part.provided_by})"
    given = {**(settings.builder_args if _builds_by_setting(shown) else {}), **condition.args}
    bound = bind_settings(builder.build, given, who, known=settings.model_dump(mode="json"))
    bench = _bench(builder, settings, model)
    contexts = make_contexts(
        builder, dataset.items, bench, settings=bound, settling=lambda: _settling(bench, dataset), provided_by=part.provided_by
    )
    about: dict[str, Any] = {
        "condition": condition.name,
        "builder": {"name": part.name, "provided_by": part.provided_by, "settings": bound},
        "dataset": {"name": dataset.name, "version": dataset.version, "fingerprint": dataset.fingerprint},
        "items": len(contexts),
        "tokenizer": bench.tokenizer.name,
        "window": bench.window,
        "made_by": f"{OURS} {__version__}",
    }
    if (index := bench.searched) is not None:
        about |= {"retriever": dict(index.about), "corpus": index.passages.describe()}
    try:
        return ContextSet(json.loads(json.dumps(about)), contexts)  # as it is read again from a file
    except TypeError as error:
        raise SafescaleError(f"{who}: a setting is no JSON value: {error}") from None


def _settling(bench: Bench, dataset: Dataset) -> Settling | None:
    if (index := bench.searched) is None:
        return None
    settling, path = load_settings_settling(bench.settings, index.passages.corpus), bench.settings.settling_path
    if settling and path is not None and settling.keys().isdisjoint(item.question_id for item in dataset):
        warn_once(
            f"{path}: none of its questions is in the data set {dataset.name} (its first is {next(iter(settling))!r}, the data set's "
            f"{dataset.items[0].question_id!r}): recall and reciprocal rank are not scored"
        )
    return settling


def _bench(builder: ContextBuilder, settings: Settings, model: ModelFacts | None) -> Bench:
    if not builder.needs_model:
        return Bench(settings, load_tokenizer(settings.chunk_tokenizer))
    model = model or ModelFacts()
    if settings.context_tokenizer is not None:
        tokenizer = load_tokenizer(settings.context_tokenizer)
    elif model.tokenizer is not None:
        tokenizer = model.tokenizer
    else:
        raise SafescaleError(
            f"{builder.name}: the model's own tokenizer is not known here; name what to count by: "
            '--metadata \'{"context_tokenizer": "FOLDER or GGUF file of the model"}\''
        )
    return Bench(settings, tokenizer, _window(settings, model))


def _window(settings: Settings, model: ModelFacts) -> int | None:
    stated = settings.max_context_tokens
    if stated is not None and model.window is not None and stated > model.window:
        raise SafescaleError(
            f"max_context_tokens is {stated:,}, but the model's window is {model.window:,} tokens; give the model a larger window, or "
            "lower max_context_tokens"
        )
    return stated or model.window


def _check_made_as_asked(made: ContextSet, condition: Part, shown_by: ContextBuilder, settings: Settings) -> None:
    """SafescaleError if the file was built with other settings than the user gave beside it: one of the two is not meant."""
    builder, corpus, retriever = (made.about.get(name) or {} for name in ("builder", "corpus", "retriever"))
    its, fixed = retriever.get("settings", {}), condition.thing.args
    free = {name: value for name, value in settings.builder_args.items() if name not in fixed}
    by_setting = _builds_by_setting(condition)
    built_with = {
        "context_builder": _name_of(builder, settings.context_builder) if by_setting else None,
        "builder_args": settings.builder_args | {name: builder["settings"].get(name) for name in free} if by_setting else None,
        "top_k": None if "top_k" in fixed else builder["settings"].get("top_k"),
        "retriever": _name_of(retriever | {"name": retriever.get("retriever")}, settings.retriever) if retriever else None,
        "retriever_args": {name: its[name] for name in settings.retriever_args if name in its} if retriever else None,
        "chunk_tokens": corpus.get("size"),
        "chunk_overlap": corpus.get("overlap"),
        "context_tokenizer": made.about["tokenizer"] if shown_by.needs_model else None,
    }
    given = settings.model_fields_set
    for name, value in built_with.items():
        asked = getattr(settings, name)
        if name in given and None not in (asked, value) and _folded(asked) != _folded(value):
            raise SafescaleError(
                f"{settings.contexts}: built with {name} {value!r}, but {name} is set to {asked!r}; leave {name} out, or build it again"
            )
    if corpus:
        _check_corpus_as_asked(corpus, settings)


def _check_corpus_as_asked(corpus: Mapping[str, Any], settings: Settings) -> None:
    """As before, by content: one name may stand for several corpora or tokenizers."""
    found = f"{settings.contexts}: built from the corpus {corpus.get('corpus')!r}"
    asked = "corpus_path" if settings.corpus_path is not None else "corpus"
    if getattr(settings, asked) is not None and load_settings_corpus(settings).fingerprint != corpus.get("corpus_fingerprint"):
        raise SafescaleError(
            f"{found}, whose articles are not those of {asked} {str(getattr(settings, asked))!r}; leave {asked} out, or build it again"
        )
    if "chunk_tokenizer" in settings.model_fields_set:
        tokenizer = load_tokenizer(settings.chunk_tokenizer)
        if tokenizer.fingerprint != corpus.get("tokenizer_fingerprint"):
            raise SafescaleError(
                f"{found}, cut by chunk_tokenizer {corpus.get('tokenizer')!r}, which is not the tokenizer {tokenizer.name!r} that "
                "chunk_tokenizer is set to; leave chunk_tokenizer out, or build it again"
            )


def _name_of(recorded: Mapping[str, Any], asked: str) -> str:
    """The name of a part in a file's header; with its package where the user asks for it with one."""
    package = str(recorded.get("provided_by")).partition(" ")[0]
    return f"{package}/{recorded.get('name')}" if "/" in asked else str(recorded.get("name"))


def _folded(value: object) -> object:
    return value.casefold() if isinstance(value, str) else value


def _check_window(made: ContextSet, builder: ContextBuilder, settings: Settings, model: ModelFacts | None) -> None:
    built_for, window = made.about.get("window"), _window(settings, model or ModelFacts())
    if built_for and window and built_for != window:
        raise SafescaleError(
            f"{settings.contexts}: built for a window of {built_for:,} tokens, but this model's is {window:,}; build it again with "
            f"max_context_tokens {window}"
        )
    longest = max(context.tokens for context in made.contexts.values())
    if builder.needs_model and window and not built_for and longest > window - RESERVED_TOKENS:
        raise SafescaleError(
            f"{settings.contexts}: its longest context has {longest:,} tokens, but the model's window of {window:,} tokens less "
            f"{RESERVED_TOKENS:,} for question, answer and margin leaves {window - RESERVED_TOKENS:,}; leave {made.condition} out for "
            "this model, or give it a larger window (max_context_tokens)"
        )
