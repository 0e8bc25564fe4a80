"""The store of a run under way: a folder of one model's answers, appended as they come, that knows
what is still to be asked.

    run.json            whose answers these are, and each start (runs.description)
    answers/*.jsonl     a file for each start, a line for each request that was answered or failed
                        (runs.lines)
    about.json, ...     the finished runs (runs.store), made of them

A line is whole or it does not count: one that was torn by a kill or a full disk, or damaged since,
is asked again.
"""

from __future__ import annotations

import shlex
import time
import uuid
from collections.abc import Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lm_eval_safescale.errors import (
    OTHER_FOLDER,
    CommandHint,
    FolderHint,
    SafescaleError,
    unwritten,
)
from lm_eval_safescale.jsonlog import LogFile
from lm_eval_safescale.runs.description import (
    RUN,
    new_description,
    plain,
    read_run,
    refuse_other,
    sync_folder,
    write_run,
)
from lm_eval_safescale.runs.held import Held
from lm_eval_safescale.runs.lines import SHARDS, Known, Line, encoded, header_of, shards_of
from lm_eval_safescale.runs.replay import Replay
from lm_eval_safescale.runs.writer_lock import LOCK, WRITER, WriterLock, moved

LOG = "log.txt"
"""What a sweep has its runs print there."""
SCORED_WITH = "scored_with"
"""Of a start: the settings that weigh its answers. They may change; those of the last start
count."""
PARAMETERS_B = "parameters_b"
"""Of a start, and of a model in `Runs.about`: billions of parameters, where whoever asked said so;
those of the last start that says."""
OWN_SETTINGS = "own_settings"
"""Of a condition: settings that its own defaults make others than those of the run."""
ALONE = "alone"
"""Of a condition: names of its facts that no other condition needs to share."""
ADVISOR, TEAM_STEPS = "advisor", "team.steps.jsonl"
"""Of a team: the run of its Advisor alone, in a folder of its own, which may be there before; what
its Guardians replied."""
OWN_FILES = {RUN, SHARDS, LOG, LOCK, WRITER, ADVISOR, TEAM_STEPS}
SYNC_SECONDS = 1.0
"""Between two syncs while answers come; the last of them are synced with the next beat of the lock.
It is for machines that vanish: of a killed process the system has everything."""


class Journal:
    """A folder of answers, open for writing; a context manager.

    Parameters
    ----------
    folder
        A new or empty folder, or one of the same run.
    identity
        Whose answers these are, as JSON values: what must be the same for answers to stand in one
        table.
    start
        What may differ from start to start, to be noted.
    responses
        Those that each item can have, by its id (`possible_of`): lines of anything else are
        damaged. None: not looked at.

    Attributes
    ----------
    about
        What `run.json` says: `identity`, `conditions` (what each is asked under), `starts`.
    held
        What became of each draw, as all lines say, those of this start too.
    damaged
        Lines that do not count, and are asked again.

    Raises
    ------
    SafescaleError
        If the folder is another run's (with the differences), holds other things, cannot be
        written, or another runner is at work in it.
    """

    def __init__(
        self,
        folder: Path,
        identity: Mapping[str, Any],
        start: Mapping[str, Any],
        responses: Mapping[str, Collection[str] | None] | None = None,
    ) -> None:
        self.folder = folder
        self._refuse_foreign()
        try:
            (folder / SHARDS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SafescaleError(
                f"{folder}: cannot be written ({error.strerror}); ", OTHER_FOLDER
            ) from None
        self._shard: LogFile | None = None
        self._is_synced, self._synced_at = True, time.monotonic()
        self._failure: OSError | SafescaleError | None = None
        self._header, self._is_described = b"", False
        self._responses = responses
        self._lock = WriterLock(folder, self._on_beat)
        try:
            self._start = plain(start)
            self._open(plain(identity))
            self._before = {path.name for path in shards_of(folder)}
            self._shard = self._new_shard()
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Bring everything to the disk, and let others write; SafescaleError if the disk does not
        take it."""
        shard = self._open_shard()
        try:
            self._sync()
        except OSError as error:
            raise unwritten(shard.path, error, goes_on=True) from None
        finally:
            self._lock.release()  # first of all: it also ends the other thread
            shard.close()
            if not shard.size:
                with suppress(OSError):
                    shard.path.unlink()

    def replay(self) -> Replay:
        """All lines again, from the disk."""
        return Replay(self.folder, known_of(self.about, self._responses), self.about["identity"])

    def files(self) -> list[str]:
        """Names in the folder of all files of answers; one without any goes when the journal is
        closed."""
        return [f"{SHARDS}/{path.name}" for path in shards_of(self.folder) if path.stat().st_size]

    def note(self, facts: Mapping[str, Any]) -> None:
        """Note what has become known of this start; SafescaleError as `write`."""
        if not self._lock.is_in_place():
            raise SafescaleError(moved(self.folder))
        self._start.update(plain(facts))
        self._write_about()

    def of_condition(
        self,
        name: str,
        facts: Mapping[str, Any],
        noted: Mapping[str, Any] | None = None,
        *,
        alone: Collection[str] = (),
    ) -> None:
        """Note under what a condition is asked, or check that it is what it was asked under before.

        Parameters
        ----------
        facts
            What must be the same for all answers of the folder, and for all conditions. What an
            older version did not note is noted now.
        noted
            What else is to be known of it.
        alone
            Names of facts that other conditions need not share.

        Raises
        ------
        SafescaleError
            If it is not, with the differences.
        """
        facts, noted = plain(facts), plain(noted or {})
        conditions = self.about["conditions"]
        for other, before in conditions.items():  # all of them: they are compared with one another
            apart = set() if other == name else {*alone, *before.get(ALONE, ())}
            now = {fact: value for fact, value in facts.items() if fact not in apart}
            there = {fact: before.get(fact, value) for fact, value in now.items()}
            refuse_other(self.folder, {other: there}, {other: now})
        now = {**conditions.get(name, {}), **facts, **noted}
        now |= {ALONE: sorted(alone)} if alone else {}
        if conditions.get(name) != now:
            conditions[name] = now
            self._write_about()

    def write(self, line: Line) -> None:
        """Append a line; it stays whatever happens to this process.

        Raises
        ------
        SafescaleError
            If it cannot be written (a full disk), if the folder or answers in it are gone, or if
            another runner has taken over. What was written before stays valid.
        """
        self._lock.check()
        shard, data = self._open_shard(), encoded(line)
        try:
            shard.append(*([] if self._is_described else [self._header]), data)
            self._is_described, self._is_synced = True, False
            if time.monotonic() - self._synced_at > SYNC_SECONDS:
                self._sync()
        except OSError as error:
            raise unwritten(shard.path, error, goes_on=True) from None
        self.held.add(line)

    def _open_shard(self) -> LogFile:
        assert self._shard is not None  # but while it is made
        return self._shard

    def _sync(self) -> None:
        """To the disk; OSError if it does not take it, SafescaleError if what was written there is
        gone."""
        if self._failure is not None:  # the system tells it once, and then no more
            raise self._failure
        self._is_synced, self._synced_at = True, time.monotonic()
        self._open_shard().sync()
        self._look_for_files()

    def _look_for_files(self) -> None:
        """A removed file takes all that is written and keeps nothing; the end of a long run is too
        late to see it."""
        folder, shard = self.folder, self._open_shard()
        if not self._lock.is_in_place():
            raise SafescaleError(moved(folder))
        gone = sorted(self._before - {path.name for path in shards_of(folder)})
        if not shard.is_in_place():
            gone.append(shard.path.name)
        if gone:
            raise SafescaleError(
                (
                    f"{folder / SHARDS / gone[0]}: was removed while the run was under way, and "
                    "the answers in it with it"
                )
                + (f", as were {len(gone) - 1} more" if len(gone) > 1 else "")
                + ". Put it back, or let the same command ask for them again"
            )

    def _on_beat(self) -> None:
        """The last answers before a long batch, in the lock's thread."""
        if not self._is_synced:
            try:
                self._sync()
            except (OSError, SafescaleError) as error:
                self._failure = error

    def _new_shard(self) -> LogFile:
        taken = [
            int(number) for name in self._before if (number := name.partition("-")[0]).isdecimal()
        ]
        path = (
            self.folder / SHARDS / f"{max(taken, default=0) + 1:06d}-{uuid.uuid4().hex[:8]}.jsonl"
        )
        try:
            shard = LogFile(path, new=True)
            sync_folder(path.parent)
            return shard
        except OSError as error:
            raise SafescaleError(f"{path}: cannot be written ({error.strerror})") from None

    # --- whose answers these are ------------------------------------------------------------------

    def _refuse_foreign(self) -> None:
        folder = self.folder
        if folder.exists() and not folder.is_dir():
            raise SafescaleError(f"{folder}: a file; ", FolderHint("give a folder for the answers"))
        try:
            there = (
                {path.name for path in folder.iterdir() if not path.name.startswith(".")}
                if folder.is_dir()
                else set()
            )
        except OSError as error:
            raise SafescaleError(
                f"{folder}: cannot be read ({error.strerror}); ", OTHER_FOLDER
            ) from None
        if RUN in there:
            return
        if there - OWN_FILES:
            raise SafescaleError(
                f"{folder}: holds other things than a run of safescale run; ", OTHER_FOLDER
            )
        if shards_of(folder):  # the description is on the disk before the first answer
            raise SafescaleError(
                f"{folder}: holds answers, but not {RUN}, which says whose they are; put it back, "
                "make a good folder of the answers (",
                CommandHint(
                    f"safescale runs salvage {shlex.quote(str(folder))}", {"output": "NEW"}
                ),
                "), or ",
                OTHER_FOLDER,
            )

    def _open(self, identity: dict[str, Any]) -> None:
        # of starts that were killed
        for leftover in (*self.folder.glob(f".{RUN}.*"), *self.folder.glob(".*.unfinished")):
            leftover.unlink(missing_ok=True)
        about, there = (
            new_description(identity),
            read_run(self.folder) if (self.folder / RUN).exists() else None,
        )
        told = Replay(
            self.folder,
            known_of(there, self._responses),
            None if there is None else there["identity"],
        )
        self.held, self.damaged = told.read(), told.damaged
        if there is not None and (self.damaged or len(self.held)):
            refuse_other(self.folder, there["identity"], identity)
            about = there
        elif there is not None:
            # nothing was answered, so nothing binds: a typo in a model's name costs no folder
            about["starts"] = there["starts"]
            if there["identity"] != identity:
                self.held = Held()
                for shard in shards_of(self.folder):
                    shard.unlink()
        about["starts"].append(self._start)
        self.about = about
        self._write_about()

    def _write_about(self) -> None:
        self._header, self._is_described = (
            header_of(self.about["identity"], self.about["conditions"], self._start),
            False,
        )
        try:
            write_run(self.folder, self.about)
        except OSError as error:
            raise unwritten(self.folder / RUN, error, goes_on=True) from None


def known_of(
    description: Mapping[str, Any] | None, responses: Mapping[str, Collection[str] | None] | None
) -> Known | None:
    """What lines of a run may speak of, where that is known: the `responses` that each item can
    have, and what `run.json` says."""
    draws = ((description or {}).get("identity", {}).get("settings") or {}).get("draws")
    if description is None or responses is None or not isinstance(draws, int):
        return None
    return Known(responses, frozenset(description["conditions"]), draws)


def is_run(folder: Path) -> bool:
    """Whether a folder is one of `safescale run`."""
    return (folder / RUN).is_file()


def size_of(folder: Path) -> int:
    """Bytes of all answers that were written so far: a table that was made of as many is of
    today."""
    return sum(path.stat().st_size for path in shards_of(folder))


def unfinished_run(folder: Path) -> str:
    """What to say of a folder that holds a run without its tables; empty if it holds no run."""
    if not is_run(folder):
        return ""
    about = read_run(folder)
    known = len(Replay(folder).read())
    try:
        items: dict[str, int] = {}
        for start in about["starts"]:
            items |= {name: max(start["items"], items.get(name, 0)) for name in start["conditions"]}
        of = f" of {sum(items.values()) * (1 + about['identity']['settings']['draws']):,}"
    except (KeyError, TypeError, AttributeError):
        of = ""
    return (
        f"an unfinished run, {known:,}{of} answers so far; the same safescale run command goes on "
        "with it and finishes it"
    )
