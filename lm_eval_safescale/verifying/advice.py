"""Verdicts on advice, made again from the replies of their judge that were stored: no model is
asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from lm_eval_safescale.chat.step_log import StepLog
from lm_eval_safescale.checksums import are_alike
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.judge import RULE_BASED
from lm_eval_safescale.judging.advice import CORRECTIONS_FILE, advice_again, judge_of
from lm_eval_safescale.judging.corrections import CORRECTIONS, correct, read_by_hand
from lm_eval_safescale.judging.judging import STEPS_FILE
from lm_eval_safescale.runs import provenance
from lm_eval_safescale.runs.table import KEYS, Runs
from lm_eval_safescale.verifying.findings import Kind, Verification
from lm_eval_safescale.verifying.judged import NO_REPLIES, OTHER_PROMPT

WITHOUT_DATA = "the data set, whose rubrics the judge was asked by, cannot be had"
WITHOUT_TEXT = "a judge has read them, and their texts are not stored"


def check_advice(
    runs: Runs,
    rows: pl.DataFrame,
    dataset: Dataset | None,
    reading: Mapping[str, Any],
    folder: Path,
    found: Verification,
) -> None:
    """Note every answer whose verdicts are not what its judge's replies say.

    Parameters
    ----------
    rows
        Those answers that a judge has read.
    dataset
        Of the runs; None where it cannot be had.
    reading
        What the runs say of the judging.
    folder
        Where the replies are.
    """
    if dataset is None:
        found.left(WITHOUT_DATA, rows.height)
        return
    is_rule_based = reading.get("judge", {}).get("name") == RULE_BASED
    steps = None if is_rule_based else _steps(runs, reading, folder, found, rows.height)
    if steps is None and not is_rule_based:
        return
    try:
        judged = advice_again(runs, dataset, reading, steps)
    except SafescaleError as error:
        found.damaged("items", error, Kind.ITEM)
        return
    again = _corrected(judged.runs, reading, folder, found).answers.with_columns(
        pl.col(name).cast(pl.String) for name in (*KEYS[:3], "response", "status")
    )
    names = {name: f"new_{name}" for name in ("response", "status")}
    rows = rows.join(
        again.select(*KEYS, *names).rename(names), on=KEYS, how="left", maintain_order="left"
    )
    without = rows.filter(pl.col("text").is_null())
    found.left(WITHOUT_TEXT, without.height)
    found.read_again += rows.height - without.height
    differs = pl.col("response").ne_missing(pl.col("new_response")) | (
        pl.col("status") != pl.col("new_status")
    )
    for row in rows.filter(differs).iter_rows(named=True):
        same = row["status"] == row["new_status"]
        said = "other verdicts" if same else f"{row['new_status']}, not {row['status']}"
        found.damaged(
            provenance.place_of(row),
            f"the judge's stored replies give {said}",
            Kind.READING,
            row["new_response"] or row["new_status"],
        )


def _corrected(runs: Runs, reading: Mapping[str, Any], folder: Path, found: Verification) -> Runs:
    """Runs as a person has corrected them, where somebody has."""
    if CORRECTIONS not in reading:
        return runs
    try:
        return correct(runs, read_by_hand(folder / CORRECTIONS_FILE, runs))
    except SafescaleError as error:
        found.damaged(CORRECTIONS_FILE, error)
        return runs


def _steps(
    runs: Runs, reading: Mapping[str, Any], folder: Path, found: Verification, answers: int
) -> StepLog | None:
    """The judge's replies; None where they say nothing, which is noted."""
    if not (folder / STEPS_FILE).is_file() or found.has(STEPS_FILE):
        found.note(STEPS_FILE, "not there: the verdicts stand for the judge's replies")
        found.left(NO_REPLIES, answers)
    elif reading.get("prompt_sha256") != judge_of(runs.family).prompt_sha256:
        found.note(
            STEPS_FILE, "replies to another prompt than this version's: the verdicts stand for them"
        )
        found.left(OTHER_PROMPT, answers)
    else:
        steps = StepLog.stored(folder / STEPS_FILE)
        if not _are_of(steps.about.get("model"), reading):
            found.damaged(
                STEPS_FILE, "holds the replies of another judge than the runs name", Kind.READING
            )
        return steps
    return None


def _are_of(model: Any, reading: Mapping[str, Any]) -> bool:
    """Whether replies of a model, as a judge's steps describe it, are those of a reading."""
    if not isinstance(model, dict):
        return False
    told = {name: value for name, value in reading["judge"].items() if name != "base_url"}
    return are_alike({**model, "name": provenance.name_of_judge(model)}, told)
