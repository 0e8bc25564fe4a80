"""One writer a folder: a second one is refused while the first lives, and a dead one holds nothing
up. It knows nothing of answers.

On one machine the operating system's lock decides, which it lets go of whatever kills the process.
File systems shared by several machines may know no such lock, so the writer also counts up in a
file: whoever comes from another machine looks whether the count goes on. No clock is compared with
another.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from lm_eval_safescale.errors import OTHER_FOLDER, SafescaleError

try:
    import fcntl
except ImportError:  # no such lock on Windows; the count stands alone there
    fcntl = None  # type: ignore[assignment]

LOCK, WRITER = ".lock", "writer.json"
BEAT = 5.0
"""Seconds between two counts."""
PATIENCE = 3 * BEAT + 1
"""Seconds without a count after which a writer on another machine counts as dead."""
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_held: set[int] = set()
"""Descriptors of this process's locks."""


class WriterLock:
    """Held from its making to `release`.

    Parameters
    ----------
    folder
        An existing folder.
    on_beat
        Called every few seconds as long as the lock is held, in a thread of its own; it must not
        fail.

    Raises
    ------
    SafescaleError
        If another writer is at work there, with its machine and process.
    """

    def __init__(self, folder: Path, on_beat: Callable[[], object] = lambda: None) -> None:
        self._folder, self._on_beat, self._id, self._lost = folder, on_beat, uuid.uuid4().hex, ""
        self._descriptor, self._is_locked = self._lock_file()
        self._place = folder.stat()
        _held.add(self._descriptor)
        try:
            self._refuse_living()
            self._count = 0
            for leftover in folder.glob(f".{WRITER}.*"):  # of writers that were killed
                leftover.unlink(missing_ok=True)
            self._write()
        except OSError as error:
            self._let_go()
            raise SafescaleError(
                f"{folder}: cannot be written ({error.strerror}); make room, or ",
                OTHER_FOLDER,
            ) from None
        except BaseException:
            self._let_go()
            raise
        self._looked = _now()
        self._done = threading.Event()
        self._beating = threading.Thread(target=self._beat, daemon=True, name="writer-lock")
        self._beating.start()

    def check(self) -> None:
        """SafescaleError if another writer has taken the folder over: this process stood still for
        long, and must write no more."""
        # this process stood still, and the counting thread with it
        if not self._lost and _now() - self._looked > 2 * BEAT:
            self._look()
        if self._lost:
            if not self.is_in_place():
                raise SafescaleError(moved(self._folder))
            raise SafescaleError(
                f"{self._folder}: {self._lost} has taken the folder over while this process stood "
                "still; it goes on there, this one stops"
            )

    def is_in_place(self) -> bool:
        """Whether the folder still stands under its name."""
        try:
            return os.path.samestat(self._place, self._folder.stat())
        except OSError:
            return False

    def release(self) -> None:
        """Let others write."""
        self._done.set()
        self._beating.join()
        with suppress(OSError):
            if (_read(self._folder) or {}).get("id") == self._id:
                (self._folder / WRITER).unlink()
        self._let_go()

    def _let_go(self) -> None:
        _held.discard(self._descriptor)
        os.close(self._descriptor)

    def _lock_file(self) -> tuple[int, bool]:
        """The descriptor, and whether the operating system locked it."""
        try:
            descriptor = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise SafescaleError(
                f"{self._folder}: cannot be written ({error.strerror}); ",
                OTHER_FOLDER,
            ) from None
        if fcntl is None:
            return descriptor, False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise self._refusal(_read(self._folder) or {}) from None
        except OSError:
            return descriptor, False  # this file system knows no locks
        return descriptor, True

    def _refuse_living(self) -> None:
        before = _read(self._folder)
        if before is None or (self._is_locked and before.get("machine") == _machine()):
            return  # a process of this machine that lived would hold the lock
        deadline = _now() + PATIENCE
        while _now() < deadline:
            time.sleep(min(0.5, BEAT / 5))
            now = _read(self._folder)
            if now is None:
                return
            if before and now and _count_of(now) != _count_of(before):
                raise self._refusal(now)
            before = before or now  # what could not be read was being replaced, or is damaged

    def _refusal(self, writer: dict[str, Any]) -> SafescaleError:
        return SafescaleError(
            f"{self._folder}: {_named(writer)} is writing there; wait for it, or stop it"
        )

    def _beat(self) -> None:
        while not self._done.wait(BEAT):
            self._look()
            if self._lost:
                return
            self._count += 1
            with suppress(OSError):  # a full disk is told by whoever writes answers
                self._write()
            self._on_beat()

    def _look(self) -> None:
        there = _read(self._folder)
        # none: whoever took it over has finished
        if there is None or there.get("id", self._id) != self._id:
            self._lost = _named(there or {})
        self._looked = _now()

    def _write(self) -> None:
        path = self._folder / WRITER
        unfinished = path.with_name(f".{WRITER}.{self._id[:8]}")
        mine = {
            "id": self._id,
            "machine": _machine(),
            "host": socket.gethostname(),
            "pid": os.getpid(),
            "count": self._count,
        }
        try:
            unfinished.write_text(json.dumps(mine), encoding="utf-8")
            unfinished.replace(path)
        except OSError:
            with suppress(OSError):
                unfinished.unlink()
            raise


def moved(folder: Path) -> str:
    """What to say of a folder that no longer stands under its name."""
    return (
        f"{folder}: the folder was renamed or removed while the run was under way; what was "
        "answered is in it, wherever it is now. Put it back, and the same command goes on from "
        "there"
    )


def _read(folder: Path) -> dict[str, Any] | None:
    """What the writer says of itself: None where there is none, empty where it cannot be read (it
    may be being replaced)."""
    try:
        read = json.loads((folder / WRITER).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, RecursionError):
        return {}
    return read if isinstance(read, dict) else {}


def _count_of(writer: dict[str, Any]) -> tuple[Any, Any]:
    return writer.get("id"), writer.get("count")


def _machine() -> str:
    """Of the running system: containers of one machine share it, and its locks; machines of one
    name do not."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return socket.gethostname()


def _now() -> float:
    """Seconds that also count while the machine sleeps, and that no setting of the clock
    changes."""
    return (
        time.clock_gettime(time.CLOCK_BOOTTIME)
        if hasattr(time, "CLOCK_BOOTTIME")
        else time.monotonic()
    )


def _named(writer: dict[str, Any]) -> str:
    return (
        f"process {writer['pid']} on {writer.get('host', '?')}"
        if writer.get("pid")
        else "another process"
    )


def _leave_locks_to_parent() -> None:
    """A forked worker would hold the lock on when this process was killed."""
    for descriptor in _held:
        with suppress(OSError):
            os.close(descriptor)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_locks_to_parent)
