"""What a condition shows above each question: built now, or read from a file that was made as
asked.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval_safescale import __version__
from lm_eval_safescale.assembly.context_checks import check_made_as_asked, check_window
from lm_eval_safescale.assembly.families import family_of
from lm_eval_safescale.assembly.lookup import builder_of, settings_of_builder
from lm_eval_safescale.assembly.search import (
    NoCorpusError,
    SearchTools,
    Warn,
    demo_file,
    logger,
    settling_of,
)
from lm_eval_safescale.chat import ChatModel
from lm_eval_safescale.contexts import (
    AGENTIC,
    BuildProgress,
    Condition,
    ContextBuilder,
    ContextSet,
    ModelSession,
    StepLog,
    check_belongs,
    evidence,
    make_contexts,
    read_contexts,
)
from lm_eval_safescale.datasets import DEMO, Dataset
from lm_eval_safescale.errors import CommandHint, SafescaleError, SettingsHint
from lm_eval_safescale.plugins import OURS, Part, bind_settings
from lm_eval_safescale.retrieval import (
    Tokenizer,
    load_tokenizer,
)
from lm_eval_safescale.secrets import without_secrets
from lm_eval_safescale.settings import BUILD_CONTEXTS, CHOOSE_DATA, Settings

DEMO_REPORTS = "agentic.jsonl"


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a context may depend on of the model."""

    window: int | None = None
    tokenizer: Tokenizer | None = None


@dataclass(frozen=True, slots=True)
class Chat:
    """Who writes reports."""

    models: Mapping[str, ChatModel]
    """By role (`orchestrate`, `write`)."""
    steps: Path | None = None
    """Where every step is stored, so that an interrupted build can go on; None for nowhere."""
    on_progress: Callable[[BuildProgress], None] = lambda _: None
    overwrite: bool = False
    """Write over the steps of another build."""


def contexts_of(
    condition: Part,
    dataset: Dataset,
    settings: Settings,
    model: ModelFacts | None = None,
    chat: Chat | None = None,
    on_progress: Callable[[int], object] = lambda _: None,
    warn: Warn = logger.warning,
) -> ContextSet | None:
    """What a condition shows above each question: from the file that the settings name, or built
    now; None for nothing.

    Parameters
    ----------
    model
        What is known of the model; needed where the builder `needs_model`.
    chat
        Who writes reports, where the builder `needs_chat`. Without it there must be reports
        already: in a file, or with the data.
    on_progress
        Told of how many items the contexts are built.
    warn
        Told what is odd about corpus, index and settling file.

    Raises
    ------
    SafescaleError
        Whatever is missing, does not fit or fails: the message names it and the setting.
    """
    builder = builder_of(condition, settings)
    if builder is None:
        return None
    if settings.contexts is None:
        return _made(builder, condition, dataset, settings, model, chat, on_progress, warn)
    made = read_contexts(settings.contexts)
    if made.condition == condition.name:
        check_belongs(made, dataset, settings.contexts)
        check_window(made, builder.thing, settings, _window(settings, model or ModelFacts()))
        check_made_as_asked(made, condition, builder.thing, settings, warn)
        return made
    try:
        return _made(builder, condition, dataset, settings, model, chat, on_progress, warn)
    except NoCorpusError as error:
        raise NoCorpusError(
            f"{settings.contexts} was built for {made.condition}, not for {condition.name}; so a "
            "corpus is needed: ",
            error,
        ) from None


def _made(
    builder: Part,
    condition: Part,
    dataset: Dataset,
    settings: Settings,
    model: ModelFacts | None,
    chat: Chat | None,
    on_progress: Callable[[int], object],
    warn: Warn,
) -> ContextSet:
    if builder.thing.needs_chat and chat is None:
        return _carried(builder, condition, dataset, settings)
    return _build(builder, condition, dataset, settings, model, chat, on_progress, warn)


def _build(
    part: Part,
    shown: Part,
    dataset: Dataset,
    settings: Settings,
    model: ModelFacts | None,
    chat: Chat | None,
    on_progress: Callable[[int], object],
    warn: Warn,
) -> ContextSet:
    builder: ContextBuilder = part.thing
    condition: Condition = shown.thing
    who = f"context builder {part.name} ({part.provided_by})"
    by_setting = settings_of_builder(shown)
    given = {**(getattr(settings, by_setting[1]) if by_setting else {}), **condition.args}
    bound = bind_settings(builder.build, given, who, known=settings.model_dump(mode="json"))
    tools = _tools(builder, settings, model)
    tools.warn = warn

    def about() -> dict[str, Any]:
        known = _header(
            shown,
            {"name": part.name, "provided_by": part.provided_by, "settings": bound},
            dataset,
            tools,
        )
        if (index := tools.searched) is not None:
            known |= {"retriever": dict(index.about), "corpus": index.passages.describe()}
        if builder.needs_chat and chat is not None:
            known["models"] = {role: dict(each.about) for role, each in chat.models.items()}
        try:
            # as it is read again from a file
            return dict(json.loads(json.dumps(without_secrets(known))))
        except TypeError as error:
            raise SafescaleError(f"{who}: a setting is no JSON value: {error}") from None

    with ExitStack() as stack:
        if builder.needs_chat and chat is not None:
            if settings.corpus is not None or settings.corpus_path is not None:
                _ = tools.index  # so that the steps say what was searched
            steps = stack.enter_context(
                closing(StepLog(chat.steps, _whose_steps(about(), part), overwrite=chat.overwrite))
            )
            tools.chat = ModelSession(chat.models, steps, chat.on_progress)
        made = make_contexts(
            builder,
            dataset.items,
            tools,
            settings=bound,
            settling=lambda: settling_of(tools, dataset),
            settled_by=family_of(shown).settled_by,
            provided_by=part.provided_by,
            on_progress=on_progress,
        )
    return ContextSet(about(), made.contexts, made.failed)


def _header(
    condition: Part, builder: Mapping[str, Any], dataset: Dataset, tools: SearchTools
) -> dict[str, Any]:
    """What every file of contexts says of itself."""
    return {
        "condition": condition.name,
        "builder": builder,
        "dataset": {
            "name": dataset.name,
            "version": dataset.version,
            "fingerprint": dataset.fingerprint,
        },
        "items": len(dataset),
        "tokenizer": tools.tokenizer.name,
        "window": tools.window,
        "made_by": f"{OURS} {__version__}",
    }


def _whose_steps(about: Mapping[str, Any], builder: Part) -> dict[str, Any]:
    """What two builds must share to share their steps: all but versions, for a step counts only
    where its very prompt is the same."""
    known = {name: value for name, value in about.items() if name != "made_by"}
    return known | {"builder": {**about["builder"], "provided_by": builder.package}}


def _carried(part: Part, shown: Part, dataset: Dataset, settings: Settings) -> ContextSet:
    """Reports that come with the data: those built of the demo questions, or texts of the items'
    own."""
    builder: ContextBuilder = part.thing
    if part.is_ours and shown.is_ours and dataset.is_demo and demo_file(DEMO_REPORTS).is_file():
        made = read_contexts(demo_file(DEMO_REPORTS))
        check_belongs(made, dataset, demo_file(DEMO_REPORTS))
        return made
    if part.is_ours and shown.is_ours and dataset.has_evidence(AGENTIC.name):
        carried = ContextBuilder(
            "evidence",
            "",
            lambda items, _: evidence(items, _, evidence=AGENTIC.name),
            needs_chat=True,
        )
        tools = SearchTools(settings, load_tokenizer(settings.chunk_tokenizer))
        contexts = make_contexts(
            carried, dataset.items, tools, settings={}, settled_by=family_of(shown).settled_by
        ).contexts
        maker = {
            "name": "evidence",
            "provided_by": part.provided_by,
            "settings": {"evidence": AGENTIC.name},
        }
        return ContextSet(_header(shown, maker, dataset, tools), contexts)
    raise SafescaleError(
        f"{shown.name} shows what chat models write ({builder.name}), which is built ahead, once "
        f"for all models; {dataset.name} {dataset.version[:12]} carries none, and no file of them "
        "is named. Build one:\n  ",
        build_command(shown, settings),
        "\nand name it beside the data: ",
        SettingsHint(_data_of(settings) | {"contexts": f"{shown.name}.jsonl"}),
    )


def _data_of(settings: Settings) -> dict[str, Any]:
    given = settings.model_fields_set & CHOOSE_DATA
    return dict(without_secrets(settings.model_dump(mode="json", include=given)))


def build_command(condition: Part, settings: Settings) -> CommandHint:
    """The command that builds the contexts of a condition with these settings."""
    given = without_secrets(
        settings.model_dump(mode="json", include=settings.model_fields_set & BUILD_CONTEXTS)
    )
    if settings.corpus is None and settings.corpus_path is None:
        given |= (
            {"corpus": DEMO}
            if settings.dataset.casefold() == DEMO
            else {"corpus_path": "YOUR_ARTICLES"}
        )
    options = {"model": "vllm", "model_args": "pretrained=YOUR_MODEL"}
    options |= {
        name: str(given.pop(name)) for name in ("dataset", "corpus", "retriever") if name in given
    }
    options |= {"metadata": json.dumps(given)} if given else {}
    return CommandHint(
        f"safescale contexts build {shlex.quote(condition.name)}",
        options | {"output": f"{condition.name}.jsonl"},
    )


def _tools(builder: ContextBuilder, settings: Settings, model: ModelFacts | None) -> SearchTools:
    if not builder.needs_model:
        return SearchTools(settings, load_tokenizer(settings.chunk_tokenizer))
    model = model or ModelFacts()
    if settings.context_tokenizer is not None:
        tokenizer = load_tokenizer(settings.context_tokenizer)
    elif model.tokenizer is not None:
        tokenizer = model.tokenizer
    else:
        # both at once, where neither is known, as behind a server
        window = model.window or settings.max_context_tokens
        missing = {"context_tokenizer": "FOLDER or GGUF file of the model"} | (
            {} if window else {"max_context_tokens": 32768}
        )
        raise SafescaleError(
            f"{builder.name}: the model's own tokenizer{'' if window else ' and window'} cannot "
            "be known here; name what to count "
            f"by{'' if window else ', and the window in tokens'}: ",
            SettingsHint(missing),
        )
    return SearchTools(settings, tokenizer, _window(settings, model))


def _window(settings: Settings, model: ModelFacts) -> int | None:
    stated = settings.max_context_tokens
    if stated is not None and model.window is not None and stated > model.window:
        raise SafescaleError(
            f"max_context_tokens is {stated:,}, but the model's window is {model.window:,} tokens; "
            "give the model a larger window, or lower max_context_tokens"
        )
    return stated or model.window
