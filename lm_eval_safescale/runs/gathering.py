"""The answers of a journal as runs: whoever was heard, and whoever was asked in vain. It asks nobody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from lm_eval_safescale import __version__
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.records import Status
from lm_eval_safescale.runs.journal import SCORED_WITH, Journal, size_of
from lm_eval_safescale.runs.lines import Line, read_lines
from lm_eval_safescale.runs.store import JOURNAL, known_of_model
from lm_eval_safescale.runs.table import Runs, in_order

if TYPE_CHECKING:
    import polars as pl

OF_REQUEST = (
    "condition", "question_id", "prompt_sha256", "prompt_tokens", "latency_s", "concurrency", "context_fingerprint", "context_tokens",
    "evidence_coverage", "recall", "served_model", "system_fingerprint", "reply_id",
)  # fmt: skip
"""Columns that all draws of a request share."""


def failures_in(lines: Iterable[Line]) -> dict[str, dict[str, tuple[set[int], str]]]:
    """Draws that were asked for in vain and never answered, by condition and item, with the last reason."""
    failed: dict[str, dict[str, tuple[set[int], str]]] = defaultdict(dict)
    answered: dict[tuple[str, str], set[int]] = defaultdict(set)
    for line in lines:
        answered[line.condition, line.question_id].update(draw.draw for draw in line.draws)
        if line.failed:
            before, _ = failed[line.condition].get(line.question_id, (set(), ""))
            failed[line.condition][line.question_id] = (before | set(line.failed), line.error)
    left = {
        condition: {
            item: (draws - answered[condition, item], error)
            for item, (draws, error) in items.items()
            if draws - answered[condition, item]
        }
        for condition, items in failed.items()
    }
    return {condition: items for condition, items in left.items() if items}


def runs_of(journal: Journal, items: pl.DataFrame, about: Mapping[str, Any], name: str) -> Runs:
    """The answers of a journal as runs: a row for each draw that was answered, or asked for in vain (status `error`)."""
    import polars as pl

    rows: list[dict[str, Any]] = []
    lines, _ = read_lines(journal.folder)
    if sum(len(line.draws) for line in lines) < sum(len(line.draws) for line in journal.lines):
        raise SafescaleError(
            f"{journal.folder}: answers that were there are gone: it was moved, or files of it were removed, while the run was under way. "
            "Put it back, and the same command goes on from there"
        )
    for line in lines:
        shared = {name: getattr(line, name) for name in OF_REQUEST}
        first = line.draws[0].draw if line.draws else 0
        rows += [
            {
                **shared,
                "draw": draw.draw,
                "letter": draw.letter,
                "status": draw.status,
                "rule": draw.rule,
                "text": draw.text,
                "completion_tokens": draw.completion_tokens,
                "finish_reason": draw.finish_reason,
                "seed": None if line.seed is None else line.seed + draw.draw - first,
            }
            for draw in line.draws
        ]
    for condition, failed in failures_in(journal.lines).items():
        rows += [
            {"condition": condition, "question_id": item, "draw": draw, "status": Status.ERROR.value}
            for item, (draws, _) in failed.items()
            for draw in sorted(draws)
        ]
    if not rows:
        raise SafescaleError(f"{journal.folder}: not one answer; nothing to store")
    from lm_eval_safescale.runs.table import ANSWERS

    schema = {name: kind for name, kind in ANSWERS.items() if name != "model"}
    answers = pl.DataFrame(rows, schema=schema).with_columns(pl.lit(name).alias("model"))
    known = {"dataset": dict(about), "models": {name: _about_model(journal)}, "left_out": []}
    return Runs(items, answers, {**known, JOURNAL: size_of(journal.folder)})


def _about_model(journal: Journal) -> dict[str, Any]:
    identity, conditions = journal.about["identity"], journal.about["conditions"]
    settings = {
        **identity["settings"],
        "backend": identity["model"]["backend"],
        "model_args": identity["model"],
        "prompt_sha256": identity["prompt_template"],
        "seed": identity["seed"],
        "version": __version__,
        **journal.about["starts"][-1].get(SCORED_WITH, {}),
    }
    if any(line.draws and line.draws[0].draw and line.seed is None for line in journal.lines):
        settings["send_seed"] = False  # whoever decided it
    asked = in_order(line.condition for line in journal.lines)
    return known_of_model(
        "safescale run",
        {
            name: {
                **settings,
                "max_answer_tokens": conditions[name]["token_limit"],
                "chat_template": conditions[name]["chat_template"],
            }
            for name in asked
        },
    )
