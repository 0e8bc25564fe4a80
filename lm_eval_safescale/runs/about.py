"""`about.json`: what a folder of runs says of itself, with the SHA-256 of every file that belongs
to it. It reads no tables.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lm_eval_safescale.checksums import document_of, read_document, sha256_of
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.runs.journal import is_run, unfinished_run
from lm_eval_safescale.runs.places import ABOUT, MARK, Kind, what_is

FORMAT = 3
ITEMS_FILE = "items.parquet"
FILES = "files"
"""SHA-256 by file, of those that belong to the runs; format 1 has none."""
UNCHECKED = "unchecked"
"""Of `Runs.about`: folders that were read without checksums."""
OF_FOLDER = (MARK, "id", "rows", FILES)
"""What is said of the folder, and not of the runs."""
_MARK_IN_PARQUET = re.compile(MARK.encode() + rb"[^0-9a-f]{1,8}([0-9a-f]{32})")
TAIL = 1 << 16
"""Bytes at the end of a Parquet file in which its metadata stand."""


def about_document(
    about: Mapping[str, Any], mark: str, rows: int, files: Mapping[str, str]
) -> bytes:
    """What stands in `about.json`; `files`: SHA-256 by name."""
    own = {name: value for name, value in about.items() if name != UNCHECKED}
    return document_of({MARK: FORMAT, "id": mark, "rows": rows, FILES: dict(files), **own})


def sums_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of files in a folder; OSError if one cannot be read."""
    return {name: sha256_of(folder / name) for name in names}


def read_about(folder: Path) -> dict[str, Any]:
    """What a folder says of itself.

    Raises
    ------
    SafescaleError
        If it holds no finished runs, if the description is damaged, or of a newer format.
    """
    path = folder / ABOUT
    if not path.is_file():
        raise what_else(folder)
    try:
        about, is_checked = read_document(path.read_bytes())
        version = about[MARK]
        if isinstance(version, int) and version > FORMAT:
            raise SafescaleError(
                f"{path}: written by a newer version (format {version}, known up to {FORMAT}); "
                "upgrade lm-eval-safescale"
            )
        kinds = {MARK: int, "id": str, "rows": int, "dataset": dict, "models": dict}
        if (
            not all(isinstance(about[name], kind) for name, kind in kinds.items())
            or "fingerprint" not in about["dataset"]
        ):
            raise KeyError("dataset, models, id, rows")
        if is_checked != (version > 1) or is_checked != isinstance(about.get(FILES), dict):
            raise ValueError("its checksum is damaged")
    except SafescaleError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        if is_other(folder):
            raise what_else(folder) from None
        raise SafescaleError(
            f"{path}: damaged, or no description of runs ({error!r}); {again(folder)}"
        ) from None
    return about


def is_other(folder: Path) -> bool:
    """Whether a folder, or what is named as one, is known to be something else than a folder of
    runs."""
    place = what_is(folder)
    return place is not None and (place.kind is not Kind.RUNS or place.path != folder)


def what_else(folder: Path) -> SafescaleError:
    """The error for what is no folder of finished runs: what it is."""
    if unfinished := unfinished_run(folder):
        return SafescaleError(f"{folder}: {unfinished}")
    place = what_is(folder)
    if place is not None and is_other(folder):
        return SafescaleError(f"{folder}: no folder of runs, but ", place.said)
    what = (
        f"no {ABOUT} in it"
        if folder.is_dir()
        else "a file"
        if folder.exists()
        else "no such folder"
    )
    return SafescaleError(
        f"{folder}: {what}; expected runs, as safescale run, import-release and import-lm-eval "
        "write them"
    )


def refuse_damaged(path: Path, about: Mapping[str, Any]) -> None:
    """SafescaleError where a file is not the one that `about` was written with; older formats
    cannot tell."""
    if FILES not in about:
        return
    try:
        if sha256_of(path) == about[FILES].get(path.name):
            return
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL))
            mark = _MARK_IN_PARQUET.search(file.read())
    except FileNotFoundError:
        raise SafescaleError(f"{path}: no such file; {again(path.parent)}") from None
    except OSError as error:
        raise SafescaleError(f"{path}: cannot be read ({error.strerror})") from None
    if mark and mark[1].decode() != about["id"]:
        raise SafescaleError(other_writing(path))
    raise SafescaleError(
        f"{path}: cut off or damaged (its SHA-256 is not that in {ABOUT}); {again(path.parent)}"
    )


def other_writing(path: Path) -> str:
    """What to say of a file that another writing left."""
    return (
        f"{path}: not of the same writing as {ABOUT} beside it, which was interrupted; "
        f"{again(path.parent)}"
    )


def again(folder: Path) -> str:
    """What to do about a damaged folder."""
    return (
        "the same safescale run command writes these files again"
        if is_run(folder)
        else "import the answers again"
    )
