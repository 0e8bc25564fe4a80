"""Two sides compared: every metric's difference, the items that flipped, and whether the second is
no worse than the first. It prints nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lm_eval_safescale.analysis import Study, not_scored
from lm_eval_safescale.analysis.paired_tests import paired_test
from lm_eval_safescale.analysis.study import MEASURES, remarks_on_answers
from lm_eval_safescale.families.cells import Cell, Floats, Pair
from lm_eval_safescale.families.rows import Row
from lm_eval_safescale.gate.decision import Decision, Outcome, decide_pair
from lm_eval_safescale.gate.differing import Differing, differing
from lm_eval_safescale.gate.policy import policy_of
from lm_eval_safescale.gate.refusals import waiting
from lm_eval_safescale.gate.sides import Side, study_of
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.sections import notes_on
from lm_eval_safescale.stats.presets import Preset, preset_named
from lm_eval_safescale.words import counted

COLUMNS = (
    "metric", "decode", "better", "value_a", "value_b", "n", "only_a", "only_b", "delta",
    "delta_lo", "delta_hi", "p_exact", "p_mid", "p_score", "minimum_detectable_difference",
)  # fmt: skip
ADJUSTED_OVER = (
    "nothing: each p and each interval is of one metric by itself. Of 20 metrics without any "
    "difference one interval is expected to leave 0 out; settle before which one counts"
)


OF_REQUESTS = {metric.name for metric in MEASURES}
"""Metrics of requests, which tell nothing of answers."""
TOO_FEW = (
    "no item is scored on both sides; ask again for what is missing",
    "one item is scored on both sides, which tells no difference from chance",
)


@dataclass(frozen=True, slots=True)
class Flips:
    """Items that one side does harm on and the other does not, by a share that is better the lower
    it is."""

    metric: str
    towards: Sequence[str]
    """Ids of items on which B has it and A has not."""
    away: Sequence[str]
    """Ids of items on which A has it and B has not."""
    both: int
    """Items on which both have it."""
    n: int
    """Items scored on both sides."""


@dataclass(frozen=True, eq=False)
class Comparison:
    """B beside A; a difference is B - A."""

    a: Side
    b: Side
    differing: Differing
    study: Study
    preset: str
    refused: Sequence[str] = ()
    """Why nothing was compared; empty where it was."""
    anyway: str = ""
    """Why it would have been refused, had it not been asked for anyway."""
    rows: Sequence[Row] = ()
    """Of `COLUMNS`: every metric that both have."""
    without: Sequence[str] = ()
    """Metrics that no item is scored on, on both sides."""
    flips: Sequence[Flips] = ()
    decision: Decision | None = None
    """By the margins that were asked for; None for none."""
    remarks: Sequence[str] = ()

    @property
    def outcome(self) -> Outcome:
        """Of the margins; what is refused is undecided."""
        if self.refused:
            return Outcome.UNDECIDED
        return Outcome.PASSED if self.decision is None else self.decision.outcome


def compare(
    a: Side,
    b: Side,
    margins: Sequence[str] = (),
    *,
    preset: str = "default",
    threshold: float | None = None,
    anyway: bool = False,
) -> Comparison:
    """Compare two sides.

    Parameters
    ----------
    margins
        Texts like `METRIC 2 points`: B must not be worse than A by as much.
    preset
        Which intervals and tests (`stats.presets`).
    threshold
        The family's; None: as the runs were made.
    anyway
        Compare also what differs in more than one thing.

    Raises
    ------
    SafescaleError
        For a text that is no margin of a metric of these, and where the runs were made with
        different thresholds and none is given.
    """
    chosen, policy = preset_named(preset), replace(policy_of(margins), preset=preset)
    study, first, second = study_of(a, b, threshold)
    found = differing(a, b)
    decision = decide_pair(study, policy, second, first) if margins else None
    remarks = tuple(dict.fromkeys(_remarks(study, {first: a, second: b})))
    one = Comparison(a, b, found, study, chosen.name, remarks=remarks)
    if found.refused and not anyway:
        return replace(one, refused=(found.refused,))
    rows = list(_rows(study, first, second, chosen))
    of_items = [row["n"] for row in rows if row["metric"] not in OF_REQUESTS]
    refused = list(waiting(study.runs, (first, second)))
    refused += [] if refused or max(of_items) > 1 else [TOO_FEW[max(of_items)]]
    refused += [] if decision is None else decision.refused
    if refused:
        return replace(one, refused=tuple(refused))
    return replace(
        one,
        anyway=found.refused,
        rows=tuple(row for row in rows if row["n"]),
        without=tuple(row["metric"] for row in rows if not row["n"]),
        flips=tuple(_flips(study, first, second)),
        decision=decision,
    )


def _rows(study: Study, first: Pair, second: Pair, preset: Preset) -> Iterator[Row]:
    """A row of `paired_tests` for every metric, told of A and B."""
    better = {
        metric.name: "higher" if metric.higher_is_better else "lower" for metric in study.metrics
    }
    for name, row in paired_test(study, second, first, preset).items():
        own = {
            "metric": name,
            "better": better[name],
            "value_a": row["right_value"],
            "value_b": row["left_value"],
            "only_a": row["c"],
            "only_b": row["b"],
        }
        yield {column: own[column] if column in own else row[column] for column in COLUMNS}


def _flips(study: Study, first: Pair, second: Pair) -> Iterator[Flips]:
    """By every share that is better the lower it is; over trials an item has it where most of its
    trials do."""
    ids = study.items.ids
    for metric in study.metrics:
        if metric.higher_is_better or not _is_share(metric):
            continue
        one, other = (_of_items(study.cells[pair], metric) for pair in (first, second))
        known = ~(np.isnan(one) | np.isnan(other))
        if known.any():
            a, b = known & (one > 0.5), known & (other > 0.5)
            yield Flips(
                metric.name,
                [ids[place] for place in np.flatnonzero(b & ~a)],
                [ids[place] for place in np.flatnonzero(a & ~b)],
                int((a & b).sum()),
                int(known.sum()),
            )


def _is_share(metric: Metric) -> bool:
    over_trials = metric.decode == "trials" and metric.is_fraction and len(metric.sources) == 1
    return metric.kind == "share" or over_trials


def _of_items(cell: Cell, metric: Metric) -> Floats:
    """The metric of each item by itself."""
    return metric.value([cell[name][None] for name in metric.sources])


def _remarks(study: Study, sides: Mapping[Pair, Side]) -> Iterator[str]:
    """What a reader of the differences must know of the answers; `sides` by what the study calls
    them."""
    yield from study.family.not_by_a_model(study.runs.about)
    for side in sides.values():
        yield from (f"{side.label}: {note}" for note in notes_on(side.settings))
    for row in [*not_scored(study), *remarks_on_answers(study)]:
        items = "" if row["items"] is None else f" ({counted(row['items'], 'item')})"
        if row["model"] is None:
            yield row["reason"] + items
        for (model, condition), side in sides.items():
            if row["model"] == model and row["condition"] in (None, condition):
                yield f"{side.label}: {row['reason']}{items}"
