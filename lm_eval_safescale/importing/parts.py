"""What importers share: JSON lines read fast, rows built by condition, and what could not be used,
with the reason.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import polars as pl

from lm_eval_safescale.datasets.problems import printable
from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.families import Family
from lm_eval_safescale.inputs import InputError, opened
from lm_eval_safescale.json_text import decode_json, whole
from lm_eval_safescale.records import Status
from lm_eval_safescale.runs.table import ANSWERS, STATUSES

_T = TypeVar("_T")
Numbers = np.ndarray[Any, Any]

Progress = Callable[[str], object]
"""Told the name of each file as it is read."""


class UnusableError(Exception):
    """A file, a model or a condition that cannot be used; the message is the reason. It costs no
    other."""


UNANSWERED, FAILED, TRUNCATED, FILTERED, UNJUDGED = -1, -2, -3, -4, -5
"""What stands for a response where there is none, in `Part.codes`."""
STATUS_OF = {
    UNANSWERED: Status.UNANSWERED,
    FAILED: Status.ERROR,
    TRUNCATED: Status.TRUNCATED,
    FILTERED: Status.FILTERED,
    UNJUDGED: Status.UNJUDGED,
}


@dataclass(frozen=True, eq=False)
class Part:
    """The answers of one model under one condition, n items and D = 1 + K draws."""

    model: str
    condition: str
    items: Numbers
    """Shape (n,): places of the items in the data set, ascending."""
    codes: Numbers
    """Shape (n, D): a place among the responses that there can be; or why there is none. Draw 0 is
    greedy."""
    texts: pl.Series
    """Raw outputs of all draws of the first item, then of the next; n x D texts."""
    of_greedy: Mapping[str, Sequence[float | None]] = field(default_factory=dict)
    """Columns that are known of the greedy answer alone: n values each."""
    of_item: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Columns that are the same for all draws of an item: n values each."""


@dataclass
class LeftOut:
    """What an importer could not use."""

    entries: list[dict[str, str | None]] = field(default_factory=list)

    def add(self, reason: object, model: str, condition: str | None = None) -> None:
        """Note a model, or one of its conditions."""
        self.entries.append(
            {"model": model, "condition": condition, "reason": printable(str(reason))}
        )

    def describe(self) -> list[str]:
        """A line for each."""
        return [
            (
                f"{each['model']}{', ' + each['condition'] if each['condition'] else ''}: "
                f"{each['reason']}"
            )
            for each in self.entries
        ]


def json_lines(path: Path, kind: type[_T]) -> Iterator[tuple[int, _T]]:
    """Line numbers, from 1, and values of a file of JSON lines.

    Parameters
    ----------
    path
        The file; UTF-8.
    kind
        A msgspec type: what is not in it is skipped, not decoded.

    Raises
    ------
    UnusableError
        If the file cannot be read, or a line is cut off, no JSON, or not of that kind.
    """
    import msgspec

    decoder = msgspec.json.Decoder(kind)
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        try:
            value = decoder.decode(line)
        except msgspec.ValidationError as error:
            raise UnusableError(f"{path.name}:{number}: {error}") from None
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            value = _decode_leniently(
                line, kind, f"{path.name}:{number}", is_last=not line.endswith(b"\n")
            )
        yield number, value


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with opened(path) as file:
            yield from file
    except InputError as error:
        raise UnusableError(f"{path.name}: {error.reason}") from None


def _decode_leniently(line: bytes, kind: type[_T], place: str, *, is_last: bool) -> _T:
    """Python's writer knows NaN and half characters, which are no JSON: read as Python does. What
    it cannot read is damaged."""
    import msgspec

    try:
        return msgspec.convert(mended(decode_json(line, names_once=False)), kind)
    except msgspec.ValidationError as error:
        raise UnusableError(f"{place}: {error}") from None
    except ValueError as error:
        what = "half-written last line" if is_last else "not JSON"
        raise UnusableError(f"{place}: {what} ({reason_of(error)})") from None


def mended(value: Any) -> Any:
    """What no table can hold, replaced: a number that is none by null, half a character by the
    replacement character."""
    if isinstance(value, dict):
        return {mended(name): mended(each) for name, each in value.items()}
    if isinstance(value, list):
        return [mended(each) for each in value]
    if isinstance(value, str):
        return whole(value)
    return None if isinstance(value, float) and not isfinite(value) else value


@contextmanager
def no_collection() -> Iterator[None]:
    """No garbage collection while a file is read: its many objects hold no cycles, and looking for
    some takes a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def assemble(
    parts: Sequence[Part], item_ids: Sequence[str], family: Family, responses: Sequence[str] = ()
) -> pl.DataFrame:
    """The answers of all parts, as `Runs` takes them and in its order.

    Parameters
    ----------
    item_ids
        In their order.
    responses
        By their codes; those of the family's vocabulary, where it has one.
    """
    responses = family.vocabulary or responses
    models, conditions = (
        sorted({part.model for part in parts}),
        family.in_order(part.condition for part in parts),
    )
    model_of, condition_of = (
        {name: number for number, name in enumerate(names)} for names in (models, conditions)
    )
    parts = sorted(parts, key=lambda part: (model_of[part.model], condition_of[part.condition]))
    sizes = [part.codes.size for part in parts]
    draws = [part.codes.shape[1] for part in parts]
    codes = np.concatenate([part.codes.ravel() for part in parts])
    status = np.full(codes.size, STATUSES.index(Status.OK.value), np.uint8)
    for number, meaning in STATUS_OF.items():
        status[codes == number] = STATUSES.index(meaning.value)

    def repeated(numbers: Iterable[int]) -> Numbers:
        """A number of each part, as often as it has answers."""
        return np.repeat(np.array([*numbers], np.uint32), sizes)

    # one after the other: of thousands of models, the numbers of all columns at once take more
    # memory than the table
    columns = {
        "model": _enumeration(models, repeated(model_of[part.model] for part in parts)),
        "condition": _enumeration(
            conditions, repeated(condition_of[part.condition] for part in parts)
        ),
        "question_id": _enumeration(
            item_ids,
            np.concatenate(
                [
                    np.repeat(part.items.astype(np.uint32), n)
                    for part, n in zip(parts, draws, strict=True)
                ]
            ),
        ),
        "response": _enumeration(responses, np.where(codes < 0, len(responses), codes)),
        "status": _enumeration(STATUSES, status),
    }
    columns["draw"] = pl.Series(
        np.concatenate(
            [
                np.tile(np.arange(n, dtype=np.int16), len(part.items))
                for part, n in zip(parts, draws, strict=True)
            ]
        )
    )
    columns["text"] = pl.concat([part.texts for part in parts])
    for name in dict.fromkeys(name for part in parts for name in (*part.of_greedy, *part.of_item)):
        columns[name] = _known(name, parts)
    return pl.DataFrame(columns)


def _enumeration(names: Sequence[str], numbers: Numbers) -> pl.Series:
    """A column of an enumeration; the number after the last stands for none."""
    return pl.Series([*names, None], dtype=pl.Enum(names)).gather(numbers.astype(np.uint32))


def _known(name: str, parts: Sequence[Part]) -> pl.Series:
    """A column that some parts know, null elsewhere."""
    kind = ANSWERS[name]
    if kind == pl.String:
        return pl.concat([_repeated(part.of_item.get(name), part) for part in parts])
    pieces = []
    for part in parts:
        column = np.full(part.codes.shape, np.nan)
        if name in part.of_item:
            column[:] = _numbers(part.of_item[name])[:, None]
        elif name in part.of_greedy:
            column[:, 0] = _numbers(part.of_greedy[name])
        pieces.append(pl.Series(column.ravel(), nan_to_null=True).cast(kind))
    return pl.concat(pieces, rechunk=True)


def _numbers(values: Sequence[float | None]) -> Numbers:
    return np.array(values, float)  # None becomes nan


def _repeated(values: Sequence[str | None] | None, part: Part) -> pl.Series:
    n, draws = part.codes.shape
    if values is None:
        return pl.Series([None], dtype=pl.String).new_from_index(0, n * draws)
    return pl.Series(values, dtype=pl.String).gather(np.repeat(np.arange(n), draws))


def none_left(what: str, left_out: LeftOut) -> SafescaleError:
    """The error for the case that nothing could be used."""
    lines = left_out.describe()
    shown = lines[:10] + ([f"and {len(lines) - 10} more"] if len(lines) > 10 else [])
    return SafescaleError("\n  ".join([f"{what}: no answers that can be used", *shown]))
