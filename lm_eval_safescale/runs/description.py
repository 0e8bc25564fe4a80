"""`run.json`: whose answers a folder holds, under what each condition is asked, and every start. It
knows no answers.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lm_eval_safescale.checksums import document_of, only_names, read_document
from lm_eval_safescale.datasets.problems import printable
from lm_eval_safescale.errors import OTHER_FOLDER, CommandHint, SafescaleError
from lm_eval_safescale.files import replaced

RUN = "run.json"
MARK, FORMAT = "safescale_run", 3
MOST_DIFFERENCES = 12
_KINDS = {MARK: int, "identity": dict, "conditions": dict, "starts": list}


def new_description(identity: Mapping[str, Any]) -> dict[str, Any]:
    """What is said of a run that has not started."""
    return {MARK: FORMAT, "identity": plain(identity), "conditions": {}, "starts": []}


def read_run(folder: Path) -> dict[str, Any]:
    """What a folder says of its run: `identity`, `conditions`, `starts`; SafescaleError if it is
    damaged or of a newer format."""
    path = folder / RUN
    try:
        about, is_checked = read_document(path.read_bytes())
        if isinstance(about[MARK], int) and about[MARK] > FORMAT:
            raise SafescaleError(
                f"{path}: written by a newer version (format {about[MARK]}); upgrade "
                "lm-eval-safescale"
            )
        if (
            not all(isinstance(about[name], kind) for name, kind in _KINDS.items())
            or about[MARK] < 1
        ):
            raise KeyError(", ".join(_KINDS))
        if is_checked != (about[MARK] > 1):
            raise ValueError("its checksum is damaged")
    except SafescaleError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        why = str(error) if isinstance(error, ValueError) else repr(error)
        raise SafescaleError(
            f"{path}: damaged ({why}); the answers beside it stay as they are, and a good folder "
            "can be made of them: ",
            CommandHint(f"safescale runs salvage {shlex.quote(str(folder))}", {"output": "NEW"}),
        ) from None
    return about


def write_run(folder: Path, about: Mapping[str, Any]) -> None:
    """Write it in one step; OSError if that cannot be done."""
    with replaced(folder / RUN) as unfinished:
        unfinished.write_bytes(document_of({**about, MARK: FORMAT}))
    sync_folder(folder)


def refuse_other(folder: Path, there: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """SafescaleError, with the differences, where answers were asked for otherwise than they would
    be now."""
    found = list(_differences(there, now))
    if found:
        more = (
            [f"and {len(found) - MOST_DIFFERENCES} more"] if len(found) > MOST_DIFFERENCES else []
        )
        raise SafescaleError(
            "\n  ".join(
                [
                    f"{folder}: holds answers that were asked for otherwise:",
                    *found[:MOST_DIFFERENCES],
                    *more,
                ]
            )
            + "\ntheir rows do not belong into one table; ",
            OTHER_FOLDER,
        )


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system has such a call."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As it is read again from a file."""
    return dict(json.loads(json.dumps(values)))


def _differences(there: Any, now: Any, where: str = "") -> Iterator[str]:
    if isinstance(there, Mapping) and isinstance(now, Mapping):
        names = only_names(there, now)
        for name in (each for each in _all_names(there, now) if each not in names):
            yield from _differences(
                there.get(name), now.get(name), f"{where}.{name}" if where else str(name)
            )
    elif there != now:
        yield printable(f"{where}: there {_shown(there)}, now {_shown(now)}")


def _all_names(*mappings: Mapping[str, Any]) -> Iterable[str]:
    return dict.fromkeys(name for mapping in mappings for name in mapping)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
