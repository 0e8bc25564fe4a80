"""Questions with lettered options and one key: their facts, and what answers are worth."""

from lm_eval_safescale.families.choice.facts import (
    LABEL,
    LETTERS,
    ChoiceFacts,
    choice_columns,
    choice_items,
    facts_of,
)
from lm_eval_safescale.families.choice.scoring import choice_scores

__all__ = [
    "LABEL",
    "LETTERS",
    "ChoiceFacts",
    "choice_columns",
    "choice_items",
    "choice_scores",
    "facts_of",
]
