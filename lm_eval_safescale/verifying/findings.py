"""What verifying runs has found. It looks at nothing itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from pathlib import Path

from lm_eval_safescale.errors import SafescaleError


class Verdict(IntEnum):
    """What is to be said of a folder, as the exit status says it."""

    WHOLE = 0
    """It is as it was written, nothing lacks, and its letters are what its texts say."""
    DAMAGED = 1
    """It is not as it was written, something lacks, or a letter is not what its text says."""
    UNKNOWN = 2
    """Nothing of that was found, and not everything could be looked at."""


class Kind(StrEnum):
    """What a finding is about; decisions go by it, never by the words."""

    FILE = "file"
    """A file that is missing, damaged, or not of these runs."""
    TABLE = "table"
    """The tables and the journal differ."""
    DATA = "data set"
    ITEM = "item"
    MISSING = "missing"
    """Answers that should be there."""
    READING = "reading"
    """A response that is not what its text says."""
    VERSION = "version"
    """Of a reader or a family: one that this installation does not know."""
    PROMPT = "prompt"
    CONTEXT = "context"
    IMPOSSIBLE = "impossible"
    """What no run can have written."""
    COPY = "copy"
    """Draws at a temperature with the same long text."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found."""

    verdict: Verdict
    """`WHOLE` for a note that takes nothing from the folder."""
    where: str
    """A file, or an answer: model, condition, item, draw."""
    message: str | SafescaleError
    kind: str = Kind.FILE
    expected: str = ""
    """What should stand there, where that is one value."""

    @property
    def what(self) -> str:
        """What was found, in plain words."""
        return str(self.message)


@dataclass(slots=True)
class Verification:
    """What was found in runs."""

    folder: Path
    answers: int = 0
    """Rows of its table, or of its journal where there is no table."""
    read_again: int = 0
    """Answers whose text was read again."""
    not_read_again: dict[str, int] = field(default_factory=dict)
    """Answers that were not, by the reason."""
    claimed: int = 0
    """Those of them whose response nothing can tell here: it is a claim."""
    prompts: int = 0
    """Prompts that were rendered again."""
    prompts_left: dict[str, int] = field(default_factory=dict)
    """Prompts that were not, by the reason."""
    subsets: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Items asked, of how many of the data set, by condition, where they are fewer."""
    findings: list[Finding] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """Damage says more than what could not be looked at."""
        found = {finding.verdict for finding in self.findings}
        return next(
            (verdict for verdict in (Verdict.DAMAGED, Verdict.UNKNOWN) if verdict in found),
            Verdict.WHOLE,
        )

    def of(self, verdict: Verdict) -> Iterator[Finding]:
        """The findings of a kind."""
        return (finding for finding in self.findings if finding.verdict is verdict)

    def has(self, where: str) -> bool:
        """Whether damage of a file is noted."""
        return any(finding.where == where for finding in self.of(Verdict.DAMAGED))

    def damaged(
        self,
        where: object,
        what: str | SafescaleError,
        kind: str = Kind.FILE,
        expected: object = "",
    ) -> None:
        """Note damage."""
        self.findings.append(Finding(Verdict.DAMAGED, str(where), what, kind, str(expected)))

    def unknown(
        self,
        where: object,
        what: str | SafescaleError,
        kind: str = Kind.DATA,
        expected: object = "",
    ) -> None:
        """Note what could not be looked at."""
        self.findings.append(Finding(Verdict.UNKNOWN, str(where), what, kind, str(expected)))

    def note(self, where: object, what: str | SafescaleError, kind: str = Kind.FILE) -> None:
        """Note what takes nothing from the folder."""
        self.findings.append(Finding(Verdict.WHOLE, str(where), what, kind))

    def left(self, reason: str, answers: int, *, claimed: bool = True) -> None:
        """Count answers that are not read again; `claimed`: nor known to have no response."""
        if answers:
            self.claimed += answers if claimed else 0
            self.not_read_again[reason] = self.not_read_again.get(reason, 0) + answers

    def prompts_not(self, reason: str, prompts: int) -> None:
        """Count prompts that are not rendered again."""
        if prompts:
            self.prompts_left[reason] = self.prompts_left.get(reason, 0) + prompts
