"""People who answered the items (`Family.raters`), as tables show them: models of one greedy answer
an item, marked as human. It knows no table.
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from lm_eval_safescale.families.arrays import AnswerArrays, ItemTable
from lm_eval_safescale.families.cells import Pair
from lm_eval_safescale.families.family import Family
from lm_eval_safescale.records import Answers, Reading, Status

HUMAN = "human"
"""The condition under which people answered, and the mark behind their names."""


def shown_as(rater: str) -> str:
    """A rater's name in tables."""
    return f"{rater} ({HUMAN})"


def answers_of_raters(
    family: Family, items: ItemTable, measures: Collection[str] = ()
) -> dict[Pair, AnswerArrays]:
    """The raters' answers; a missing one is not scored.

    Parameters
    ----------
    measures
        Names of what is known of models' answers, and of no rater's.
    """
    unknown = dict.fromkeys(measures, np.full(len(items), np.nan))
    found: dict[Pair, AnswerArrays] = {}
    for name, responses in family.raters(items).items():
        given = family.arrays([answer_of(response) for response in responses])
        found[shown_as(name), HUMAN] = AnswerArrays(given.codes, given.vocabulary, unknown)
    return found


def answer_of(response: str | None) -> Answers:
    """A rater's answer to an item; None is not scored."""
    return Answers(
        Reading(None, Status.ERROR) if response is None else Reading(response, Status.OK)
    )
