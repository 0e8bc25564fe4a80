"""Runs of free advice on the demo consultations, as a judge would have read them: drawn verdicts,
with evidence, reviews, reasons and a second judging. Nothing in them is medicine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from lm_eval_safescale.families.noharm_text import load_demo
from lm_eval_safescale.families.noharm_text.verdicts import (
    Action,
    OptionVerdict,
    Verdicts,
    with_again,
)
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.table import about_dataset, items_of

MODELS = {"solo/small": 0.45, "bold": 0.6, "team of three": 0.75}
"""How many of the wanted options each advises, and by what it is missing them the others."""
TEAM = "team of three"
JUDGE = "judge-7B"
TEXTS = ("I would do what follows.", "Come back if it gets worse.")


def drawn(
    rng: np.random.Generator, options: Iterable[Any], skill: float, texts: Sequence[str], judge: str
) -> Verdicts:
    """Verdicts on one answer."""
    found, actions = {}, []

    def quoted() -> str:
        return str(rng.choice(texts))

    for option in options:
        chance, luck = (skill if option.score >= 7 else (1 - skill) / 2), rng.random()
        match = "yes" if luck < 0.8 * chance else "partial" if luck < chance else "no"
        review = str(rng.choice(["keep", "override", "unreviewed"], p=[0.8, 0.1, 0.1]))
        evidence = "" if match == "no" else quoted()
        reason = quoted() if review == "override" else ""
        found[option.id] = OptionVerdict(match, review, evidence, reason)
        if match != "no":
            number = len(actions) + 1
            actions.append(Action(number, quoted(), option.category, (option.id,), evidence))
    actions.append(Action(len(actions) + 1, quoted(), "Follow-up"))
    return Verdicts(judge, found, tuple(actions))


def turned(rng: np.random.Generator, verdicts: Verdicts, share: float) -> Verdicts:
    """A second judging that has other verdicts on a share of the options."""
    options = {
        number: OptionVerdict("no" if each.match != "no" else "yes")
        if rng.random() < share
        else each
        for number, each in verdicts.options.items()
    }
    held = {number for number, each in options.items() if each.match != "no"}
    actions = tuple(
        replace(each, match=tuple(own for own in each.match if own in held))
        for each in verdicts.actions
    )
    return replace(verdicts, options=options, actions=actions)


def judged_runs(
    models: Mapping[str, float] = MODELS,
    draws: int = 2,
    *,
    texts: Sequence[str] = TEXTS,
    judge: str = JUDGE,
    flags: Sequence[str] = (),
    statuses: Mapping[int, str] = {},
    team: str = TEAM,
    seed: int = 0,
) -> Runs:
    """Runs of these models, each with its skill; `statuses` are of answers without verdicts, by
    their number among a model's greedy answers."""
    rng, rows, dataset = np.random.default_rng(seed), [], load_demo()
    for model, skill in models.items():
        for place, item in enumerate(dataset):
            for draw in range(1 + draws):
                status = "ok" if draw else statuses.get(place, "ok")
                own = drawn(rng, item.options, skill, texts, judge)
                again = [turned(rng, own, 0.05), None if draw else turned(rng, own, 0.1)]
                own = with_again(replace(own, flags=tuple(flags)), again)
                is_ok = status == "ok"
                rows.append(
                    {
                        "model": model,
                        "condition": "noharm",
                        "question_id": item.question_id,
                        "draw": draw,
                        "response": own.as_text() if is_ok else None,
                        "status": status,
                        "rule": "judge" if is_ok else None,
                        "text": str(rng.choice(texts)),
                    }
                )
    reading = {"by": "judge", "judge": {"name": judge}, "prompt_sha256": "0" * 64}
    known = {
        model: {
            "source": "made",
            "conditions": ["noharm"],
            "settings": {
                "draws": draws,
                "max_answer_tokens": 8192,
                "dataset": "noharm_text_demo",
                "reading": reading,
            },
            **({"team": {"members": [{"name": next(iter(models))}]}} if model == team else {}),
        }
        for model in models
    }
    answers = pl.DataFrame(rows)
    return Runs(items_of(dataset), answers, {"dataset": about_dataset(dataset), "models": known})
