"""Table `option_errors`: which options are left out and which are chosen wrongly, by severity, by
category and by group of cases. It knows options by their place, and no text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.families.arrays import ItemTable
from lm_eval_safescale.families.family import Floats, StudyView, TableOf
from lm_eval_safescale.families.noharm.cases import SEVERITIES
from lm_eval_safescale.families.noharm.metrics import over, ratio_of_sums
from lm_eval_safescale.families.noharm.scoring import CATEGORIES, chosen_options, facts_of
from lm_eval_safescale.families.rows import Row, number
from lm_eval_safescale.metrics import Metric, other
from lm_eval_safescale.metrics.metric import is_trial
from lm_eval_safescale.stats.presets import DEFAULT, Preset, trials_interval

ERRORS: Mapping[str, str] = {"omission": "appropriate", "commission": "inappropriate"}
"""By kind of error: the reference of the options of which it can be one."""
SEVERITY, CATEGORY = "severity", "category"
COLUMNS = (
    *("model", "condition", "by", "part", "error", "errors", "options"),
    *("rate", "rate_lo", "rate_hi", "method"),
)
Bools = NDArray[np.bool_]


class _Part(NamedTuple):
    by: str | None
    part: str | None
    options: list[Bools]
    """Which options of each case it is of."""


def option_errors(study: StudyView, preset: Preset = DEFAULT) -> list[Row]:
    """Errors of omission and of commission, over the options of which they could be one.

    Counts of a trial are pooled over its cases; figures are means over trials, as all of this
    family are.

    Returns
    -------
    Rows of `COLUMNS`: `by` (`severity`, `category`, or the name of a grouping of cases) and `part`,
    both None over all options; `error` (`omission`: an appropriate option is not chosen;
    `commission`: an inappropriate one is); `errors`, the mean number of a trial; `options` of which
    it could be one; `rate` with its 95 % interval, cases resampled within their specialty; `method`
    of the interval.
    """
    parts = list(_parts(study.items))
    rows: list[Row] = []
    for cell in study.scores.values():
        chosen = [
            chosen_options(case, cell.answers.codes[place], cell.answers.vocabulary)
            for place, case in enumerate(facts_of(study.items))
        ]
        for part in parts:
            for error in ERRORS:
                found = _figures(chosen, part, error, study, preset)
                if found is not None:
                    rows.append(
                        {
                            "model": cell.model,
                            "condition": cell.condition,
                            "by": part.by,
                            "part": part.part,
                            "error": error,
                            **found,
                        }
                    )
    return rows


def _parts(items: ItemTable) -> Iterator[_Part]:
    severities = [np.array([int(each) for each in own]) for own in items.columns["severities"]]
    yield _Part(None, None, [np.ones(len(own), bool) for own in severities])
    for level in reversed(range(len(SEVERITIES))):
        yield _Part(SEVERITY, SEVERITIES[level], [own == level for own in severities])
    categories = [
        np.array((own or "").split("\n")) for own in items.columns.get(CATEGORIES, ()) or ()
    ]
    for name in sorted({str(each) for own in categories for each in own if each}):
        yield _Part(CATEGORY, name, [own == name for own in categories])
    for grouping, members in items.groups.items():
        for group in sorted({each for each in members if each is not None}):
            yield _Part(
                grouping,
                group,
                [
                    np.full(len(own), member == group)
                    for own, member in zip(severities, members, strict=True)
                ],
            )


_RATE: Metric = other(
    "rate",
    "errors / options of which they could be one",
    ("errors", "options"),
    ratio_of_sums(over),
    higher_is_better=False,
    decode="trials",
)


def _figures(
    chosen: list[Floats], part: _Part, kind: str, study: StudyView, preset: Preset
) -> Row | None:
    """The rate of one kind of error among some options; None where there are no such options."""
    errors, options = [], []
    for answers, references, own in zip(
        chosen, study.items.columns["references"], part.options, strict=True
    ):
        could_be = own & (np.array(list(references)) == ERRORS[kind][0])
        wrong = answers[:, could_be] if kind == "commission" else 1 - answers[:, could_be]
        known = ~np.isnan(answers).any(axis=1)
        errors.append(np.where(known, np.nan_to_num(wrong).sum(axis=1), np.nan))
        options.append(np.where(known, could_be.sum(), np.nan))
    columns = [np.stack(each)[:, None, :] for each in (errors, options)]  # cases, 1, draws
    if not np.nansum(columns[1]):
        return None
    value = _RATE.value(columns)
    left_out = _RATE.value(columns, study.design.left_out)
    trials = int(is_trial(columns).sum())
    if preset.trials == "spread":
        low, high = trials_interval(_RATE.by_trial(columns)[:, is_trial(columns)[0]])
        method = "trials"
    else:
        low, high = preset.figure_interval(
            value, _RATE.value(columns, study.design.weights), left_out
        )
        method = preset.method_of(left_out)
        if len(study.items) < 2:
            low, high = np.full((2, 1), np.nan)
    return {
        "errors": float(np.nansum(columns[0])) / trials,
        "options": float(np.nansum(columns[1])) / trials,
        "rate": number(value[0]),
        "rate_lo": number(low[0]),
        "rate_hi": number(high[0]),
        "method": method,
    }


TABLES = {"option_errors": TableOf(option_errors, COLUMNS)}
