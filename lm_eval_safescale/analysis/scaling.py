"""How a metric changes with size: lines over log10 parameters, by condition and family. It reads
item values and the panel.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from lm_eval_safescale.families import Family
from lm_eval_safescale.families.rows import Floats, Row, bounded, mean, means, number, numbers
from lm_eval_safescale.stats.presets import DEFAULT, Preset
from lm_eval_safescale.stats.regression import least_squares

if TYPE_CHECKING:
    from lm_eval_safescale.analysis.study import Study

ALL = "all"
COLUMNS = (
    *(
        "metric",
        "condition",
        "family",
        "n_models",
        "parameters_min_b",
        "parameters_max_b",
        "mean",
        *bounded("slope"),
    ),
    *("intercept", "r_squared", "p", "df"),
)

Means = Mapping[str, float | None]
MeansOf = dict[str, dict[str, Means]]
"""By condition, model and metric."""


def scaling(study: Study, preset: Preset = DEFAULT) -> list[Row]:
    """Least-squares lines of each metric over log10 of the parameters in billions, a model a point.

    By condition, and for the change that the family studies (condition "clean - closed_book", say,
    models asked under both); by family, and over all models of known size (family "all"). A model
    whose size the panel does not know is in no line, one whose family it does not know only in
    "all": `Panel.unknown` lists them.

    Returns
    -------
    Rows of: metric, condition, family, n_models, parameters_min_b, parameters_max_b, mean (of the
    metric over these models), slope (change of the metric when parameters grow tenfold), slope_lo,
    slope_hi (95 % t interval; None below three models), intercept (at one billion), r_squared, p
    (two-sided, slope = 0; both None below three models), df (degrees of freedom of interval and p).
    slope is None below two different sizes. Over several families the default preset's interval is
    robust to what models of one family have in common; a model of unknown family is one of its own.
    Within a family, and in the published presets, models count as independent.
    """
    cells = _cell_means(study)
    known = {model: study.panel.find(model) for model, _ in study.scores}
    size = {
        model: entry.parameters_b
        for model, entry in known.items()
        if entry is not None and entry.parameters_b is not None
    }
    family = {model: entry.family for model, entry in known.items() if entry is not None}
    rows = []
    for condition, of_models in _with_change(cells, study.family):
        models = [model for model in of_models if model in size]
        families = sorted({name for model in models if (name := family.get(model)) is not None})
        for metric in study.family.studied:
            for name in (ALL, *families):
                values = {
                    model: value
                    for model in models
                    if (name == ALL or family.get(model) == name)
                    and (value := of_models[model][metric]) is not None
                }
                rows.append(
                    {
                        "metric": metric,
                        "condition": condition,
                        "family": name,
                        **_line(
                            values,
                            size,
                            [family.get(model) or (model,) for model in values]
                            if name == ALL and preset.slopes == "families"
                            else None,
                        ),
                    }
                )
    return rows


def _cell_means(study: Study) -> MeansOf:
    """Mean over the scored items of each metric, by condition (in the protocol's order) and model;
    None where not scored."""
    cells: MeansOf = {condition: {} for condition in study.conditions}
    if not study.scores:
        return cells
    found = {metric: numbers(means(values)) for metric, values in item_values(study).items()}
    for place, (model, condition) in enumerate(study.scores):
        cells[condition][model] = {metric: values[place] for metric, values in found.items()}
    return cells


def item_values(study: Study) -> dict[str, Floats]:
    """Values of the items of each metric that the family has studied, shape (items, scores); nan
    where not scored."""
    by_name = {metric.name: metric for metric in study.metrics}
    return {name: study.column(by_name[name].sources[0]) for name in study.family.studied}


def _with_change(cells: MeansOf, family: Family) -> Iterator[tuple[str, dict[str, Means]]]:
    yield from cells.items()
    after, before = (cells.get(condition, {}) for condition in family.change or ("", ""))
    change: dict[str, Means] = {
        model: {
            metric: _less(after[model][metric], before[model][metric]) for metric in family.studied
        }
        for model in after
        if model in before
    }
    if change:
        yield " - ".join(family.change or ()), change


def _less(after: float | None, before: float | None) -> float | None:
    return None if after is None or before is None else after - before


def _line(
    values: Mapping[str, float], size: Mapping[str, float], clusters: list[Hashable] | None
) -> Row:
    parameters = [size[model] for model in values]
    line = least_squares(
        np.log10(parameters) if parameters else [], list(values.values()), clusters=clusters
    )
    return {
        "n_models": len(values),
        "parameters_min_b": min(parameters, default=None),
        "parameters_max_b": max(parameters, default=None),
        "mean": mean(list(values.values())),
        "slope": number(line.slope),
        "slope_lo": number(line.slope_lo),
        "slope_hi": number(line.slope_hi),
        "intercept": number(line.intercept),
        # two points always lie on a line
        "r_squared": number(line.r_squared) if len(values) > 2 else None,
        "p": number(line.p),
        "df": number(line.df),
    }
