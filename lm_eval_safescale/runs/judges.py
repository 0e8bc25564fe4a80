"""Verdicts of several judges on the answers of one model, which stand apart: as a model each. It
knows no file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import polars as pl

from lm_eval_safescale.errors import SafescaleError
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
    names = {
        model: judged_by(model, judge)
        if (judge := _judge_of(known)) and model in several
        else model
        for model, known in runs.about.get("models", {}).items()
    }
    return renamed(Runs(runs.items, runs.answers, with_judged_models(runs.about)), names)


def names_by_judge(runs: Runs) -> dict[str, str]:
    """What each model of judged runs is called with its judge's name."""
    return {
        model: judged_by(known["settings"][JUDGED_MODEL], _judge_of(known))
        for model, known in runs.about["models"].items()
    }


def named_as_judged(runs: Runs) -> Runs:
    """Runs under the names of the models that were judged, or are to be.

    Raises
    ------
    SafescaleError
        If they hold the verdicts of several judges.
    """
    names = {
        model: known.get("settings", {}).get(JUDGED_MODEL) or model
        for model, known in runs.about.get("models", {}).items()
    }
    if len(set(names.values())) < len(names):
        raise SafescaleError(
            "these runs hold the verdicts of several judges on one model; expected those of one"
        )
    return renamed(runs, names)


def with_judged_models(about: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of runs (`Runs.about`), in which each model says whose answers were judged."""
    models = {
        model: {**known, "settings": {JUDGED_MODEL: model, **known.get("settings", {})}}
        for model, known in about.get("models", {}).items()
    }
    return {**about, "models": models}


def renamed(runs: Runs, names: Mapping[str, str]) -> Runs:
    """Runs whose models have these names."""
    models = {names[model]: known for model, known in runs.about.get("models", {}).items()}
    answers = runs.answers.with_columns(renaming(names))
    return Runs(runs.items, answers, {**runs.about, "models": models})


def renaming(names: Mapping[str, str]) -> pl.Expr:
    """The column `model` with these names."""
    return pl.col("model").cast(pl.String).replace(names)
