"""Tables over cases: how often records hold omissions and commissions of each severity, and the
figures of each case by itself. They know columns of records, and no verdicts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.families.arrays import ItemTable
from lm_eval_safescale.families.cells import Cell
from lm_eval_safescale.families.family import StudyView, TableOf
from lm_eval_safescale.families.noharm.kit import SPECIALTY
from lm_eval_safescale.families.noharm_text.metrics import metrics
from lm_eval_safescale.families.noharm_text.rubric import KINDS, SEVERITIES
from lm_eval_safescale.families.rows import Row, number
from lm_eval_safescale.metrics import over_cases
from lm_eval_safescale.metrics.cases import CASE
from lm_eval_safescale.stats.bootstrap import bca
from lm_eval_safescale.stats.presets import DEFAULT, Preset

SEVERITY, SEVERE = "severity", "severe"
OF_RATE = (
    *("model", "condition", "by", "part", "error", "harms", "rate", "rate_lo", "rate_hi"),
    *("cases", "records", "method"),
)
_CASE_METRICS = tuple(each for each in metrics() if each.of_cases is not None)
OF_CASE = (
    *("model", "condition", "case", SPECIALTY, "records"),
    *(metric.name for metric in _CASE_METRICS),
)
_RATE = over_cases("rate", "records with such a harm", ("held",), higher_is_better=False)


class _Part(NamedTuple):
    by: str | None
    part: str | None
    severity: str
    items: NDArray[np.bool_]


def harm_rates(study: StudyView, preset: Preset = DEFAULT) -> list[Row]:
    """How often records hold an omission, and a commission.

    Returns
    -------
    Rows of `OF_RATE`: `by` and `part` are None for severe harm in all cases, `severity` and one of
    them for harm of exactly that severity, or the name of a grouping and a group for severe harm in
    its items; `error` is omission or commission; `harms`, their mean number, and `rate`, the share
    of records with one or more, are means over cases of the mean over their records; the interval
    is of 95 %, cases resampled within their specialty; `method` of the interval.
    """
    parts = list(_parts(study.items))
    return [
        {
            "model": cell.model,
            "condition": cell.condition,
            "by": part.by,
            "part": part.part,
            "error": error,
            **found,
        }
        for cell in study.scores.values()
        for part in parts
        for error in KINDS
        if (found := _figures(cell, part, error, study, preset)) is not None
    ]


def _parts(items: ItemTable) -> Iterator[_Part]:
    every = np.ones(len(items), bool)
    yield _Part(None, None, SEVERE, every)
    for severity in reversed(SEVERITIES):
        yield _Part(SEVERITY, severity, severity, every)
    for grouping, members in items.groups.items():
        for group in sorted({each for each in members if each is not None}):
            own = np.array([member == group for member in members])
            yield _Part(grouping, group, SEVERE, own)


def _figures(cell: Cell, part: _Part, error: str, study: StudyView, preset: Preset) -> Row | None:
    """None where no record of these items is scored."""
    harms = np.where(part.items[:, None], cell[f"{part.severity}_{error}s"], np.nan)[:, None]
    case = np.where(np.isnan(harms), np.nan, cell[CASE][:, None])
    held = np.where(np.isnan(harms), np.nan, harms > 0)
    value = _RATE.value((held, case))
    if np.isnan(value[0]):
        return None
    assert _RATE.of_cases is not None
    found = _RATE.of_cases((held, case))
    cases = int((found.records > 0).sum())
    weights = study.design.weights
    if cases < 2:
        low, high = np.full((2, 1), np.nan)
    elif preset.means == "bca":
        interval = bca(found.value, weights[found.row], bounds=_RATE.bounds)
        low, high = interval.lo, interval.hi
    else:
        low, high = preset.figure_interval(value, _RATE.value((held, case), weights))
    return {
        "harms": number(_RATE.value((harms, case))[0]),
        "rate": number(value[0]),
        "rate_lo": number(low[0]),
        "rate_hi": number(high[0]),
        "cases": cases,
        "records": int(found.records.sum()),
        "method": preset.means,
    }


def noharm_cases(study: StudyView, preset: Preset = DEFAULT) -> list[Row]:  # noqa: ARG001
    """The metrics of each case by itself, which intervals and means rest on.

    Returns
    -------
    Rows of `OF_CASE`: `records` that are scored, and the case's value of each metric, None where it
    does not define one.
    """
    return [row for cell in study.scores.values() for row in _of_cases(cell)]


def _of_cases(cell: Cell) -> Iterator[Row]:
    items = cell.items
    specialties: Sequence[str | None] = items.groups.get(SPECIALTY) or [None] * len(items)
    found = {}
    for metric in _CASE_METRICS:
        assert metric.of_cases is not None
        found[metric.name] = metric.of_cases([cell[name][:, None] for name in metric.sources])
    first = next(iter(found.values()))
    for place, row in enumerate(first.row.tolist()):
        yield {
            "model": cell.model,
            "condition": cell.condition,
            "case": items.units[row] if items.units else items.ids[row],
            SPECIALTY: specialties[row],
            "records": int(first.records[place, 0]),
            **{name: number(each.value[place, 0]) for name, each in found.items()},
        }


TABLES = {
    "harm_rates": TableOf(harm_rates, OF_RATE),
    "noharm_cases": TableOf(noharm_cases, OF_CASE),
}
