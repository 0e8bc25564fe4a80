"""What is said of each answer besides its letter: raw text, how it was read, and the samples. It
knows no file of the report.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lm_eval_safescale.families.cells import Pair
from lm_eval_safescale.families.views import Cell
from lm_eval_safescale.report.cases.index import counts_of
from lm_eval_safescale.report.cases.items import chip_of
from lm_eval_safescale.report.cases.scripts import as_json
from lm_eval_safescale.runs.about import read_about
from lm_eval_safescale.runs.judges import names_among
from lm_eval_safescale.runs.store import answers_by_cell

if TYPE_CHECKING:
    import polars as pl

    from lm_eval_safescale.report.cases.index import Index
    from lm_eval_safescale.report.report import Texts

OF_GREEDY = (
    "rule", "finish_reason", "completion_tokens", "latency_s", "seed", "read_as", "context_tokens",
    "recall", "evidence_coverage",
)  # fmt: skip
"""Columns that are shown of a greedy answer, beside its text."""
READ = ("question_id", "draw", "status", "response", "text", *OF_GREEDY)


def answer_shards(index: Index, texts: Texts) -> Iterator[tuple[Pair, bytes]]:
    """Of each model under each condition all that is shown of its answers, one after the other.

    A shard has a list for each column, by the item's place in the index, null for nothing; texts
    are places in `texts`, where each stands once. `samples` are `index.counts_of`; `drawn` are the
    samples' texts, text, count, text, count, ..., where `texts` is all; `told`, where a family says
    more of responses, is that of each whose text may be shown, for it may quote it.
    """
    parts: dict[Pair, list[pl.DataFrame]] = {}
    rows = index.report.study.runs.answers.group_by("model", "condition").len()
    left = {(str(model), str(condition)): count for model, condition, count in rows.iter_rows()}
    for folder in index.report.folders:
        names = names_among(read_about(folder)["models"], {model for model, _ in left})
        for (model, condition), frame in answers_by_cell(folder, READ):
            pair = names.get(model, model), condition
            parts.setdefault(pair, []).append(frame)
            left[pair] -= frame.height
            if not left[pair]:
                yield pair, _shard(index, pair, parts.pop(pair), texts)


def _shard(index: Index, pair: Pair, frames: list[pl.DataFrame], texts: Texts) -> bytes:
    import polars as pl

    ids = index.report.study.items.ids
    place = {name: number for number, name in enumerate(ids)}
    rows = pl.concat(
        [frame.with_columns(pl.col("question_id").cast(pl.String)) for frame in frames],
        how="vertical_relaxed",
    )
    greedy = rows.filter(pl.col("draw") == 0)
    places = [place[name] for name in greedy["question_id"]]
    columns: dict[str, Any] = {}
    for name in OF_GREEDY:
        own = greedy[name]
        if own.null_count() < own.len():
            if own.dtype.is_float():
                own = own.round(3)
            columns[name] = _spread(places, own.to_list(), len(ids))
    stored = _Texts()
    if texts != "none":
        shown = index.is_error(pair) if texts == "errors" else [True] * len(ids)
        told = [
            _told(index, own, response) if response is not None and shown[own] else None
            for own, response in zip(places, greedy["response"], strict=True)
        ]
        if any(told):
            columns["told"] = _spread(places, told, len(ids))
        columns["text"] = _spread(
            places,
            [
                stored.place(text) if shown[own] and text is not None else None
                for own, text in zip(places, greedy["text"], strict=True)
            ],
            len(ids),
        )
    if texts == "all":
        columns["drawn"] = _drawn(rows, place, stored)
    columns["samples"] = counts_of(index.codes(pair))
    return as_json({"columns": columns, "texts": stored.texts})


def _told(index: Index, place: int, response: str) -> dict[str, Any] | None:
    view = index.report.family.told_of(index.items[place], response)
    if view is None:
        return None
    return {
        "notes": list(view.notes),
        "tables": [
            {
                "title": table.title,
                "heads": list(table.heads),
                "rows": [[_cell(each) for each in row] for row in table.rows],
                "folded": table.folded,
            }
            for table in view.tables
        ],
    }


def _cell(cell: Cell) -> str | list[str] | None:
    return cell if isinstance(cell, str) else chip_of(cell)


def _spread(places: list[int], values: list[Any], size: int) -> list[Any]:
    found: list[Any] = [None] * size
    for place, value in zip(places, values, strict=True):
        found[place] = value
    return found


def _drawn(rows: pl.DataFrame, place: dict[str, int], stored: _Texts) -> list[list[int]]:
    import polars as pl

    found: list[list[int]] = [[] for _ in place]
    counted = (
        rows.filter((pl.col("draw") > 0) & pl.col("text").is_not_null())
        .group_by("question_id", "text", maintain_order=True)
        .len()
        .sort("len", descending=True, maintain_order=True)
    )
    for question_id, text, count in counted.iter_rows():
        found[place[question_id]] += [stored.place(text), count]
    return found


class _Texts:
    """Texts, each once."""

    def __init__(self) -> None:
        self._places: dict[str, int] = {}

    def place(self, text: str) -> int:
        return self._places.setdefault(text, len(self._places))

    @property
    def texts(self) -> list[str]:
        return list(self._places)
