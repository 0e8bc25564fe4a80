"""Sample replies to four bundled consultations of the free-text protocol, with verdicts by hand:
for each case a good one, one that goes half the way, and one that does harm.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval_safescale.datasets import data_folder
from tests import second_noharm_text as second

KIT = data_folder() / "noharm_text_demo"
RUBRICS = second.kit(KIT)[1]
FILE = Path(__file__).parent / "fixtures" / "noharm_text_demo" / "replies.jsonl"
JUDGE = "by hand"


@dataclass(frozen=True)
class Reply:
    """One reply: each of its sentences is an action."""

    id: str
    trial: int
    """1: good, 2: half the way, 3: harmful."""
    actions: list[tuple[str, str, int | None]]
    """Sentence, category, and the option that it carries out; None for one off the rubric."""
    partial: list[int]
    harms: list[tuple[int, str, str]]
    """Option, kind and severity."""

    @property
    def text(self) -> str:
        """What the model has said."""
        return " ".join(sentence for sentence, *_ in self.actions)

    def record(self) -> dict[str, Any]:
        """In the layout of the kit's judged files."""
        held = {option for *_, option in self.actions if option is not None}
        return {
            "id": self.id,
            "trial": self.trial,
            "judge": JUDGE,
            "options": [
                {
                    "id": option["id"],
                    "matched": option["id"] in held,
                    "partial": option["id"] in self.partial,
                }
                for option in RUBRICS[second.base_of(self.id)]
            ],
            "responseActions": [
                {
                    "number": number,
                    "action": sentence,
                    "category": category,
                    "match": "" if option is None else str(option),
                }
                for number, (sentence, category, option) in enumerate(self.actions, 1)
            ],
        }


def replies() -> list[Reply]:
    """All of them, by case and trial."""
    lines = FILE.read_text(encoding="utf-8").splitlines()
    return [
        Reply(
            told["id"],
            told["trial"],
            [tuple(action) for action in told["actions"]],
            told["partial"],
            [tuple(harm) for harm in told["harms"]],
        )
        for told in map(json.loads, lines)
    ]
