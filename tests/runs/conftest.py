from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from lm_eval_safescale.runs import Runs

ABOUT = {
    "dataset": {"name": "three", "version": "1", "fingerprint": "f" * 64, "demo": False, "items": 3},
    "models": {},
    "left_out": [],
}


@pytest.fixture
def items() -> pl.DataFrame:
    """Three items whose ids sort otherwise as texts than as numbers; the correct option of 10 carries labels."""
    return pl.DataFrame(
        {
            "question_id": ["2", "10", "1"],
            "answer": ["A", "B", "C"],
            "letters": ["ABCD", "ABCDE", "ABCD"],
            "label_high_risk": ["BD", "B", ""],
            "label_unsafe": ["D", "BE", "A"],
            "label_contradicts": ["", "", "ABD"],
        }
    )


@pytest.fixture
def make_runs(items: pl.DataFrame) -> Callable[..., Runs]:
    """Runs from rows (model, condition, question_id, draw, response or a status)."""

    def make(rows: list[tuple[str, str, str, int, str]], *, fingerprint: str = "f" * 64, its: pl.DataFrame = items) -> Runs:
        about = ABOUT | {"dataset": ABOUT["dataset"] | {"fingerprint": fingerprint, "name": f"set {fingerprint[0]}"}}  # type: ignore[operator]
        models = {
            row[0]: {"source": "hand", "conditions": sorted({r[1] for r in rows if r[0] == row[0]}), "settings": {"draws": 1}}
            for row in rows
        }
        return Runs(its, frame(rows), about | {"models": models})

    return make


def frame(rows: list[tuple[str, str, str, int, str]]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            **{name: [row[place] for row in rows] for place, name in enumerate(("model", "condition", "question_id", "draw"))},
            "response": pl.Series([row[4] if len(row[4]) == 1 else None for row in rows], dtype=pl.String),
            "status": ["ok" if len(row[4]) == 1 else row[4] for row in rows],
        }
    )


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
    """A folder in the layout of the published answers, made by hand: three questions, two samples each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "datasets").mkdir(parents=True)
        (folder / "datasets" / "risk_radiorag_full_merged.json").write_text(json.dumps(QUESTIONS))
        (folder / "phase4_checking_results" / "results").mkdir(parents=True)

    def file(self, model: str) -> Path:
        return self.folder / "phase4_checking_results" / "results" / model / "risk_radiorag_checked.jsonl"

    def add(self, model: str, lines: list[dict[str, Any]] | None = None) -> list[dict[str, Any]]:
        lines = [line(number) for number in KEYS] if lines is None else lines
        self.file(model).parent.mkdir(parents=True)
        self.file(model).write_text("".join(json.dumps(each) + "\n" for each in lines))
        return lines


def line(number: int, conditions: dict[str, Any] | None = None) -> dict[str, Any]:
    conditions = {"zero_shot": cell("A", "AB")} if conditions is None else conditions
    name = f"risk_radiorag_{number}"
    return {"question_id": name, "correct_answer": KEYS.get(number, "A"), "model": "m", "conditions": conditions}


def cell(greedy: str | None, samples: str, *, seconds: float | None = 0.5) -> dict[str, Any]:
    """ "-" is no answer. The parsed answer is another letter: it must never be taken."""

    def checked(letter: str | None) -> dict[str, Any]:
        return {"confirmed_answer": None if letter == "-" else letter, "clear_selection": "yes", "reasoning": ""}

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
