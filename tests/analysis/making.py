"""Small runs for the tests, from plain rows; a generator of random ones."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from lm_eval_safescale.records import Answers, Choice, Reading, Status
from lm_eval_safescale.runs import Runs

LABELS = ("high_risk", "unsafe", "contradicts")


@dataclass
class Plain:
    """Answers as a person would note them: a letter, None for no answer, "!" for an error of the
    backend; missing is missing."""

    items: dict[str, dict[str, Any]]
    """question_id to answer, letters, and the letters with each label (None: no labels)."""
    answered: dict[tuple[str, str], dict[str, dict[int, str | None]]] = field(default_factory=dict)
    """(model, condition) to question_id to draw to answer."""
    latency: dict[tuple[str, str, str], float] = field(default_factory=dict)

    def runs(self) -> Runs:
        rows = [
            {
                "model": model,
                "condition": condition,
                "question_id": question,
                "draw": draw,
                "response": letter if letter != "!" else None,
                "status": {None: "unanswered", "!": "error"}.get(letter, "ok"),
                "latency_s": self.latency.get((model, condition, question)) if draw == 0 else None,
            }
            for (model, condition), answers in self.answered.items()
            for question, draws in answers.items()
            for draw, letter in draws.items()
        ]
        rows_of_items = [
            {
                "question_id": name,
                **{f"label_{key}" if key in LABELS else key: value for key, value in item.items()},
            }
            for name, item in self.items.items()
        ]
        items = pl.DataFrame(rows_of_items, infer_schema_length=None)
        about = {
            "dataset": {
                "name": "tiny",
                "version": "1",
                "fingerprint": "f" * 64,
                "demo": False,
                "items": len(self.items),
            },
            "models": {
                model: {
                    "source": "made",
                    "conditions": [c for m, c in self.answered if m == model],
                    "settings": {},
                }
                for model, _ in self.answered
            },
        }
        return Runs(items, pl.DataFrame(rows, infer_schema_length=None), about)

    def as_answered(self, model: str, condition: str, k: int) -> list[tuple[Choice, Answers]]:
        """The same as records, in the order of ids; an answer that is missing is an error there."""
        pairs = []
        for name in sorted(self.items):
            item = self.items[name]
            labels = None
            if item["high_risk"] is not None:
                labels = {name: item[name] for name in LABELS}
            draws = self.answered[model, condition].get(name, {})
            readings = [_reading(draws.get(draw, "!")) for draw in range(k + 1)]
            pairs.append(
                (
                    Choice(name, "?", dict.fromkeys(item["letters"], "?"), item["answer"], labels),
                    Answers(readings[0], tuple(readings[1:])),
                )
            )
        return pairs


def _reading(letter: str | None) -> Reading:
    if letter == "!":
        return Reading(None, Status.ERROR)
    return Reading(letter, Status.OK if letter else Status.UNANSWERED)


def item(
    answer: str = "A",
    letters: str = "ABCD",
    high_risk: str | None = "",
    unsafe: str | None = "",
    contradicts: str | None = "",
):
    return {
        "answer": answer,
        "letters": letters,
        "high_risk": high_risk,
        "unsafe": unsafe,
        "contradicts": contradicts,
    }


def one_cell(
    items: dict[str, Any],
    greedy: str,
    samples: list[str] | None = None,
    model: str = "m",
    condition: str = "clean",
) -> Plain:
    """A model's letters, one a question; "-" for no answer, "!" for an error, "." for a missing
    row."""
    plain = Plain(items)
    add_cell(plain, greedy, samples, model, condition)
    return plain


def add_cell(
    plain: Plain,
    greedy: str,
    samples: list[str] | None = None,
    model: str = "m",
    condition: str = "clean",
) -> None:
    answers: dict[str, dict[int, str | None]] = {}
    for number, name in enumerate(plain.items):
        draws = greedy[number] + (samples[number] if samples else "")
        answers[name] = {
            draw: None if letter == "-" else letter
            for draw, letter in enumerate(draws)
            if letter != "."
        }
    plain.answered[model, condition] = answers


def random_plain(
    seed: int,
    *,
    models: int = 3,
    conditions: tuple[str, ...] = ("closed_book", "clean", "conflict", "rag"),
    n: int = 30,
    k: int = 7,
    labelled: bool = True,
    failures: float = 0.0,
) -> Plain:
    """Models of different skill; some keys carry labels; answers that fail or are missing at the
    rate given."""
    r = random.Random(seed)
    items = {}
    for number in range(1, n + 1):
        letters = "ABCDE"[: r.choice([3, 4, 4, 5])]
        labels = {
            name: "".join(letter for letter in letters if r.random() < 0.4) if labelled else None
            for name in LABELS
        }
        items[str(number)] = {"answer": r.choice(letters), "letters": letters, **labels}
    plain = Plain(items)
    for m in range(models):
        for condition in conditions:
            skill, null, steady = r.uniform(0.4, 0.9), r.choice([0, 0.1, 0.3]), r.random()
            cell = plain.answered[f"model-{m}", condition] = {}
            for name, each in items.items():

                def answer(each=each, skill=skill, null=null) -> str | None:
                    if r.random() < failures:
                        return "!"
                    if r.random() < null:
                        return None
                    return each["answer"] if r.random() < skill else r.choice(each["letters"])

                first = answer()
                samples = [first if r.random() < steady else answer() for _ in range(k)]
                cell[name] = {
                    draw: letter
                    for draw, letter in enumerate([first, *samples])
                    if r.random() >= failures / 4
                }
                plain.latency[f"model-{m}", condition, name] = r.uniform(0.1, 9)
    return plain
