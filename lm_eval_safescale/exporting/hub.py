"""The two formats of a model's repository on the Hugging Face hub: `.eval_results/*.yaml`, and the
`model-index` of its card. It knows no benchmark and asks no network.

Sources: huggingface.co/docs/hub/eval-results, and modelcard.md of huggingface/hub-docs, whose
examples give shares in percent.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import yaml

from lm_eval_safescale import __version__
from lm_eval_safescale.errors import ArgumentHint, SafescaleError
from lm_eval_safescale.exporting.files import Exported, Output, file_name
from lm_eval_safescale.exporting.subject import DEMO, HUB_ID, Result, Subject, percent
from lm_eval_safescale.json_text import whole

TASK = "text-generation"
"""The hub's name for what these models are asked to do."""
DIGITS = 8
"""Of a percentage: those that the multiplication leaves are noise behind them."""
_REVISION = re.compile(r"[0-9a-f]{40}")


def checked_hub_id(name: str) -> str:
    """The name; SafescaleError where it can be no data set's on the hub."""
    if not HUB_ID.fullmatch(name):
        raise SafescaleError(f"{name!r} is no data set's name on the hub; expected ORG/NAME")
    return name


def write_eval_results(
    subjects: Sequence[Subject], output: Output, hub_dataset: str, source_url: str | None = None
) -> Exported:
    """Write `MODEL/.eval_results/DATASET.yaml` for each model: an entry for each condition and
    headline metric.

    Parameters
    ----------
    hub_dataset
        ORG/NAME of the data set on the hub, where its leaderboard is.
    source_url
        Where more can be read of the results.

    Raises
    ------
    SafescaleError
        For several data sets, which cannot all have that name; if a file is there already, or
        cannot be written.
    """
    checked_hub_id(hub_dataset)
    if len(subjects) > 1:
        names = ", ".join(each.dataset_name for each in subjects)
        raise SafescaleError(
            f"{hub_dataset} names one data set, and these are {len(subjects)}: {names}; export "
            "them apart"
        )
    contents: dict[PurePosixPath, Any] = {}
    left_out = 0
    for subject in subjects:
        for model in subject.study.runs.models:
            results, missing = subject.of(model, subject.headlines)
            left_out += len(missing)
            name = file_name(hub_dataset.rpartition("/")[2])
            contents[_folder(model) / ".eval_results" / f"{name}.yaml"] = [
                _entry(subject, each, hub_dataset, source_url) for each in results
            ]
    return _write(contents, output, left_out)


def _entry(
    subject: Subject, result: Result, hub_dataset: str, source_url: str | None
) -> dict[str, Any]:
    times, unit = percent(result)
    revision = str(subject.dataset.get("version"))
    dataset = {"id": hub_dataset, "task_id": f"{result.condition}.{result.metric.name}"}
    if _REVISION.fullmatch(revision):
        dataset["revision"] = revision
    entry: dict[str, Any] = {"dataset": dataset, "value": _value(result)}
    if at := subject.asked_at.get(result.model):
        entry["date"] = at
    if source_url:
        entry["source"] = {"url": source_url, "name": "lm_eval_safescale"}
    said = subject.said_of(result, times=times, unit=unit)
    source = subject.known_of(result.model).get("source")
    return {**entry, "notes": f"{said}; answers from {source}; lm_eval_safescale {__version__}"}


def write_model_index(
    subjects: Sequence[Subject],
    output: Output,
    hub_dataset: str | None = None,
    source_url: str | None = None,
) -> Exported:
    """Write `MODEL/model-index.yaml` for each model: what belongs into the head of its card, a
    result for each data set and condition with its headline metrics.

    Parameters and errors are those of `write_eval_results`; without `hub_dataset` a data set goes
    by its own name, and there may be several.
    """
    if hub_dataset and len(subjects) > 1:
        raise SafescaleError(
            f"{hub_dataset} names one data set, and these are {len(subjects)}: leave out ",
            ArgumentHint("hub-dataset", hub_dataset),
            ", or export them apart",
        )
    by_model: dict[str, list[dict[str, Any]]] = {}
    left_out = 0
    for subject in subjects:
        for model in subject.study.runs.models:
            results, missing = subject.of(model, subject.headlines)
            left_out += len(missing)
            by_model.setdefault(model, []).extend(
                _of_condition(
                    subject,
                    [each for each in results if each.condition == condition],
                    hub_dataset and checked_hub_id(hub_dataset),
                    source_url,
                )
                for condition in dict.fromkeys(each.condition for each in results)
            )
    contents = {
        _folder(model) / "model-index.yaml": {"model-index": [{"name": model, "results": results}]}
        for model, results in sorted(by_model.items())
    }
    return _write(contents, output, left_out)


def _of_condition(
    subject: Subject, results: Collection[Result], hub_dataset: str | None, source_url: str | None
) -> dict[str, Any]:
    about, family = subject.dataset, subject.study.family
    first = next(iter(results))
    condition, source = first.condition, subject.known_of(first.model).get("source")
    revision = str(about.get("version"))
    dataset: dict[str, Any] = {
        "name": f"{subject.dataset_name}, {condition}",
        "type": hub_dataset or str(about.get("name") or "unknown"),
        "config": condition,  # by which the hub's library tells results on one data set apart
    }
    if _REVISION.fullmatch(revision):
        dataset["revision"] = revision
    dataset["args"] = {
        "family": family.name,
        "family_label": family.label,
        "family_version": family.version,
        "version": about.get("version"),
        "fingerprint": about.get("fingerprint"),
        **({"demo": DEMO} if subject.is_demo else {}),
        **({"answers_from": str(source)} if source else {}),
    }
    found: dict[str, Any] = {
        "task": {"type": TASK, "name": f"{family.label}: {condition}"},
        "dataset": dataset,
        "metrics": [_metric(subject, each) for each in results],
    }
    if source_url:
        found["source"] = {"name": "lm_eval_safescale", "url": source_url}
    return found


def _metric(subject: Subject, result: Result) -> dict[str, Any]:
    metric = result.metric
    times, unit = percent(result)
    direction = "higher is better" if metric.higher_is_better else "lower is better"
    demo = f"{DEMO}, " if subject.is_demo else ""
    args = {
        "unit": unit,
        "higher_is_better": metric.higher_is_better,
        "lo": _times(times, result.lo),
        "hi": _times(times, result.hi),
        "standard_error": _times(times, result.standard_error),
        "method": result.method,
        "preset": subject.preset.name,
        "n": result.n,
        "not_scored": result.not_scored,
        "cases": result.cases,
        "records": result.records,
        "draws": result.draws,
        "threshold": result.threshold,
        "version": __version__,
    }
    return {
        "type": metric.name,
        "value": _value(result),
        "name": f"{metric.name} ({demo}{direction})",
        # what is not known is left out: the hub's library does not keep a null
        "args": {name: value for name, value in args.items() if value not in (None, "")},
    }


def _folder(model: str) -> PurePosixPath:
    """Where a model's files stand: as its repository is called, where it is called as one."""
    parts = model.split("/") if HUB_ID.fullmatch(model) else [model]
    return PurePosixPath(*map(file_name, parts))


def _value(result: Result) -> float | None:
    return _times(percent(result)[0], result.value)


def _times(times: float, value: float | None) -> float | None:
    return None if value is None else round(times * value, DIGITS)


def _write(contents: Mapping[PurePosixPath, Any], output: Output, left_out: int) -> Exported:
    output.refuse_existing(contents.keys())
    for path, content in contents.items():
        output.write(path, _yaml(content))
    return Exported([output.folder / path for path in contents], left_out)


def _yaml(content: Any) -> Iterable[str]:
    # halves of characters would be no YAML; aliases would be none to a person
    yield whole(_Dumper.text(content))


class _Dumper(yaml.SafeDumper):
    """Without aliases, in the order given."""

    @classmethod
    def text(cls, content: Any) -> str:
        """A YAML text."""
        return str(
            yaml.dump(content, Dumper=cls, sort_keys=False, allow_unicode=True, width=1 << 20)
        )

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002
        return True
