"""Answers, items and a judge's verdicts as JSON lines of fixed kinds, written and read piece by
piece. It knows no archive.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import msgspec
import polars as pl
from msgspec import Meta

from lm_eval_safescale.importing.parts import no_collection
from lm_eval_safescale.json_text import decode_json
from lm_eval_safescale.records import Answer
from lm_eval_safescale.runs.lines import MOST_DRAWS
from lm_eval_safescale.runs.table import ANSWERS, KEYS, Runs

LONGEST_LINE = 1 << 24
MOST_ANSWERS, MOST_ITEMS = 5_000_000, 200_000
TOGETHER = 1 << 14
"""Lines that are made into a frame at once."""
_Whole = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
_SMALLER = {
    "draw": Annotated[int, Meta(ge=0, le=MOST_DRAWS)],
    "concurrency": Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)],
}
OF_VERDICT = ("letter_before", "status_before", "judge_letter", "verdict")


class UnreadableError(ValueError):
    """A line that is none of its kind."""


def _row() -> type[msgspec.Struct]:
    hints = get_type_hints(Answer)
    told: list[Any] = []
    for each in fields(Answer):
        if each.name == "model":
            continue
        is_needed = each.name in (*KEYS, "status")
        kind = _SMALLER.get(each.name, hints[each.name])
        kind = {int: _Whole, int | None: _Whole | None}.get(kind, kind)
        if each.name in _SMALLER and not is_needed:
            kind = kind | None
        told.append((each.name, kind) if is_needed else (each.name, kind, None))
    told.sort(key=len)
    return msgspec.defstruct("Row", told, omit_defaults=True, forbid_unknown_fields=True)


Row = _row()
"""An answer, without its model."""
Told = msgspec.defstruct(
    "Told",
    [
        ("condition", str),
        ("question_id", str),
        ("draw", _SMALLER["draw"]),
        *((name, str | None, None) for name in OF_VERDICT),
    ],
    omit_defaults=True,
    forbid_unknown_fields=True,
)
"""What a judge said of an answer."""


def write_answers(runs: Runs, path: Path) -> None:
    """A line for each answer, in the order of the table."""
    _write(path, Row, runs.answers.drop("model"))


def write_verdicts(verdicts: pl.DataFrame, path: Path) -> None:
    """A line for each answer."""
    _write(path, Told, verdicts.select(*KEYS[1:], *OF_VERDICT).sort(KEYS[1:]))


def write_items(runs: Runs, path: Path) -> None:
    """A line for each item: what it is weighed by, and no text of it."""
    with path.open("w", encoding="utf-8") as file:
        for row in runs.items.iter_rows(named=True):
            file.write(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n")


def _write(path: Path, kind: type[msgspec.Struct], frame: pl.DataFrame) -> None:
    names = [name for name in kind.__struct_fields__ if name in frame.columns]
    encode = msgspec.json.Encoder().encode
    with path.open("wb") as file:
        for row in frame.select(names).iter_rows():
            file.write(encode(kind(*row)) + b"\n")


def read_answers(path: Path, model: str) -> pl.DataFrame:
    """The answers as `Runs` takes them; UnreadableError with the line that is none."""
    return _read(path, Row, MOST_ANSWERS, model).select(ANSWERS.names())


def read_verdicts(path: Path, model: str) -> pl.DataFrame:
    """A judge's verdicts; UnreadableError likewise."""
    return _read(path, Told, MOST_ANSWERS, model)


def read_items(path: Path) -> pl.DataFrame:
    """The items as `Runs` takes them; UnreadableError likewise."""
    rows: list[dict[str, Any]] = []
    for number, line in _lines(path, MOST_ITEMS):
        try:
            row = decode_json(line.decode())
        except ValueError as error:
            raise UnreadableError(f"line {number}: {error}") from None
        if not isinstance(row, dict) or not all(map(_is_plain, row.values())):
            raise UnreadableError(
                f"line {number}: expected an object of texts, finite numbers and lists of them"
            )
        if rows and row.keys() != rows[0].keys():
            raise UnreadableError(f"line {number}: other columns than in line 1")
        rows.append(row)
    return pl.DataFrame(rows, infer_schema_length=None)


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(not isinstance(each, list) and _is_plain(each) for each in value)
    if isinstance(value, int | float):
        return abs(value) < 2**63
    return value is None or isinstance(value, str)


def _read(path: Path, kind: type[msgspec.Struct], most: int, model: str) -> pl.DataFrame:
    decoder = msgspec.json.Decoder(kind)

    def rows() -> Iterator[tuple[Any, ...]]:
        for number, line in _lines(path, most):
            try:
                yield msgspec.structs.astuple(decoder.decode(line))
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                raise UnreadableError(f"line {number}: {error}") from None

    schema = {name: ANSWERS.get(name, pl.String()) for name in kind.__struct_fields__}
    with no_collection():
        frames = [_frame(piece, schema) for piece in _pieces(rows())]
    frame = pl.concat(frames) if frames else pl.DataFrame(schema=schema)
    return frame.with_columns(pl.lit(model).alias("model"))


def _frame(rows: Iterable[tuple[Any, ...]], schema: Mapping[str, Any]) -> pl.DataFrame:
    columns = zip(schema, zip(*rows, strict=True), strict=True)
    return pl.DataFrame({name: pl.Series(values, dtype=schema[name]) for name, values in columns})


def _pieces(rows: Iterable[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    piece: list[tuple[Any, ...]] = []
    for row in rows:
        piece.append(row)
        if len(piece) == TOGETHER:
            yield piece
            piece = []
    if piece:
        yield piece


def _lines(path: Path, most: int) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        number = 0
        while line := file.readline(LONGEST_LINE + 1):
            number += 1
            if len(line) > LONGEST_LINE:
                raise UnreadableError(f"line {number}: longer than {LONGEST_LINE:,} bytes")
            if number > most:
                raise UnreadableError(f"more than {most:,} lines")
            yield number, line
