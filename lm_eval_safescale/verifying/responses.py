"""Letters read again from their texts, by the reader and the version that the runs name; and a
judge's from its stored replies.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from lm_eval_safescale.assembly import find_reader
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.judge import ROLE
from lm_eval_safescale.judging.rereading import (
    HOW,
    OF_READING,
    Read,
    read_rows,
    readable,
    reader_of,
    way,
)
from lm_eval_safescale.reading import AnswerReader
from lm_eval_safescale.records import NOT_SCORED, Status
from lm_eval_safescale.runs import provenance
from lm_eval_safescale.runs.finish import OPENED, OUR_RUNNER, READER_VERSION
from lm_eval_safescale.runs.table import KEYS, Runs
from lm_eval_safescale.settings import load_settings
from lm_eval_safescale.verifying.advice import check_advice
from lm_eval_safescale.verifying.findings import Kind, Verification
from lm_eval_safescale.verifying.judged import check_judged

LETTERS_OF = {"letters"}
"""What a judge is told of an item."""
BY_IMPORTER = "the letters came with the answers, and no reader is named"
WITHOUT_TEXT = "there is no text: it was not stored, the request failed, or a filter held it back"
SAID_BY_REPLY = (
    "the reply itself said what became of it: the model refused, or did not come to the end of its "
    "reasoning"
)
WITHOUT_DATA = "the data set, whose options the reader needs, cannot be had"


def check_letters(
    runs: Runs,
    dataset: Dataset | None,
    found: Verification,
    folder: Path,
    versions: pl.DataFrame | None = None,
) -> None:
    """Read every letter again, and note each that is not what its text says.

    Parameters
    ----------
    dataset
        Of the runs; None where it cannot be had, which was noted.
    folder
        Where a judge's verdicts are.
    versions
        Which version of the reader has read an answer, by `KEYS` but the model, where a run knows
        it of each; else its settings do.
    """
    rows = provenance.with_columns_of_items(
        runs, *LETTERS_OF.intersection(runs.items.columns)
    ).join(_ways(runs), on=["model", "condition"], how="left", maintain_order="left")
    if versions is not None:
        rows = rows.drop("version").join(versions, on=KEYS[1:], how="left", maintain_order="left")
    found.left(BY_IMPORTER, rows.filter(pl.col("by").is_null()).height)
    for (by,), own in rows.filter(~pl.col("by").is_in(["rules", ROLE])).group_by("by"):
        found.left(f"they were read by {by}, which cannot be asked here", own.height)
    judged = rows.filter(pl.col("by") == ROLE)
    if judged.height:
        model, condition = judged.select("model", "condition").row(0)
        reading = provenance.setting_of(runs, model, condition, provenance.READING)
        if runs.family.judge is None:
            check_judged(judged, reading, folder, found)
        else:
            check_advice(runs, judged, dataset, reading, folder, found)
    rows = rows.with_columns(pl.when("read_again").then("how").otherwise(way()).alias("how"))
    rows = rows.with_columns(readable().alias("is_read"))
    unread = rows.filter((pl.col("by") == "rules") & ~pl.col("is_read"))
    without = unread.filter(pl.col("read_as").is_null())
    not_scored = without.filter(pl.col("status").is_in([each.value for each in NOT_SCORED])).height
    found.left(WITHOUT_TEXT, not_scored, claimed=False)
    found.left(WITHOUT_TEXT, without.height - not_scored)
    found.left(SAID_BY_REPLY, unread.height - without.height, claimed=False)
    # a judge is shown nothing that was cut off: the rules have read that before
    cut = (pl.col("by") == ROLE) & (pl.col("status") == Status.TRUNCATED.value)
    cut &= pl.col("reader").is_not_null()
    rows = rows.filter(pl.col("is_read") & ((pl.col("by") == "rules") | cut))
    if dataset is None:
        found.left(WITHOUT_DATA, rows.height)
        return
    for (name,), own in rows.group_by("reader", maintain_order=True):
        try:
            reader = find_reader(
                load_settings({"reader": name}, environ={}, given_by="the runs"), runs.family
            )
        except SafescaleError as error:
            found.left(f"the reader {name} is not installed", own.height)
            found.unknown(
                f"reader {name}",
                f"not installed, so that {own.height:,} answers cannot be read again: {error}",
                Kind.READING,
            )
            continue
        try:
            read = reader_of(runs, dataset, reader)
        except SafescaleError as error:
            found.damaged("items", error, Kind.ITEM)
            return
        found.read_again += own.filter(pl.col("by") != ROLE).height
        _check_versions(own, reader, found)
        _compare(own, read, reader, found)


def _ways(runs: Runs) -> pl.DataFrame:
    """Who has read each model under each condition, and how; nulls where that is not known."""
    ways = []
    for model, condition in runs.draws:
        its = {
            name: provenance.setting_of(runs, model, condition, name)
            for name in ("reasoning", "reader", READER_VERSION, OPENED)
        }
        by = provenance.setting_of(runs, model, condition, provenance.READING) or {}
        again = by.get("reasoning") if by.get("reasoning") in HOW else None
        how = again or (its["reasoning"] if its["reasoning"] in HOW else "auto")
        reader, version = (
            (by.get("reader"), by.get(READER_VERSION))
            if by and by.get("by") != ROLE
            else (its["reader"], its[READER_VERSION])
        )
        who = by.get("by", "rules") if by or reader else None
        ways.append(
            (
                model,
                condition,
                who,
                reader,
                version,
                how,
                False if again else its[OPENED],
                again is not None,
                runs.about["models"][model].get("source") == OUR_RUNNER,
            )
        )
    names = dict.fromkeys(("model", "condition", "by", "reader", "version", "how"), pl.String)
    return pl.DataFrame(
        ways,
        schema={**names, **dict.fromkeys(("opened", "read_again", "is_ours"), pl.Boolean)},
        orient="row",
    )


def _check_versions(rows: pl.DataFrame, reader: AnswerReader, found: Verification) -> None:
    """Note versions of a reader, where they are numbers, that are none up to the one here."""
    if not reader.version.isdecimal():
        return
    known = [str(number) for number in range(1, int(reader.version) + 1)]
    for version, number in (
        rows.filter(~pl.col("version").is_in(known)).group_by("version").len().iter_rows()
    ):
        found.note(
            f"reader {reader.name}",
            f"{number:,} answers were read by version {version}, which is not known here (it is "
            f"{reader.version})",
            Kind.VERSION,
        )


def _compare(rows: pl.DataFrame, read: Read, reader: AnswerReader, found: Verification) -> None:
    """Note every difference: damage where this very version has read it so, and nothing else can
    explain it."""
    rows = rows.with_columns(
        pl.col("opened").is_null().alias("guessed"), pl.col("opened").fill_null(value=False)
    )
    rows = read_rows(rows, read, []).with_columns(_differs(reader).alias("differs"))
    guessed = rows.filter(pl.col("differs") & pl.col("guessed"))
    explained = set()
    if guessed.height:  # an older version did not note whether the prompts had opened the reasoning
        again = guessed.drop(f"new_{name}" for name in OF_READING).with_columns(
            pl.lit(value=True).alias("opened")
        )
        explained = set(read_rows(again, read, []).filter(~_differs(reader))["row"])
    for row in rows.filter("differs").iter_rows(named=True):
        _note(row, reader, found, explained=row["row"] in explained)


def _differs(reader: AnswerReader) -> pl.Expr:
    """Whether a row reads otherwise now; by another rule too, where one was named, as our runner
    does with this very version."""
    another = (
        (pl.col("rule").is_not_null() | (pl.col("is_ours") & (pl.col("version") == reader.version)))
        & pl.col("version").is_not_null()
        & pl.col("rule").ne_missing(pl.col("new_rule"))
    )
    return (
        pl.col("response").ne_missing(pl.col("new_response"))
        | (pl.col("status") != pl.col("new_status"))
        | another
    )


def _note(
    row: Mapping[str, Any], reader: AnswerReader, found: Verification, *, explained: bool
) -> None:
    where = provenance.place_of(row)
    stored, now = (row[f"{prefix}response"] or row[f"{prefix}status"] for prefix in ("", "new_"))
    what = f"stored as {stored}, and its text reads {now}"
    if stored == now:
        what = (
            f"stored as {stored} by the rule {row['rule']!r}, and its text reads so by "
            f"{row['new_rule']!r}"
        )
    if explained:
        found.unknown(
            where,
            (
                f"{what}, unless the prompt had opened the reasoning, which this older run does "
                "not say"
            ),
            Kind.READING,
            now,
        )
    elif row["version"] == reader.version and row["by"] != ROLE:
        found.damaged(where, what, Kind.READING, now)
    elif stored != now:
        by = "an unknown version" if row["version"] is None else f"version {row['version']}"
        by = "other rules" if row["version"] == reader.version else by
        found.unknown(
            where,
            f"{what}; it was read by {by} of {reader.name}, and this is {reader.version}",
            Kind.READING,
            now,
        )
