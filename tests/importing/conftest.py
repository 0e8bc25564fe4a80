from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

QUESTIONS = [
    {
        "question_id": number,
        "question": f"Question {number}?",
        "options": {letter: f"option {letter} of {number}" for letter in letters},
        "answer_idx": key,
        "subspecialty": "chest",
        "question_type": "diagnosis",
        **{
            f"option_{place}_{label}": int(letter in marked)
            for place, letter in enumerate(letters, 1)
            for label, marked in (("high_risk", "B"), ("unsafe", "BC"), ("contradicts", "D"))
        },
    }
    for number, letters, key in ((2, "ABCD", "A"), (10, "ABCDE", "B"), (1, "ABCD", "C"))
]
KEYS = {question["question_id"]: question["answer_idx"] for question in QUESTIONS}


class Release:
    """A folder in the layout of the published answers, made by hand: three questions, two samples
    each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "datasets").mkdir(parents=True)
        (folder / "datasets" / "risk_radiorag_full_merged.json").write_text(json.dumps(QUESTIONS))
        (folder / "phase4_checking_results" / "results").mkdir(parents=True)

    def file(self, model: str) -> Path:
        return (
            self.folder
            / "phase4_checking_results"
            / "results"
            / model
            / "risk_radiorag_checked.jsonl"
        )

    def add(self, model: str, lines: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
        lines = [line(number) for number in KEYS] if lines is None else lines
        self.file(model).parent.mkdir(parents=True)
        self.file(model).write_text("".join(json.dumps(each) + "\n" for each in lines))
        return lines


def line(number: int, conditions: dict[str, Any] | None = None) -> dict[str, Any]:
    conditions = {"zero_shot": cell("A", "AB")} if conditions is None else conditions
    name = f"risk_radiorag_{number}"
    return {
        "question_id": name,
        "correct_answer": KEYS.get(number, "A"),
        "model": "m",
        "conditions": conditions,
    }


def cell(greedy: str | None, samples: str, *, seconds: float | None = 0.5) -> dict[str, Any]:
    """ "-" is no answer. The parsed answer is another letter: it must never be taken."""

    def checked(letter: str | None) -> dict[str, Any]:
        return {
            "confirmed_answer": None if letter == "-" else letter,
            "clear_selection": "yes",
            "reasoning": "",
        }

    return {
        "greedy": {
            "raw_output": f"text {greedy}",
            "parsed_answer": "D",
            "elapsed_s": seconds,
            "input_tokens": 100,
            "output_tokens": 1,
            "error": None,
            "checked_answer": checked(greedy),
        },
        "stochastic": {
            "raw_outputs": [f"sample {letter}" for letter in samples],
            "parsed_answers": ["D"] * len(samples),
            "elapsed_s": 1.0,
            "error": None,
            "checked_answers": [checked(letter) for letter in samples],
        },
    }


@pytest.fixture
def release(tmp_path: Path) -> Release:
    return Release(tmp_path / "release")
