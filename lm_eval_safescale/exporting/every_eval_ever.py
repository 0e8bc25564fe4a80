"""The format of every_eval_ever: an aggregate for each model, and a line for each item. It knows
the schema, and no benchmark.

Source: every_eval_ever 0.3.0, `eval.schema.json` and `instance_level_eval.schema.json`. Where the
schema demands what is not known, it stands as "unknown"; other things that are not known are left
out.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Any, Literal, get_args

from lm_eval_safescale import __version__
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.exporting.files import Exported, Output, file_name
from lm_eval_safescale.exporting.instances import instances_of
from lm_eval_safescale.exporting.subject import DEMO, HUB_ID, NO_CLAIM, Result, Subject
from lm_eval_safescale.json_text import whole
from lm_eval_safescale.metrics.metric import OF_EVERY_DRAW
from lm_eval_safescale.stats.bootstrap import B
from lm_eval_safescale.stats.presets import LEVEL

SCHEMA_VERSION = "0.3.0"
UNKNOWN = "unknown"
Relationship = Literal["first_party", "third_party", "collaborative", "other"]
RELATIONSHIPS: tuple[Relationship, ...] = get_args(Relationship)
RESAMPLED = ("bca", "basic", "percentile")
"""Methods of intervals that are made of resamples."""
_PART = re.compile(r"\w[\w.:+-]*")
"""Of a model's name, between slashes; a path of somebody's disk has others."""


@dataclass(frozen=True, slots=True)
class Provider:
    """Who stands behind the results, as far as it was said."""

    organization: str = UNKNOWN
    """Who provides them."""
    relationship: Relationship = "other"
    """What they are to the model's developer."""
    developer: str | None = None
    """Who made the models whose names do not say it."""
    hub_dataset: str | None = None
    """ORG/NAME of the data set on the hub."""


@dataclass(frozen=True, slots=True)
class _Record:
    """What is written of one model."""

    subject: Subject
    model: str
    aggregate: dict[str, Any]
    path: PurePosixPath
    results: list[Result]
    not_scored: int

    @property
    def samples(self) -> PurePosixPath:
        return self.path.with_name(f"{self.path.stem}_samples.jsonl")


def write_every_eval_ever(
    subjects: Sequence[Subject],
    output: Output,
    provider: Provider = Provider(),
    *,
    instances: bool = True,
    texts: Mapping[str, Dataset] | None = None,
) -> Exported:
    """Write `data/DATASET/DEVELOPER/MODEL/UUID.json` for each study and model, and beside it
    `UUID_samples.jsonl`. The same runs give the same bytes.

    Parameters
    ----------
    instances
        Whether the lines of single items are written: the model's own output, and the metric of
        that item alone (`instances_of`).
    texts
        By fingerprint, the data sets whose questions and references may stand in those lines; of
        others the items' ids alone.

    Raises
    ------
    SafescaleError
        If a file is there already, or cannot be written.
    """
    records = [
        _record(subject, model, provider)
        for subject in subjects
        for model in subject.study.runs.models
    ]
    paths = [each.path for each in records]
    output.refuse_existing(paths + [each.samples for each in records if instances])
    files = []
    for each in records:
        aggregate = each.aggregate
        if instances and (detail := _write_instances(each, output, texts or {})):
            aggregate = {**aggregate, "detailed_evaluation_results": detail}
            files.append(output.folder / each.samples)
        text = json.dumps(aggregate, ensure_ascii=False, indent=1, allow_nan=False)
        output.write(each.path, [whole(text), "\n"])
        files.append(output.folder / each.path)
    return Exported(files, sum(each.not_scored for each in records))


def relationship_named(name: str) -> Relationship:
    """The relationship of that name; SafescaleError if there is none."""
    for each in RELATIONSHIPS:
        if each == name:
            return each
    raise SafescaleError(f"no relationship {name!r}; expected one of {', '.join(RELATIONSHIPS)}")


def _write_instances(
    record: _Record, output: Output, texts: Mapping[str, Dataset]
) -> dict[str, Any] | None:
    """Write the lines of single items, and say what the aggregate says of them; None where there
    are none."""
    rows = 0

    def lines() -> Iterable[str]:
        nonlocal rows
        shared = {
            "schema_version": SCHEMA_VERSION,
            "evaluation_id": record.aggregate["evaluation_id"],
            "model_id": record.aggregate["model_info"]["id"],
        }
        data = texts.get(str(record.subject.dataset.get("fingerprint")))
        for line in instances_of(record.subject, record.model, record.results, data):
            rows += 1
            # escaped: readers of lines take U+2028 and others for the end of one
            yield json.dumps(shared | line, allow_nan=False) + "\n"

    digest = output.write(record.samples, lines())
    if not rows:
        (output.folder / record.samples).unlink()
        return None
    return {
        "format": "jsonl",
        "file_path": str(record.samples),
        "hash_algorithm": "sha256",
        "checksum": digest,
        "total_rows": rows,
        "additional_details": {
            "score": "the metric of the item alone; items that are not scored have no line",
            "is_correct": "whether the score is the best that the metric can give",
        },
    }


def _record(subject: Subject, model: str, provider: Provider) -> _Record:
    results, missing = subject.of(model, subject.everything)
    info = _model_info(subject, model, provider)
    asked = _epoch(subject.asked_at.get(model))
    collection = file_name(_collection(subject))
    told_apart = [
        subject.dataset.get("fingerprint"),
        subject.study.family.version,
        subject.preset.name,
        subject.study.threshold_in_force,
        model,
        [*map(str, subject.metrics)],
        subject.known_of(model),
    ]
    digest = hashlib.sha256(json.dumps(told_apart, sort_keys=True, default=str).encode())
    evaluation_id = f"{collection}/{info['id']}/{asked or UNKNOWN}/{digest.hexdigest()[:12]}"
    folder = PurePosixPath("data", collection, *_folders(info["id"]))
    aggregate = {
        "schema_version": SCHEMA_VERSION,
        "evaluation_id": evaluation_id,
        **({"evaluation_timestamp": asked} if asked else {}),
        # when the answers were asked: when this file was made would make each export another
        "retrieved_timestamp": asked or UNKNOWN,
        "source_metadata": {
            "source_name": "lm_eval_safescale",
            "source_type": "evaluation_run",
            "source_organization_name": provider.organization,
            "evaluator_relationship": provider.relationship,
            "additional_details": _details(
                {
                    "demo": NO_CLAIM if subject.is_demo else None,
                    "benchmark": subject.said_of_data(),
                    "not_scored_results": [each.id for each in missing],
                    "not_scored": _said(subject.not_scored, model),
                    "remarks": _said(subject.remarks, model),
                }
            ),
        },
        "eval_library": {
            "name": "lm_eval_safescale",
            "version": __version__,
            "additional_details": _details({"answers_from": subject.known_of(model).get("source")}),
        },
        "model_info": info,
        "evaluation_results": [_result(subject, each, asked, provider) for each in results],
    }
    # a UUID of version 4 by its form, as the store demands; by its bits that of the evaluation
    stem = uuid.UUID(bytes=hashlib.sha256(evaluation_id.encode()).digest()[:16], version=4)
    return _Record(subject, model, aggregate, folder / f"{stem}.json", results, len(missing))


def _collection(subject: Subject) -> str:
    name = str(subject.dataset.get("name") or UNKNOWN)
    return f"{name}-{DEMO}" if subject.is_demo else name


def _said(rows: Iterable[Mapping[str, Any]], model: str) -> list[str]:
    """Reasons that are of this model or of all, each with its condition and items."""
    return [
        "; ".join(
            filter(
                None,
                (
                    row["condition"],
                    None if row["items"] is None else f"{row['items']} items",
                    row["reason"],
                ),
            )
        )
        for row in rows
        if row["model"] in (None, model)
    ]


def _model_info(subject: Subject, model: str, provider: Provider) -> dict[str, Any]:
    known = subject.known_of(model)
    conditions = [name for of, name in subject.study.scores if of == model]
    settings = subject.settings(model, conditions[0] if conditions else "")
    args = settings.get("model_args")
    args = args if isinstance(args, Mapping) else {}
    named = next((str(args[key]) for key in ("pretrained", "model") if args.get(key)), "")
    own = _model_id(named if HUB_ID.fullmatch(named) and "files" not in args else model)
    if "/" not in own and provider.developer:
        own = f"{file_name(provider.developer)}/{own}"
    panel = subject.study.panel.find(model)
    backend = settings.get("backend")
    is_local = "base_url" not in args and "pretrained" in args
    return _without_none(
        {
            "name": whole(model),
            "id": own,
            "developer": own.partition("/")[0] if "/" in own else None,
            "inference_platform": None if is_local or not backend else str(backend),
            "inference_engine": {"name": str(backend)} if is_local and backend else None,
            "additional_details": _details(
                {
                    "deployment_type": "self_deployed" if is_local else UNKNOWN,
                    "model_availability": UNKNOWN,
                    "model_family": None if panel is None else panel.family,
                    "parameters_b": None if panel is None else panel.parameters_b,
                    "conditions": known.get("conditions"),
                    "model_args": settings.get("model_args"),
                    "served_model": settings.get("served_model"),
                }
            ),
        }
    )


def _model_id(name: str) -> str:
    """A model's name as an identity: itself where each part of it can name a folder."""
    parts = name.split("/")
    if not all(map(_PART.fullmatch, parts)):
        return file_name(name)
    return "/".join(
        part if file_name(_no_colon(part)) == _no_colon(part) else file_name(part) for part in parts
    )


def _folders(model_id: str) -> tuple[str, str]:
    """Developer and model as the store names their folders: what is behind the developer is one."""
    developer, slash, rest = _no_colon(model_id).partition("/")
    return (developer, rest.replace("/", "_")) if slash else (UNKNOWN, developer)


def _no_colon(name: str) -> str:
    return name.replace(":", "_")


def _result(
    subject: Subject, result: Result, asked: str | None, provider: Provider
) -> dict[str, Any]:
    metric, family, about = result.metric, subject.study.family, subject.dataset
    low, high = (_bound(each) for each in metric.bounds)
    return _without_none(
        {
            "evaluation_result_id": result.id,
            "evaluation_name": subject.evaluation_name(result),
            "source_data": _without_none(
                {
                    "dataset_name": subject.dataset_name,
                    "source_type": "hf_dataset" if provider.hub_dataset else "other",
                    "hf_repo": provider.hub_dataset,
                    "samples_number": _whole_number(about.get("items"), 1)
                    if provider.hub_dataset
                    else None,
                    "additional_details": _details(
                        {
                            "version": about.get("version"),
                            "fingerprint": about.get("fingerprint"),
                            "items": about.get("items"),
                            "demo": NO_CLAIM if subject.is_demo else None,
                        }
                    ),
                }
            ),
            "evaluation_timestamp": asked,
            "metric_config": _without_none(
                {
                    "evaluation_description": subject.said_of(result),
                    "metric_id": f"{family.name}.{metric.name}",
                    "metric_name": metric.name,
                    "metric_unit": "proportion" if metric.is_fraction else None,
                    "metric_parameters": _without_none(
                        {"draws": result.draws, "threshold": result.threshold}
                    ),
                    "lower_is_better": not metric.higher_is_better,
                    "score_type": "continuous",
                    "min_score": low,
                    "max_score": high,
                    "additional_details": _details(
                        {
                            "kind": metric.kind,
                            "decode": metric.decode,
                            "family": family.name,
                            "family_version": family.version,
                        }
                    ),
                }
            ),
            "score_details": {
                "score": result.value,
                "details": _details(
                    {
                        "demo": DEMO if subject.is_demo else None,
                        "n": result.n,
                        "not_scored": result.not_scored,
                        "cases": result.cases,
                        "records": result.records,
                        "preset": subject.preset.name,
                        "trials_interval": result.trials,
                        "bounds_with_missing": result.missing,
                    }
                ),
                "uncertainty": _uncertainty(result),
            },
            "generation_config": _generation(subject, result),
        }
    )


def _uncertainty(result: Result) -> dict[str, Any]:
    interval = None
    if result.lo is not None and result.hi is not None:
        interval = {
            "lower": result.lo,
            "upper": result.hi,
            "confidence_level": LEVEL,
            "method": result.method,
        }
    error = None
    if result.standard_error is not None:
        error = {"value": result.standard_error, "method": result.standard_error_method}
    is_resampled = (interval and result.method in RESAMPLED) or (
        error and result.standard_error_method == "bootstrap"
    )
    return _without_none(
        {
            "standard_error": error,
            "confidence_interval": interval,
            "standard_deviation": result.deviation,
            "num_samples": result.n,
            "num_bootstrap_samples": B if is_resampled else None,
        }
    )


def _generation(subject: Subject, result: Result) -> dict[str, Any]:
    settings = subject.settings(result.model, result.condition)
    sampled = settings.get("temperature")
    greedy = None if sampled is None else settings.get("accept_temperature") or 0.0
    of = result.metric.decode
    temperature = greedy if of == "greedy" else None if of in OF_EVERY_DRAW else sampled
    reasoning = {"on": True, "separate": True, "off": False}.get(str(settings.get("reasoning")))
    return {
        "generation_args": _without_none(
            {
                "temperature": _finite(temperature),
                "max_tokens": _whole_number(settings.get("max_answer_tokens"), 1),
                "reasoning": reasoning,
            }
        ),
        "additional_details": _details(settings | {"decode": result.metric.decode}),
    }


# --- values ---------------------------------------------------------------------------------------


def _details(values: Mapping[str, Any]) -> dict[str, str]:
    """Additional details, which must be texts: others as JSON; what is not known is left out."""
    return {
        whole(str(name)): whole(
            value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        )
        for name, value in values.items()
        if value not in (None, [], ())
    }


def _without_none(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _bound(value: float) -> float | str:
    return value if math.isfinite(value) else "Infinity" if value > 0 else "-Infinity"


def _finite(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None


def _whole_number(value: Any, least: int) -> int | None:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return value if is_number and value >= least else None


def _epoch(at: str | None) -> str | None:
    """Seconds since 1970 of a time in ISO 8601; one without a zone is UTC, wherever this runs."""
    if at is None:
        return None
    time = datetime.fromisoformat(at)
    return f"{(time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp():.0f}"
