"""What a sweep would ask: requests, answers, tokens and GPU hours, told without loading a model.

Tokens are bytes / 4, a rule of thumb for English text, of the prompts as they would be asked. GPU
hours are those of a roofline: reading a prompt is bound by arithmetic, 2 operations a parameter and
token; writing answers by the memory that the weights are read from, once for each token of all
answers that are written at once (Kaplan et al. 2020, arXiv 2001.08361, section 2.1; Pope et al.
2022, arXiv 2211.05102).
"""

from __future__ import annotations

import functools
import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lm_eval_safescale import assembly
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import Family
from lm_eval_safescale.families.controls import CONTROLS
from lm_eval_safescale.plugins import Part, plugins
from lm_eval_safescale.prompts import load_prompt
from lm_eval_safescale.settings import MAKE_ANSWERS, MAKE_SCORES, Settings, load_settings
from lm_eval_safescale.sweep.file import Gpu, Size, Sweep
from lm_eval_safescale.sweep.jobs import Job, missing_model

BYTES_OF_A_TOKEN = 4
WINDOW_ARGUMENTS = ("max_model_len", "max_length")
SHARES_PREFILL = ("vllm", "sglang")
"""Backends that read a prompt once for all its answers; others read it for each."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one model is asked under one condition."""

    condition: str
    items: int
    requests: int
    """`requests_of_item` for each."""
    answers: int
    prompt_tokens: int | None
    """Of all items' prompts, each once; None where it cannot be told."""
    answer_limit: int
    """Tokens that an answer may have."""
    problem: str = ""
    """Why it could not be asked, as far as is known without the model."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What one job would do."""

    job: Job
    loads: tuple[Load, ...]
    gpu_hours: float | None
    """None without a size or without GPUs."""
    remarks: tuple[str, ...] = ()
    problem: str = ""
    """Why nothing could be asked."""

    @property
    def requests(self) -> int:
        """Over all conditions."""
        return sum(load.requests for load in self.loads)

    @property
    def answers(self) -> int:
        """1 + K for each item under each condition."""
        return sum(load.answers for load in self.loads)

    @property
    def prompt_tokens(self) -> int:
        """As far as they are known."""
        return sum(load.prompt_tokens or 0 for load in self.loads)

    @property
    def answer_tokens(self) -> int:
        """At most."""
        return sum(load.answers * load.answer_limit for load in self.loads)

    @property
    def problems(self) -> tuple[str, ...]:
        """Why the model, or conditions, could not be asked."""
        return tuple(filter(None, (self.problem, *(load.problem for load in self.loads))))


def plan_sweep(sweep: Sweep, size_of: Callable[[str], Size]) -> list[Plan]:
    """The plan of each job.

    Parameters
    ----------
    size_of
        The size of a model by its name, where the file does not say it.

    Raises
    ------
    SafescaleError
        For settings that cannot be used, or data that cannot be had.
    """
    prompts = _Prompts()
    plans = []
    for job in sweep.jobs:
        family = assembly.family_of(plugins().find("condition", job.conditions[0]))
        given = {name: value for name, value in job.metadata.items() if name != "seed"}
        settings = load_settings(given, defaults=family.defaults)
        loads = tuple(_load(job, name, given, settings, prompts) for name in job.conditions)
        said, known = sweep.sizes[job.name], size_of(job.name)
        size = Size(said.total or known.total, said.active or known.active)
        hours = gpu_hours(loads, size, sweep.gpu, shared=job.backend in SHARES_PREFILL)
        hours = hours if job.gpus else None
        plans.append(
            Plan(
                job,
                loads,
                hours,
                tuple(_remarks(job, loads, size)),
                missing_model(job),
            )
        )
    return plans


def requests_of_item(backend: str, batch_size: str | None, draws: int) -> int:
    """Requests by which an item gets its answers under one condition: one for the greedy one, and
    those for `draws` samples.

    All samples are one request where the engine makes its own batches, one each where a server is
    asked, else as many as fit a batch.
    """
    if not draws:
        return 1
    from lm_eval_safescale.harness import backends
    from lm_eval_safescale.harness.loading import FIXED_BATCH

    if backends.is_server(backend):
        return 1 + draws
    in_one = (*CONTROLS, "vllm")
    if backend in in_one or (backend.startswith(("vllm", "sglang")) and batch_size is None):
        return 2
    size = batch_size or FIXED_BATCH
    return 1 + math.ceil(draws / max(1, int(size))) if size.isdigit() else 2


def gpu_hours(
    loads: tuple[Load, ...], size: Size, gpu: Gpu, *, shared: bool = True
) -> float | None:
    """A rough estimate of GPU hours; None without a size.

    Notes
    -----
    With P parameters of which A are active for a token, T tokens of prompts, D tokens of answers
    (their limit), F operations and M bytes a second, utilisation u, b bytes a parameter and B
    answers written at once:

    reading = 2 A T / (u F), writing = D / B * max(b P / M, 2 A B / (u F)) GPU seconds.

    It holds for one GPU as for several that share the model out without loss. T counts each prompt
    once where its answers share the reading (`shared`), else once an answer. Left out: loading the
    model, attention over long contexts, and idle time; and answers mostly end before their limit.
    """
    if size.total is None:
        return None
    total, active = size.total * 1e9, (size.active or size.total) * 1e9
    read = sum((load.prompt_tokens or 0) * (1 if shared else _draws(load)) for load in loads)
    written = sum(load.answers * load.answer_limit for load in loads)
    reached = gpu.flops * gpu.utilisation
    step = max(
        gpu.bytes_per_parameter * total / gpu.bytes_per_s, 2 * active * gpu.at_once / reached
    )
    return (2 * active * read / reached + written / gpu.at_once * step) / 3600


def _draws(load: Load) -> int:
    return load.answers // load.items if load.items else 0


def _remarks(job: Job, loads: tuple[Load, ...], size: Size) -> list[str]:
    remarks = []
    if unknown := [
        load.condition for load in loads if load.prompt_tokens is None and not load.problem
    ]:
        remarks.append(
            f"{', '.join(unknown)}: the model's window is not stated, so its prompts are not "
            "counted (model_args: {max_model_len: ...}, or metadata: {max_context_tokens: ...})"
        )
    if size.total is None and job.gpus:
        remarks.append("its size is not known, so GPU hours are not estimated (parameters_b: ...)")
    return remarks


def _load(
    job: Job, name: str, given: Mapping[str, Any], settings: Settings, prompts: _Prompts
) -> Load:
    part = plugins().find("condition", name)
    family = assembly.family_of(part)
    limit = assembly.settings_under(part.thing, family, given).answer_tokens
    data = prompts.data(settings, family)
    items = len(data) if job.limit is None else min(job.limit, len(data))
    answers = items * (1 + settings.draws)
    requests = items * requests_of_item(job.backend, job.batch_size, settings.draws)
    try:
        if part.thing.evidence:
            prompts.data(settings, family, part.thing.evidence)  # it says which items lack it
        builder = assembly.builder_of(part, settings)
        if builder is not None and builder.thing.needs_model:
            each = (
                part.thing.args.get("context_tokens")
                or settings.max_context_tokens
                or _window(job.model_args)
            )
            return Load(
                name, items, requests, answers, None if each is None else items * each, limit
            )
        tokens = prompts.tokens(part, data, settings, items)
        return Load(name, items, requests, answers, tokens, limit)
    except SafescaleError as error:
        return Load(name, items, requests, answers, None, limit, f"{name}: {error}")


def _window(args: Mapping[str, Any]) -> int | None:
    stated = next((args[name] for name in WINDOW_ARGUMENTS if name in args), None)
    return (
        stated if isinstance(stated, int) and not isinstance(stated, bool) and stated > 0 else None
    )


class _Prompts:
    """Data and lengths of prompts, each made once for all models that share the settings."""

    def __init__(self) -> None:
        self._data: dict[str, Dataset] = {}
        self._sizes: dict[str, list[int]] = {}
        self._warn = functools.cache(logging.getLogger(__name__).warning)

    def data(self, settings: Settings, family: Family, evidence: str | None = None) -> Dataset:
        """The data set, with that evidence for each item."""
        key = json.dumps([_key(settings), family.name, evidence])
        if key not in self._data:
            self._data[key] = assembly.load_dataset(
                settings, [evidence] if evidence else [], family
            )
        return self._data[key]

    def tokens(self, condition: Part, data: Dataset, settings: Settings, items: int) -> int:
        """Of the first `items` prompts."""
        key = json.dumps([condition.full_name, _key(settings)])
        if key not in self._sizes:
            template = load_prompt(
                settings.prompt_file, assembly.family_of(condition).prompt(condition.name)
            )
            made = assembly.contexts_of(condition, data, settings, warn=self._warn)
            shown = made.contexts if made is not None else {}
            self._sizes[key] = [
                len((template.system + template.render(item, shown.get(item.question_id))).encode())
                for item in data
            ]
        return sum(self._sizes[key][:items]) // BYTES_OF_A_TOKEN


def _key(settings: Settings) -> str:
    return settings.model_dump_json(exclude=set(MAKE_ANSWERS | MAKE_SCORES))
