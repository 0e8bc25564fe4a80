"""A judge's letters, made again from its verdicts, and these from the replies that were stored: no
model is asked.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from lm_eval_safescale.chat.step_log import StepLog
from lm_eval_safescale.errors import panics_as_errors, reason_of
from lm_eval_safescale.judging.judging import (
    STEPS_FILE,
    VERDICTS_FILE,
    ask_of,
    judged_answers,
    kept_of,
    without_judge,
)
from lm_eval_safescale.reading import READER_VERSION as VERSION
from lm_eval_safescale.reading.judge import PROMPT_SHA256, VerdictStatus, read_verdict
from lm_eval_safescale.runs import provenance
from lm_eval_safescale.runs.finish import READER_VERSION
from lm_eval_safescale.runs.table import KEYS
from lm_eval_safescale.verifying.findings import Kind, Verification

if TYPE_CHECKING:
    from collections.abc import Mapping

NO_VERDICTS = "a judge has read them, and its verdicts are not there"
NO_REPLIES = "a judge has read them, and its replies are not there"
OTHER_PROMPT = "a judge has read them, by another prompt than this version's"


def check_judged(
    rows: pl.DataFrame, reading: Mapping[str, Any], folder: Path, found: Verification
) -> None:
    """Note every letter that is not what the judge's verdicts say, and every verdict that is not
    what its replies say.

    Parameters
    ----------
    rows
        Answers that a judge has read, with `row`, and the `letters` of their items.
    reading
        What the runs say of the judging.
    folder
        Where verdicts and replies are.
    """
    verdicts = _verdicts(folder, found)
    if verdicts is None:
        found.left(NO_VERDICTS, rows.height)
        return
    told = rows.join(verdicts, on=KEYS, how="left", maintain_order="left")
    before = told.with_columns(response=pl.col("letter_before"), status=pl.col("status_before"))
    again = judged_answers(before).select("row", new_letter="response", new_status="status")
    told = told.join(again, on="row", how="left", maintain_order="left")
    for row in told.filter(_differs("response", "status")).iter_rows(named=True):
        said = (
            "no verdict"
            if row["verdict"] is None
            else f"the verdict {row['judge_letter'] or row['verdict']}"
        )
        found.damaged(
            provenance.place_of(row),
            f"stored as {row['response'] or row['status']}, and {VERDICTS_FILE} has {said}",
            Kind.READING,
        )
    _check_replies(before, reading, folder, found)


def _differs(letter: str, status: str) -> pl.Expr:
    return pl.col(letter).ne_missing(pl.col("new_letter")) | pl.col(status).ne_missing(
        pl.col("new_status")
    )


def _verdicts(folder: Path, found: Verification) -> pl.DataFrame | None:
    """A judge's verdicts; None where there are none, or where they are damaged, which is noted."""
    path = folder / VERDICTS_FILE
    if not path.is_file() or found.has(VERDICTS_FILE):
        return None
    texts = (
        "model",
        "condition",
        "question_id",
        "letter_before",
        "status_before",
        "judge_letter",
        "verdict",
    )
    try:
        with panics_as_errors(quiet=True):
            return pl.read_parquet(path).select(
                "draw", *(pl.col(name).cast(pl.String) for name in texts)
            )
    except Exception as error:  # what Polars raises for a damaged file varies
        found.damaged(VERDICTS_FILE, f"cannot be read ({reason_of(error)})")
        return None


def _check_replies(
    rows: pl.DataFrame, reading: Mapping[str, Any], folder: Path, found: Verification
) -> None:
    """Read the judge's replies again; `rows` as they were before it, with its verdicts."""
    if not (folder / STEPS_FILE).is_file() or found.has(STEPS_FILE):
        found.note(STEPS_FILE, "not there: the judge's verdicts stand for its replies")
        found.left(NO_REPLIES, rows.height)
        return
    if reading.get("prompt_sha256") != PROMPT_SHA256:
        found.note(
            STEPS_FILE,
            "replies to another prompt than this version's: the judge's verdicts stand for them",
        )
        found.left(OTHER_PROMPT, rows.height)
        return
    found.read_again += rows.height
    steps, limit = StepLog.stored(folder / STEPS_FILE), int(reading.get("max_tokens", 0))
    rows = rows.with_columns(kept_of(pl.col("status"), pl.col("text")).alias("kept"))
    pairs = (
        rows.filter(pl.col("kept").is_null()).select("text", "letters").unique(maintain_order=True)
    )
    read = [_read(text, letters, steps, limit) for text, letters in pairs.iter_rows()]
    pairs = pairs.with_columns(
        pl.Series("new_status", [status for status, _ in read], dtype=pl.String),
        pl.Series("new_letter", [letter for _, letter in read], dtype=pl.String),
    )
    rows = rows.join(pairs, on=["text", "letters"], how="left", maintain_order="left")
    rows = rows.with_columns(pl.coalesce("kept", "new_status").alias("new_status"))
    for row in rows.filter(_differs("judge_letter", "verdict")).iter_rows(named=True):
        stored, now = row["judge_letter"] or row["verdict"], row["new_letter"] or row["new_status"]
        what = f"{VERDICTS_FILE} has {stored}, and the judge's reply reads {now}"
        if reading.get(READER_VERSION) == VERSION:
            found.damaged(provenance.place_of(row), what, Kind.READING, now)
        else:
            found.unknown(
                provenance.place_of(row),
                f"{what}; it was read by another version, or an unknown one",
                Kind.READING,
                now,
            )


def _read(text: str, letters: str, steps: StepLog, limit: int) -> tuple[str, str | None]:
    """The verdict on a text, and its letter; `failed` where no reply is stored."""
    if (own := without_judge(text, letters)) is not None:
        status, verdict = own
        return status, verdict.letter
    reply = steps.known(ask_of(text, letters, limit))
    if reply is None:
        return VerdictStatus.FAILED.value, None
    verdict = read_verdict(reply, text, letters)
    return verdict.status.value, verdict.letter
