"""Runs from what lm_eval writes with --log_samples for the tasks of this package. Reads files;
needs no harness.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import polars as pl

from lm_eval_safescale.datasets import Record
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import Family
from lm_eval_safescale.importing.parts import (
    STATUS_OF,
    LeftOut,
    Part,
    Progress,
    UnusableError,
    assemble,
    json_lines,
    mended,
    none_left,
)
from lm_eval_safescale.inputs import InputError, read_json
from lm_eval_safescale.plugins import OURS
from lm_eval_safescale.records import NOTHING_FOUND, Item, Status
from lm_eval_safescale.runs.families import family_of_data
from lm_eval_safescale.runs.provenance import (
    AT,
    CONDITIONS,
    CONTEXTS,
    ENGINE,
    PROVENANCE,
    REVISION,
    STARTS,
    SURROUNDINGS,
)
from lm_eval_safescale.runs.store import data_named, known_of_model
from lm_eval_safescale.runs.table import Runs, items_frame
from lm_eval_safescale.secrets import masked_model_args, without_places, without_secrets
from lm_eval_safescale.settings import CHOOSE_DATA, MAKE_ANSWERS, MAKE_SCORES, UNSAID, recorded

ENGINES = {"hf": "transformers", "vllm": "vllm"}
"""By which package backends of the harness compute, where it is sure."""
WITHOUT_RESPONSE: dict[str, int] = {status.value: code for code, status in STATUS_OF.items()}
"""Readings in their logged form, where there is no response."""
OF_RUN = frozenset({"condition", "context", "context_fingerprint"})
"""Fields of a logged item that are not of the item."""
MEASURES = ("evidence_coverage", "recall")


class _Flag(msgspec.Struct):
    kind: str


class _Context(msgspec.Struct):
    tokens: Annotated[int, msgspec.Meta(ge=0, lt=2**31)] | None = None
    measures: dict[str, float | None] = {}
    flags: list[_Flag] | None = None

    @property
    def nothing_found(self) -> bool | None:
        return (
            None if self.flags is None else any(flag.kind == NOTHING_FOUND for flag in self.flags)
        )


class _Shown(msgspec.Struct):
    question_id: str
    context_fingerprint: str | None = None
    context: _Context | None = None


class _Dataset(msgspec.Struct):
    name: str
    version: str
    fingerprint: str
    demo: bool
    items: int
    family: str | None = None


class _About(msgspec.Struct):
    """What our tasks say of themselves in a result file."""

    condition: str
    dataset: _Dataset
    settings: dict[str, Any]


class _Sample(msgspec.Struct):
    doc: dict[str, Any]
    resps: list[list[str | None]]
    filtered_resps: list[list[str]]


@dataclass(frozen=True)
class _Log:
    """One task of one run: where its samples are, and what the result file says of it."""

    file: Path
    date: float
    model: str
    condition: str
    dataset: Mapping[str, Any]
    settings: Mapping[str, Any]
    n_items: int
    full_name: str = ""
    """The model's name or folder as it was given."""
    start: Mapping[str, Any] = field(default_factory=dict)
    """When and with what it was asked, as far as the harness says."""
    made: Mapping[str, Any] = field(default_factory=dict)
    """The model's revision, and how the contexts were made, likewise."""


def import_lm_eval(
    paths: Iterable[Path], progress: Progress | None = None, *, model: str | None = None
) -> Runs:
    """Runs from output folders of lm_eval, or from single results_*.json or samples_*.jsonl files.

    Of a condition that a model was asked under more than once, the run of most items is taken, and
    of those the newest. A log that is damaged is left out; `about["left_out"]` says what and why.

    Parameters
    ----------
    paths
        As given to lm_eval by --output_path.
    progress
        Told the name of each file.
    model
        Under which name the answers are stored; by default the model's own.

    Raises
    ------
    SafescaleError
        If there is no log of a task of this package, none can be used, or they are of several data
        sets.
    """
    left_out = LeftOut()
    logs = (
        _told_apart(_find_logs(paths, model, left_out))
        if model is None
        else _find_logs(paths, model, left_out)
    )
    family = family_of_data(logs[0].dataset)
    items = _Items(family)
    read: dict[tuple[str, str], tuple[_Log, list[_Answered]]] = {}
    for log in logs:
        other = read.get((log.model, log.condition))
        if other is not None:
            left_out.add(_why_second(log, other[0]), log.model, log.condition)
            continue
        if progress:
            progress(log.file.name)
        try:
            read[log.model, log.condition] = log, _read_samples(log.file, items, log.n_items)
        except UnusableError as error:
            left_out.add(error, log.model, log.condition)
    if not read:
        raise none_left(", ".join(map(str, paths)), left_out)
    table = family.table(items.items[name] for name in sorted(items.items))
    places = {name: place for place, name in enumerate(table.ids)}
    parts = [_part(log, answered, places) for log, answered in read.values()]
    about = {
        "dataset": {
            name: value
            for name, value in logs[0].dataset.items()
            if name != "labelled" and value is not None
        },
        "models": _about_models([log for log, _ in read.values()], family),
        "left_out": left_out.entries,
    }
    return Runs(items_frame(table), assemble(parts, list(places), family, list(items.codes)), about)


# --- which files ----------------------------------------------------------------------------------


def _find_logs(paths: Iterable[Path], model: str | None, left_out: LeftOut) -> list[_Log]:
    """All logs of tasks of this package, those of most items first, then the newest."""
    logs = []
    files = list(dict.fromkeys(file for path in paths for file in _result_files(path)))
    for file, only in files:
        try:
            logs += _logs_of(file, only, model, left_out)
        except UnusableError as error:
            left_out.add(error, str(file))
    if not logs:
        where = ", ".join(dict.fromkeys(str(file) for file, _ in files))
        raise (
            none_left(where, left_out)
            if left_out.entries
            else SafescaleError(
                f"{where}: no task of this package; expected results of radsafe_* tasks"
            )
        )
    first = logs[0]
    for log in logs:
        if log.dataset["fingerprint"] != first.dataset["fingerprint"]:
            raise SafescaleError(
                f"{first.file} is of the data set {data_named(first.dataset)}, {log.file} of "
                f"{data_named(log.dataset)}: answers to different questions have no common rate; "
                "import them apart"
            )
    return sorted(logs, key=lambda log: (-log.n_items, -log.date))


def _told_apart(logs: Sequence[_Log]) -> list[_Log]:
    """Different models in folders of the same name get as much of their paths as tells them
    apart."""
    sources: dict[str, set[str]] = {}
    for log in logs:
        sources.setdefault(log.model, set()).add(log.full_name)
    names: dict[tuple[str, str], str] = {}
    for model, several in sources.items():
        parts = {each: Path(each).parts for each in several}
        size = 1
        while len({part[-size:] for part in parts.values()}) < len(set(parts.values())):
            size += 1
        names |= {
            (model, each): "/".join(part[-size:]) if len(several) > 1 else model
            for each, part in parts.items()
        }
    return [replace(log, model=names[log.model, log.full_name]) for log in logs]


def _result_files(path: Path) -> list[tuple[Path, Path | None]]:
    """Result files, each with the only samples to take of it, or None for all."""
    if path.is_dir():
        found = sorted(path.rglob("results_*.json"))
        if not found:
            raise SafescaleError(
                f"{path}: no results_*.json in it; give the --output_path of a finished lm_eval run"
            )
        return [(file, None) for file in found]
    if not path.exists():
        raise SafescaleError(
            f"{path}: no such file or folder; give the --output_path of a finished lm_eval run"
        )
    if path.suffix == ".jsonl" and path.name.startswith("samples_"):
        date = path.stem.rpartition("_")[2]
        results = path.with_name(f"results_{date}.json")
        if not results.is_file():
            raise SafescaleError(
                f"{path}: no {results.name} beside it, which says what model and data set it is of"
            )
        return [(results, path)]
    return [(path, None)]


def _logs_of(file: Path, only: Path | None, model: str | None, left_out: LeftOut) -> list[_Log]:
    try:
        content = mended(read_json(file))
        asked = {
            task: about
            for task, config in content["configs"].items()
            if (about := (config.get("metadata") or {}).get("safescale")) is not None
        }
        name = model or _model_name(content)
        logs = []
        for task, about in asked.items():
            checked = msgspec.convert(about, _About)
            samples = file.with_name(f"samples_{task}_{file.stem.removeprefix('results_')}.jsonl")
            if only is not None and samples != only:
                continue
            log = _Log(
                samples,
                float(content.get("date") or 0),
                name,
                checked.condition,
                {
                    **msgspec.to_builtins(checked.dataset),
                    **({"settings": where} if (where := _where_data_is(checked.settings)) else {}),
                },
                _settings(about, content),
                int(content["results"][task].get("sample_len", 0)),
                str(content.get("model_name") or ""),
                _start(content, about),
                _made(content, about),
            )
            if samples.is_file():
                logs.append(log)
            else:
                left_out.add(
                    f"{file.name}: no {samples.name} beside it; run lm_eval with --log_samples",
                    name,
                    log.condition,
                )
        return logs
    except InputError as error:
        raise UnusableError(f"not a result file of lm_eval: {error.reason}") from None
    except msgspec.ValidationError as error:
        raise UnusableError(f"not a result file of lm_eval ({error})") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise UnusableError(f"not a result file of lm_eval ({error!r})") from None


def _model_name(content: Mapping[str, Any]) -> str:
    """The model's name; the backend's where the arguments name no model: lm_eval then makes one up
    at random."""
    name, backend = str(content.get("model_name") or ""), str(content.get("model_source") or "")
    if backend and name not in str((content.get("config") or {}).get("model_args") or ""):
        name = backend
    return Path(name).name if Path(name).is_absolute() else name or "?"


def _where_data_is(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that name a file of data; a name alone stands with the data set."""
    known = {
        name: without_secrets(settings[name])
        for name in CHOOSE_DATA
        if settings.get(name) not in UNSAID
    }
    if "dataset_path" in known:  # the name beside it is that of no data set that was asked for
        return {name: value for name, value in known.items() if name != "dataset"}
    return known if "dataset_args" in known else {}


def _settings(about: Mapping[str, Any], content: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **recorded(about["settings"], MAKE_ANSWERS | MAKE_SCORES),
        "prompt_sha256": about.get("prompt_sha256"),
        "backend": content.get("model_source"),
        "model_args": _model_args(content),
        "chat_template_sha": content.get("chat_template_sha"),
        "version": about.get("version"),
        **{name: about[name] for name in ("reader_version", "reasoning_opened") if name in about},
    }


def _start(content: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    backend, config = _text(content.get("model_source")), content.get("config") or {}
    versions = {
        OURS: _text(about.get("version")),
        "lm_eval": _text(content.get("lm_eval_version")),
        "transformers": _text(content.get("transformers_version")),
    }
    package, dtype = ENGINES.get(backend or ""), _text(config.get("model_dtype"))
    return {
        AT: _time(content.get("date")),
        SURROUNDINGS: {"packages": versions},
        ENGINE: {
            "backend": backend,
            "package": package,
            "version": versions.get(package or ""),
            "dtype": dtype and dtype.removeprefix("torch."),
        },
    }


def _made(content: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    contexts = about.get("contexts")
    return {
        REVISION: _text((content.get("config") or {}).get("model_sha")),
        **({CONTEXTS: without_places(contexts)} if isinstance(contexts, Mapping) else {}),
    }


def _text(value: Any) -> str | None:
    return value or None if isinstance(value, str) else None


def _time(seconds: Any) -> str | None:
    with suppress(ValueError, TypeError, OverflowError, OSError):
        return datetime.fromtimestamp(float(seconds), UTC).isoformat(timespec="seconds")
    return None


def _provenance(logs: Sequence[_Log]) -> dict[str, Any]:
    """What the logs of one model say: a start for each run of the harness."""
    starts: dict[tuple[Path, float], dict[str, Any]] = {}
    for log in logs:
        start = starts.setdefault((log.file.parent, log.date), {**log.start, "conditions": []})
        start["conditions"].append(log.condition)
    return {
        STARTS: list(starts.values()),
        CONDITIONS: {log.condition: dict(log.made) for log in logs},
    }


def _model_args(content: Mapping[str, Any]) -> Any:
    """As they may be written down: the harness keeps them as they were given."""
    given = content.get("config", {}).get("model_args")
    return masked_model_args(given) if isinstance(given, str) else without_secrets(given)


def _why_second(log: _Log, taken: _Log) -> str:
    differing = [name for name, value in log.settings.items() if taken.settings.get(name) != value]
    if not differing:
        return (
            f"{log.file.name}: {taken.file.name} is of as many items or more, and as new or newer"
        )
    return (
        f"{log.file.name}: asked otherwise than {taken.file.name}, which is taken (differs: "
        f"{', '.join(differing)}); import it apart, under another model name"
    )


def _about_models(logs: Sequence[_Log], family: Family) -> dict[str, Any]:
    models: dict[str, list[_Log]] = {}
    for log in logs:
        models.setdefault(log.model, []).append(log)
    return {
        model: known_of_model(
            ", ".join(dict.fromkeys(log.file.parent.name for log in own)),
            {log.condition: log.settings for log in own},
            family,
        )
        | {PROVENANCE: _provenance(own)}
        for model, own in sorted(models.items())
    }


# --- what is in them ------------------------------------------------------------------------------


class _Answered(NamedTuple):
    """What a log says of one item."""

    shown: _Shown
    codes: list[int]
    """The greedy answer and the samples, as in `Part.codes`."""
    texts: list[str | None]


@dataclass
class _Items:
    """The items of all logs, and the responses to them."""

    family: Family
    items: dict[str, Item] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)
    """Of each response."""
    _records: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.codes |= {response: code for code, response in enumerate(self.family.vocabulary or ())}

    def of(self, records: Mapping[str, tuple[int, dict[str, Any]]], where: str) -> dict[str, Item]:
        """Items of a log, by id with the numbers of their lines; UnusableError where one is none,
        or another than in the logs before."""
        new = {
            name: (number, record)
            for name, (number, record) in records.items()
            if self._records.get(name) != record
        }
        found, problems = self.family.parse(
            [Record(number, record) for number, record in new.values()]
        )
        if wrong := next((each for each in problems if each.is_error), None):
            raise UnusableError(wrong.describe(where))
        own = {name: self.items[name] for name in records if name in self.items}
        for item in found:
            if item.question_id not in new:
                raise UnusableError(
                    f"{where}: item {item.question_id} has another id than its line"
                )
            known = self.items.get(item.question_id)
            if known is not None and not self._are_one(known, item):
                number, _ = new[item.question_id]
                raise UnusableError(
                    f"{where}:{number}: item {item.question_id} is not the item of that id in the "
                    "other logs, though the data set is said to be the same"
                )
            own[item.question_id] = item if known is None else _with_groups_of(known, item)
        return own

    def take(
        self, own: Mapping[str, Item], records: Mapping[str, tuple[int, dict[str, Any]]]
    ) -> None:
        """Take over the items of a log that is whole."""
        self.items |= own
        self._records = {name: record for name, (_, record) in records.items()} | self._records

    def _are_one(self, known: Item, item: Item) -> bool:
        """Whether two logs say the same of an item; a group or a unit that one does not name, the
        other may."""
        shared = known.groups.keys() & item.groups.keys()
        return (
            self.family.columns(known) == self.family.columns(item)
            and all(known.groups[name] == item.groups[name] for name in shared)
            and (known.unit == item.unit or not (known.unit and item.unit))
        )

    def coded(self, item: Item, readings: Iterable[str], where: str) -> list[int]:
        """Readings in their logged form as in `Part.codes`; UnusableError for one that can be none
        of the item's."""
        judged = self.family.judged
        # where a judge reads answers, no log of a model's says what they are worth
        possible = () if judged else self.family.possible(self.family.columns(item))
        without = [each for each in WITHOUT_RESPONSE if judged or each != Status.UNJUDGED]
        codes = []
        for reading in readings:
            if reading in without:
                codes.append(WITHOUT_RESPONSE[reading])
            elif reading not in WITHOUT_RESPONSE and (possible is None or reading in possible):
                codes.append(self.codes.setdefault(reading, len(self.codes)))
            else:
                both = sorted(possible or ()), without
                named = " or ".join(", ".join(each) for each in both if each)
                raise UnusableError(f"{where} has the reading {reading!r}; expected one of {named}")
        return codes


def _read_samples(file: Path, items: _Items, n_items: int) -> list[_Answered]:
    """What a log says, in the order of its items, which are added to `items` once the log is known
    to be whole."""
    samples: dict[str, tuple[int, _Sample, _Shown]] = {}
    for number, sample in json_lines(file, _Sample):
        try:
            shown = msgspec.convert(
                {
                    name: value
                    for name, value in sample.doc.items()
                    if name in (*OF_RUN, "question_id")
                },
                _Shown,
            )
        except (msgspec.ValidationError, OverflowError) as error:
            raise UnusableError(f"{file.name}:{number}: {error}") from None
        name = shown.question_id
        where = f"{file.name}:{number}: item {name}"
        if name in samples:
            raise UnusableError(f"{where} stands twice")
        _check(sample, where)
        if samples and _sizes(sample) != (expected := _sizes(next(iter(samples.values()))[1])):
            raise UnusableError(
                f"{where} has {_sizes(sample)} answers, others {expected}; expected the same "
                "number for all"
            )
        samples[name] = number, sample, shown
    if not samples:
        raise UnusableError(f"{file.name} is empty")
    if len(samples) < n_items:  # cut off between two lines
        raise UnusableError(
            f"{file.name} holds {len(samples)} of the {n_items} items that its result file counts; "
            "it is cut off"
        )
    records = {
        name: (number, {field: value for field, value in sample.doc.items() if field not in OF_RUN})
        for name, (number, sample, _) in samples.items()
    }
    own = items.of(records, file.name)
    answered = []
    for name in sorted(samples):
        number, sample, shown = samples[name]
        codes = items.coded(
            own[name], chain(*sample.filtered_resps), f"{file.name}:{number}: item {name}"
        )
        answered.append(_Answered(shown, codes, list(chain(*sample.resps))))
    items.take(own, records)
    return answered


def _with_groups_of(known: Item, item: Item) -> Item:
    """An item with what another log says of it besides."""
    return replace(known, groups={**item.groups, **known.groups}, unit=known.unit or item.unit)


def _check(sample: _Sample, where: str) -> None:
    readings = sample.filtered_resps
    if (
        [len(each) for each in readings] != [len(each) for each in sample.resps]
        or len(readings) not in (1, 2)
        or len(readings[0]) != 1
    ):
        raise UnusableError(
            f"{where} does not hold one greedy answer, and samples, each with its reading"
        )


def _sizes(sample: _Sample) -> int:
    return sum(map(len, sample.resps))


def _part(log: _Log, answered: Sequence[_Answered], places: Mapping[str, int]) -> Part:
    shown = [each.shown for each in answered]
    contexts = [each.context or _Context() for each in shown]
    return Part(
        log.model,
        log.condition,
        np.array([places[each.question_id] for each in shown]),
        np.array([each.codes for each in answered], np.int32),
        pl.Series([text for each in answered for text in each.texts], dtype=pl.String),
        of_item={
            "context_fingerprint": [each.context_fingerprint for each in shown],
            "context_tokens": [context.tokens for context in contexts],
            **{name: [context.measures.get(name) for context in contexts] for name in MEASURES},
            "nothing_found": [context.nothing_found for context in contexts],
        },
    )
