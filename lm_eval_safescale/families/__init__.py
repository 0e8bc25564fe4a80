"""Families: benchmarks' ways of asking and weighing. `Family` is the interface; RadSaFE is the
first of them.
"""

from lm_eval_safescale.families.arrays import NO_RESPONSE, UNSCORED, AnswerArrays, ItemTable
from lm_eval_safescale.families.choice.family import ChoiceFamily
from lm_eval_safescale.families.family import Family
from lm_eval_safescale.families.radsafe import RADSAFE

__all__ = [
    "NO_RESPONSE",
    "RADSAFE",
    "UNSCORED",
    "AnswerArrays",
    "ChoiceFamily",
    "Family",
    "ItemTable",
]
