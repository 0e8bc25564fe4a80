"""The folder of a report: what may be replaced, and how it is, so that a build that was cut off is
recognised. It knows no page.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lm_eval_safescale.errors import OTHER_FOLDER, SafescaleError, writing
from lm_eval_safescale.inputs import InputError, read_json
from lm_eval_safescale.runs.places import holds_runs, refuse_others

MARK_FILE, MARK = "report.json", "safescale_report"
FORMAT = 1
UNFINISHED, OLD = ".unfinished", ".old"


def refuse_other(folder: Path) -> None:
    """SafescaleError if what stands at `folder` is anything but a report, or an empty folder."""
    try:
        folder.resolve()
    except (OSError, RuntimeError) as error:  # links in a circle
        raise SafescaleError(f"{folder}: {error}; ", OTHER_FOLDER) from None
    if folder.is_file():
        raise SafescaleError(f"{folder} is a file; expected a folder for the report")
    if holds_runs(folder):
        raise SafescaleError(f"{folder}: runs stand there, and stay; ", OTHER_FOLDER)
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    own = _files_of(folder)
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
    if own is None:
        raise SafescaleError(
            f"{folder} is there, and holds other things than a report (no {MARK_FILE} of one); ",
            OTHER_FOLDER,
        )
    if odd := sorted(there - own - {MARK_FILE}):
        more = f" and {len(odd) - 3} more" if len(odd) > 3 else ""
        raise SafescaleError(
            f"{folder} holds a report, and files that are not of it ({', '.join(odd[:3])}{more}): "
            "building it again would remove them; move them away, or ",
            OTHER_FOLDER,
        )


def refuse_card(card: Path, folder: Path) -> None:
    """SafescaleError if a card would stand in a report's folder, which the next report replaces, or
    in place of runs or other things that are known."""
    if Path(os.path.realpath(card)).is_relative_to(folder.resolve()):
        raise SafescaleError(
            f"{card}: a report replaces all of {folder}, and would take the card with it; "
            "expected a file outside that folder"
        )
    refuse_others(card)


@contextmanager
def whole_folder(folder: Path, about: Mapping[str, Any]) -> Iterator[Path]:
    """Where to write a report that shall stand at `folder`: it takes that place as a whole when the
    block ends without an error, in place of the report that was there.

    `about` is written last, with the names of all files, as `report.json`. What a build left that
    was cut off is removed.

    Raises
    ------
    SafescaleError
        If something else stands there, or it cannot be written.
    """
    refuse_other(folder)
    place = folder.resolve()
    unfinished, old = (
        place.with_name(f".{place.name}.{uuid.uuid4().hex[:8]}{end}") for end in (UNFINISHED, OLD)
    )
    with writing(folder):
        place.parent.mkdir(parents=True, exist_ok=True)
        _clear(place)
        try:
            unfinished.mkdir()
            yield unfinished
            files = sorted(
                str(path.relative_to(unfinished))
                for path in unfinished.rglob("*")
                if path.is_file()
            )
            document = {MARK: FORMAT, **about, "files": files}
            (unfinished / MARK_FILE).write_text(
                json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8"
            )
            if place.is_dir():
                place.replace(old)
            unfinished.replace(place)
            shutil.rmtree(old, ignore_errors=True)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            if old.is_dir() and not place.exists():
                old.replace(place)
            raise


def _clear(place: Path) -> None:
    """Remove what an earlier build of this very place left; a report that had been moved aside goes
    back."""
    for left in sorted(place.parent.glob(f".{place.name}.????????{OLD}")):
        if place.exists():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.replace(place)
    for left in place.parent.glob(f".{place.name}.????????{UNFINISHED}"):
        shutil.rmtree(left, ignore_errors=True)


def _files_of(folder: Path) -> set[str] | None:
    """The files of a report that stands there; None where none does."""
    try:
        found = read_json(folder / MARK_FILE)
    except InputError:
        return None
    if not isinstance(found, dict) or MARK not in found or not isinstance(found.get("files"), list):
        return None
    return {str(name) for name in found["files"]}
