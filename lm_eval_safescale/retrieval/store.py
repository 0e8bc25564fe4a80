"""A store of folders that were made once and are only read after: keyed by what they were made
from, whole or not there.

It knows nothing of passages or indexes. Each folder describes itself in `about.json`. It is written
beside its place and moved there in one step, so a kill leaves nothing half-made, and of two
processes that make the same folder one wins and both read it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lm_eval_safescale import __version__
from lm_eval_safescale.checksums import sha256_of
from lm_eval_safescale.errors import SafescaleError, reason_of

FORMAT = 1
ABOUT = "about.json"
ABANDONED = 24 * 3600
"""Seconds without a change after which a folder that was never finished is taken to be a killed
process's, and removed."""


class Store:
    """Folders under `root`, which is made when first needed."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(
        self,
        kind: str,
        key: Mapping[str, Any],
        write: Callable[[Path, Path], None],
        *,
        about: Mapping[str, Any] | None = None,
    ) -> Path:
        """The folder made from `key`; where there is none yet, `write` fills it.

        Parameters
        ----------
        kind
            What it is, in a word: the beginning of its name.
        key
            All that decides its content, as JSON values.
        write
            Called with an empty folder to fill, and with a scratch folder that outlives an
            interrupted call: what is put there is found again by the next one, and removed after
            success.
        about
            More to say in `about.json`, for people.

        Raises
        ------
        SafescaleError
            If the folder is there, but damaged or made otherwise, or if there is no room or no
            permission to make it.
        """
        made_from: dict[str, Any] = json.loads(json.dumps({"format": FORMAT, **key}))
        name = (
            f"{kind}-"
            f"{hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:16]}"
        )
        place = self.root / name
        try:
            if not place.is_dir():
                self._make(place, made_from, write, dict(about or {}))
        except OSError as error:
            raise SafescaleError(
                f"{place} cannot be made: {type(error).__name__}: "
                f"{error.strerror or reason_of(error)}; if there is no room or no permission, mend "
                "that, or choose another place with index_dir"
            ) from error
        check(place, made_from)
        return place

    def _make(
        self,
        place: Path,
        key: dict[str, Any],
        write: Callable[[Path, Path], None],
        about: dict[str, Any],
    ) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self._clear_abandoned()
        scratch = self.root / f".{place.name}.scratch"
        unfinished = self.root / f".{place.name}.{uuid.uuid4().hex[:8]}.unfinished"
        unfinished.mkdir()
        scratch.mkdir(exist_ok=True)
        try:
            write(unfinished, scratch)
            files = {
                path.relative_to(unfinished).as_posix(): sha256_of(path)
                for path in _files(unfinished)
            }
            content = {
                "key": key,
                **about,
                "made_by": f"lm_eval_safescale {__version__}",
                "files": files,
            }
            (unfinished / ABOUT).write_text(
                json.dumps(content, indent=1, ensure_ascii=False), encoding="utf-8"
            )
            unfinished.rename(place)
        except Exception:
            if not place.is_dir():
                # else another process was faster (and took the scratch folder away): its folder is
                # as good as ours
                raise
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
            with suppress(OSError):
                scratch.rmdir()  # stays where an interrupted call left something for the next one
        shutil.rmtree(scratch, ignore_errors=True)

    def _clear_abandoned(self) -> None:
        for path in self.root.glob(".*.unfinished"):
            try:
                if (
                    time.time() - max(each.stat().st_mtime for each in (path, *path.rglob("*")))
                    > ABANDONED
                ):
                    shutil.rmtree(path, ignore_errors=True)
            except OSError:
                continue


def check(place: Path, key: Mapping[str, Any]) -> None:
    """SafescaleError unless the folder was made from `key` and every file in it is as it was
    written."""
    remedy = "delete the folder, and it is made again"
    try:
        about = json.loads((place / ABOUT).read_text(encoding="utf-8"))
        made_from, files = dict(about["key"]), dict(about["files"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise SafescaleError(
            f"{place} is damaged: {ABOUT} cannot be read ({error!r}); {remedy}"
        ) from None
    if made_from != key:
        names = sorted(name for name in {*made_from, *key} if made_from.get(name) != key.get(name))
        differ = "; ".join(
            f"{name}: {made_from.get(name)!r}, expected {key.get(name)!r}" for name in names
        )
        raise SafescaleError(
            f"{place} was made with other settings or by another version ({differ}); {remedy}"
        )
    present = {path.relative_to(place).as_posix() for path in _files(place)} - {ABOUT}
    if present != set(files):
        odd = ", ".join(sorted(present ^ set(files)))
        raise SafescaleError(
            f"{place} is damaged: files are missing or do not belong there ({odd}); {remedy}"
        )
    for name, digest in files.items():
        try:
            found = sha256_of(place / name)
        except OSError as error:
            raise SafescaleError(
                f"{place / name} cannot be read ({error.strerror}); mend that, or {remedy}"
            ) from None
        if found != digest:
            raise SafescaleError(f"{place} is damaged: {name} is not as it was written; {remedy}")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def default_root() -> Path:
    """Where indexes are stored unless told: `safescale` in the user's cache folder."""
    return (
        Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "safescale" / "indexes"
    )
