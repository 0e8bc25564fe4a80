"""The file of a sweep: which models are asked under which conditions, with what. It runs
nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from lm_eval_safescale.datasets.problems import printable
from lm_eval_safescale.errors import ArgumentHint, SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.families.controls import CONTROLS
from lm_eval_safescale.inputs import InputError, read_yaml
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.runs.identity import path_of
from lm_eval_safescale.settings import fault_at, load_settings, shown_value
from lm_eval_safescale.sweep.jobs import Job

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
"""A model's name is also a folder's, on any file system."""
PARALLEL = {"tensor_parallel_size", "pipeline_parallel_size", "data_parallel_size"}

Json = dict[str, JsonValue]
Conditions = list[str] | Literal["all"]
Name = Annotated[str, Field(min_length=1)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Gpu(_Strict):
    """One GPU, for the estimate of `--dry-run`; an H100 (SXM) without more words (NVIDIA's data
    sheet, without sparsity)."""

    name: str = "H100"
    flops: float = Field(default=989e12, gt=0)
    """Peak of the weights' number format, floating-point operations a second."""
    bytes_per_s: float = Field(default=3.35e12, gt=0)
    """Peak of its memory."""
    utilisation: float = Field(default=0.4, gt=0, le=1)
    """Share of `flops` that is reached."""
    at_once: int = Field(default=256, ge=1)
    """Answers that are written at once: vLLM's `max_num_seqs`."""
    bytes_per_parameter: float = Field(default=2.0, gt=0)


class _How(_Strict):
    """How a model is run; for all of them in `defaults`, for one of them beside its name."""

    backend: Name | None = None
    model_args: Json = {}
    gpus: int | None = Field(default=None, ge=0, le=1024)
    cpus: int | None = Field(default=None, ge=1, le=1024)
    batch_size: int | str | None = None
    device: str | None = None
    chat_template: bool | None = None


class _Model(_How):
    model: Name
    name: str | None = None
    conditions: Conditions | None = None
    metadata: Json = {}
    parameters_b: float | None = Field(default=None, gt=0)
    active_b: float | None = Field(default=None, gt=0)


class _File(_Strict):
    output: Name | None = None
    metadata: Json = {}
    conditions: Conditions = list(RADSAFE.default_conditions)
    latency: Literal["loaded", "isolated"] = "loaded"
    gpu: Gpu = Gpu()
    defaults: _How = _How()
    models: list[_Model] = Field(min_length=1)


@dataclass(frozen=True, slots=True)
class Size:
    """Billions of parameters."""

    total: float | None
    active: float | None
    """Of them, those that a token passes through, where a mixture of experts says so; None for
    all."""


@dataclass(frozen=True, slots=True)
class Sweep:
    """What a file asks for."""

    jobs: tuple[Job, ...]
    """One for each model, in the file's order."""
    sizes: Mapping[str, Size]
    """By the job's name, as far as the file says."""
    gpu: Gpu
    output: Path


def read_sweep(
    path: Path,
    *,
    output: Path | None = None,
    limit: int | None = None,
    retry_filtered: bool = False,
    only: Sequence[str] = (),
) -> Sweep:
    """What a sweep's file asks for. Paths in it are taken from the current folder, and made
    absolute.

    Parameters
    ----------
    output
        Takes the place of the file's `output`.
    limit
        Ask the first so many items of each data set only.
    retry_filtered
        Ask again for what a content filter held back.
    only
        Names of the models to keep; all where none is named.

    Raises
    ------
    SafescaleError
        If the file cannot be read, or something in it cannot be used: each with its place, and what
        was expected.
    """
    try:
        file = _checked(path, read_yaml(path))
    except InputError as error:
        raise SafescaleError(error, "; expected the YAML file of a sweep (docs/sweep.md)") from None
    if file.output is None and output is None:
        raise SafescaleError(
            f"{path}: no output; write output: FOLDER, or give ", ArgumentHint("output", "FOLDER")
        )
    folder = (output or Path(file.output or "")).expanduser().absolute()
    places, problems = _names(file)
    if not problems:
        _refuse_unknown(path, only, places)
    jobs, sizes = [], {}
    for name, (number, entry) in places.items():
        if only and name not in only:
            continue
        try:
            job = _job(file, entry, name, folder / name, limit)
        except SafescaleError as error:
            problems.append(f"models, number {number} ({name}): {error}")
            continue
        jobs.append(msgspec.structs.replace(job, retry_filtered=retry_filtered))
        sizes[name] = Size(entry.parameters_b, entry.active_b)
    if problems:
        between = " " if len(problems) == 1 else "\n  "
        raise SafescaleError(between.join([f"{path}:", *problems]))
    return Sweep(tuple(jobs), sizes, file.gpu, folder)


def sweep_named(name: Path) -> Path:
    """A sweep's file: the one of that path, or a bundled one of that name (`radsafe-34`)."""
    package = Path(__file__).resolve().parents[2]
    folder = package / "sweeps" if (package / "sweeps").is_dir() else package.parent / "sweeps"
    bundled = folder / f"{name}.yaml"
    return bundled if not name.exists() and bundled.is_file() else name


# --- what it says ---------------------------------------------------------------------------------


def _checked(path: Path, content: Any) -> _File:
    if not isinstance(content, dict):
        raise SafescaleError(
            f"{path}: {shown_value(content)}; expected a mapping with models (docs/sweep.md)"
        )
    try:
        return _File.model_validate(content)
    except ValidationError as error:
        problems = dict.fromkeys(_problem(content, found) for found in error.errors())
        raise SafescaleError("\n  ".join([f"{path}:", *problems]) + "\nsee docs/sweep.md") from None


def _problem(content: Any, found: Any) -> str:
    """One line: the place, what stands there, what was expected."""
    place = [
        part
        for part in found["loc"]
        if not (isinstance(part, str) and ("[" in part or part in ("str", "int")))
    ]
    if place[:1] == ["models"] and len(place) > 1 and isinstance(place[1], int):
        entry = content["models"][place[1]]
        named = f" ({entry.get('name') or entry.get('model')})" if isinstance(entry, dict) else ""
        place[:2] = [f"models, number {place[1] + 1}{named}"]
    where = ": ".join(map(str, place))
    expected = "a list of conditions, or all" if "conditions" in found["loc"] else ""
    return printable(fault_at(where, found, _fields(found["loc"]), expected))


def _fields(place: Sequence[Any]) -> list[str]:
    kinds: dict[str, type[BaseModel]] = {"models": _Model, "defaults": _How, "gpu": Gpu}
    return list((kinds.get(str(place[0]), _File) if place[1:] else _File).model_fields)


# --- jobs -----------------------------------------------------------------------------------------


def _names(file: _File) -> tuple[dict[str, tuple[int, _Model]], list[str]]:
    """The models by name, each with its number, and what is wrong with the names of others."""
    found: dict[str, tuple[int, _Model]] = {}
    seen: dict[str, tuple[int, str]] = {}
    problems = []
    for number, entry in enumerate(file.models, 1):
        given = re.split(r"[/\\]", entry.model.rstrip("/\\"))[-1]
        name = given if entry.name is None else entry.name
        if not NAME.fullmatch(name):
            problems.append(
                f"models, number {number}: the name {shown_value(name)} is also a folder's; "
                "expected letters, digits and . _ + - (give one with name: NAME)"
            )
            continue
        twin, before = seen.setdefault(name.casefold(), (number, name))
        if twin == number:
            found[name] = number, entry
            continue
        called = (
            f"are both called {name}"
            if name == before
            else f"are called {before} and {name}, one folder on many a system"
        )
        problems.append(
            f"models, numbers {twin} and {number}, {called}; give one of them another name, with "
            "name: NAME"
        )
    return found, problems


def _refuse_unknown(path: Path, only: Sequence[str], known: Mapping[str, object]) -> None:
    if unknown := [name for name in only if name not in known]:
        raise SafescaleError(
            f"{path}: no model is called {', '.join(unknown)}; known: {', '.join(known)}"
        )


def _job(file: _File, entry: _Model, name: str, folder: Path, limit: int | None) -> Job:
    from lm_eval_safescale.harness import backends

    is_control = entry.model in CONTROLS
    backend = entry.model if is_control else entry.backend or file.defaults.backend or "vllm"
    served = backends.is_server(backend)
    gpus = 0 if is_control else _first(entry.gpus, file.defaults.gpus, 0 if served else 1)
    own = "model" if served else "pretrained"
    args = {**({} if is_control else file.defaults.model_args), **entry.model_args}
    if named := sorted({"pretrained", "model"} & set(args)):
        raise SafescaleError(
            f"model_args: {', '.join(named)} is the model's name, which stands under model"
        )
    # Path's raises for a user that there is not
    here = path_of(os.path.expanduser(entry.model))  # noqa: PTH111
    if not is_control:
        args = {own: str(here.absolute()) if here is not None else entry.model, **args}
    if backend == "vllm" and gpus > 1 and not PARALLEL & set(args):
        args["tensor_parallel_size"] = gpus
    metadata = {**file.metadata, **entry.metadata}
    given = {setting: value for setting, value in metadata.items() if setting != "seed"}
    settings = load_settings(given, given_by="metadata", strict=True)
    for setting in settings.model_fields_set & set(metadata):
        value = getattr(settings, setting)
        if isinstance(value, Path):
            metadata[setting] = str(value.absolute())
        elif isinstance(value, list):  # as it may have been read from a file
            metadata[setting] = value
    batch_size = _first(entry.batch_size, file.defaults.batch_size, None)
    return Job(
        name=name,
        folder=str(folder),
        backend=backend,
        model_args=args,
        conditions=_conditions(file.conditions if entry.conditions is None else entry.conditions),
        metadata=metadata,
        batch_size=None if batch_size is None else str(batch_size),
        device=_first(entry.device, file.defaults.device, None),
        chat_template=_first(entry.chat_template, file.defaults.chat_template, None),
        latency=file.latency,
        limit=limit,
        gpus=gpus,
        cpus=_first(entry.cpus, file.defaults.cpus, 1),
        parameters_b=entry.parameters_b,
        here=str(Path.cwd()),
    )


def _conditions(given: Conditions) -> list[str]:
    names = list(dict.fromkeys(RADSAFE.all_conditions if given == "all" else given))
    if not names:
        raise SafescaleError("conditions: none; expected a list of conditions, or all")
    for name in names:
        plugins().find("condition", name)
    return names


def _first(*values: Any) -> Any:
    """The first that is given; the last one is the default."""
    return next((value for value in values[:-1] if value is not None), values[-1])
