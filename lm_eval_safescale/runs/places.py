"""What a file or folder is, told by what lies in it, and the command that it is for. It opens no
table and reads no answers.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from lm_eval_safescale.errors import CommandHint, SafescaleError
from lm_eval_safescale.runs.journal import is_run
from lm_eval_safescale.words import counted

MARK, ABOUT, ANSWERS_FILE = "safescale_runs", "about.json", "answers.parquet"
LOOKED_AT = 1 << 16
"""Bytes of a file in which it says what it is."""


class Kind(Enum):
    """What it is, the command that it is for, and the options that this needs; `{path}` is quoted
    for a shell."""

    RUNS = "answers of models (runs)", "safescale analyze {path}", "TABLES"
    MANY = "{many}, each in a folder of its own", "safescale analyze {path}/*", "TABLES"
    TABLES = (
        "tables that safescale analyze made: read tables/*.csv in it; commands take the runs that "
        "they were made of"
    )
    LOGS = "output of lm_eval", "safescale table {path}"
    CONTEXTS = "contexts built ahead", "safescale contexts show {path}"
    INDEX = "an index that was made of a corpus: name the corpus, and its index is found again"
    RELEASE = "published answers", "safescale import-release {path}", "RUNS"
    SUBMISSION = "a submission", "safescale submit verify {path}"
    SWEEP = "a sweep's file", "safescale sweep {path}"
    MODEL = "a model, to be asked with pretrained={path} as its argument"


@dataclass(frozen=True, slots=True)
class Place:
    """A file or folder that is known."""

    path: Path
    kind: Kind
    runs: int = 0
    """Folders of runs inside, of `Kind.MANY`."""

    @property
    def said(self) -> SafescaleError:
        """What it is, and the command that it is for."""
        words = (self.kind.value,) if isinstance(self.kind.value, str) else self.kind.value
        what, *use = (
            each.format(path=shlex.quote(str(self.path)), many=counted(self.runs, "run"))
            for each in words
        )
        if not use:
            return SafescaleError(what)
        command, *output = use
        return SafescaleError(
            f"{what}, for ", CommandHint(command, {"output": output[0]}) if output else command
        )


def what_is(path: Path) -> Place | None:
    """What a file or folder is; None for what is not there, or not known."""
    try:
        return _folder(path) if path.is_dir() else _file(path) if path.is_file() else None
    except OSError:  # none that may be read
        return None


def refuse_others(path: Path, *wanted: Kind) -> None:
    """SafescaleError where a file or folder is known, and none of these kinds."""
    place = what_is(path)
    if place is not None and place.kind not in wanted:
        raise SafescaleError(f"{path}: ", place.said)


def holds_runs(folder: Path) -> bool:
    """Whether a folder says that it holds runs, however it does."""
    return MARK in _fields(folder / ABOUT)


def _folder(path: Path) -> Place | None:
    about = _fields(path / ABOUT)
    inside = sorted(path.iterdir())
    if is_run(path) or MARK in about or (path / ANSWERS_FILE).is_file():
        return Place(path, Kind.RUNS)
    if "preset" in about and (path / "tables").is_dir():
        return Place(path, Kind.TABLES)
    if {"key", "made_by", "files"} <= about.keys():
        return Place(path, Kind.INDEX)
    if (path / "phase4_checking_results").is_dir():
        return Place(path, Kind.RELEASE)
    if runs := sum(is_run(each) or holds_runs(each) for each in inside if each.is_dir()):
        return Place(path, Kind.MANY, runs)
    if any(
        _results(each)
        for folder in (path, *(each for each in inside if each.is_dir()))
        for each in folder.glob("results_*.json")
    ):
        return Place(path, Kind.LOGS)
    if "model_type" in _fields(path / "config.json"):
        return Place(path, Kind.MODEL)
    return None


def _file(path: Path) -> Place | None:
    with path.open("rb") as file:
        start = file.read(LOOKED_AT)
    if start.startswith(b"PK\x03\x04") and b"answers.jsonl" in start[:64]:
        return Place(path, Kind.SUBMISSION)
    if path.suffix in (".yaml", ".yml"):
        return (
            Place(path, Kind.SWEEP)
            if any(line.startswith(b"models:") for line in start.splitlines())
            else None
        )
    from lm_eval_safescale.contexts.files import (
        MARK as CONTEXTS_MARK,  # late: those who look at folders need nothing of contexts
    )

    with suppress(ValueError, RecursionError):
        header = json.loads(start.partition(b"\n")[0])
        if isinstance(header, dict) and CONTEXTS_MARK in header:
            return Place(path, Kind.CONTEXTS)
    if _results(path):
        return Place(path, Kind.LOGS)
    within: Iterable[Path] = (path.parent, path.parent.parent)
    return next(
        (place for folder in within if _is_of_folder(path, folder) and (place := _folder(folder))),
        None,
    )


def _is_of_folder(path: Path, folder: Path) -> bool:
    """Whether a file is one that makes a folder what it is."""
    return path.relative_to(folder).as_posix() in (
        ABOUT,
        ANSWERS_FILE,
        "items.parquet",
        "run.json",
    ) or (path.parent != folder and path.parent.name in ("answers", "tables"))


def _results(path: Path) -> bool:
    return path.name.startswith("results_") and {"results", "configs"} <= _fields(path).keys()


def _fields(path: Path) -> dict[str, Any]:
    """The fields of a JSON file; none where it is none."""
    there: Any = {}
    with suppress(OSError, ValueError, RecursionError):
        there = json.loads(path.read_text(encoding="utf-8"))
    return there if isinstance(there, dict) else {}
