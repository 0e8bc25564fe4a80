"""Answers that only a judge can read: how many wait for one, and how many it reads as they stand
though they were cut.
"""

from __future__ import annotations

import polars as pl

from lm_eval_safescale.chat.finish_reason import was_cut
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.records import NOT_SCORED, Status
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.provenance import settings_of
from lm_eval_safescale.runs.table import named
from lm_eval_safescale.words import counted


def unjudged(runs: Runs) -> dict[tuple[str, str], int]:
    """Of how many items answers wait for a judge, by model and condition; only where there are
    any."""
    waiting = runs.answers.filter(pl.col("status") == Status.UNJUDGED.value)
    found = waiting.group_by("model", "condition").agg(pl.col("question_id").n_unique())
    return {
        (model, condition): n
        for model, condition, n in found.sort("model", "condition").iter_rows()
    }


def nothing_judged(runs: Runs) -> str:
    """What is said where nothing is scored, and answers wait for a judge; empty where not."""
    statuses = runs.answers["status"]
    waiting = int((statuses == Status.UNJUDGED.value).sum())
    if not waiting or not statuses.is_in([each.value for each in NOT_SCORED]).all():
        return ""
    return (
        f"nothing is scored in these runs: {counted(waiting, 'answer')} of {named(runs.models)} "
        "unjudged. A judge must read them first (safescale judge); expected the runs that it writes"
    )


def refuse_unjudged(runs: Runs) -> None:
    """SafescaleError where `nothing_judged` says so."""
    if why := nothing_judged(runs):
        raise SafescaleError(why)


def cut_by_limit(runs: Runs) -> dict[tuple[str, str], int]:
    """How many answers that a judge reads as they stand were cut by the token limit, by model and
    condition; only where there are any. Where a backend does not say why an answer ended, one of as
    many tokens as the limit allows was."""
    if not runs.family.judged:
        return {}
    said = pl.col("finish_reason").map_elements(was_cut, return_dtype=pl.Boolean)
    read = pl.col("status").is_in([Status.UNJUDGED.value, Status.OK.value])
    found = {}
    for model, condition in runs.draws:
        limit = settings_of(runs, model, condition).get("max_answer_tokens")
        cut = pl.coalesce(said, pl.col("completion_tokens") >= pl.lit(limit, pl.Int64))
        pair = (pl.col("model") == model) & (pl.col("condition") == condition)
        if number := runs.answers.filter(pair & read & cut).height:
            found[model, condition] = number
    return found


def said_of_cut(number: int) -> str:
    """What is said of so many answers that were cut by the token limit."""
    stand = "it stands" if number == 1 else "they stand"
    return f"{counted(number, 'answer')} cut by the token limit, judged as {stand}"
