"""Which models and conditions of runs on two data sets are compared. It knows no figure
and no statistic.
"""

from __future__ import annotations

from dataclasses import dataclass

from lm_eval_safescale.errors import CommandHint, SafescaleError
from lm_eval_safescale.runs.store import data_named
from lm_eval_safescale.runs.table import Runs, named

TABLE = "accuracy_and_safety"
LEAST = 3
"""Models without which nothing is said of their ranks."""


@dataclass(frozen=True, slots=True)
class Block:
    """A condition of the one data set beside one of the other."""

    condition: str
    beside: str
    models: list[str]
    """Asked under both."""


def blocks_of(runs: Runs, beside: Runs) -> list[Block]:
    """What there is to compare, in the order of conditions.

    Raises
    ------
    SafescaleError
        Where there is nothing: a family has no index, both are of one data set, or no model was
        asked both.
    """
    for each in (runs, beside):
        if not each.family.index:
            raise SafescaleError(
                f"the family {each.family.name} names no index, the metric by which its models are "
                "ranked: its runs cannot stand beside others"
            )
    first, second = (each.about.get("dataset") or {} for each in (runs, beside))
    if first.get("fingerprint", 0) == second.get("fingerprint"):
        raise SafescaleError(
            f"both are runs of the data set {data_named(first)}; expected those of another one "
            "beside them. Conditions on the same items are compared in the table paired_tests"
        )
    asked, asked_beside = runs.draws, beside.draws
    blocks = [
        Block(condition, other, models)
        for condition in runs.conditions
        for other in beside.conditions
        if (
            models := [
                model
                for model in runs.models
                if (model, condition) in asked and (model, other) in asked_beside
            ]
        )
    ]
    if not blocks:
        raise SafescaleError(
            f"no model was asked both: {named(runs.models)} on one data set, "
            f"{named(beside.models)} on the other; expected the same names (a run can be "
            "given one: ",
            CommandHint("safescale run", {"name": "NAME"}),
            ")",
        )
    return blocks


def not_beside(runs: Runs, beside: Runs) -> list[tuple[str | None, str | None, str]]:
    """What is not in the table, or without a correlation: model, condition (None: all), reason."""
    blocks = blocks_of(runs, beside)
    compared = {model for block in blocks for model in block.models}
    return [
        *(
            (model, None, f"asked {where} only: not in {TABLE}")
            for each, where in ((runs, "these questions"), (beside, "those beside them"))
            for model in each.models
            if model not in compared
        ),
        *(
            (
                None,
                f"{block.condition} beside {block.beside}",
                f"fewer than {LEAST} models were asked both: no rank correlation",
            )
            for block in blocks
            if len(block.models) < LEAST
        ),
    ]
