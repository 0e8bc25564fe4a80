"""One CSV file: the table `results` of any number of studies, with what each row rests on. It knows
no benchmark.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Any

from lm_eval_safescale import __version__
from lm_eval_safescale.analysis.results import CASES, TRIALS
from lm_eval_safescale.analysis.results import COLUMNS as RESULTS
from lm_eval_safescale.analysis.writing import as_csv
from lm_eval_safescale.exporting.files import Exported, Output
from lm_eval_safescale.exporting.subject import DEMO, Subject
from lm_eval_safescale.families.rows import height

OF_DATA = ("family_label", "dataset", "dataset_version", "demo")
OF_METRIC = ("description", "higher_is_better", "kind", "decode")
OF_MODEL = ("source", "asked_at", "parameters_b")
COLUMNS = (
    *RESULTS, *TRIALS, *CASES, "standard_error", *OF_METRIC, *OF_DATA, *OF_MODEL,
    "safescale_version",
)  # fmt: skip
"""Columns of every export; behind them stands one `setting_NAME` for each setting that is known of
a model."""


def write_csv(subjects: Sequence[Subject], output: Output, name: str) -> Exported:
    """Write one file of that name: a row for each model, condition, group and metric of every
    study; missing is an empty cell.

    Raises
    ------
    SafescaleError
        If it is there already, or cannot be written.
    """
    path = PurePosixPath(name)
    output.refuse_existing([path])
    settings = sorted(
        {
            setting
            for subject in subjects
            for pair in subject.study.scores
            for setting in subject.settings(*pair)
        }
    )
    columns: dict[str, list[Any]] = {
        each: [] for each in (*COLUMNS, *(f"setting_{setting}" for setting in settings))
    }
    for subject in subjects:
        _add(columns, subject, settings)
    output.write(path, [as_csv(columns, [*columns])])
    return Exported([output.folder / path])


def _add(columns: dict[str, list[Any]], subject: Subject, settings: Sequence[str]) -> None:
    """Put the rows of one study below the others."""
    table, about = subject.table, subject.dataset
    chosen = set(subject.everything)
    rows = [row for row in range(height(table)) if table["metric"][row] in chosen]
    models, conditions, names = (
        [table[name][row] for row in rows] for name in ("model", "condition", "metric")
    )
    for name in (*RESULTS, *TRIALS, *CASES):
        columns[name] += [table[name][row] for row in rows] if name in table else [None] * len(rows)
    errors = {
        (each.model, each.condition, each.metric.name): each.standard_error
        for each in subject.results
    }
    columns["standard_error"] += [
        None if table["group_name"][row] is not None else errors[key]
        for row, key in zip(rows, zip(models, conditions, names, strict=True), strict=True)
    ]
    metrics = {metric.name: metric for metric in subject.study.metrics}
    for name in OF_METRIC:
        columns[name] += [getattr(metrics[each], name) for each in names]
    of_all = {
        "family_label": subject.study.family.label,
        "dataset": about.get("name"),
        "dataset_version": about.get("version"),
        "demo": DEMO if subject.is_demo else None,
        "safescale_version": __version__,
    }
    for name, value in of_all.items():
        columns[name] += [value] * len(rows)
    panel = subject.study.panel
    of_models = {
        model: {
            "source": subject.known_of(model).get("source"),
            "asked_at": subject.asked_at.get(model),
            "parameters_b": None if (found := panel.find(model)) is None else found.parameters_b,
        }
        for model in set(models)
    }
    for name in OF_MODEL:
        columns[name] += [of_models[model][name] for model in models]
    asked = {pair: subject.settings(*pair) for pair in subject.study.scores}
    for setting in settings:
        cells = {pair: _cell(own.get(setting)) for pair, own in asked.items()}
        columns[f"setting_{setting}"] += [
            cells.get(pair)  # none of people who rated the items
            for pair in zip(models, conditions, strict=True)
        ]


def _cell(value: Any) -> Any:
    """A setting as it stands in a cell: lists and mappings as JSON."""
    is_plain = value is None or isinstance(value, str | int | float)
    return value if is_plain else json.dumps(value, ensure_ascii=False, sort_keys=True)
