"""Plugins' metrics that runs asked for: found again, and computed for every model and condition.
One that fails costs no other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lm_eval_safescale.analysis.profile_columns import columns_of
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import Family
from lm_eval_safescale.families.cells import Cell, Floats, Pair
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.settings import Settings

if TYPE_CHECKING:
    from lm_eval_safescale.assembly.scoring import AskedMetric


@dataclass
class AskedColumns:
    """What was asked for besides the family's own metrics."""

    metrics: list[Metric] = field(default_factory=list)
    columns: dict[Pair, dict[str, Floats]] = field(default_factory=dict)
    """Item values of metrics that look at single items, by model and condition, then by metric:
    shape (N,), nan for not scored."""
    missing: dict[str, str] = field(default_factory=dict)
    """Metrics that could not be computed, with the reason."""


def asked_columns(
    about: Mapping[str, Any], family: Family, cells: Mapping[Pair, Cell], threshold: float | None
) -> AskedColumns:
    """Every plugin's metric that any model of these runs was asked for, for all of them.

    Parameters
    ----------
    about
        As `Runs.about`: the models' settings name the metrics.
    cells
        The family's own scores.
    threshold
        As the metrics are told it.
    """
    found = AskedColumns()
    wanted = _wanted(about, found) if cells else {}
    if not wanted:
        return found
    from lm_eval_safescale.assembly.scoring import (
        asked_metrics,
        table_metrics,
    )  # with all that makes a run: takes a while to import

    first = next(iter(cells.values()))
    own = table_metrics(Settings.model_validate({}), family, first.items)
    ours = {
        *first.values,
        *columns_of(family),
        *(metric.name for metric in family.metrics(first.items)),
    }
    for name, args in wanted.items():
        try:
            for asked in asked_metrics({name: args}, threshold, own, ours):
                own.append(asked)
                if asked.metric.columns:
                    _try(asked, cells)
                else:
                    _add_item_values(found, asked, family, cells)
                found.metrics.append(replace(asked.metric, name=asked.key))
        except SafescaleError as error:
            found.missing[name] = str(error)
    return found


def _wanted(about: Mapping[str, Any], found: AskedColumns) -> dict[str, Mapping[str, Any]]:
    """Names and settings of all models together; one that was asked for with different settings is
    no one metric."""
    wanted: dict[str, Mapping[str, Any]] = {}
    for known in about.get("models", {}).values():
        every = [known.get("settings", {}), *known.get("by_condition", {}).values()]
        for name, args in (
            (name, args)
            for settings in every
            for name, args in (settings.get("metrics") or {}).items()
        ):
            if wanted.setdefault(name, args) != args:
                found.missing[name] = (
                    "asked for with different settings by different runs; analyse them apart"
                )
    return {name: args for name, args in wanted.items() if name not in found.missing}


def _try(asked: AskedMetric, cells: Mapping[Pair, Cell]) -> None:
    """SafescaleError where a metric of columns fails, or leaves its bounds, for a model and
    condition."""
    low, high = asked.metric.bounds
    for (model, condition), cell in cells.items():
        if missing := [name for name in asked.metric.columns if name not in cell.values]:
            raise SafescaleError(
                f"{asked.who} needs {', '.join(missing)}, which is not scored here"
            )
        columns = [cell[name] for name in asked.metric.columns]
        if asked.metric.is_mean:
            _check(asked, cell, columns[0])
        value = asked.total(list(zip(*columns, strict=True)))
        if not (np.isnan(value) or low <= value <= high):
            raise SafescaleError(
                f"{asked.who} gave {value:g} for {model}, {condition}; expected a number in "
                f"[{low:g}, {high:g}]"
            )


def _add_item_values(
    found: AskedColumns, asked: AskedMetric, family: Family, cells: Mapping[Pair, Cell]
) -> None:
    """A metric's values of every answer; SafescaleError, and nothing added, where it fails for
    one."""
    items = family.items(next(iter(cells.values())).items)
    values = {
        pair: np.array(
            [
                asked.item_score(item, given)
                for item, given in zip(items, cell.answers.readings(), strict=True)
            ]
        )
        for pair, cell in cells.items()
    }
    for pair, column in values.items():
        _check(asked, cells[pair], column)
    for pair, column in values.items():
        found.columns.setdefault(pair, {})[asked.key] = column


def _check(asked: AskedMetric, cell: Cell, values: Floats) -> None:
    """SafescaleError where an item's value is none that a mean of this kind is of: no interval or
    test of the tables would take it."""
    low, high = asked.metric.bounds
    is_share = asked.metric.kind == "share"
    fits = np.isin(values, (0, 1)) if is_share else (low <= values) & (values <= high)
    for place in np.flatnonzero(~fits & ~np.isnan(values))[:1]:
        raise SafescaleError(
            (
                f"{asked.who} has {values[place]:g} for item {cell.items.ids[place]} of "
                f"{cell.model}, {cell.condition}; expected "
            )
            + ("0 or 1, as it is a share" if is_share else f"a number in [{low:g}, {high:g}]")
        )
