"""Files of an export: names that any file system takes, and nothing written over unasked. It knows
no format.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from lm_eval_safescale.errors import ArgumentHint, SafescaleError, writing
from lm_eval_safescale.files import replaced
from lm_eval_safescale.json_text import whole

LONGEST = 120
"""Bytes of a name, without what is put behind it."""
_ODD = re.compile(r"[^\w.+-]+")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d|data)(\..*)?", re.IGNORECASE)
"""Names that Windows keeps for devices, and one that the store of every_eval_ever keeps."""


def file_name(name: str) -> str:
    """A name of one file or folder that says this name: itself where every file system takes it,
    else what can be kept of it, with eight digits of its SHA-256, by which two such names differ.

    Letters of any alphabet stay; a name never begins or ends with a dot, a dash or a line.
    """
    text = whole(name)
    kept = _ODD.sub("_", unicodedata.normalize("NFC", text)).strip("._-")
    kept = kept.encode()[:LONGEST].decode(errors="ignore").rstrip("._-")
    if kept and kept == text and not _RESERVED.fullmatch(kept):
        return kept
    return f"{kept or 'model'}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Output:
    """Where an export is written."""

    folder: Path
    overwrite: bool = False

    def refuse_existing(self, paths: Collection[PurePosixPath]) -> None:
        """SafescaleError where one of these files is there, unless it may be written over; and
        where two of them are one to a file system that does not tell capitals from small
        letters."""
        seen: dict[str, PurePosixPath] = {}
        for path in paths:
            if (other := seen.setdefault(str(path).casefold(), path)) is not path:
                raise SafescaleError(
                    f"{other} and {path} would be one file on many file systems: export the models "
                    "apart, into a folder each"
                )
        there = [self.folder / path for path in paths if (self.folder / path).exists()]
        if there and not self.overwrite:
            more = f" and {len(there) - 1} more" if len(there) > 1 else ""
            raise SafescaleError(
                f"{there[0]}{more}: there already, and kept; choose another place, or ",
                ArgumentHint("overwrite"),
            )

    def write(self, path: PurePosixPath, pieces: Iterable[str]) -> str:
        """Write a file whole, or not at all; its SHA-256 (hex)."""
        target, digest = self.folder / path, hashlib.sha256()
        with (
            writing(target),
            replaced(target, to_disk=False) as unfinished,
            unfinished.open("wb") as file,
        ):
            for piece in pieces:
                data = piece.encode()
                digest.update(data)
                file.write(data)
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written."""

    files: list[Path]
    not_scored: int = 0
    """Results that the format cannot hold, because they have no value."""
