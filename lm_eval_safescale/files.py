"""A file is there whole, or not at all: written under another name, and renamed. It knows nothing
of what is in it.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def replaced(path: Path, *, to_disk: bool = True) -> Iterator[Path]:
    """Where to write what shall stand at `path`: it takes that place in one step when the block
    ends without an error.

    Parameters
    ----------
    path
        Its folder is made where it is not there. Who reads it meanwhile sees what was there before;
        so does everyone if the block fails.
    to_disk
        Wait until the disk has it, so that no power cut leaves an empty file; for what took long to
        make.

    Raises
    ------
    OSError
        If it cannot be written. What was written until then is removed.
    """
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield unfinished
        if to_disk:
            with unfinished.open("rb+") as file:
                os.fsync(file.fileno())
        unfinished.replace(path)
    finally:
        with suppress(OSError):  # it has its place, or never was
            unfinished.unlink()
