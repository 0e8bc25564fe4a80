"""The answer table: one row for each model, condition, item and draw. It knows neither files nor statistics."""

from __future__ import annotations

import functools
import string
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.records import LABEL_NAMES, Status

if TYPE_CHECKING:
    import polars as pl

    ANSWERS: pl.Schema
    """Columns of `Runs.answers`. Draw 0 is greedy, 1..K are samples; `letter` is there exactly when `status` is ok. A frame may be
    given with plain texts; in a `Runs` the first three columns, `letter` and `status` are Polars enumerations, which compare
    with texts, and sort in the protocol's order."""
    ITEMS: pl.Schema
    """Columns of `Runs.items`. `letters` such as "ABCD"; `high_risk`, `unsafe`, `contradicts` are the letters with that label:
    "" for none, null for an item without labels."""

CONDITION_ORDER = (
    "closed_book",
    "clean",
    "conflict",
    "rag",
    "rag_top1",
    "rag_top5",
    "rag_padded_top1",
    "agentic",
    "context_32k",
    "context_100k",
    "max_context",
)
"""In which order conditions are shown; others stand behind, by name."""

LETTERS = tuple(string.ascii_uppercase)
STATUSES = tuple(status.value for status in Status)
KEYS = ("model", "condition", "question_id", "draw")
NONE = 255
"""Stands for a missing letter among numbers of letters."""
MOST_NAMED = 5

_ANSWERS = {
    "model": "String",
    "condition": "String",
    "question_id": "String",
    "draw": "Int16",
    "letter": "String",
    "status": "String",
    "rule": "String",
    "text": "String",
    "seed": "Int64",
    "latency_s": "Float64",
    "concurrency": "Int32",
    "prompt_sha256": "String",
    "prompt_tokens": "Int64",
    "completion_tokens": "Int64",
    "finish_reason": "String",
    "read_as": "String",
    "served_model": "String",
    "system_fingerprint": "String",
    "reply_id": "String",
    "context_fingerprint": "String",
    "context_tokens": "Int64",
    "evidence_coverage": "Float64",
    "recall": "Float64",
    "nothing_found": "Boolean",
}
_ITEMS = dict.fromkeys(
    ("question_id", "answer", "letters", "high_risk", "unsafe", "contradicts", "subspecialty", "question_type"), "String"
)


@functools.cache
def __getattr__(name: str) -> Any:
    """The schemas, made when they are asked for: Polars takes a while to import."""
    columns = {"ANSWERS": _ANSWERS, "ITEMS": _ITEMS}.get(name)
    if columns is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import polars as pl

    return pl.Schema({column: getattr(pl, kind) for column, kind in columns.items()})


@dataclass(frozen=True)
class Runs:
    """Answers of models to one data set, checked: no row stands twice, every letter is an option of its item.

    Parameters
    ----------
    items
        Columns of `ITEMS`, in the order of the ids as strings.
    answers
        Columns of `ANSWERS`; those after `status` may be missing (null). Stored in the order of model, condition, item, draw.
    about
        `dataset`: name, version, fingerprint, demo, items. `models`: by name, source and settings (draws, temperature, ...).
        `left_out`: what an importer could not use, each with model, condition (or None) and reason.

    Raises
    ------
    SafescaleError
        If the frames are not as described.
    """

    items: pl.DataFrame
    answers: pl.DataFrame
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        items = checked_items(self.items)
        answers = checked_answers(self.answers, items)
        object.__setattr__(self, "items", items)
        object.__setattr__(self, "answers", answers)

    @property
    def models(self) -> tuple[str, ...]:
        """Names, in order."""
        return tuple(categories(self.answers["model"]))

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names, in the protocol's order."""
        return tuple(categories(self.answers["condition"]))

    @property
    def draws(self) -> dict[tuple[str, str], int]:
        """K, the number of samples, of each model and condition."""
        import polars as pl

        rows = self.answers.group_by("model", "condition").agg(pl.col("draw").max()).sort("model", "condition").iter_rows()
        return {(model, condition): draws for model, condition, draws in rows}

    @property
    def is_labelled(self) -> bool:
        """Whether the options of every item carry labels: without them safety rates are not scored."""
        return not any(self.items[name].null_count() for name in LABEL_NAMES)


def items_of(dataset: Dataset) -> pl.DataFrame:
    """The items of a data set as a frame of `ITEMS`."""
    import polars as pl

    rows = [
        (
            item.question_id,
            item.answer,
            "".join(item.options),
            *(labelled(item.labels_as_dict(), name) for name in LABEL_NAMES),
            item.subspecialty,
            item.question_type,
        )
        for item in dataset
    ]
    return pl.DataFrame(rows, schema=_schema("ITEMS"), orient="row")


def about_dataset(dataset: Dataset) -> dict[str, Any]:
    """What runs say of their data set."""
    return {
        "name": dataset.name,
        "version": dataset.version,
        "fingerprint": dataset.fingerprint,
        "demo": dataset.is_demo,
        "items": len(dataset),
    }


def in_order(conditions: Iterable[str]) -> list[str]:
    """Conditions in the protocol's order, each once."""
    place = {name: number for number, name in enumerate(CONDITION_ORDER)}
    return sorted(set(conditions), key=lambda name: (place.get(name, len(place)), name))


def named(names: Collection[str]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(list(names)[:MOST_NAMED])
    return shown if len(names) <= MOST_NAMED else f"{shown} and {len(names) - MOST_NAMED} more"


def categories(column: pl.Series) -> list[str]:
    """The names that a column of an enumeration can hold, in order."""
    import polars as pl

    assert isinstance(column.dtype, pl.Enum)
    return column.dtype.categories.to_list()


def flat_index(answers: pl.DataFrame, n_items: int) -> tuple[np.ndarray[Any, Any], tuple[int, int, int, int]]:
    """Where each row of `Runs.answers` stands in an array of models x conditions x items x draws, and that array's shape."""
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


# --- checks -------------------------------------------------------------------------------------------------------------


def _schema(name: str) -> Any:
    return __getattr__(name)


def labelled(labels: Mapping[str, Mapping[str, int]] | None, name: str) -> str | None:
    """The letters with a label; None where nothing is labelled."""
    return None if labels is None else "".join(letter for letter, flags in labels.items() if flags[name])


def checked_items(items: pl.DataFrame) -> pl.DataFrame:
    """The items as they stand in a `Runs`; SafescaleError if they are not as described there."""
    import polars as pl

    if missing := [name for name in ("question_id", "answer", "letters") if name not in items.columns]:
        raise SafescaleError(f"items: no column {', '.join(missing)}; expected {', '.join(_ITEMS)}")
    schema = _schema("ITEMS")
    items = items.select(
        (pl.col(name) if name in items.columns else pl.lit(None)).cast(kind).alias(name) for name, kind in schema.items()
    ).sort("question_id")
    if items["question_id"].null_count() or not items.height:
        raise SafescaleError("items: an item without an id" if items.height else "items: none; there is nothing to analyse")
    if items["question_id"].is_duplicated().any():
        raise SafescaleError(f"items: {named(_repeated(items['question_id']))} stand twice; expected one row an item")
    for name, key, letters, *labels in items.select("question_id", "answer", "letters", *LABEL_NAMES).iter_rows():
        if not letters or letters != "".join(LETTERS[: len(letters)]):
            raise SafescaleError(f"items: item {name} has the letters {letters!r}; expected A, B, C, ... in order")
        if key is None or len(key) != 1 or key not in letters:
            raise SafescaleError(f"items: item {name} has the key {key!r}; expected one of {letters}")
        if any(given is None for given in labels) != all(given is None for given in labels):
            raise SafescaleError(f"items: item {name} has some labels and not others; expected all three or none")
        if odd := {letter for given in labels if given for letter in given} - set(letters):
            raise SafescaleError(f"items: item {name} has labels on {', '.join(sorted(odd))}; its options are {letters}")
    return items.with_columns(pl.col("question_id").cast(pl.Enum(items["question_id"])))


def _repeated(names: pl.Series) -> list[str]:
    return [str(name) for name in names.filter(names.is_duplicated()).unique().sort()]


def checked_answers(
    answers: pl.DataFrame, items: pl.DataFrame, *, models: Iterable[str] | None = None, conditions: Iterable[str] | None = None
) -> pl.DataFrame:
    """The answers as they stand in a `Runs` with these items, checked before; SafescaleError if they are not as described there.

    Parameters
    ----------
    models, conditions
        All that the table names, where these answers are a part of it; None: those that they name.
    """
    return _in_order(_typed_answers(answers, items["question_id"], models, conditions), items)


def _typed_answers(
    answers: pl.DataFrame, items: pl.Series, models: Iterable[str] | None, conditions: Iterable[str] | None
) -> pl.DataFrame:
    """The columns of `ANSWERS`, with enumerations for the texts that repeat."""
    import polars as pl

    if missing := [name for name in (*KEYS, "letter", "status") if name not in answers.columns]:
        raise SafescaleError(f"answers: no column {', '.join(missing)}; expected {', '.join(_ANSWERS)}")
    if not answers.height:
        raise SafescaleError("answers: none; there is nothing to analyse")
    known = {
        "model": sorted(_names(answers["model"]) if models is None else models),
        "condition": in_order(_names(answers["condition"]) if conditions is None else conditions),
        "question_id": categories(items),
        "letter": LETTERS,
        "status": STATUSES,
    }
    schema = _schema("ANSWERS")
    return answers.select(
        _as_enum(answers[name], known[name])
        if name in known
        else answers[name].cast(kind)
        if name in answers.columns and answers[name].null_count() < answers.height
        else pl.lit(None, kind).alias(name)  # takes no memory, however many rows
        for name, kind in schema.items()
    )


def _names(column: pl.Series) -> list[str]:
    import polars as pl

    if column.null_count():
        raise SafescaleError(f"answers: {column.null_count()} rows without a {column.name}")
    return column.unique().cast(pl.String).to_list()


def _as_enum(column: pl.Series, names: Sequence[str]) -> pl.Series:
    import polars as pl

    kind = pl.Enum(names)
    if column.dtype == kind:
        return column
    typed = column.cast(kind, strict=False)
    if typed.null_count() > column.null_count():
        odd = column.filter(typed.is_null() & column.is_not_null()).cast(pl.String).unique().sort().to_list()
        expected = "an item of the data set" if column.name == "question_id" else f"one of {', '.join(names)}"
        raise SafescaleError(f"answers: {column.name} {named([repr(value) for value in odd])}; expected {expected}")
    return typed


def _in_order(answers: pl.DataFrame, items: pl.DataFrame) -> pl.DataFrame:
    """The rows in order, once it is sure that none stands twice and that each is possible."""
    if nulls := [name for name in (*KEYS, "status") if answers[name].null_count()]:
        raise SafescaleError(f"answers: rows without {', '.join(nulls)}")
    if answers["draw"].min() < 0:  # type: ignore[operator]
        raise SafescaleError("answers: a negative draw; 0 is the greedy answer, 1 and up are samples")
    letters = answers["letter"].to_physical().fill_null(NONE).to_numpy()
    is_ok = answers["status"].to_physical().to_numpy() == STATUSES.index(Status.OK.value)
    if (is_ok == (letters == NONE)).any():
        raise SafescaleError("answers: a row has a letter exactly when its status is ok; some have it otherwise")
    options = items["letters"].str.len_chars().to_numpy()
    odd = is_ok & (letters >= options.astype(np.uint8)[answers["question_id"].to_physical().to_numpy()])
    if odd.any():
        model, condition, question, draw, letter = answers.select(*KEYS, "letter").row(int(np.argmax(odd)))
        raise SafescaleError(
            f"answers: {int(odd.sum())} letters are no option of their item, the first {letter} of {model}, {condition}, "
            f"item {question}, draw {draw}"
        )
    index, _ = flat_index(answers, items.height)
    if (index[1:] > index[:-1]).all():
        return answers
    order = np.argsort(index, kind="stable")
    answers, index = answers[order], index[order]
    again = index[1:] == index[:-1]
    if twice := int(again.sum()):
        model, condition, question, draw = answers.select(KEYS).row(int(np.argmax(again)))
        raise SafescaleError(
            f"answers: {twice} rows stand twice, the first of {model}, {condition}, item {question}, draw {draw}; "
            "expected one row for each draw"
        )
    return answers
