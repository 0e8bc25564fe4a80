"""The answer table: one row for each model, condition, item and draw, of any family. It knows
neither files nor statistics.
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, get_type_hints

import numpy as np
import polars as pl

from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.datasets.columns import GROUP
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import Family, ItemTable
from lm_eval_safescale.records import Answer, Status
from lm_eval_safescale.runs.families import family_named, family_of_data

STATUSES = tuple(status.value for status in Status)
KEYS = ("model", "condition", "question_id", "draw")
UNIT = "unit"
OLD_RESPONSE = "letter"
"""What the column `response` was called."""
MOST_NAMED = 5

_KINDS: dict[type, type[pl.DataType]] = {
    str: pl.String,
    int: pl.Int64,
    float: pl.Float64,
    bool: pl.Boolean,
}
_SMALLER: dict[str, type[pl.DataType]] = {"draw": pl.Int16, "concurrency": pl.Int32}


def _answers_schema() -> pl.Schema:
    hints = get_type_hints(Answer)
    kinds = {
        each.name: next(kind for of, kind in _KINDS.items() if hints[each.name] in (of, of | None))
        for each in fields(Answer)
    }
    return pl.Schema(kinds | _SMALLER)


ANSWERS = _answers_schema()
"""Columns of `Runs.answers`: the fields of `Answer`. A frame may be given with plain texts; in a
`Runs` the first three columns, `response` and `status` are Polars enumerations, which compare with
texts, and sort in the family's order."""


@dataclass(frozen=True)
class Runs:
    """Answers of models to one data set, checked: no row stands twice, every response can be one to
    its item.

    Parameters
    ----------
    items
        `question_id`, the family's columns (`Family.columns`), and `group_NAME` for each group, in
        the order of the ids as strings.
    answers
        Columns of `ANSWERS`; those after `status` may be missing (null). Stored in the order of
        model, condition, item, draw.
    about
        `dataset`: family, name, version, fingerprint, demo, items. `models`: by name, source and
        settings (draws, temperature, ...). `left_out`: what an importer could not use, each with
        model, condition (or None) and reason.

    Raises
    ------
    SafescaleError
        If the frames are not as described.
    """

    items: pl.DataFrame
    answers: pl.DataFrame
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        items = checked_items(self.items, self.family)
        answers = checked_answers(self.answers, items, self.family)
        object.__setattr__(self, "items", items)
        object.__setattr__(self, "answers", answers)

    @functools.cached_property
    def family(self) -> Family:
        """Whose items they are; SafescaleError if it is not installed."""
        return family_of_data(self.about.get("dataset", {}))

    @property
    def models(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(categories(self.answers["model"]))

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names, in the family's order."""
        return tuple(categories(self.answers["condition"]))

    @property
    def draws(self) -> dict[tuple[str, str], int]:
        """K, the number of samples, of each model and condition."""
        rows = (
            self.answers.group_by("model", "condition")
            .agg(pl.col("draw").max())
            .sort("model", "condition")
            .iter_rows()
        )
        return {(model, condition): draws for model, condition, draws in rows}


def items_of(dataset: Dataset) -> pl.DataFrame:
    """The items of a data set as the frame that `Runs` takes."""
    return items_frame(family_named(dataset.family).table(dataset))


def possible_of(items: pl.DataFrame, family: Family) -> dict[str, Collection[str] | None]:
    """Every response that an answer to each item can have, by its id; None for any text."""
    return {str(row["question_id"]): family.possible(row) for row in items.iter_rows(named=True)}


def items_frame(table: ItemTable) -> pl.DataFrame:
    """Items as the frame that `Runs` takes."""
    groups = {GROUP + name: column for name, column in table.groups.items()}
    units = {UNIT: table.units} if table.units else {}
    columns = {**table.columns, **groups, **units}
    return pl.DataFrame(
        {"question_id": table.ids, **{name: list(column) for name, column in columns.items()}},
        strict=False,
    )


def about_dataset(dataset: Dataset) -> dict[str, Any]:
    """What runs say of their data set."""
    return {
        **({"family": dataset.family} if dataset.family else {}),
        "name": dataset.name,
        "version": dataset.version,
        "fingerprint": dataset.fingerprint,
        "demo": dataset.is_demo,
        "items": len(dataset),
        **({"excluded": list(dataset.excluded)} if dataset.excluded else {}),
    }


def named(names: Collection[str]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(list(names)[:MOST_NAMED])
    return shown if len(names) <= MOST_NAMED else f"{shown} and {len(names) - MOST_NAMED} more"


def categories(column: pl.Series) -> list[str]:
    """The names that a column of an enumeration can hold, in order."""
    assert isinstance(column.dtype, pl.Enum)
    return column.dtype.categories.to_list()


def flat_index(
    answers: pl.DataFrame, n_items: int
) -> tuple[np.ndarray[Any, Any], tuple[int, int, int, int]]:
    """Where each row of `Runs.answers` stands in an array of models x conditions x items x draws,
    and that array's shape."""
    models, conditions = (len(categories(answers[name])) for name in ("model", "condition"))
    draws = answers["draw"].to_numpy()
    shape = (models, conditions, n_items, int(draws.max(initial=0)) + 1)
    index = answers["model"].to_physical().to_numpy().astype(np.int64)
    for name, size in zip(("condition", "question_id"), shape[1:], strict=False):
        index *= size
        index += answers[name].to_physical().to_numpy()
    index *= shape[3]
    index += draws
    return index, shape


# --- checks ---------------------------------------------------------------------------------------


def checked_items(items: pl.DataFrame, family: Family) -> pl.DataFrame:
    """The items as they stand in a `Runs`; SafescaleError if they are not as described there."""
    items = items.rename(
        {old: new for old, new in family.old_columns.items() if old in items.columns}
    )
    if "question_id" not in items.columns:
        raise SafescaleError(
            "items: no column question_id; expected it, and the columns of the family "
            f"{family.name}"
        )
    items = items.select(
        pl.col(name).cast(pl.String) if name == "question_id" or kind == pl.Null else pl.col(name)
        for name, kind in items.schema.items()
        if name == "question_id" or items[name].null_count() < items.height or not items.height
    ).sort("question_id")
    if items["question_id"].null_count() or not items.height:
        raise SafescaleError(
            "items: an item without an id"
            if items.height
            else "items: none; there is nothing to analyse"
        )
    if items["question_id"].is_duplicated().any():
        raise SafescaleError(
            f"items: {named(_repeated(items['question_id']))} stand twice; expected one row an item"
        )
    for row in items.iter_rows(named=True):
        if why := family.wrong(row):
            raise SafescaleError(f"items: item {row['question_id']} {why}")
    return items.with_columns(pl.col("question_id").cast(pl.Enum(items["question_id"])))


def _repeated(names: pl.Series) -> list[str]:
    return [str(name) for name in names.filter(names.is_duplicated()).unique().sort()]


def checked_answers(
    answers: pl.DataFrame,
    items: pl.DataFrame,
    family: Family,
    *,
    models: Iterable[str] | None = None,
    conditions: Iterable[str] | None = None,
    responses: Sequence[str] | None = None,
) -> pl.DataFrame:
    """The answers as they stand in a `Runs` with these items, checked before; SafescaleError if
    they are not as described there.

    Parameters
    ----------
    models, conditions, responses
        All that the table names, in their order, where these answers are a part of it; None: those
        that they name.
    """
    known = {"model": models, "condition": conditions, "response": family.vocabulary or responses}
    return _in_order(_typed_answers(answers, items["question_id"], family, known), items, family)


def _typed_answers(
    answers: pl.DataFrame,
    items: pl.Series,
    family: Family,
    given: Mapping[str, Iterable[str] | None],
) -> pl.DataFrame:
    """The columns of `ANSWERS`, with enumerations for the texts that repeat."""
    if OLD_RESPONSE in answers.columns and "response" not in answers.columns:
        answers = answers.rename({OLD_RESPONSE: "response"})
    if missing := [name for name in (*KEYS, "response", "status") if name not in answers.columns]:
        raise SafescaleError(
            f"answers: no column {', '.join(missing)}; expected {', '.join(ANSWERS)}"
        )
    if not answers.height:
        raise SafescaleError("answers: none; there is nothing to analyse")
    known = {
        "model": sorted(_names(answers["model"]) if given["model"] is None else given["model"]),
        "condition": family.in_order(
            _names(answers["condition"]) if given["condition"] is None else given["condition"]
        ),
        "question_id": categories(items),
        "response": _distinct(answers["response"])
        if given["response"] is None
        else list(given["response"]),
        "status": STATUSES,
    }
    return answers.select(
        _as_enum(answers[name], known[name])
        if name in known
        else answers[name].cast(kind)
        if name in answers.columns and answers[name].null_count() < answers.height
        else pl.lit(None, kind).alias(name)  # takes no memory, however many rows
        for name, kind in ANSWERS.items()
    )


def _distinct(column: pl.Series) -> list[str]:
    return column.drop_nulls().cast(pl.String).unique().sort().to_list()


def _names(column: pl.Series) -> list[str]:
    if column.null_count():
        raise SafescaleError(f"answers: {column.null_count()} rows without a {column.name}")
    return column.unique().cast(pl.String).to_list()


def _as_enum(column: pl.Series, names: Sequence[str]) -> pl.Series:
    kind = pl.Enum(names)
    if column.dtype == kind:
        return column
    typed = column.cast(kind, strict=False)
    if typed.null_count() > column.null_count():
        odd = (
            column.filter(typed.is_null() & column.is_not_null())
            .cast(pl.String)
            .unique()
            .sort()
            .to_list()
        )
        expected = (
            "an item of the data set"
            if column.name == "question_id"
            else f"one of {', '.join(names)}"
        )
        raise SafescaleError(
            f"answers: {column.name} {named([repr(value) for value in odd])}; expected {expected}"
        )
    return typed


def _in_order(answers: pl.DataFrame, items: pl.DataFrame, family: Family) -> pl.DataFrame:
    """The rows in order, once it is sure that none stands twice and that each is possible."""
    if nulls := [name for name in (*KEYS, "status") if answers[name].null_count()]:
        raise SafescaleError(f"answers: rows without {', '.join(nulls)}")
    if answers["draw"].min() < 0:  # type: ignore[operator]
        raise SafescaleError(
            "answers: a negative draw; 0 is the greedy answer, 1 and up are samples"
        )
    is_ok = answers["status"].to_physical().to_numpy() == STATUSES.index(Status.OK.value)
    if (is_ok == answers["response"].is_null().to_numpy()).any():
        raise SafescaleError(
            "answers: a row has a response exactly when its status is ok; some have it otherwise"
        )
    _refuse_impossible(answers, items, family, is_ok)
    index, _ = flat_index(answers, items.height)
    if (index[1:] > index[:-1]).all():
        return answers
    order = np.argsort(index, kind="stable")
    answers, index = answers[order], index[order]
    again = index[1:] == index[:-1]
    if twice := int(again.sum()):
        model, condition, question, draw = answers.select(KEYS).row(int(np.argmax(again)))
        raise SafescaleError(
            f"answers: {twice} rows stand twice, the first of {model}, {condition}, item "
            f"{question}, draw {draw}; expected one row for each draw"
        )
    return answers


def _refuse_impossible(
    answers: pl.DataFrame, items: pl.DataFrame, family: Family, is_ok: np.ndarray[Any, Any]
) -> None:
    """SafescaleError where a response can be none to its item."""
    of_item = answers["question_id"].to_physical().to_numpy()
    is_there = np.zeros(items.height, dtype=bool)
    is_there[of_item] = True
    there = np.flatnonzero(is_there)  # in a piece of a large table, few
    possible = [family.possible(row) for row in items[there].iter_rows(named=True)]
    if all(each is None for each in possible):
        return
    responses = categories(answers["response"])
    allowed = np.zeros((items.height, len(responses)), dtype=bool)
    allowed[there] = [
        [each is None or response in each for response in responses] for each in possible
    ]
    codes = answers["response"].to_physical().fill_null(0).to_numpy()
    odd = is_ok & ~allowed[of_item, codes]
    if odd.any():
        model, condition, question, draw, response = answers.select(*KEYS, "response").row(
            int(np.argmax(odd))
        )
        raise SafescaleError(
            f"answers: {int(odd.sum())} responses can be none to their item, the first {response} "
            f"of {model}, {condition}, item {question}, draw {draw}"
        )
