"""Runs to make reports of: drawn with a seed, of any size."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import polars as pl

from lm_eval_safescale.report.building import Wanted, _report
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.store import open_runs, write_runs
from tests.analysis.small import runs_of

MODELS = ("Qwen3-4B", "Qwen3-32B", "gemma-3-4b-it", "unknown/model")
CONDITIONS = ("closed_book", "clean", "rag")


def drawn_runs(
    models=MODELS,
    conditions=CONDITIONS,
    n: int = 24,
    draws: int = 5,
    labels: bool = True,
    names=MODELS,
) -> Runs:
    """Models that are right in most cases, more often with evidence; two groupings of the items.
    `names`: all that there may be, worst first."""
    key = "".join(random.Random(0).choice("ABCD") for _ in range(n))

    def answer(model: str, condition: str, draw: int) -> str:
        drawn = random.Random(f"{model} {condition} {draw}")
        right = 0.55 + 0.1 * names.index(model) + 0.2 * (condition == "clean")
        return "".join(
            letter if drawn.random() < right else drawn.choice("ABCD-") for letter in key
        )

    answers = {
        (model, condition): [answer(model, condition, draw) for draw in range(draws + 1)]
        for model in models
        for condition in conditions
    }
    about = {
        "dataset": {
            "family": "radsafe",
            "name": "drawn",
            "version": "1",
            "fingerprint": f"{n:064}",
            "demo": False,
            "items": n,
        },
        "models": {
            model: {"source": "drawn", "conditions": list(conditions), "settings": {}}
            for model in models
        },
        "left_out": [],
    }
    wrong = [next(each for each in "ABCD" if each != letter) for letter in key]
    made = runs_of(
        answers,
        key,
        labels={
            "high_risk": wrong if labels else [None] * n,
            "unsafe": ["CD"] * n if labels else [None] * n,
            "contradicts": ["D"] * n if labels else [None] * n,
        },
        subspecialty=["chest" if place % 3 else "neuro" for place in range(n)],
        question_type=["finding" if place % 2 else "next step" for place in range(n)],
    )
    return Runs(made.items, made.answers, about)


def with_contexts(runs: Runs) -> Runs:
    """Runs whose answers say how long their contexts were, and what was found."""
    place = pl.col("question_id").to_physical()
    shown = pl.col("condition").cast(pl.String) != "closed_book"
    told = {
        "context_tokens": pl.when(shown).then(100 + 60 * (place % 7)),
        "recall": pl.when(shown).then((place % 3) / 2),
        "evidence_coverage": pl.when(shown).then((place % 5) / 4),
    }
    types = {name: runs.answers.schema[name] for name in told}
    return replace_answers(
        runs,
        runs.answers.with_columns(**{name: each.cast(types[name]) for name, each in told.items()}),
    )


def replace_answers(runs: Runs, answers: pl.DataFrame) -> Runs:
    """The same of other answers."""
    return Runs(runs.items, answers, runs.about)


def stored(runs: Runs, folder: Path) -> Path:
    """The folder, with the runs in it."""
    write_runs(runs, folder)
    return folder


def report_of(*folders: Path, **wanted: Any) -> Report:
    """The report of runs of one data set, as it is before its pages are made."""
    opened = {folder: open_runs(folder, texts=False) for folder in folders}
    return _report(opened, Wanted(**wanted))
