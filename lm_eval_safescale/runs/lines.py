"""The lines of a run's answers: what one says, which of them count, and how a folder of them is read. It writes nothing.

A file of answers begins with a header that says whose they are: `run.json` may be damaged. Files of format 1 have none, and no checksums.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from operator import attrgetter
from pathlib import Path
from sys import intern
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import msgspec
from msgspec import Meta

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.json_text import whole
from lm_eval_safescale.jsonlog import lines_of
from lm_eval_safescale.records import Status
from lm_eval_safescale.runs.importing import no_collection
from lm_eval_safescale.runs.table import LETTERS

SHARDS = "answers"
HEADER = "safescale_answers"
FORMAT = 2
_BEGINS_HEADER = f'{{"{HEADER}":'.encode()
MOST_DRAWS = 1000
MEASURED = {
    **dict.fromkeys(("prompt_tokens", "concurrency", "context_tokens"), None),
    "latency_s": inf,
    **dict.fromkeys(("evidence_coverage", "recall"), 1.0),
}
"""Numbers of a line that a backend or a builder gives, with the largest that can be; None for counts."""

Count = Annotated[int, Meta(ge=0)]
Share = Annotated[float, Meta(ge=0, le=1)]


if TYPE_CHECKING:
    StatusName: TypeAlias = str
    Letter: TypeAlias = str
else:  # any other is refused as the line is decoded, and each of them is one text, however many draws have it
    StatusName, Letter = Literal[tuple(each.value for each in Status)], Literal[LETTERS]


class Draw(msgspec.Struct, omit_defaults=True, gc=False):
    """One answer."""

    draw: Annotated[int, Meta(ge=0, le=MOST_DRAWS)]
    """0 is greedy."""
    status: StatusName
    text: str
    letter: Letter | None = None
    completion_tokens: Count | None = None
    rule: str | None = None
    """See `Reading.rule`."""
    finish_reason: str | None = None
    """Why the output ended, in the words of the backend (`stop`, `length`, ...)."""
    read_as: str | None = None
    """See `ReadAs`; None: as any text."""


class Line(msgspec.Struct, omit_defaults=True):
    """What became of one request."""

    condition: str
    question_id: str
    draws: list[Draw] = []
    failed: list[Annotated[int, Meta(ge=0, le=MOST_DRAWS)]] = []
    """Draws that were asked for in vain."""
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

    letters: Mapping[str, str]
    """Of the options of each item, such as "ABCD", by its id."""
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


_OK, _FILTERED = Status.OK.value, Status.FILTERED.value
_decode = msgspec.json.Decoder(Line).decode
_number = attrgetter("draw")
_shared: dict[Any, Any] = {}
"""Each of the few texts of an answer that repeat, once."""


def fault_of(line: Line, known: Known | None = None) -> str:
    """Why a line cannot be what was written; empty where it can. `known`: also whether there is what it speaks of.

    Statuses and letters that are none, and numbers out of range, are refused as a line is decoded.
    """
    for draw in line.draws:
        if (draw.letter is None) is (draw.status == _OK):
            return f"draw {draw.draw} has the letter {draw.letter!r} with the status {draw.status}"
    if not line.draws and not line.failed:
        return "neither answered nor failed"
    return "" if known is None else _unknown(line, known)


def _unknown(line: Line, known: Known) -> str:
    letters = known.letters.get(line.question_id)
    if letters is None or line.condition not in known.conditions:
        return f"no item {line.question_id!r} under {line.condition!r} was asked"
    for draw in line.draws:
        if draw.draw > known.draws:
            return f"draw {draw.draw}, where there are {known.draws}"
        if draw.letter is not None and draw.letter not in letters:
            return f"letter {draw.letter}, where the options of item {line.question_id} are {letters}"
    return next((f"draw {draw}, where there are {known.draws}" for draw in line.failed if draw > known.draws), "")


def read_shard(path: Path, known: Known | None = None, *, texts: bool = True) -> Shard:
    """What a file of answers holds, with or without raw outputs; SafescaleError if it cannot be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SafescaleError(f"{path}: cannot be read ({error.strerror})") from None
    shard = Shard(path)
    torn: list[int] = []
    for number, data, is_checked in lines_of(content, torn):
        try:
            if data.startswith(_BEGINS_HEADER):
                shard.headers.append(_header(data, path, is_checked=is_checked))
                continue
            line = _decode(data)
            fault = fault_of(line, known)
        except SafescaleError:
            raise
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            fault = str(error)
        if fault:
            shard.damaged[number] = fault
        else:
            if not texts:
                _slim(line)  # at once: the memory serves the next line
            shard.lines.append(line)
            shard.unchecked += not is_checked
    shard.damaged |= dict.fromkeys(torn, "torn, or not what its checksum was made of")
    return shard


def _header(data: bytes, path: Path, *, is_checked: bool) -> Mapping[str, Any]:
    header: dict[str, Any] = json.loads(data)
    if isinstance(header[HEADER], int) and header[HEADER] > FORMAT and is_checked:
        raise SafescaleError(f"{path}: written by a newer version (format {header[HEADER]}); upgrade lm-eval-safescale")
    if not is_checked or not all(isinstance(header.get(name), dict) for name in ("identity", "conditions", "start")):
        raise ValueError("a damaged header")
    return header


def read_lines(
    folder: Path, *, texts: bool = True, known: Known | None = None, identity: Mapping[str, Any] | None = None
) -> tuple[list[Line], int]:
    """All whole lines of a run, in the order in which they were written, each draw once; and how many lines are damaged.

    Where two runners were at work, the first line counts; and in the place of an answer that a content filter held back, a later one that
    it let through. Without `texts` raw outputs are left empty: those of a large study would fill the memory.

    Raises
    ------
    SafescaleError
        If a file cannot be read; or, where the run's `identity` is given, if one says that it is of another run.
    """
    lines: list[Line] = []
    damaged = 0
    first = FirstDraws()
    with no_collection():
        for path in shards_of(folder):
            shard = read_shard(path, known, texts=texts)
            if identity is not None and any(header["identity"] != identity for header in shard.headers):
                raise SafescaleError(f"{path}: answers of another run than the one of this folder; take the file away")
            damaged += len(shard.damaged)
            for line in shard.lines:
                if first.of(line):
                    lines.append(line)
    return [line for line in lines if line.draws or line.failed], damaged


class FirstDraws:
    """Tells which draws stand for the first time, or in the place of one that a content filter held back."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], tuple[set[int], list[Line]]] = defaultdict(lambda: (set(), []))

    def of(self, line: Line) -> bool:
        """Take from a line the draws that stood in one before, or from that one; whether anything is left of this line."""
        seen, before = self._seen[line.condition, line.question_id]
        numbers = set(map(_number, line.draws))
        if len(numbers) < len(line.draws) or not seen.isdisjoint(numbers):
            _leave(line, [draw for draw in line.draws if _counts(draw, seen, before)])
        seen |= numbers
        before.append(line)
        return bool(line.draws or line.failed)


def _counts(draw: Draw, seen: set[int], before: Sequence[Line]) -> bool:
    if draw.draw not in seen:
        seen.add(draw.draw)
        return True
    for line in before if draw.status != _FILTERED else ():
        if any(each.draw == draw.draw and each.status == _FILTERED for each in line.draws):
            _leave(line, [each for each in line.draws if each.draw != draw.draw])
            return True
    return False


def _leave(line: Line, draws: list[Draw]) -> None:
    """These draws of a line, and the seed of the first of them."""
    if draws and line.seed is not None:
        line.seed += draws[0].draw - line.draws[0].draw
    line.draws = draws


def shards_of(folder: Path) -> list[Path]:
    """Files of answers, in the order of the starts. (A glob would find none in a folder that cannot be read.)"""
    path = folder / SHARDS
    try:
        return sorted(each for each in path.iterdir() if each.suffix == ".jsonl")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SafescaleError(f"{path}: cannot be read ({error.strerror})") from None


def encoded(line: Line) -> bytes:
    """A line as it is written, without its checksum; numbers that cannot be are left out: a backend's slip must not cost an answer."""
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


def header_of(identity: Mapping[str, Any], conditions: Mapping[str, Any], start: Mapping[str, Any]) -> bytes:
    """A header as it is written, without its checksum."""
    about = {HEADER: FORMAT, "identity": identity, "conditions": conditions, "start": start}
    return json.dumps(about, separators=(",", ":")).encode()


def without_texts(line: Line) -> Line:
    """A copy without raw outputs."""
    copy = msgspec.structs.replace(line, draws=[msgspec.structs.replace(draw) for draw in line.draws])
    _slim(copy)
    return copy


def _slim(line: Line) -> None:
    """Drop the raw outputs, and share the few texts that stand in every line: of a large study there are millions."""
    line.condition, line.question_id = intern(line.condition), intern(line.question_id)
    share = _shared.setdefault
    for draw in line.draws:
        draw.text = ""
        if (rule := draw.rule) is not None:
            draw.rule = share(rule, rule)
        if (why := draw.finish_reason) is not None:
            draw.finish_reason = share(why, why)
