"""What every format tells of a study: its results with their metrics and standard errors, its data
and its models. It knows no format and no file.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lm_eval_safescale.analysis import Study, not_scored, remarks
from lm_eval_safescale.analysis.results import TRIALS, results
from lm_eval_safescale.analysis.standard_errors import StandardErrors, standard_errors_of
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.rows import Columns, Row, number
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.secrets import without_secrets
from lm_eval_safescale.stats.presets import DEFAULT, Preset

DEMO = "DEMO"
NO_CLAIM = "DEMO data: no clinical claim may rest on it"
HUB_ID = re.compile(r"\w[\w.-]*/\w[\w.-]*")
"""ORG/NAME, of a model or data set on the Hugging Face hub."""


@dataclass(frozen=True, slots=True)
class Result:
    """One metric of one model under one condition, over all items; None is *not scored*."""

    model: str
    condition: str
    metric: Metric
    draws: int
    threshold: float | None
    value: float | None
    lo: float | None
    hi: float | None
    method: str
    n: int
    not_scored: int
    standard_error: float | None
    standard_error_method: str
    deviation: float | None
    """Standard deviation of the item values, of a plain mean."""
    trials: tuple[float, float] | None
    """Interval by how the trials differ, of a metric over trials."""
    missing: tuple[float, float] | None
    """What a share would be were all that is not scored 0, or all 1."""
    cases: int | None = None
    """Of a mean over cases: how many there are."""
    records: int | None = None
    """That these rest on."""

    @property
    def id(self) -> str:
        """What it is called among the results of its model."""
        return f"{self.condition}/{self.metric.name}"


@dataclass(frozen=True, eq=False)
class Subject:
    """One study, with what is to be told of it.

    Raises
    ------
    SafescaleError
        For a metric that the study does not have.
    """

    study: Study
    preset: Preset = DEFAULT
    metrics: Collection[str] = ()
    """Names of those to tell of; empty: as the format says."""
    asked_at: Mapping[str, str] = field(default_factory=dict)
    """By model, where it is known: when it was last asked, as ISO 8601."""

    def __post_init__(self) -> None:
        known = [metric.name for metric in self.study.metrics]
        if missing := [name for name in self.metrics if name not in known]:
            raise SafescaleError(
                f"no metric {', '.join(missing)}; the family {self.study.family.name} has "
                f"{', '.join(known)}"
            )

    @property
    def dataset(self) -> Mapping[str, Any]:
        """What the runs say of their data set."""
        found: Mapping[str, Any] = self.study.runs.about.get("dataset") or {}
        return found

    @property
    def dataset_name(self) -> str:
        """Its name, which says so where the data are demo data."""
        name = str(self.dataset.get("name") or "unknown")
        return f"{name} ({DEMO})" if self.is_demo else name

    @property
    def is_demo(self) -> bool:
        """Whether no clinical claim may rest on it."""
        return bool(self.dataset.get("demo"))

    @property
    def headlines(self) -> Collection[str]:
        """The metrics that were asked for, else those that the family says of a run in one line,
        else all."""
        return self.metrics or [*self.study.family.headlines] or self.everything

    @property
    def everything(self) -> Collection[str]:
        """The metrics that were asked for, else all."""
        return self.metrics or [metric.name for metric in self.study.metrics]

    @functools.cached_property
    def table(self) -> Columns:
        """The table `results`."""
        return results(self.study, self.preset)

    @functools.cached_property
    def standard_errors(self) -> Mapping[str, StandardErrors]:
        """Over all items, by metric; models and raters in the order of `Study.cells`."""
        if not self.study.scores:
            return {}
        study = self.study
        return standard_errors_of(study.metrics, study.column_of_cells, study.design)

    @functools.cached_property
    def results(self) -> Sequence[Result]:
        """Every result over all items, in the order of models, conditions and metrics."""
        return list(self._results())

    def _results(self) -> Iterator[Result]:
        metrics = {metric.name: metric for metric in self.study.metrics}
        cells = {pair: place for place, pair in enumerate(self.study.cells)}
        for row in _rows(self.table):
            if row["group_name"] is not None:
                continue
            name, cell = row["metric"], cells[row["model"], row["condition"]]
            errors = self.standard_errors[name]
            yield Result(
                **{column: row[column] for column in _AS_IN_TABLE},
                metric=metrics[name],
                standard_error=number(errors.values[cell]),
                standard_error_method=errors.method,
                deviation=None if errors.deviations is None else number(errors.deviations[cell]),
                trials=_both(row, *TRIALS),
                missing=_both(row, "value_lo_missing", "value_hi_missing"),
                cases=row.get("cases"),
                records=row.get("records"),
            )

    @functools.cached_property
    def _by_model(self) -> Mapping[str, Sequence[Result]]:
        found: dict[str, list[Result]] = {}
        for each in self.results:
            found.setdefault(each.model, []).append(each)
        return found

    def of(self, model: str, metrics: Collection[str]) -> tuple[list[Result], list[Result]]:
        """Results of one model, of these metrics: those with a value, and those that are not
        scored."""
        own = [each for each in self._by_model.get(model, ()) if each.metric.name in metrics]
        return (
            [each for each in own if each.value is not None],
            [each for each in own if each.value is None],
        )

    @functools.cached_property
    def not_scored(self) -> Sequence[Row]:
        """What is not scored, and why (`analysis.not_scored`)."""
        return not_scored(self.study)

    @functools.cached_property
    def remarks(self) -> Sequence[Row]:
        """What the figures rest on (`analysis.remarks`)."""
        return remarks(self.study)

    def settings(self, model: str, condition: str) -> dict[str, Any]:
        """Under what a model was asked, as far as it is known; no secrets."""
        known = self.study.runs.about.get("models", {}).get(model, {})
        own = known.get("by_condition", {}).get(condition, {})
        return dict(without_secrets({**known.get("settings", {}), **own}))

    def known_of(self, model: str) -> Mapping[str, Any]:
        """What the runs say of a model besides its settings."""
        found: Mapping[str, Any] = self.study.runs.about.get("models", {}).get(model, {})
        return found

    def evaluation_name(self, result: Result) -> str:
        """What was asked, whatever the metric."""
        return f"{self.study.family.name}.{result.condition}"

    def said_of_data(self) -> str:
        """The family and the data set in a line."""
        family, about = self.study.family, self.dataset
        said = (
            f"{family.label}, family {family.name} version {family.version}, data set "
            f"{self.dataset_name} version {about.get('version')}, fingerprint "
            f"{about.get('fingerprint')}"
        )
        return f"{NO_CLAIM}; {said}" if self.is_demo else said

    def said_of(self, result: Result, *, times: float = 1, unit: str = "") -> str:
        """How a result was got, in a line; its interval multiplied by `times`."""
        direction = "higher" if result.metric.higher_is_better else "lower"
        parts = [
            self.said_of_data(),
            f"condition {result.condition}",
            f"{result.metric.name}: {result.metric.description}",
            *([unit] if unit else []),
            f"{direction} is better",
            "no interval"
            if result.lo is None or result.hi is None
            else f"95 % interval {times * result.lo:.6g} to {times * result.hi:.6g} "
            f"({result.method}, preset {self.preset.name})",
            f"n = {result.n}, not scored {result.not_scored}",
            f"K = {result.draws}",
        ]
        if result.cases is not None:
            parts.append(f"cases {result.cases}, records {result.records}")
        if result.threshold is not None:
            parts.append(f"threshold {result.threshold:g}")
        return "; ".join(parts)


_AS_IN_TABLE = (
    "model", "condition", "draws", "threshold", "value", "lo", "hi", "method", "n", "not_scored",
)  # fmt: skip


def _rows(table: Columns) -> Iterator[dict[str, Any]]:
    for row in zip(*table.values(), strict=True):
        yield dict(zip(table, row, strict=True))


def _both(row: Mapping[str, Any], low: str, high: str) -> tuple[float, float] | None:
    """Two bounds; None where either lacks."""
    found = row.get(low), row.get(high)
    return None if None in found else found  # type: ignore[return-value]


def percent(result: Result) -> tuple[float, str]:
    """The factor by which a share becomes percent, and the word for the unit; other numbers stay as
    they are."""
    return (100.0, "percent") if result.metric.is_fraction else (1.0, "")
