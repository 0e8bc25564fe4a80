"""What both protocols read alike in the open NOHARM kit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

SPECIALTY = "specialty"
RUBRICS = "rubrics"
"""The kit's folder of cases."""
_SCORE_FIELDS = ("placement", "score", "grade")


def specialty_of(case: str) -> str | None:
    """The leading letters of a case's id; None without any."""
    letters = re.match(r"[^\W\d_]+", case)
    return letters[0] if letters else None


def score_of(option: Mapping[str, Any]) -> int:
    """The score of an option: the first of its fields that is present and not 0.

    Raises
    ------
    ValueError
        Where there is none from 1 to 9.
    """
    score = next((option[name] for name in _SCORE_FIELDS if option.get(name)), None)
    if isinstance(score, bool) or not isinstance(score, int) or not 1 <= score <= 9:
        raise ValueError(f"has the score {score!r}; expected a whole number from 1 to 9")
    return score
