"""Single items of one model, as every_eval_ever's lines have them: what was answered, and what the
metric makes of that item alone. It writes no file.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl

from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.exporting.subject import DEMO, Result, Subject
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.metrics.metric import OF_EVERY_DRAW
from lm_eval_safescale.records import Choice
from lm_eval_safescale.stats.presets import Floats

OF_DRAW = ("draw", "status", "response", "rule", "text", "completion_tokens")
OF_REQUEST = ("prompt_sha256", "context_fingerprint", "prompt_tokens", "latency_s")
"""Columns of the answers that a line tells of; those of a request are of its first draw."""


def instances_of(
    subject: Subject, model: str, results: Iterable[Result], data: Dataset | None = None
) -> Iterator[dict[str, Any]]:
    """A line for each headline result of a model and each item that is scored in it, without what
    all lines share.

    Parameters
    ----------
    results
        Of this model; lines are of those among them that are headlines (`Subject.headlines`).
    data
        Whose questions and references stand in the lines; without it they hold nothing of the data
        set but the items' ids.
    """
    values: dict[str, Floats] = {}
    places = {pair: place for place, pair in enumerate(subject.study.scores)}
    shown = _shown(data)
    headlines = [each for each in results if each.metric.name in subject.headlines]
    for condition in dict.fromkeys(each.condition for each in headlines):
        answers = _answers(subject, model, condition)
        for result in headlines:
            if result.condition != condition:
                continue
            name = result.metric.name
            if name not in values:
                values[name] = item_values(subject, result.metric)
            cell = values[name][:, places[model, condition]]
            for item, value in zip(subject.study.items.ids, cell.tolist(), strict=True):
                if value == value:  # nan: not scored
                    given = _drawn(answers.get(item, []), result)
                    yield _line(subject, result, item, value, given, shown.get(item, _WITHHELD))


def item_values(subject: Subject, metric: Metric) -> Floats:
    """The metric of each item alone, shape (items, cells); nan where it is not defined there."""
    columns = [subject.study.column(name) for name in metric.sources]
    return np.array(
        [
            metric.value([column[place : place + 1] for column in columns])
            for place in range(len(columns[0]))
        ]
    )


_WITHHELD: Mapping[str, Any] = {"input": {"raw": "", "reference": []}}


def _shown(data: Dataset | None) -> dict[str, Mapping[str, Any]]:
    """What may be shown of each item, by its id: what a prompt shows of it, and its key where it
    has one."""
    found: dict[str, Mapping[str, Any]] = {}
    for item in data or ():
        given = {
            "raw": "\n\n".join(item.fields().values()),
            "reference": [item.answer] if isinstance(item, Choice) else [],
        }
        digest = hashlib.sha256(json.dumps(given, sort_keys=True, separators=(",", ":")).encode())
        choices = {"choices": [*item.options.values()]} if isinstance(item, Choice) else {}
        found[item.question_id] = {"sample_hash": digest.hexdigest(), "input": given | choices}
    return found


def _answers(subject: Subject, model: str, condition: str) -> dict[str, list[Mapping[str, Any]]]:
    """Answers of a model under a condition, by item, in the order of draws."""
    frame = subject.study.runs.answers
    there = [name for name in (*OF_DRAW, *OF_REQUEST) if name in frame.columns]
    rows = (
        frame.lazy()
        .filter((pl.col("model") == model) & (pl.col("condition") == condition))
        .select("question_id", *there)
        .collect()
    )
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows.iter_rows(named=True):
        found.setdefault(row["question_id"], []).append(row)
    return found


def _drawn(rows: Sequence[Mapping[str, Any]], result: Result) -> list[Mapping[str, Any]]:
    """The draws that a metric is of."""
    of = result.metric.decode
    return [row for row in rows if of in OF_EVERY_DRAW or (row["draw"] == 0) == (of == "greedy")]


def _line(
    subject: Subject,
    result: Result,
    item: str,
    value: float,
    rows: Sequence[Mapping[str, Any]],
    shown: Mapping[str, Any],
) -> dict[str, Any]:
    metric = result.metric
    with_text = [row for row in rows if row.get("text") is not None]
    is_final = metric.decode == "greedy"
    first = rows[0] if rows else {}
    line: dict[str, Any] = {
        "evaluation_name": subject.evaluation_name(result),
        "evaluation_result_id": result.id,
        "sample_id": item,
        "interaction_type": "single_turn",
        **shown,
        "output": {"raw": [row["text"] for row in with_text]},
        "answer_attribution": [
            {
                "turn_idx": 0,
                "source": f"output.raw[{place}]",
                "extracted_value": row["response"],
                "extraction_method": row.get("rule") or "unknown",
                "is_terminal": is_final,
            }
            for place, row in enumerate(with_text)
            if row["response"] is not None
        ],
        "evaluation": {
            "score": value,
            "is_correct": value == metric.bounds[1 if metric.higher_is_better else 0],
        },
        "metadata": {
            "condition": result.condition,
            "metric": metric.name,
            "draws": [row["draw"] for row in rows],
            "statuses": [row["status"] for row in rows],
            "responses": [row["response"] for row in rows],
            **{
                name: first[name]
                for name in ("prompt_sha256", "context_fingerprint")
                if first.get(name) is not None
            },
            **({"demo": DEMO} if subject.is_demo else {}),
        },
    }
    return line | _measured(rows) if is_final else line


def _measured(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Tokens and seconds of one request, where they are known."""
    found: dict[str, Any] = {}
    for row in rows:
        given, made = row.get("prompt_tokens"), row.get("completion_tokens")
        if given is not None and made is not None:
            found["token_usage"] = {
                "input_tokens": given,
                "output_tokens": made,
                "total_tokens": given + made,
            }
        if (seconds := row.get("latency_s")) is not None:
            found["performance"] = {"latency_ms": 1000 * seconds}
    return found
