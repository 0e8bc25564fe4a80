"""The rules over runs: stored raw texts are read again by a newer, or another, answer reader. It
runs no model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from lm_eval_safescale import __version__
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.reading import STRICT, AnswerReader, Reasoning, read_output
from lm_eval_safescale.records import Item, ReadAs, Reading, Status
from lm_eval_safescale.runs import provenance
from lm_eval_safescale.runs.finish import OPENED, READER_VERSION
from lm_eval_safescale.runs.store import write_runs
from lm_eval_safescale.runs.table import KEYS, Runs, possible_of

CHANGES_FILE = "changes.jsonl"
OF_READING = ("response", "status", "rule")
"""Columns of the answers that a reading fills."""
Read = Callable[[str, str, str], tuple[str | None, str | None]]
"""`read(condition, question_id, text)` gives the response of an output without its reasoning, or
None, and the rule, as `Family.read_under` does."""
HOW = ("auto", "on", "off", "separate")


@dataclass(frozen=True, eq=False)
class Reread:
    """Runs as they read now, and what changed."""

    runs: Runs
    changes: pl.DataFrame
    """Answers that read otherwise: model, condition, question_id, draw; response, status and rule,
    each before (`response_before`, ...) and after; text."""
    read: int
    """Answers that were read again."""
    without_text: int
    """Answers that stay as they were, because their raw text was not stored, the backend gave none,
    or a filter held it back."""
    failed: int
    """Answers that the reader failed for: `error`, and not scored."""
    failures: tuple[str, ...]
    """What it failed with."""

    @property
    def report(self) -> dict[str, Any]:
        """Everything counted, as JSON values."""
        said = [
            pl.coalesce(pl.col(response), pl.col(status)).alias(name)
            for name, response, status in (
                ("before", "response_before", "status_before"),
                ("after", "response", "status"),
            )
        ]
        return {
            "answers": self.runs.answers.height,
            "read": self.read,
            "without_text": self.without_text,
            "changed": self.changes.height,
            "failed": self.failed,
            "changes": provenance.counted(self.changes.select(said), "before", "after"),
            "changed_by_model": provenance.counted(self.changes, "model"),
        }


def reread(
    runs: Runs,
    dataset: Dataset,
    reader: AnswerReader = STRICT,
    *,
    reasoning: Reasoning | None = None,
) -> Reread:
    """Read the raw texts of runs again by rules.

    Parameters
    ----------
    dataset
        The data set that the runs are of: rules know an option's own text behind its letter.
    reader
        What reads the letter once the reasoning is stripped.
    reasoning
        See `read_answer`. None: as the run was made, where that is known. An answer that was
        `truncated` then stays so unless its text shows where the reasoning ends: that the prompt
        had opened the reasoning cannot be seen in the text.

    Raises
    ------
    SafescaleError
        If the runs hold no raw texts, are of other data, or hold what only a judge can read.
    """
    provenance.refuse_without_texts(runs)
    if runs.family.judged and (runs.answers["status"] == Status.OK.value).any():
        raise SafescaleError(
            "these answers were read by a judge, and no rule can; have a judge read them again "
            "(safescale judge)"
        )
    rows = (
        provenance.with_columns_of_items(runs)
        .join(ways_of(runs, reasoning), on=["model", "condition"], how="left")
        .sort("row")
    )
    seems_opened = (pl.col("status") == Status.TRUNCATED.value) & pl.lit(reasoning is None)
    rows = rows.with_columns(
        readable().alias("is_read"), pl.coalesce("opened", seems_opened).alias("opened")
    )
    rows = rows if reasoning else rows.with_columns(way())
    failures: list[str] = []
    rows = read_rows(rows, reader_of(runs, dataset, reader), failures)
    now = rows.with_columns(
        *(
            pl.when("is_read").then(f"new_{name}").otherwise(name).alias(name)
            for name in OF_READING
        ),
        *(pl.col(name).alias(f"{name}_before") for name in OF_READING),
    )
    differs = pl.col("response").ne_missing(pl.col("response_before")) | (
        pl.col("status") != pl.col("status_before")
    )
    changes = now.filter(differs).select(
        *KEYS, *(f"{name}_before" for name in OF_READING), *OF_READING, "text"
    )
    by = {
        "by": "rules",
        "reader": reader.name,
        READER_VERSION: reader.version,
        "version": __version__,
    }
    about = provenance.read_by(runs, {**by, "reasoning": reasoning or "as run"})
    unread = now.filter(pl.col("is_read") & (pl.col("status") == Status.ERROR.value)).height
    read = int(rows["is_read"].sum())
    return Reread(
        Runs(runs.items, now, about),
        changes,
        read,
        rows.height - read,
        unread,
        tuple(dict.fromkeys(failures)),
    )


def readable() -> pl.Expr:
    """Whether an answer has an output that can be read: its text was stored, and neither a filter
    nor the reply itself stands for it."""
    failed = (pl.col("status") == Status.ERROR.value) & (pl.col("text") == "")
    said_by_reply = (
        pl.col("read_as")
        .is_in([ReadAs.REFUSAL.value, ReadAs.REASONING.value])
        .fill_null(value=False)
    )
    return (
        pl.col("text").is_not_null()
        & ~failed
        & (pl.col("status") != Status.FILTERED.value)
        & ~said_by_reply
    )


def way() -> pl.Expr:
    """How the reasoning of an answer was told from it: as of all answers of its model (`how`),
    unless it was cut off in it."""
    return (
        pl.when(pl.col("read_as") == ReadAs.CUT.value)
        .then(pl.lit("on"))
        .otherwise("how")
        .alias("how")
    )


def read_rows(rows: pl.DataFrame, read: Read, failures: list[str]) -> pl.DataFrame:
    """Rows with what is read in them as `new_response`, `new_status` and `new_rule`; equal outputs
    are read once.

    An empty output of which no rule is known stays what it is: the reply may have said that it was
    refused, or cut off, and no log of the harness keeps that.

    Parameters
    ----------
    rows
        With the columns text, condition, question_id, how, opened (see `read_output`), and is_read:
        whether the row is to be read.
    read
        As `reader_of` gives it.
    failures
        Takes what the reader failed with.
    """
    told = ["text", "condition", "question_id", "how", "opened"]
    texts = rows.filter("is_read").select(told).unique(maintain_order=True)
    found = [
        _read(text, partial(read, condition, question_id), how, opened, failures)
        for text, condition, question_id, how, opened in texts.iter_rows()
    ]
    texts = texts.with_columns(
        pl.Series("new_response", [reading.response for reading in found], dtype=pl.String),
        pl.Series("new_status", [reading.status.value for reading in found], dtype=pl.String),
        pl.Series("new_rule", [reading.rule for reading in found], dtype=pl.String),
    )
    rows = rows.join(texts, on=told, how="left", maintain_order="left")
    silent = [Status.UNANSWERED.value, Status.TRUNCATED.value]
    either = (
        (pl.col("text") == "")
        & pl.col("rule").is_null()
        & pl.col("status").is_in(silent)
        & pl.col("new_status").is_in(silent)
    )
    return rows.with_columns(
        pl.when(either).then("status").otherwise("new_status").alias("new_status")
    )


def write_reread(reread: Reread, folder: Path) -> None:
    """The runs and what changed (`changes.jsonl`) into a folder."""
    provenance.write_lines(reread.changes, folder / CHANGES_FILE)
    write_runs(reread.runs, folder, [CHANGES_FILE])


def reader_of(runs: Runs, dataset: Dataset, reader: AnswerReader) -> Read:
    """What reads outputs to the items of runs.

    Raises
    ------
    SafescaleError
        If the data set is not that of the runs.
    """
    items, family = items_of_runs(runs, dataset), runs.family
    return lambda condition, question_id, text: family.read_under(
        condition, text, items[question_id], reader
    )


def items_of_runs(runs: Runs, dataset: Dataset) -> dict[str, Item]:
    """The items of a data set by id; SafescaleError if it is not that of the runs."""
    about = runs.about.get("dataset", {})
    theirs = about.get("fingerprint")
    if theirs is not None and theirs != dataset.fingerprint:
        raise SafescaleError(
            f"the runs are of the data set {about.get('name')} {about.get('version')} (fingerprint "
            f"{theirs[:12]}), and {dataset.name} {dataset.version} is another one "
            f"({dataset.fingerprint[:12]}); name the data set that the runs were made of"
        )
    items, family = {item.question_id: item for item in dataset}, runs.family
    for question_id, possible in possible_of(runs.items, family).items():
        item = items.get(question_id)
        # a key or a label has no part in reading
        if item is None or family.possible(family.columns(item)) != possible:
            raise SafescaleError(
                f"{dataset.name} {dataset.version}: item {question_id} of the runs is not in it, "
                "or another one"
            )
    return items


def ways_of(runs: Runs, reasoning: Reasoning | None) -> pl.DataFrame:
    """How the reasoning of each model under each condition is told from its answer; `opened`: null
    where that is unknown."""
    ways = [
        (
            *pair,
            reasoning or way_of(runs, *pair),
            None if reasoning else provenance.setting_of(runs, *pair, OPENED),
        )
        for pair in runs.draws
    ]
    schema = {"model": pl.String, "condition": pl.String, "how": pl.String, "opened": pl.Boolean}
    return pl.DataFrame(ways, schema=schema, orient="row")


def way_of(runs: Runs, model: str, condition: str) -> Reasoning:
    """How the reasoning of a model was told from its answer."""
    how = provenance.setting_of(runs, model, condition, "reasoning")
    return how if how in HOW else "auto"


def _read(
    text: str,
    read: Callable[[str], tuple[str | None, str | None]],
    how: Reasoning,
    opened: bool,
    failures: list[str],
) -> Reading:
    try:
        return read_output(text, read, reasoning=how, opened=opened)
    except SafescaleError as error:
        # a plugin's reader: what it fails for is not scored, as in a run
        failures.append(str(error))
        return Reading(None, Status.ERROR)
