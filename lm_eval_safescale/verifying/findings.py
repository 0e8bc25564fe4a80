"""What verifying a folder of runs has found. It looks at nothing itself."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
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


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found."""

    verdict: Verdict
    """`WHOLE` for a note that takes nothing from the folder."""
    where: str
    """A file, or an answer: model, condition, item, draw."""
    message: str | SafescaleError

    @property
    def what(self) -> str:
        """What was found, in plain words."""
        return str(self.message)


@dataclass(slots=True)
class Verification:
    """What was found in a folder."""

    folder: Path
    answers: int = 0
    """Rows of its table, or of its journal where there is no table."""
    read_again: int = 0
    """Answers whose text was read again."""
    not_read_again: dict[str, int] = field(default_factory=dict)
    """Answers that were not, by the reason."""
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

    def damaged(self, where: object, what: str | SafescaleError) -> None:
        """Note damage."""
        self.findings.append(Finding(Verdict.DAMAGED, str(where), what))

    def unknown(self, where: object, what: str | SafescaleError) -> None:
        """Note what could not be looked at."""
        self.findings.append(Finding(Verdict.UNKNOWN, str(where), what))

    def note(self, where: object, what: str | SafescaleError) -> None:
        """Note what takes nothing from the folder."""
        self.findings.append(Finding(Verdict.WHOLE, str(where), what))

    def left(self, reason: str, answers: int) -> None:
        """Count answers that are not read again."""
        if answers:
            self.not_read_again[reason] = self.not_read_again.get(reason, 0) + answers
