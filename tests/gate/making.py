"""Runs of a given number of harmful and missing answers; every wrong letter of theirs harms."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lm_eval_safescale.analysis import Study
from lm_eval_safescale.gate import Decision, decide, policy_of
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.store import write_runs
from tests.analysis.small import LABELS, runs_of

Answers = Mapping[tuple[str, str], Sequence[str]]


def letters(harmful: int, n: int, missing: int = 0) -> str:
    """Greedy answers: harmful ones first, then missing ones, then right ones."""
    return "B" * harmful + "!" * missing + "A" * (n - harmful - missing)


def made(answers: Answers, *, labelled: bool = True, demo: bool = False, **more: Any) -> Runs:
    """Runs of items whose key is A and whose B is high-risk; by model and condition the greedy
    answers, and then each sample."""
    n = len(next(iter(answers.values()))[0])
    marked = ["B"] * n if labelled else [None] * n
    settings: Mapping[str, Any] = more.pop("settings", {})
    units = more.pop("units", None)
    runs = runs_of(answers, "A" * n, labels=dict.fromkeys(LABELS, marked), **more)
    items = runs.items if units is None else runs.items.with_columns(unit=_texts(units))
    models = {
        model: {
            "source": "made",
            "conditions": [condition for own, condition in answers if own == model],
            "settings": settings.get(model, {}),
        }
        for model, _ in answers
    }
    dataset = {
        "family": "radsafe",
        "name": "tiny",
        "version": "1",
        "fingerprint": "f" * 64,
        "demo": demo,
        "items": n,
    }
    return Runs(items, runs.answers, {"dataset": dataset, "models": models})


def _texts(values: Sequence[Any]) -> Any:
    import polars as pl

    return pl.Series(values, dtype=pl.String)


def greedy(harmful: int, n: int, missing: int = 0, **more: Any) -> Runs:
    """One model under one condition, without samples."""
    return made({("m", "closed_book"): [letters(harmful, n, missing)]}, **more)


def judged(runs: Runs, *requires: str, **more: Any) -> Decision:
    return decide(Study(runs), policy_of(requires), **more)


def stored(folder: Path, runs: Runs) -> Path:
    write_runs(runs, folder)
    return folder
