"""What of a board stands in a folder: submissions, records of repeats, and the organiser's marks.
It opens no submission, and follows no link.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.inputs import read_bytes
from lm_eval_safescale.json_text import decode_json
from lm_eval_safescale.leaderboard.archive import Refusal
from lm_eval_safescale.leaderboard.board.result import Reason
from lm_eval_safescale.leaderboard.repeat import read_record

SUBMISSION, RECORD, RECORDS, MARKS = ".zip", "repeat", "records", "organiser.json"
DEEPEST = 8
"""Folders within folders."""
MOST_SUBMISSIONS, MOST_FILES = 10_000, 200_000
MOST_MARKS = 4_000_000
"""Bytes."""
Root = Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class Marks(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What the organiser says, in `organiser.json` of the folder itself."""

    run_by_organiser: frozenset[Root] = frozenset()
    """Root hashes of submissions whose answers the organiser has made."""
    published: dict[str, Root] = {}
    """Root hashes that were published before, by the file of the submission."""


@dataclass(frozen=True, slots=True)
class Submission:
    """A file that may be a submission."""

    path: Path
    file: str
    """`shown` name in the folder."""


@dataclass(slots=True)
class Found:
    """What a folder holds."""

    submissions: list[Submission] = field(default_factory=list)
    """In the order of their names."""
    refused: dict[str, Reason] = field(default_factory=dict)
    """Names of submissions that are no files, with the reason."""
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of repeats, by the root hash that they are of: the newest of each."""
    marks: Marks = field(default_factory=Marks)
    complaints: list[str] = field(default_factory=list)
    """What could not be read, and is no submission."""
    looked_at: int = 0
    """Files and folders."""


def find(folder: Path, apart: Collection[Path] = ()) -> Found:
    """Look for submissions (`*.zip`), records (`repeat*.json`, `records/*.json`) and
    marks (`organiser.json`).

    Parameters
    ----------
    folder
        Looked through with its folders, but for those that begin with a dot.
    apart
        Folders that are left out: the site, where it stands inside.

    Raises
    ------
    SafescaleError
        If it is no folder, holds too much to look at, or its marks cannot be read.
    """
    if not folder.is_dir():
        what = "a file" if folder.exists() else "not there"
        raise SafescaleError(f"{folder} is {what}; expected a folder of submissions (*.zip)")
    found = Found()
    if (folder / MARKS).exists():
        found.marks = _marks(folder / MARKS)
    left_out = {path.resolve() for path in apart}
    for entry in _files(folder, found, left_out, DEEPEST):
        path = Path(entry.path)
        file, name = _named(path.relative_to(folder).as_posix()), entry.name.casefold()
        if name.endswith(SUBMISSION):
            if why := _no_file(entry):
                found.refused[file] = Reason(
                    verdict="refused", kind=Refusal.NO_FILE, where=file, what=why,
                    expected="a file",
                )  # fmt: skip
            else:
                found.submissions.append(Submission(path, file))
            if len(found.submissions) + len(found.refused) > MOST_SUBMISSIONS:
                raise SafescaleError(
                    f"{folder}: more than {MOST_SUBMISSIONS:,} submissions; expected fewer"
                )
        elif name.endswith(".json") and _may_be_record(path) and not _no_file(entry):
            try:
                record = read_record(path)
            except SafescaleError as error:
                found.complaints.append(f"{file}: {shown(reason_of(error))}")
                continue
            root = str(record.get("root"))
            if str(record.get("at")) >= str(found.records.get(root, {}).get("at", "")):
                found.records[root] = record
    return found


def shown(name: str) -> str:
    """A name with every character that nobody sees, or that is none, escaped."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in name
    )


def _named(file: str) -> str:
    """A file's name as `shown`, that of no other."""
    return shown(file.replace("\\", r"\\"))


def seen(name: str) -> str:
    """A name without such characters, in one line; `model` where nothing is left."""
    plain = "".join(
        " " if each.isspace() else each for each in name if each.isspace() or each.isprintable()
    )
    return " ".join(plain.split()) or "model"


def looks(name: str) -> str:
    """What two names that look alike have in common."""
    return "".join(unicodedata.normalize("NFKC", seen(name)).casefold().split())


def _files(
    folder: Path, found: Found, apart: Collection[Path], deeper: int
) -> Iterator[os.DirEntry[str]]:
    """Everything but folders, in the order of names; those of a folder before its folders."""
    try:
        with os.scandir(folder) as entries:
            listed = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        found.complaints.append(f"{shown(str(folder))}: cannot be read ({error.strerror})")
        return
    found.looked_at += len(listed)
    if found.looked_at > MOST_FILES:
        raise SafescaleError(f"more than {MOST_FILES:,} files to look at; expected fewer")
    inner = []
    for entry in listed:
        if entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            inner.append(Path(entry.path))
        else:
            yield entry
    for path in inner:
        if path.name.casefold().endswith(SUBMISSION):
            found.complaints.append(f"{shown(str(path))}: a folder; expected a file")
        if path.resolve() in apart:
            continue
        if not deeper:
            found.complaints.append(
                f"{shown(str(path))}: not looked into; expected at most {DEEPEST} folders within "
                "folders"
            )
            continue
        yield from _files(path, found, apart, deeper - 1)


def _may_be_record(path: Path) -> bool:
    return path.name.casefold().startswith(RECORD) or path.parent.name == RECORDS


def _no_file(entry: os.DirEntry[str]) -> str:
    if entry.is_symlink():
        return "a link, which is not followed"
    return "" if entry.is_file(follow_symlinks=False) else "a pipe, a socket or a device"


def _marks(path: Path) -> Marks:
    try:
        return msgspec.convert(decode_json(read_bytes(path, MOST_MARKS)), Marks)
    except (ValueError, RecursionError) as error:
        if isinstance(error, SafescaleError):
            raise
        raise SafescaleError(
            f"{path}: {reason_of(error)}; expected run_by_organiser, a list of root hashes, and "
            "published, root hashes by file"
        ) from None
