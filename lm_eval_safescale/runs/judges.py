"""Verdicts of several judges on the answers of one model, which stand apart: as a model each. It
knows no file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import polars as pl

from lm_eval_safescale.runs.provenance import JUDGED_MODEL, READING, name_of_judge
from lm_eval_safescale.runs.table import Runs


def judged_by(model: str, judge: str) -> str:
    """What the verdicts of one of several judges are called."""
    return f"{model} (judged by {judge})"


def judges_apart(runs: Mapping[str, Runs]) -> dict[str, Runs]:
    """The runs, with a model that another judge read in another of them named by its judge."""
    judges: dict[str, set[str]] = {}
    for each in runs.values():
        for model, known in each.about.get("models", {}).items():
            judges.setdefault(model, set()).add(_judge_of(known))
    several = {model for model, own in judges.items() if len(own - {""}) > 1}
    return {name: _named(each, several) if several else each for name, each in runs.items()}


def names_among(models: Mapping[str, Mapping[str, Any]], known: Collection[str]) -> dict[str, str]:
    """What the models of some runs (`about["models"]`) are called among those of all together."""
    apart = {model: judged_by(model, _judge_of(own)) for model, own in models.items()}
    return {model: name if name in known else model for model, name in apart.items()}


def _judge_of(known: Mapping[str, Any]) -> str:
    """Empty for none."""
    reading = known.get("settings", {}).get(READING) or {}
    return name_of_judge(reading.get("judge") or {}) if reading.get("by") == "judge" else ""


def _named(runs: Runs, several: set[str]) -> Runs:
    if not runs.family.judged:
        return runs
    models, names = {}, {}
    for model, known in runs.about.get("models", {}).items():
        judge = _judge_of(known)
        name = judged_by(model, judge) if judge and model in several else model
        names[model] = name
        models[name] = {**known, "settings": {JUDGED_MODEL: model, **known.get("settings", {})}}
    answers = runs.answers.with_columns(pl.col("model").cast(pl.String).replace(names))
    return Runs(runs.items, answers, {**runs.about, "models": models})
