"""The lines of a run's answers: what one says, which of them are whole, and how a file of them is
read. It writes nothing.

A file of answers begins with a header that says whose they are: `run.json` may be damaged. Files of
format 1 have none, and no checksums.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from math import inf, isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.json_text import whole
from lm_eval_safescale.jsonlog import lines_of
from lm_eval_safescale.records import Status

SHARDS = "answers"
HEADER = "safescale_answers"
FORMAT = 3
_BEGINS_HEADER = f'{{"{HEADER}":'.encode()
MOST_DRAWS = 1000
BUFFER = 1 << 20
"""Bytes read at once."""
MEASURED = {
    **dict.fromkeys(("prompt_tokens", "concurrency", "context_tokens"), None),
    "latency_s": inf,
    **dict.fromkeys(("evidence_coverage", "recall"), 1.0),
}
"""Numbers of a line that a backend or a builder gives, with the largest that can be; None for
counts."""

Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


if TYPE_CHECKING:
    StatusName: TypeAlias = str
else:
    # any other is refused as the line is decoded, and each of them is one text, however many draws
    # have it
    StatusName = Literal[tuple(each.value for each in Status)]


class Draw(msgspec.Struct, omit_defaults=True, gc=False):
    """One answer."""

    draw: Annotated[int, Meta(ge=0, le=MOST_DRAWS)]
    """0 is greedy."""
    status: StatusName
    text: str
    response: str | None = None
    """See `Reading.response`."""
    completion_tokens: Count | None = None
    rule: str | None = None
    """See `Reading.rule`."""
    finish_reason: str | None = None
    """Why the output ended, in the words of the backend (`stop`, `length`, ...)."""
    read_as: str | None = None
    """See `ReadAs`; None: as any text."""
    letter: str | None = None
    """What `response` was called in lines of earlier versions; never there once a line is read."""


class Line(msgspec.Struct, omit_defaults=True):
    """What became of one request."""

    condition: str
    question_id: str
    draws: list[Draw] = []
    failed: list[Annotated[int, Meta(ge=0, le=MOST_DRAWS)]] = []
    """Draws that were asked for, and have no answer."""
    error: str = ""
    """Why."""
    seed: Count | None = None
    """Of the first of `draws`; each further draw has one more. None for a greedy answer."""
    prompt_sha256: str | None = None
    """Of the prompt as the model got it, UTF-8."""
    prompt_tokens: Count | None = None
    latency_s: Annotated[float, Meta(ge=0)] | None = None
    concurrency: Count | None = None
    context_fingerprint: str | None = None
    context_tokens: Count | None = None
    evidence_coverage: Share | None = None
    recall: Share | None = None
    nothing_found: bool | None = None
    """Whether the search found no passage for the context; None where there is no context."""
    served_model: str | None = None
    """What the reply calls the model that gave it."""
    system_fingerprint: str | None = None
    """The server's own name for how that model is run."""
    reply_id: str | None = None
    """The server's own name for the reply."""


@dataclass(frozen=True, slots=True)
class Known:
    """What lines may speak of."""

    responses: Mapping[str, Collection[str] | None]
    """Those that each item can have, by its id; None for any text."""
    conditions: Collection[str]
    draws: int
    """K."""


@dataclass(slots=True)
class Shard:
    """What a file of answers holds."""

    path: Path
    headers: list[Mapping[str, Any]] = field(default_factory=list)
    """Each says whose the lines below it are: `identity`, `conditions`, `start`."""
    lines: list[Line] = field(default_factory=list)
    damaged: dict[int, str] = field(default_factory=dict)
    """By the number of a line, why it does not count."""
    unchecked: int = 0
    """Lines without a checksum."""


_OK = Status.OK.value
_OLD_RESPONSE = b'"letter"'
_decode = msgspec.json.Decoder(Line).decode


def fault_of(line: Line, known: Known | None = None) -> str:
    """Why a line cannot be what was written; empty where it can. `known`: also whether there is
    what it speaks of.

    Statuses that are none, and numbers out of range, are refused as a line is decoded.
    """
    possible, most = None, MOST_DRAWS
    if known is not None:
        if line.question_id not in known.responses or line.condition not in known.conditions:
            return f"no item {line.question_id!r} under {line.condition!r} was asked"
        possible, most = known.responses[line.question_id], known.draws
    for draw in line.draws:
        response = draw.response
        if (response is None) is (draw.status == _OK):
            return f"draw {draw.draw} has the response {response!r} with the status {draw.status}"
        if draw.draw > most:
            return f"draw {draw.draw}, where there are {most}"
        if response is not None and possible is not None and response not in possible:
            return (
                f"response {response}, where those of item {line.question_id} are "
                f"{', '.join(sorted(possible))}"
            )
    if line.failed:
        return next(
            (f"draw {draw}, where there are {most}" for draw in line.failed if draw > most), ""
        )
    return "" if line.draws else "neither answered nor failed"


def read_shard(path: Path, known: Known | None = None) -> Shard:
    """What a file of answers holds; SafescaleError if it cannot be read."""
    shard = Shard(path)
    shard.lines = [line for line, _, _ in lines_in(shard, known)]
    return shard


def lines_in(shard: Shard, known: Known | None = None) -> Iterator[tuple[Line, int, int]]:
    """The whole lines of a file of answers one by one, each with its first byte and its length in
    bytes; `shard` takes all else.

    Raises
    ------
    SafescaleError
        If it cannot be read.
    """
    torn: list[int] = []
    try:
        with shard.path.open("rb", BUFFER) as file:
            place = _Place(file)
            for number, data, is_checked in lines_of(place, torn):
                try:
                    if data.startswith(_BEGINS_HEADER):
                        shard.headers.append(_header(data, shard.path, is_checked=is_checked))
                        continue
                    line = _line_of(data)
                    fault = fault_of(line, known)
                except SafescaleError:
                    raise
                except (msgspec.DecodeError, ValueError, RecursionError) as error:
                    fault = str(error)
                if fault:
                    shard.damaged[number] = fault
                else:
                    shard.unchecked += not is_checked
                    yield line, place.start, len(data)
    except OSError as error:
        raise SafescaleError(f"{shard.path}: cannot be read ({error.strerror})") from None
    shard.damaged |= dict.fromkeys(torn, "torn, or not what its checksum was made of")


class _Place:
    """The lines of a file without their ends; it knows where the last of them began."""

    def __init__(self, file: Iterable[bytes]) -> None:
        self._file = file
        self.start = 0

    def __iter__(self) -> Iterator[bytes]:
        end = 0
        for line in self._file:
            self.start, end = end, end + len(line)
            yield line.rstrip(b"\n")


def decoded(data: bytes) -> Line:
    """A line that was whole before; SafescaleError if it is no more."""
    try:
        return _line_of(data)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise SafescaleError(f"an answer was damaged while it was read ({error})") from None


def _line_of(data: bytes) -> Line:
    """A line of whatever version, as it is written now."""
    line = _decode(data)
    if _OLD_RESPONSE in data:
        for draw in line.draws:
            draw.response, draw.letter = draw.response or draw.letter, None
    return line


def _header(data: bytes, path: Path, *, is_checked: bool) -> Mapping[str, Any]:
    header: dict[str, Any] = json.loads(data)
    if isinstance(header[HEADER], int) and header[HEADER] > FORMAT and is_checked:
        raise SafescaleError(
            f"{path}: written by a newer version (format {header[HEADER]}); upgrade "
            "lm-eval-safescale"
        )
    if not is_checked or not all(
        isinstance(header.get(name), dict) for name in ("identity", "conditions", "start")
    ):
        raise ValueError("a damaged header")
    return header


def shards_of(folder: Path) -> list[Path]:
    """Files of answers, in the order of the starts. (A glob would find none in a folder that cannot
    be read.)"""
    path = folder / SHARDS
    try:
        return sorted(each for each in path.iterdir() if each.suffix == ".jsonl")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SafescaleError(f"{path}: cannot be read ({error.strerror})") from None


def encoded(line: Line) -> bytes:
    """A line as it is written, without its checksum; numbers that cannot be are left out: a
    backend's slip must not cost an answer."""
    for name, most in MEASURED.items():
        if not _is_possible(getattr(line, name), most):
            setattr(line, name, None)
    for draw in line.draws:
        if not _is_possible(draw.completion_tokens, None):
            draw.completion_tokens = None
    if fault := fault_of(line):
        raise ValueError(f"a line that could not be read again: {fault}")
    try:
        return msgspec.json.encode(line)
    except UnicodeEncodeError:  # half a surrogate pair is no character
        for part in (line, *line.draws):
            for name in part.__struct_fields__:
                if isinstance(value := getattr(part, name), str):
                    setattr(part, name, whole(value))
        return msgspec.json.encode(line)


def _is_possible(value: object, most: float | None) -> bool:
    kind = int if most is None else float
    if value is None:
        return True
    return type(value) in (int, kind) and isfinite(value) and 0 <= value <= (most or inf)  # type: ignore[operator,arg-type]


def header_of(
    identity: Mapping[str, Any], conditions: Mapping[str, Any], start: Mapping[str, Any]
) -> bytes:
    """A header as it is written, without its checksum."""
    about = {HEADER: FORMAT, "identity": identity, "conditions": conditions, "start": start}
    return json.dumps(about, separators=(",", ":")).encode()
