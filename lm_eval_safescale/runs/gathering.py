"""The answers of a journal as runs: whoever was heard, and whoever was asked in vain. It asks nobody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lm_eval_safescale import __version__
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.records import Status
from lm_eval_safescale.runs.journal import SCORED_WITH, Journal, size_of
from lm_eval_safescale.runs.lines import Line
from lm_eval_safescale.runs.readings import JOURNAL
from lm_eval_safescale.runs.store import known_of_model
from lm_eval_safescale.runs.table import Runs, in_order

if TYPE_CHECKING:
    import polars as pl

OF_REQUEST = (
    "condition", "question_id", "prompt_sha256", "prompt_tokens", "latency_s", "concurrency", "context_fingerprint", "context_tokens",
    "evidence_coverage", "recall", "nothing_found", "served_model", "system_fingerprint", "reply_id",
)  # fmt: skip
"""Columns that all draws of a request share."""
OF_DRAW = ("draw", "letter", "status", "rule", "text", "completion_tokens", "finish_reason", "read_as")
READER_VERSION, OPENED = "reader_version", "reasoning_opened"
"""Of a model's settings: by which version its letters were read, and whether its prompts had opened the reasoning."""
OF_CONDITION = {"token_limit": "max_answer_tokens", "chat_template": "chat_template", OPENED: OPENED}
"""What `run.json` says of a condition, and what that is called in a model's settings."""


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
    lines = journal.read()
    if sum(len(line.draws) for line in lines) < sum(map(len, journal.known().values())):
        raise SafescaleError(
            f"{journal.folder}: answers that were there are gone: it was moved, or files of it were removed, while the run was under way. "
            "Put it back, and the same command goes on from there"
        )
    if not lines:
        raise SafescaleError(f"{journal.folder}: not one answer; nothing to store")
    known = {"dataset": dict(about), "models": {name: about_model(journal.about, lines)}, "left_out": []}
    return Runs(items, answers_of(lines, name), {**known, JOURNAL: size_of(journal.folder)})


def answers_of(lines: Sequence[Line], name: str) -> pl.DataFrame:
    """The answers in lines as a frame of `ANSWERS`: a row for each draw that was answered, or asked for in vain (status `error`)."""
    import polars as pl

    from lm_eval_safescale.runs.table import ANSWERS

    rows: list[dict[str, Any]] = []
    for line in lines:
        shared = {name: getattr(line, name) for name in OF_REQUEST}
        first = line.draws[0].draw if line.draws else 0
        rows += [
            {
                **shared,
                **{column: getattr(draw, column) for column in OF_DRAW},
                "seed": None if line.seed is None else line.seed + draw.draw - first,
            }
            for draw in line.draws
        ]
    for condition, failed in failures_in(lines).items():
        rows += [
            {"condition": condition, "question_id": item, "draw": draw, "status": Status.ERROR.value}
            for item, (draws, _) in failed.items()
            for draw in sorted(draws)
        ]
    schema = {column: kind for column, kind in ANSWERS.items() if column != "model"}
    return pl.DataFrame(rows, schema=schema).with_columns(pl.lit(name).alias("model"))


def about_model(description: Mapping[str, Any], lines: Sequence[Line]) -> dict[str, Any]:
    """What `Runs.about` says of the model of a run, by what `run.json` and the answers say."""
    identity, conditions, starts = (description[name] for name in ("identity", "conditions", "starts"))
    settings = {
        **identity["settings"],
        "backend": identity["model"]["backend"],
        "model_args": identity["model"],
        "prompt_sha256": identity["prompt_template"],
        "seed": identity["seed"],
        "version": __version__,
        **starts[-1].get(SCORED_WITH, {}),
    }
    if any(line.draws and line.draws[0].draw and line.seed is None for line in lines):
        settings["send_seed"] = False  # whoever decided it
    versions = {start.get(READER_VERSION) for start in starts}
    if len(versions) == 1 and None not in versions:
        settings[READER_VERSION] = versions.pop()
    return known_of_model(
        "safescale run",
        {name: {**settings, **_of_condition(conditions[name]), **_served(lines, name)} for name in _asked(lines)},
    )


def _asked(lines: Iterable[Line]) -> list[str]:
    return in_order(line.condition for line in lines)


def _served(lines: Iterable[Line], condition: str) -> dict[str, list[str]]:
    """Under which names the server replied; nothing where it gave none."""
    names = {line.served_model for line in lines if line.served_model and line.condition == condition}
    return {"served_model": sorted(names)} if names else {}


def _of_condition(facts: Mapping[str, Any]) -> dict[str, Any]:
    is_older = OPENED not in facts
    return {setting: facts[name] for name, setting in OF_CONDITION.items() if not (is_older and name == OPENED)}
