"""The store of a run under way: a folder of one model's answers, appended as they come, that knows what is still to be asked.

    run.json            whose answers these are, and each start
    answers/*.jsonl     a file for each start, a line for each request that was answered or failed
    about.json, ...     the finished runs (runs.store), made of them

A line is whole or it does not count: one that was torn by a kill or a full disk is asked again.
"""

from __future__ import annotations

import json
import os
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec

from lm_eval_safescale.datasets.problems import printable
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.files import replaced
from lm_eval_safescale.runs.writer_lock import LOCK, WRITER, WriterLock

FORMAT = 1
MARK = "safescale_run"
RUN, SHARDS = "run.json", "answers"
LOG = "log.txt"
"""What a sweep has its runs print there."""
SCORED_WITH = "scored_with"
"""Of a start: the settings that weigh its answers. They may change; those of the last start count."""
OWN_FILES = {RUN, SHARDS, LOG, LOCK, WRITER}
SYNC_SECONDS = 1.0
"""Between two syncs while answers come; the last of them are synced with the next beat of the lock. It is for machines that vanish: of a
killed process the system has everything."""
MOST_DIFFERENCES = 12


class Draw(msgspec.Struct, omit_defaults=True):
    """One answer."""

    draw: int
    """0 is greedy."""
    status: str
    text: str
    letter: str | None = None
    completion_tokens: int | None = None
    rule: str | None = None
    """See `Reading.rule`."""
    finish_reason: str | None = None
    """Why the output ended, in the words of the backend (`stop`, `length`, ...)."""


class Line(msgspec.Struct, omit_defaults=True):
    """What became of one request."""

    condition: str
    question_id: str
    draws: list[Draw] = []
    failed: list[int] = []
    """Draws that were asked for in vain."""
    error: str = ""
    """Why."""
    seed: int | None = None
    """Of the first of `draws`; each further draw has one more. None for a greedy answer."""
    prompt_sha256: str | None = None
    """Of the prompt as the model got it, UTF-8."""
    prompt_tokens: int | None = None
    latency_s: float | None = None
    concurrency: int | None = None
    context_fingerprint: str | None = None
    context_tokens: int | None = None
    evidence_coverage: float | None = None
    recall: float | None = None
    served_model: str | None = None
    """What the reply calls the model that gave it."""
    system_fingerprint: str | None = None
    """The server's own name for how that model is run."""
    reply_id: str | None = None
    """The server's own name for the reply."""


class Journal:
    """A folder of answers, open for writing; a context manager.

    Parameters
    ----------
    folder
        A new or empty folder, or one of the same run.
    identity
        Whose answers these are, as JSON values: what must be the same for answers to stand in one table.
    start
        What may differ from start to start, to be noted.

    Attributes
    ----------
    about
        What `run.json` says: `identity`, `conditions` (what each is asked under), `starts`.
    lines
        All lines, those of this start too, without raw texts (`read_lines` has them).
    damaged
        Lines that could not be read, and are asked again.

    Raises
    ------
    SafescaleError
        If the folder is another run's (with the differences), holds other things, cannot be written, or another runner is at work in it.
    """

    def __init__(self, folder: Path, identity: Mapping[str, Any], start: Mapping[str, Any]) -> None:
        self.folder = folder
        self._refuse_foreign()
        try:
            (folder / SHARDS).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SafescaleError(f"{folder}: cannot be written ({error.strerror}); choose another folder with -o") from None
        self._shard, self._end, self._is_synced, self._synced_at = -1, 0, True, time.monotonic()
        self._failure: OSError | None = None
        self._lock = WriterLock(folder, self._on_beat)
        try:
            self.about: dict[str, Any] = {}
            self.lines, self.damaged = read_lines(folder, texts=False)
            self._open(dict(_plain(identity)), dict(_plain(start)))
            self._shard = self._new_shard()
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Bring everything to the disk, and let others write; SafescaleError if the disk does not take it."""
        try:
            self._sync()
        except OSError as error:
            raise self._unwritten(error) from None
        finally:
            self._lock.release()  # first of all: it also ends the other thread
            os.close(self._shard)
            if not self._end:
                with suppress(OSError):
                    self._shard_path.unlink()

    def known(self) -> dict[tuple[str, str], set[int]]:
        """Draws that were answered, by condition and item."""
        known: dict[tuple[str, str], set[int]] = defaultdict(set)
        for line in self.lines:
            known[line.condition, line.question_id].update(draw.draw for draw in line.draws)
        return known

    def of_condition(self, name: str, facts: Mapping[str, Any]) -> None:
        """Note under what a condition is asked, or check that it is what it was asked under before.

        Raises
        ------
        SafescaleError
            If it is not, with the differences.
        """
        facts = _plain(facts)
        conditions = self.about["conditions"]
        for other, before in conditions.items():  # all of them: they are compared with one another
            self._refuse_other({other: before}, {other: facts})
        if name not in conditions:
            conditions[name] = facts
            self._write_about()

    def write(self, line: Line) -> None:
        """Append a line; it stays whatever happens to this process.

        Raises
        ------
        SafescaleError
            If it cannot be written (a full disk), or another runner has taken over. What was written before stays valid.
        """
        self._lock.check()
        data = memoryview(_encoded(line) + b"\n")
        try:
            written = 0
            while written < len(data):
                written += os.write(self._shard, data[written:])
            self._end += len(data)
            self._is_synced = False
            if time.monotonic() - self._synced_at > SYNC_SECONDS:
                self._sync()
        except OSError as error:
            self._cut_back()
            raise self._unwritten(error) from None
        self.lines.append(_without_texts(line))

    def _unwritten(self, error: OSError) -> SafescaleError:
        return SafescaleError(
            f"{self._shard_path}: cannot be written ({error.strerror}); what was written before is kept. Make room, and the same "
            "command goes on from there"
        )

    def _cut_back(self) -> None:
        with suppress(OSError):  # else a torn line stays, which the next start passes over
            os.ftruncate(self._shard, self._end)

    def _sync(self) -> None:
        if self._failure is not None:  # the system tells it once, and then no more
            raise self._failure
        self._is_synced, self._synced_at = True, time.monotonic()
        os.fsync(self._shard)

    def _on_beat(self) -> None:
        """The last answers before a long batch, in the lock's thread."""
        if not self._is_synced:
            try:
                self._sync()
            except OSError as error:
                self._failure = error

    def _new_shard(self) -> int:
        taken = [int(number) for path in _shards(self.folder) if (number := path.name.partition("-")[0]).isdecimal()]
        self._shard_path = self.folder / SHARDS / f"{max(taken, default=0) + 1:06d}-{uuid.uuid4().hex[:8]}.jsonl"
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
            shard = os.open(self._shard_path, flags, 0o644)
            sync_folder(self._shard_path.parent)
            return shard
        except OSError as error:
            raise SafescaleError(f"{self._shard_path}: cannot be written ({error.strerror})") from None

    # --- whose answers these are ----------------------------------------------------------------------------------------

    def _refuse_foreign(self) -> None:
        folder = self.folder
        if folder.exists() and not folder.is_dir():
            raise SafescaleError(f"{folder}: a file; expected a folder for the answers (-o)")
        try:
            there = {path.name for path in folder.iterdir() if not path.name.startswith(".")} if folder.is_dir() else set()
        except OSError as error:
            raise SafescaleError(f"{folder}: cannot be read ({error.strerror}); choose another folder with -o") from None
        if RUN in there:
            return
        if there - OWN_FILES:
            raise SafescaleError(f"{folder}: holds other things than a run of safescale run; choose another folder with -o")
        if _shards(folder):  # the description is on the disk before the first answer
            raise SafescaleError(
                f"{folder}: holds answers, but not {RUN}, which says whose they are; put it back, or choose another folder with -o"
            )

    def _open(self, identity: dict[str, Any], start: dict[str, Any]) -> None:
        for leftover in (*self.folder.glob(f".{RUN}.*"), *self.folder.glob(".*.unfinished")):  # of starts that were killed
            leftover.unlink(missing_ok=True)
        there = read_run(self.folder) if (self.folder / RUN).exists() else None
        about: dict[str, Any] = {MARK: FORMAT, "identity": identity, "conditions": {}, "starts": []}
        if there is not None and (self.damaged or any(line.draws for line in self.lines)):
            self._refuse_other(there["identity"], identity)
            about = there
        elif there is not None:  # nothing was answered, so nothing binds: a typo in a model's name costs no folder
            about["starts"] = there["starts"]
            if there["identity"] != identity:
                self.lines = []
                for shard in _shards(self.folder):
                    shard.unlink()
        about["starts"].append(start)
        self.about = about
        self._write_about()

    def _refuse_other(self, there: Mapping[str, Any], now: Mapping[str, Any]) -> None:
        found = list(_differences(there, now))
        if found:
            more = [f"and {len(found) - MOST_DIFFERENCES} more"] if len(found) > MOST_DIFFERENCES else []
            raise SafescaleError(
                "\n  ".join([f"{self.folder}: holds answers that were asked for otherwise:", *found[:MOST_DIFFERENCES], *more])
                + "\ntheir rows do not belong into one table; choose another folder with -o"
            )

    def _write_about(self) -> None:
        path = self.folder / RUN
        try:
            with replaced(path) as unfinished, unfinished.open("w", encoding="utf-8") as file:
                json.dump(self.about, file, ensure_ascii=True, indent=1)
            sync_folder(self.folder)
        except OSError as error:
            raise SafescaleError(
                f"{path}: cannot be written ({error.strerror}); what was written before is kept. Make room, and the same command "
                "goes on from there"
            ) from None


def read_run(folder: Path) -> dict[str, Any]:
    """What a folder says of its run: `identity`, `conditions`, `starts`; SafescaleError if it is damaged or of a newer format."""
    path = folder / RUN
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        kinds = {MARK: int, "identity": dict, "conditions": dict, "starts": list}
        if isinstance(about[MARK], int) and about[MARK] > FORMAT:
            raise SafescaleError(f"{path}: written by a newer version (format {about[MARK]}); upgrade lm-eval-safescale")
        if not all(isinstance(about[name], kind) for name, kind in kinds.items()):
            raise KeyError(", ".join(kinds))
    except SafescaleError:
        raise
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SafescaleError(
            f"{path}: damaged ({error!r}); the answers beside it are kept, choose another folder with -o"
        ) from None
    return dict(about)


def read_lines(folder: Path, *, texts: bool = True) -> tuple[list[Line], int]:
    """All whole lines of a run, in the order in which they were written, each draw once; and how many lines are damaged.

    Where two runners were at work, the first line counts.

    Raises
    ------
    SafescaleError
        If a file cannot be read.
    """
    decoder = msgspec.json.Decoder(Line)
    lines: list[Line] = []
    seen: set[tuple[str, str, int]] = set()
    damaged = 0
    for path in _shards(folder):
        try:
            content = path.read_bytes()
        except OSError as error:
            raise SafescaleError(f"{path}: cannot be read ({error.strerror})") from None
        for raw in content.split(b"\n"):
            if not raw:
                continue
            try:
                line = decoder.decode(raw)
            except (msgspec.DecodeError, UnicodeDecodeError):
                damaged += 1
                continue
            first = line.draws[0].draw if line.draws else 0
            line.draws = [draw for draw in line.draws if _first(seen, (line.condition, line.question_id, draw.draw))]
            if line.draws and line.seed is not None:
                line.seed += line.draws[0].draw - first
            if line.draws or line.failed:
                lines.append(line if texts else _without_texts(line))
    return lines, damaged


def _without_texts(line: Line) -> Line:
    """A line for the memory: raw texts of a large study would fill it."""
    draws = [Draw(draw.draw, draw.status, "", draw.letter, draw.completion_tokens) for draw in line.draws]
    return msgspec.structs.replace(line, draws=draws)


def _shards(folder: Path) -> list[Path]:
    """In the order of the starts. (A glob would find none in a folder that cannot be read.)"""
    path = folder / SHARDS
    try:
        return sorted(each for each in path.iterdir() if each.suffix == ".jsonl")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise SafescaleError(f"{path}: cannot be read ({error.strerror})") from None


def is_run(folder: Path) -> bool:
    """Whether a folder is one of `safescale run`."""
    return (folder / RUN).is_file()


def size_of(folder: Path) -> int:
    """Bytes of all answers that were written so far: a table that was made of as many is of today."""
    return sum(path.stat().st_size for path in _shards(folder))


def unfinished_run(folder: Path) -> str:
    """What to say of a folder that holds a run without its tables; empty if it holds no run."""
    if not is_run(folder):
        return ""
    about = read_run(folder)
    known = sum(len(line.draws) for line in read_lines(folder, texts=False)[0])
    try:
        items: dict[str, int] = {}
        for start in about["starts"]:
            items |= {name: max(start["items"], items.get(name, 0)) for name in start["conditions"]}
        of = f" of {sum(items.values()) * (1 + about['identity']['settings']['draws']):,}"
    except (KeyError, TypeError, AttributeError):
        of = ""
    return f"an unfinished run, {known:,}{of} answers so far; the same safescale run command goes on with it and finishes it"


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, where the system has such a call."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _first(seen: set[tuple[str, str, int]], key: tuple[str, str, int]) -> bool:
    if key in seen:
        return False
    seen.add(key)
    return True


def _encoded(line: Line) -> bytes:
    try:
        return msgspec.json.encode(line)
    except UnicodeEncodeError:  # half a surrogate pair is no character
        for draw in line.draws:
            draw.text = draw.text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        line.error = line.error.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        return msgspec.json.encode(line)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As it is read again from a file."""
    return dict(json.loads(json.dumps(values)))


def _differences(there: Any, now: Any, where: str = "") -> Iterator[str]:
    if isinstance(there, Mapping) and isinstance(now, Mapping):
        for name in _all_names(there, now):
            yield from _differences(there.get(name), now.get(name), f"{where}.{name}" if where else str(name))
    elif there != now:
        yield printable(f"{where}: there {_shown(there)}, now {_shown(now)}")


def _all_names(*mappings: Mapping[str, Any]) -> Iterable[str]:
    return dict.fromkeys(name for mapping in mappings for name in mapping)


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
