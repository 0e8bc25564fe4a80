"""What a pull request brings to a leaderboard's repository: read from Git's objects, so that
nothing of it is checked out, followed or run; submissions are verified, and all else is refused.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.inputs import most_bytes
from lm_eval_safescale.leaderboard.board.folder import Submission
from lm_eval_safescale.leaderboard.board.recomputing import Sources, look_at
from lm_eval_safescale.leaderboard.repository.outcome import (
    FORMAT,
    MOST_FILES,
    MOST_REASONS,
    SUBMISSION,
    Checked,
    Outcome,
    Reason,
    checked,
    reason,
)
from lm_eval_safescale.leaderboard.verify import Verdicts
from lm_eval_safescale.words import counted

FILE_MODE = "100644"
MODES = {"120000": "a symbolic link", "160000": "a submodule", "100755": "an executable file"}


@dataclass(frozen=True, slots=True)
class Change:
    """What happens to a file between two commits."""

    path: str
    mode: str
    blob: str
    """Its content, as Git names it."""
    status: str
    """As Git says it: A added, M changed, D removed, T of another kind."""


def changes_between(repository: Path, base: str, head: str) -> list[Change]:
    """Every file that differs.

    Raises
    ------
    SafescaleError
        If it is no repository, or a commit is not there.
    """
    told = _git(
        repository, "diff-tree", "-r", "-z", "--raw", "--no-renames", "--full-index",
        "--end-of-options", base, head,
    )  # fmt: skip
    parts = told.decode("utf-8", "surrogateescape").split("\0")[:-1]
    return [
        Change(path, *about.split(" ")[1:2], *about.split(" ")[3:5])
        for about, path in zip(parts[::2], parts[1::2], strict=True)
    ]


def check(repository: Path, base: str, head: str, sources: Sources) -> Outcome:
    """Verify the submissions that a commit adds, if it does nothing else, as a board would.

    Parameters
    ----------
    repository
        A folder of Git's.
    base, head
        The commit before, and the one that is looked at.
    sources
        What they are verified with.

    Raises
    ------
    SafescaleError
        As `changes_between`.
    """
    changes = changes_between(repository, base, head)
    refused = [*_refused(repository, base, changes)]
    if refused:
        return Outcome(FORMAT, refused[:MOST_REASONS])
    return Outcome(
        FORMAT,
        submissions=[_verified(repository, each, sources) for each in changes],
    )


def _refused(repository: Path, base: str, changes: list[Change]) -> Iterator[Reason]:
    if not changes:
        yield reason("pull request", "adds nothing", "a submission")
    if len(changes) > MOST_FILES:
        yield reason("pull request", f"changes {counted(len(changes), 'file')}", MOST_FILES)
        return
    names = _git(repository, "ls-tree", "-r", "-z", "--name-only", base).decode(
        "utf-8", "surrogateescape"
    )
    there = {name.casefold() for name in names.split("\0")}
    for each in changes:
        if not SUBMISSION.fullmatch(each.path):
            yield reason(each.path, "no submission", "submissions/FAMILY/NAME.zip and nothing else")
        elif each.status != "A":
            what = "removes" if each.status == "D" else "changes"
            yield reason(
                each.path, f"{what} what is there: submissions stay as they were", "another name"
            )
        elif each.mode != FILE_MODE:
            yield reason(each.path, MODES.get(each.mode, f"mode {each.mode}"), "a plain file")
        elif each.path.casefold() in there:
            yield reason(each.path, "a name that is there in other letters", "another name")
        there.add(each.path.casefold())


def _verified(repository: Path, change: Change, sources: Sources) -> Checked:
    def refused(what: str, expected: object) -> Checked:
        return Checked(change.path, Verdicts.REFUSED, reasons=[reason(change.path, what, expected)])

    size = int(_git(repository, "cat-file", "-s", change.blob))
    if size > most_bytes():
        return refused(f"{size:,} bytes", f"at most {most_bytes():,}")
    with TemporaryDirectory(prefix="safescale-check-") as folder:
        file = Path(folder) / PurePosixPath(change.path).name
        file.write_bytes(_git(repository, "cat-file", "blob", change.blob))
        looked = look_at(Submission(file, change.path), sources)
    place = SUBMISSION.fullmatch(change.path)
    family = looked.stored.entry.dataset.get("family")
    if family is not None and place is not None and family != place["family"]:
        return refused(f"lies under {place['family']}", family)
    return checked(change.path, looked)


def _git(repository: Path, *words: str) -> bytes:
    try:
        done = subprocess.run(
            ["git", "-C", str(repository), *words], capture_output=True, check=False
        )
    except FileNotFoundError:
        raise SafescaleError("git is not installed; expected it among the commands") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        raise SafescaleError(
            f"{repository}: git {words[0]} failed: {said[-1] if said else done.returncode}"
        )
    return done.stdout
