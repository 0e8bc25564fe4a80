"""Looks at the machine for `safescale doctor`: each finding says what it is, and what to do where
it is not well.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from packaging.version import Version

from lm_eval_safescale import __version__
from lm_eval_safescale.assembly import (
    find,
    find_reader,
    load_dataset,
    load_part,
    load_settings_corpus,
    load_settings_settling,
    table_metrics,
)
from lm_eval_safescale.contexts import read_contexts
from lm_eval_safescale.datasets import DataError
from lm_eval_safescale.errors import ArgumentHint, Hint, SafescaleError, reason_of
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.families.radsafe.data import DEFAULT_DATASET, HUB_ID
from lm_eval_safescale.harness.backends import load_tokenizer, stated_window
from lm_eval_safescale.harness.configs import INSTALLED_CONFIGS, source_configs
from lm_eval_safescale.plugins import plugins, version_of
from lm_eval_safescale.prompts import load_prompt
from lm_eval_safescale.secrets import masked_pairs, without_secrets
from lm_eval_safescale.settings import (
    ANSWER_TOKENS,
    CHOOSE_DATA,
    ENV_PREFIX,
    Settings,
    load_settings,
)

TESTED_HARNESS = "0.4.13"
LOW_DISK_GB = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at."""

    level: Literal["ok", "note", "bad"]
    what: str
    advice: str | Hint = ""


def checkup(
    *,
    model: str | None = None,
    gguf_file: str | None = None,
    given: Mapping[str, Any] | None = None,
    on_step: Callable[[str], object] = lambda _: None,
) -> Iterator[Finding]:
    """Everything `safescale doctor` reports, in order; a model only where one is named, and the
    data set and corpus that `given` settings name. `on_step` is told what is looked at next."""
    steps: dict[str, Callable[[], Iterator[Finding]]] = {
        "versions": _versions,
        "tasks of the harness": _tasks,
        "variables of the environment": _environment,
        "plugins": _plugins,
        "data sets": _datasets,
    }
    if given:
        steps["what is asked"] = lambda: _asked(given)
    if model:
        steps[f"the tokenizer and window of {model}"] = lambda: _model(model, gguf_file)
    for what, look in (steps | {"free disk": _disk}).items():
        on_step(what)
        yield from look()


def _versions() -> Iterator[Finding]:
    yield Finding("ok", f"Python {platform.python_version()}, lm_eval_safescale {__version__}")
    harness = Version(version_of("lm_eval") or "0")
    if harness < Version(TESTED_HARNESS):
        yield Finding("bad", f"lm_eval {harness}", f"pip install 'lm_eval>={TESTED_HARNESS}'")
    elif harness > Version(TESTED_HARNESS):
        yield Finding(
            "note",
            f"lm_eval {harness}: newer than the {TESTED_HARNESS} this version is tested on",
            "watch its log for warnings",
        )
    else:
        yield Finding("ok", f"lm_eval {harness}")
    found = {name: version_of(name) for name in ("torch", "transformers", "vllm", "aiohttp")}
    present = ", ".join(f"{name} {version}" for name, version in found.items() if version)
    backends = [
        name
        for name, needs in (
            ("hf", ("torch", "transformers")),
            ("vllm", ("vllm",)),
            ("OpenAI-compatible", ("aiohttp",)),
        )
        if all(found[need] for need in needs)
    ]
    if backends:
        yield Finding("ok", f"backends that can run: {', '.join(backends)} ({present})")
    else:
        yield Finding(
            "bad",
            "no model backend is installed",
            "pip install 'lm-eval-safescale[hf]', [vllm] or [api]",
        )


def _tasks() -> Iterator[Finding]:
    from lm_eval.tasks import TaskManager

    sources = source_configs()
    expected = {path.stem for path in sources} or {
        path.stem for path in INSTALLED_CONFIGS.glob("*.yaml")
    }
    seen = expected & set(TaskManager().all_tasks)
    if not expected or seen != expected:
        missing = ", ".join(sorted(expected - seen)) or "all of them"
        yield Finding(
            "bad",
            f"the harness does not see the tasks: {missing}",
            "pip install --force-reinstall --no-deps lm-eval-safescale",
        )
        return
    yield Finding("ok", f"the harness sees the tasks: {', '.join(sorted(seen))}")
    stale = [
        path.name
        for path in sources
        if path.read_bytes() != (INSTALLED_CONFIGS / path.name).read_bytes()
    ]
    if stale:
        yield Finding(
            "note",
            f"task files edited since the installation: {', '.join(stale)}",
            "pip install -e . again, or --include_path",
        )


def _environment() -> Iterator[Finding]:
    given = {
        name: value for name, value in sorted(os.environ.items()) if name.startswith(ENV_PREFIX)
    }
    mend = "mend or unset them (docs/settings.md)"
    try:
        settings = load_settings()
    except SafescaleError as error:
        yield Finding("bad", f"the variables {', '.join(given)}: {error}", mend)
        return
    for names, try_it in USED_BY.items():
        if tried := [
            variable
            for variable in (ENV_PREFIX + name.upper() for name in names)
            if given.get(variable)
        ]:
            try:
                try_it(settings)
            except SafescaleError as error:
                yield Finding("bad", f"{', '.join(tried)}: {error}", mend)
                for variable in tried:
                    given.pop(variable)
    for name, value in given.items():
        yield Finding("ok", f"{name}={_shown(value)}")


def _shown(value: str) -> str:
    """Settings as JSON may hold a key."""
    with suppress(ValueError, RecursionError):  # no JSON
        value = json.dumps(without_secrets(json.loads(value)), ensure_ascii=False)
    return masked_pairs(value)


def _try_settling(settings: Settings) -> None:
    if settings.corpus is not None or settings.corpus_path is not None:
        # tried and warned of by itself
        load_settings_settling(settings, load_settings_corpus(settings, warn=lambda _: None))
    elif settings.settling_path is not None and not settings.settling_path.is_file():
        raise SafescaleError(f"{settings.settling_path}: no such file")


USED_BY: dict[tuple[str, ...], Callable[[Settings], object]] = {
    ("prompt_file",): lambda settings: load_prompt(settings.prompt_file, RADSAFE.prompt("")),
    tuple(sorted(CHOOSE_DATA)): load_dataset,
    ("reader",): find_reader,
    ("metrics",): table_metrics,
    ("retriever",): lambda settings: find("retriever", settings, "retriever"),
    ("context_builder",): lambda settings: find("context builder", settings, "context_builder"),
    ("corpus", "corpus_path"): load_settings_corpus,
    ("settling_path",): _try_settling,
    ("contexts",): lambda settings: settings.contexts and read_contexts(settings.contexts),
}
"""What uses the files and names that settings hold; each is tried where one of its variables is
given."""


def _plugins() -> Iterator[Finding]:
    for plugin in plugins().found:
        if plugin.error:
            yield Finding(
                "bad",
                f"plugin {plugin.package} {plugin.version}: {plugin.error}",
                "mend, update or uninstall it",
            )


def _datasets() -> Iterator[Finding]:
    for part in plugins().all("data set"):
        try:
            dataset = load_part(part, local_only=True)
        except DataError as error:
            yield Finding("bad", str(error), f"safescale data validate {part.name}")
        except SafescaleError as error:
            if part.is_ours:
                advice = _fetch_advice() if part.name == DEFAULT_DATASET else reason_of(error)
                yield Finding("note", f"data set {part.name} is not on this machine", advice)
            else:
                yield Finding(
                    "note",
                    f"data set {part.name} ({part.package}) needs more than its name",
                    reason_of(error),
                )
        else:
            yield Finding(
                "ok", f"data set {part.name}, version {dataset.version}: {len(dataset)} items"
            )


def _asked(given: Mapping[str, Any]) -> Iterator[Finding]:
    settings = load_settings(given, given_by="command line")
    try:
        if {"dataset", "dataset_path"} & given.keys():
            data = load_dataset(settings)
            yield Finding("ok", f"data set {data.name}, version {data.version}: {len(data)} items")
        if {"corpus", "corpus_path"} & given.keys():
            corpus = load_settings_corpus(settings)
            yield Finding("ok", f"corpus {corpus.name}: {len(corpus):,} articles")
    except SafescaleError as error:
        yield Finding("bad", str(error))


def _fetch_advice() -> str:
    from huggingface_hub import HfApi

    try:
        HfApi().dataset_info(HUB_ID, timeout=5)
    except Exception as error:
        # no network, no such repository, gated, offline mode: each says so itself
        reason = reason_of(error)[:160]
        return (
            f"the hub cannot be asked either ({reason}); name a local copy with dataset_path, or "
            "use dataset=demo to try things"
        )
    return "the hub is reachable: safescale data fetch"


def _model(model: str, gguf_file: str | None) -> Iterator[Finding]:
    arguments = {"pretrained": model} | ({"gguf_file": gguf_file} if gguf_file else {})
    tokenizer = load_tokenizer(arguments)
    if tokenizer is None:
        if Path(model).is_dir() and not gguf_file and (files := sorted(Path(model).glob("*.gguf"))):
            hint = ArgumentHint("gguf_file", files[0].name)
            yield Finding(
                "bad", f"{model} holds no tokenizer of its own, but GGUF files; name one", hint
            )
        else:
            yield Finding(
                "bad",
                f"the tokenizer of {model} is not on this machine",
                "check the path, or download the model first",
            )
        return
    template = getattr(tokenizer, "chat_template", None)
    if not template:
        yield Finding(
            "note",
            "no chat template: a base model",
            "run without --apply_chat_template; expect unreadable answers",
        )
    else:
        yield Finding("ok", "has a chat template", "run with --apply_chat_template")
        if any(
            marker in str(template)
            for marker in ("<think>", "<|channel|>", "<|channel>", "<unused94>", "[THINK]")
        ):
            yield Finding(
                "note",
                f"the chat template knows reasoning: {ANSWER_TOKENS} tokens would be cut off",
                '--metadata \'{"reasoning": "on"}\' if the model reasons before it answers',
            )
    window = stated_window(arguments)
    yield (
        Finding("ok", f"window of {window} tokens")
        if window
        else Finding("note", "the window is not stated in its files")
    )


def _disk() -> Iterator[Finding]:
    from huggingface_hub.constants import HF_HOME

    for name, folder in (("this folder", Path.cwd()), ("model cache", Path(HF_HOME))):
        while not folder.exists():
            folder = folder.parent
        free = shutil.disk_usage(folder).free / 1e9
        low = free < LOW_DISK_GB
        advice = (
            "make room: logged samples and models are large; HF_HOME moves the cache" if low else ""
        )
        yield Finding("note" if low else "ok", f"{free:.0f} GB free for {name} ({folder})", advice)
