"""Whether a file of contexts was made as the settings ask."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from lm_eval_safescale.assembly.lookup import settings_of_builder
from lm_eval_safescale.assembly.search import Warn, load_settings_corpus
from lm_eval_safescale.contexts import (
    RESERVED_TOKENS,
    ContextBuilder,
    ContextSet,
)
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.plugins import Part
from lm_eval_safescale.retrieval import (
    load_tokenizer,
)
from lm_eval_safescale.secrets import without_secrets
from lm_eval_safescale.settings import Settings


def check_made_as_asked(
    made: ContextSet, condition: Part, shown_by: ContextBuilder, settings: Settings, warn: Warn
) -> None:
    """SafescaleError if the file was built with other settings than the user gave beside it: one of
    the two is not meant."""
    builder, corpus, retriever = (
        made.about.get(name) or {} for name in ("builder", "corpus", "retriever")
    )
    its, fixed = retriever.get("settings", {}), condition.thing.args
    built_with = {
        **_built_by(builder, settings, settings_of_builder(condition), fixed),
        "top_k": None if "top_k" in fixed else builder["settings"].get("top_k"),
        "retriever": _name_of(retriever | {"name": retriever.get("retriever")}, settings.retriever)
        if retriever
        else None,
        "retriever_args": {name: its[name] for name in settings.retriever_args if name in its}
        if retriever
        else None,
        "chunk_tokens": corpus.get("size"),
        "chunk_overlap": corpus.get("overlap"),
        "context_tokenizer": made.about["tokenizer"] if shown_by.needs_model else None,
    }
    given = settings.model_fields_set
    for name, value in built_with.items():
        asked = without_secrets(getattr(settings, name))
        if name in given and None not in (asked, value) and _folded(asked) != _folded(value):
            raise SafescaleError(
                f"{settings.contexts}: built with {name} {value!r}, but {name} is set to "
                f"{asked!r}; leave {name} out, or build it again"
            )
    if corpus:
        _check_corpus_as_asked(corpus, settings, warn)


def _built_by(
    builder: Mapping[str, Any],
    settings: Settings,
    by_setting: tuple[str, str] | None,
    fixed: Collection[str],
) -> dict[str, Any]:
    """The builder of a file and its settings, under the names of the settings that ask for them."""
    if by_setting is None:
        return {}
    name, args = by_setting
    asked = without_secrets(getattr(settings, args))
    free = {each: builder["settings"].get(each) for each in asked if each not in fixed}
    return {name: _name_of(builder, getattr(settings, name)), args: asked | free}


def _check_corpus_as_asked(corpus: Mapping[str, Any], settings: Settings, warn: Warn) -> None:
    """As before, by content: one name may stand for several corpora or tokenizers."""
    found = f"{settings.contexts}: built from the corpus {corpus.get('corpus')!r}"
    asked = "corpus_path" if settings.corpus_path is not None else "corpus"
    if getattr(settings, asked) is not None and load_settings_corpus(
        settings, warn
    ).fingerprint != corpus.get("corpus_fingerprint"):
        raise SafescaleError(
            f"{found}, whose articles are not those of {asked} {str(getattr(settings, asked))!r}; "
            f"leave {asked} out, or build it again"
        )
    if "chunk_tokenizer" in settings.model_fields_set:
        tokenizer = load_tokenizer(settings.chunk_tokenizer)
        if tokenizer.fingerprint != corpus.get("tokenizer_fingerprint"):
            raise SafescaleError(
                f"{found}, cut by chunk_tokenizer {corpus.get('tokenizer')!r}, which is not the "
                f"tokenizer {tokenizer.name!r} that chunk_tokenizer is set to; leave "
                "chunk_tokenizer out, or build it again"
            )


def _name_of(recorded: Mapping[str, Any], asked: str) -> str:
    """The name of a part in a file's header; with its package where the user asks for it with
    one."""
    package = str(recorded.get("provided_by")).partition(" ")[0]
    return f"{package}/{recorded.get('name')}" if "/" in asked else str(recorded.get("name"))


def _folded(value: object) -> object:
    return value.casefold() if isinstance(value, str) else value


def check_window(
    made: ContextSet, builder: ContextBuilder, settings: Settings, window: int | None
) -> None:
    """SafescaleError if the contexts were built for another window than the model's, or are too
    long for it."""
    built_for = made.about.get("window")
    if built_for and window and built_for != window:
        raise SafescaleError(
            f"{settings.contexts}: built for a window of {built_for:,} tokens, but this model's is "
            f"{window:,}; build it again with max_context_tokens {window}"
        )
    longest = max(context.tokens for context in made.contexts.values())
    if builder.needs_model and window and not built_for and longest > window - RESERVED_TOKENS:
        raise SafescaleError(
            f"{settings.contexts}: its longest context has {longest:,} tokens, but the model's "
            f"window of {window:,} tokens less {RESERVED_TOKENS:,} for question, answer and margin "
            f"leaves {window - RESERVED_TOKENS:,}; leave {made.condition} out for this model, or "
            "give it a larger window (max_context_tokens)"
        )
