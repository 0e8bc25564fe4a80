"""Tables held against the journal and the data set that they were made of, and against what was
asked. It reads no file.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import polars as pl

from lm_eval_safescale.records import Status
from lm_eval_safescale.runs import provenance
from lm_eval_safescale.runs.finish import OUR_RUNNER
from lm_eval_safescale.runs.table import KEYS, Runs
from lm_eval_safescale.verifying.findings import Kind, Verification

MOST_SHOWN = 60
"""Characters of a value that a finding shows."""


def compare_answers(stored: Runs, made: Runs, found: Verification) -> None:
    """Note every answer in which the tables are not what the journal says."""
    left, right = (_plain(runs.answers).drop("model") for runs in (stored, made))
    keys = [name for name in KEYS if name != "model"]
    values = [name for name in left.columns if name not in keys]
    both = left.join(
        right.rename({name: f"{name}_made" for name in values}), on=keys, how="full", coalesce=True
    )
    model = ", ".join(stored.models)
    for row in both.filter(_any_differs(values, "_made")).sort(keys).iter_rows(named=True):
        where = provenance.place_of({**row, "model": model})
        if row["status"] is None:
            found.damaged(
                where,
                (
                    "the journal has it, and the tables do not; the same safescale run command "
                    "writes them again"
                ),
                Kind.TABLE,
            )
        elif row["status_made"] is None:
            found.damaged(where, "the tables have it, and the journal does not", Kind.TABLE)
        else:
            found.damaged(
                where,
                "the tables and the journal differ: " + _differences(row, values, "_made"),
                Kind.TABLE,
            )


def compare_items(
    stored: pl.DataFrame,
    given: pl.DataFrame,
    found: Verification,
    may_lack: Collection[str] = (),
) -> None:
    """Note every item that is not what the data set says; items that were not asked may lack, and
    columns of an earlier version `may_lack`."""
    left, right = (_plain(frame) for frame in (stored, given))
    right = right.drop(set(may_lack) - set(left.columns), strict=False)
    values = [
        name for name in dict.fromkeys([*left.columns, *right.columns]) if name != "question_id"
    ]
    left, right = (
        frame.with_columns(pl.lit(None).alias(name) for name in values if name not in frame.columns)
        for frame in (left, right)
    )
    right = right.rename({name: f"{name}_given" for name in values}).with_columns(
        pl.lit(value=True).alias("is_given")
    )
    both = left.join(right, on="question_id", how="left")
    for row in (
        both.filter(_any_differs(values, "_given")).sort("question_id").iter_rows(named=True)
    ):
        where = f"item {row['question_id']}"
        if not row["is_given"]:
            found.damaged(where, "it is not in the data set", Kind.ITEM)
        else:
            found.damaged(
                where,
                "the table of items and the data set differ: "
                + _differences(row, values, "_given"),
                Kind.ITEM,
            )


def _any_differs(values: list[str], other: str) -> pl.Expr:
    return pl.any_horizontal(pl.col(name).ne_missing(pl.col(f"{name}{other}")) for name in values)


def _differences(row: Mapping[str, Any], values: list[str], other: str) -> str:
    return "; ".join(
        f"{name} {_shown(row[name])} and {_shown(row[f'{name}{other}'])}"
        for name in values
        if row[name] != row[f"{name}{other}"]
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[: MOST_SHOWN - 3]}..."


def _plain(frame: pl.DataFrame) -> pl.DataFrame:
    """With plain texts for enumerations."""
    return frame.with_columns(
        pl.col(name).cast(pl.String)
        for name, kind in frame.schema.items()
        if isinstance(kind, pl.Enum)
    )


def missing_of_run(
    description: Mapping[str, Any], items: pl.DataFrame, runs: Runs | None, found: Verification
) -> None:
    """Note the answers that a run was to have and has not; and those that failed."""

    keys = ["condition", "question_id", "draw"]
    wanted = _wanted(description, sorted(map(str, items["question_id"])))
    missing = (
        wanted
        if runs is None
        else wanted.join(_plain(runs.answers.select(keys)), on=keys, how="anti")
    )
    if missing.height:
        condition, item, draw = missing.sort(keys).row(0)
        found.damaged(
            "answers",
            (
                f"{missing.height:,} of {wanted.height:,} are missing, the first of {condition}, "
                f"item {item}, draw {draw}; the same safescale run command asks for them"
            ),
            Kind.MISSING,
            wanted.height,
        )
    if runs is not None and (failed := int((runs.answers["status"] == Status.ERROR.value).sum())):
        found.note("answers", f"{failed:,} have no output, or none that could be read: not scored")


def _wanted(description: Mapping[str, Any], names: list[str]) -> pl.DataFrame:
    """Every answer that one of the starts was to ask for."""
    most: dict[str, int] = {}
    for start in description["starts"]:
        for condition in start.get("conditions", ()):
            most[condition] = max(most.get(condition, 0), start.get("items", 0))
    asked = [(condition, name) for condition, number in most.items() for name in names[:number]]
    draws = pl.DataFrame(
        {"draw": range(description["identity"].get("settings", {}).get("draws", 0) + 1)},
        schema={"draw": pl.Int16},
    )
    return pl.DataFrame(
        asked, schema={"condition": pl.String, "question_id": pl.String}, orient="row"
    ).join(draws, how="cross")


def missing_of_tables(runs: Runs, found: Verification) -> None:
    """Note items that lack draws which others of the same model and condition have, or which were
    to be asked; and conditions of which not every item was asked."""
    expected = {
        pair: 1 + max(draws, provenance.setting_of(runs, *pair, "draws") or 0)
        for pair, draws in runs.draws.items()
    }
    counts = (
        _plain(runs.answers.select(KEYS))
        .group_by("model", "condition", "question_id")
        .agg(pl.len().alias("draws"))
    )
    for row in counts.sort("model", "condition", "question_id").iter_rows(named=True):
        if row["draws"] < (of := expected[row["model"], row["condition"]]):
            where = f"{row['model']}, {row['condition']}, item {row['question_id']}"
            found.damaged(where, f"{row['draws']} of {of} draws are there", Kind.MISSING, of)
    every = runs.items["question_id"].cast(pl.String).to_list()
    for (model, condition), draws in runs.draws.items():
        asked_for = provenance.setting_of(runs, model, condition, "draws")
        if isinstance(asked_for, int) and draws > asked_for:
            found.damaged(
                f"{model}, {condition}", f"{draws} samples are there", Kind.MISSING, asked_for
            )
        own = counts.filter((pl.col("model") == model) & (pl.col("condition") == condition))
        asked = set(own["question_id"])
        if len(asked) == len(every):
            continue
        found.subsets[condition] = len(asked), len(every)
        is_ours = runs.about["models"][model].get("source") == OUR_RUNNER
        if asked != set(every[: len(asked)]):
            left = next(name for name in every if name not in asked)
            (found.damaged if is_ours else found.note)(
                f"{model}, {condition}",
                f"{len(asked)} of {len(every)} items are there, and not the first of them, as "
                f"safescale run asks them: item {left} lacks",
                Kind.MISSING,
            )
