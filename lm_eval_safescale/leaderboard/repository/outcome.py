"""What a check of a pull request has found, as the file that goes from the check, which anyone may
have changed, to the comment: bounded in every field. It knows neither Git nor Markdown.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from lm_eval_safescale.errors import FAILURES, SafescaleError, reason_of
from lm_eval_safescale.inputs import InputError, read_bytes
from lm_eval_safescale.json_text import whole
from lm_eval_safescale.leaderboard.board.recomputing import Looked
from lm_eval_safescale.leaderboard.verify import SAID, Level, Verdicts
from lm_eval_safescale.verifying.findings import Verdict
from lm_eval_safescale.words import counted

FORMAT = 1
NOTED = SAID[Verdict.WHOLE]
FILE = "result.json"
"""Its name in the archive in which it is handed on."""
MOST_BYTES = 2_000_000
MOST_FILES = 20
"""That a pull request may change."""
MOST_REASONS = 20
MOST_ROWS, MOST_FIGURES = 60, 12
LINE = 500
SUBMISSION = re.compile(
    r"submissions/(?P<family>[a-z0-9][a-z0-9_-]{0,59})/[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.zip"
)
"""Where a submission lies: all that a pull request may add."""

Line = Annotated[str, Meta(max_length=LINE)]


class Reason(msgspec.Struct):
    """Why something is refused, or cannot be told."""

    where: Line
    what: Line
    expected: Line = ""


class Figures(msgspec.Struct):
    """The recomputed headlines under a condition."""

    condition: Line
    n: int
    """Units scored."""
    draws: int
    values: Annotated[list[float | None], Meta(max_length=MOST_FIGURES)]
    """Fractions, in the order of `Checked.headlines`."""


class Checked(msgspec.Struct):
    """A submission that was looked at."""

    path: Line
    verdict: Verdicts
    level: Level | None = None
    demo: bool = False
    name: Line = ""
    dataset: Line = ""
    attempts: int | None = None
    root: Line = ""
    headlines: Annotated[list[Line], Meta(max_length=MOST_FIGURES)] = []
    figures: Annotated[list[Figures], Meta(max_length=MOST_ROWS)] = []
    reasons: Annotated[list[Reason], Meta(max_length=MOST_REASONS)] = []
    further: int = 0
    """Reasons beyond these."""


class Outcome(msgspec.Struct):
    """All of it."""

    safescale_check: int
    refused: Annotated[list[Reason], Meta(max_length=MOST_REASONS)] = []
    """What is wrong with the pull request itself; nothing else is looked at then."""
    submissions: Annotated[list[Checked], Meta(max_length=MOST_FILES)] = []

    @property
    def verdict(self) -> Verdict:
        """Of all that was sent."""
        said = {each.verdict for each in self.submissions}
        if self.refused or Verdicts.REFUSED in said:
            return Verdict.DAMAGED
        return Verdict.UNKNOWN if Verdicts.UNKNOWN in said else Verdict.WHOLE


def line(text: object) -> str:
    """A text of at most the length of a field, in one line, that a file can hold."""
    said = " ".join(whole(str(text)).split())
    return said if len(said) <= LINE else f"{said[: LINE - 1]}…"


def reason(where: object, what: object, expected: object = "") -> Reason:
    """A reason whose texts fit."""
    return Reason(line(where), line(what), line(expected))


def checked(path: str, looked: Looked) -> Checked:
    """What a board would say of a submission, as much as a comment shows."""
    entry, report = looked.stored.entry, looked.report
    found = [each for each in entry.reasons if each.verdict != NOTED]
    one = Checked(
        path, entry.verdict, entry.level, entry.demo, line(entry.card.get("name", "")),
        attempts=entry.attempts, root=entry.root,
        reasons=[reason(each.where, each.what, each.expected) for each in found[:MOST_REASONS]],
        further=max(0, len(found) - MOST_REASONS),
    )  # fmt: skip
    if entry.dataset:
        one.dataset = line(f"{entry.dataset['name']} ({entry.dataset['label']})")
    if report is not None:
        names = [*report.headlines][:MOST_FIGURES]
        one.headlines = [line(report.headlines[name]) for name in names]
        one.figures = [
            Figures(
                line(row["condition"]), row["n"], entry.draws[row["condition"]],
                [row.get(name) for name in names],
            )
            for row in entry.results[:MOST_ROWS]
        ]  # fmt: skip
    return one


def outside(names: Iterable[str]) -> list[str]:
    """Those of a pull request's files that are no submission."""
    return [name for name in names if not SUBMISSION.fullmatch(name)]


def read_outcome(path: Path) -> Outcome:
    """The outcome in a file, or in an archive that has it as its only file; nothing is unpacked.

    Raises
    ------
    SafescaleError
        If it is none.
    """
    content = read_bytes(path, MOST_BYTES)
    if content[:2] == b"PK":
        content = _only_file(content, path)
    try:
        outcome = msgspec.json.decode(content, type=Outcome)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SafescaleError(f"{path}: no result of a check: {error}") from None
    if outcome.safescale_check != FORMAT:
        raise SafescaleError(
            f"{path}: a result of format {outcome.safescale_check}; expected {FORMAT}: check and "
            "comment must be of one version"
        )
    return outcome


def _only_file(archived: bytes, path: Path) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(archived)) as archive:
            inside = archive.infolist()
            if [each.filename for each in inside] != [FILE]:
                raise InputError(path, f"{counted(len(inside), 'file')}; expected {FILE} alone")
            with archive.open(inside[0]) as file:
                content = file.read(MOST_BYTES + 1)
    except SafescaleError:
        raise
    except FAILURES as error:  # zipfile and what it unpacks with have a dozen kinds
        raise InputError(path, f"no archive that can be read ({reason_of(error)})") from None
    if len(content) > MOST_BYTES:
        raise InputError(path, f"{FILE} has more than {MOST_BYTES:,} bytes")
    return content
