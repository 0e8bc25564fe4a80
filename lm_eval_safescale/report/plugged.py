"""Sections that plugins register: made of the rows of a run, and what is wrong with those that
fail, which cost only themselves. Rows of stored runs are as those of the harness's result files.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lm_eval_safescale.errors import FAILURES, reason_of
from lm_eval_safescale.sections import ResultRow, Section, checked

if TYPE_CHECKING:
    from lm_eval_safescale.analysis import Study
    from lm_eval_safescale.plugins import Part


@dataclass(frozen=True, slots=True)
class Made:
    """A section of a plugin, or why there is none."""

    part: Part
    section: Section | None = None
    fault: str = ""

    @property
    def complaint(self) -> str:
        """The fault with whose it is."""
        return f"report section {self.part.name} ({self.part.provided_by}) failed: {self.fault}"


def made_sections(rows: Sequence[ResultRow]) -> Iterator[Made]:
    """What each registered section says of the rows of one run; nothing where it has nothing to
    say."""
    from lm_eval_safescale.plugins import plugins

    for part in plugins().all("report section"):
        try:
            section = part.thing.make(rows)
            if section is not None:
                yield Made(part, checked(section))
        except FAILURES as error:
            yield Made(part, fault=f"{type(error).__name__}: {reason_of(error)}")


def rows_of_runs(study: Study) -> dict[str, list[ResultRow]]:
    """By model, a row for each condition that it was asked under.

    Settings that the runs do not say are those of the family; values are those of its metrics that
    a result table shows, with their standard errors.
    """
    from lm_eval_safescale.analysis.standard_errors import standard_errors_of
    from lm_eval_safescale.settings import load_settings

    if not study.scores:
        return {}
    usual = load_settings({}, environ={}, defaults=study.family.defaults).model_dump(mode="json")
    asked = {metric.name for metric in study.asked_metrics}
    metrics = [metric for metric in study.metrics if metric.in_table or metric.name in asked]
    errors = standard_errors_of(metrics, study.column, study.design)
    values = {
        metric.name: metric.value([study.column(name) for name in metric.sources])
        for metric in metrics
    }
    rows: dict[str, list[ResultRow]] = {}
    statuses = _statuses(study)
    for place, (model, condition) in enumerate(study.scores):
        row = _row(study, (model, condition), usual, statuses.get((model, condition), {}))
        for name, each in values.items():
            error = float(errors[name].values[place])
            row.values[name] = (
                None
                if each[place] != each[place]
                else (float(each[place]), None if error != error else error)
            )
        rows.setdefault(model, []).append(row)
    return rows


def _row(
    study: Study, pair: tuple[str, str], usual: Mapping[str, Any], statuses: Mapping[str, int]
) -> ResultRow:
    from lm_eval_safescale.runs.provenance import CONDITIONS, CONTEXTS, PROVENANCE, settings_of

    model, condition = pair
    known = study.runs.about.get("dataset") or {}
    dataset = f"{known.get('name', '')} {str(known.get('version', ''))[:12]}"
    settings = {**usual, **settings_of(study.runs, model, condition)}
    provenance = study.runs.about.get("models", {}).get(model, {}).get(PROVENANCE, {})
    contexts = provenance.get(CONDITIONS, {}).get(condition, {}).get(CONTEXTS) or {}
    contexts = contexts if "measures" in contexts else {}
    asked = json.dumps(
        [settings.get("model_args"), settings.get("prompt_sha256")], sort_keys=True, default=str
    )
    items = sum(statuses.values())
    return ResultRow(
        model=model,
        condition=condition,
        dataset=dataset,
        demo=bool(known.get("demo")),
        items=items,
        of_items=int(known.get("items") or len(study.items)),
        settings=settings,
        asked=asked,
        values={},
        contexts=contexts,
        left_out=int(contexts.get("failed", 0)),
        family=study.family.name,
        statuses={name: number for name, number in statuses.items() if name != "ok"},
        run=(dataset, model, items, asked),
    )


def _statuses(study: Study) -> dict[tuple[str, str], Counter[str]]:
    """How many greedy answers are of each status, by model and condition."""
    import polars as pl

    counts = (
        study.runs.answers.filter(pl.col("draw") == 0)
        .group_by("model", "condition", "status")
        .len()
    )
    found: dict[tuple[str, str], Counter[str]] = {}
    for model, condition, status, number in counts.iter_rows():
        found.setdefault((model, condition), Counter())[status] += number
    return found
