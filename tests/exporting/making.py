"""Runs of any family, to export: seeded answers to a data set's items."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import polars as pl

from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.exporting import Subject
from lm_eval_safescale.families import Family
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.table import about_dataset, items_of

SETTINGS = {
    "draws": 2, "temperature": 0.7, "max_answer_tokens": 10, "reasoning": "off", "backend": "hf",
    "model_args": {"backend": "hf", "pretrained": "Org/Model-1B"}, "prompt_sha256": "a" * 64,
    "version": "0.1.0",
}  # fmt: skip


def runs_of(
    data: Dataset,
    family: Family,
    models: Sequence[str] = ("Model-1B",),
    conditions: Sequence[str] = (),
    *,
    k: int = 2,
    text: str = "so: {}",
    settings: dict[str, Any] = SETTINGS,
) -> Runs:
    """Every model answers every item greedily and k times; some answers are unanswered, some items
    failed."""
    r = random.Random(7)
    asked = conditions or [condition.name for condition in family.conditions][:2]
    rows = []
    for model in models:
        for condition in asked:
            for item in data:
                for draw in range(k + 1):
                    response = r.choice([*family.responses(item), None])
                    failed = draw == 0 and r.random() < 0.1
                    response = None if failed else response
                    rows.append(
                        {
                            "model": model,
                            "condition": condition,
                            "question_id": item.question_id,
                            "draw": draw,
                            "response": response,
                            "status": "error"
                            if failed
                            else "ok"
                            if response is not None
                            else "unanswered",
                            "rule": None if response is None else "by rule",
                            "text": None if failed else text.format(response),
                            "latency_s": 0.5 if draw == 0 else None,
                            "prompt_tokens": 100,
                            "completion_tokens": 7,
                            "prompt_sha256": "b" * 64,
                        }
                    )
    about = {
        "dataset": about_dataset(data),
        "models": {
            model: {"source": "made", "conditions": [*asked], "settings": dict(settings)}
            for model in models
        },
    }
    return Runs(items_of(data), pl.DataFrame(rows, infer_schema_length=None), about)


def row_of(subject: Subject, model: str, condition: str, metric: str) -> dict[str, Any]:
    """The row of the table `results` over all items."""
    table = subject.table
    (row,) = (
        {name: column[place] for name, column in table.items()}
        for place in range(len(table["model"]))
        if (table["model"][place], table["condition"][place], table["metric"][place])
        == (model, condition, metric)
        and table["group_name"][place] is None
    )
    return row
