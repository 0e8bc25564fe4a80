"""The steps of a build, in a file of JSON lines to which is only added: what models replied, what
was searched, how reports ended.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Mapping
from math import inf
from pathlib import Path
from typing import Any

from lm_eval_safescale.chat import Reply
from lm_eval_safescale.chat.asks import Ask
from lm_eval_safescale.checksums import LINE, are_alike
from lm_eval_safescale.errors import ArgumentHint, SafescaleError, unwritten
from lm_eval_safescale.jsonlog import LogFile, read_log

FORMAT = 2
MARK = "safescale_steps"
_BEGINS_HEADER = f'{{"{MARK}": '.encode()


class StepLog:
    """The steps of a build. One process at a time.

    Attributes
    ----------
    about
        Whose steps these are, as `stored` steps say; empty where they do not.
    damaged
        Lines that do not count: their steps are asked again.
    """

    def __init__(
        self, path: Path | None, about: Mapping[str, Any], *, overwrite: bool = False
    ) -> None:
        """Open the file, or start it; without a path, steps are known to this process only.

        Parameters
        ----------
        about
            Whose steps these are, as JSON values: a file of anything else is refused.
        overwrite
            Write over a file of another build.

        Raises
        ------
        SafescaleError
            If it is of another build (what differs is named), in use, or cannot be written.
        """
        self._path = path
        self._file: LogFile | None = None
        self._known: dict[tuple[str, str], dict[str, Any]] = {}
        self._noted: set[str] = set()
        self._header: list[dict[str, Any]] = []
        self.about = about
        self.damaged = 0
        if path is not None:
            self._file = self._opened(path)
            try:
                self._read(path, self._file, {MARK: FORMAT, **about}, overwrite=overwrite)
            except BaseException:
                self.close()
                raise

    @classmethod
    def stored(cls, path: Path) -> StepLog:
        """Those in a file, whosever they are, to look at; nothing is added to it. OSError if it
        cannot be read."""
        steps = cls(None, {})
        log = read_log(path.read_bytes())
        records = [_parsed(line.data, is_checked=line.is_checked) for line in log.lines]
        steps.about = next((each for each in records if each is not None and MARK in each), {})
        steps._take(records)
        steps.damaged += len(log.damaged)
        return steps

    def known(self, ask: Ask) -> Reply | None:
        """What was replied to this very prompt."""
        record = self._known.get((ask.question_id, ask.step))
        if record is None or record["prompt_sha256"] != ask.prompt_sha256 or record["text"] is None:
            return None
        return _reply_in(record)

    def replies(self) -> Iterator[tuple[Mapping[str, Any], Reply]]:
        """Each step that has a reply: its record, and that."""
        for record in self._known.values():
            if record["text"] is not None:
                yield record, _reply_in(record)

    def replied(self, ask: Ask, reply: Reply, wave: int) -> None:
        """Take a reply down."""
        record = {
            "question_id": ask.question_id,
            "step": ask.step,
            "role": ask.role,
            "wave": wave,
            "prompt_sha256": ask.prompt_sha256,
            "prompt_tokens": reply.prompt_tokens if _is_count(reply.prompt_tokens) else None,
            "completion_tokens": reply.completion_tokens
            if _is_count(reply.completion_tokens)
            else None,
            "seconds": round(reply.seconds, 3),
            "text": reply.text,
            **({"error": reply.error} if reply.text is None else {}),
            **({"finish_reason": reply.finish_reason} if reply.finish_reason is not None else {}),
            **({"reasons": True} if reply.reasons else {}),
            **({"concurrency": reply.concurrency} if reply.concurrency is not None else {}),
        }
        self._known[ask.question_id, ask.step] = record
        self._add(record)

    def note(self, record: Mapping[str, Any]) -> None:
        """Take something else down, once."""
        line = json.dumps(record, ensure_ascii=False, sort_keys=True)
        if line not in self._noted:
            self._noted.add(line)
            self._add(record)

    def sync(self) -> None:
        """What was taken down is on the disk; SafescaleError if it is not, or if the file is
        gone."""
        if self._file is not None:
            with self._writing():
                self._file.sync()
            if not self._file.is_in_place():
                raise SafescaleError(
                    f"{self._path}: was renamed or removed while it was written to; put it back, "
                    "and the same command goes on"
                )

    def close(self) -> None:
        """Let others open it."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _add(self, *records: Mapping[str, Any]) -> None:
        """Add lines; below those of the earlier format, and before all others, stands a header that
        bears a checksum."""
        if self._file is not None:
            with self._writing():
                self._file.append(*map(_line, (*self._header, *records)))
            self._header = []

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise unwritten(Path(str(self._path)), error, goes_on=True) from error

    def _opened(self, path: Path) -> LogFile:
        with self._writing():
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                return LogFile(path, new=False)
            except BlockingIOError:
                raise SafescaleError(f"{path} is in use: another process writes to it") from None

    def _read(self, path: Path, file: LogFile, about: dict[str, Any], *, overwrite: bool) -> None:
        content = file.read()
        log = read_log(content[: content.rfind(b"\n") + 1])
        records = {
            line.number: _parsed(line.data, is_checked=line.is_checked) for line in log.lines
        }
        headers = [record for record in records.values() if record is not None and MARK in record]
        header = next(
            (each for each in headers if each[MARK] == FORMAT), headers[0] if headers else None
        )
        if not log.size and _is_begun(content):
            header = about
        differing = [MARK] if header is None else _differing(header, about)
        if differing and not overwrite:
            raise _refusal(path, header, differing)
        is_empty = not log.damaged and all(
            record is not None and MARK in record for record in records.values()
        )
        with self._writing():
            file.cut(0 if differing or is_empty else log.size)
        self._header = [about, about]  # twice: a damaged header would cost all steps
        if not file.size:
            self._add()
        elif header is not None and header[MARK] == FORMAT:
            self._header = []
        if not differing:
            self._take(records.values())
            self.damaged += len(log.damaged)

    def _take(self, records: Iterable[dict[str, Any] | None]) -> None:
        for record in records:
            if record is None:
                self.damaged += 1
            elif "step" in record:
                self._known[record["question_id"], record["step"]] = record
            elif MARK not in record:
                self._noted.add(json.dumps(record, ensure_ascii=False, sort_keys=True))


def _reply_in(record: Mapping[str, Any]) -> Reply:
    return Reply(
        record["text"],
        "",
        record["prompt_tokens"],
        record["completion_tokens"],
        record["seconds"],
        record.get("finish_reason"),
        record.get("reasons", False),
        record.get("concurrency"),
    )


def _is_begun(content: bytes) -> bool:
    """Whether a file without a whole line holds nothing, or what a kill has left of its header."""
    return content[: len(_BEGINS_HEADER)] == _BEGINS_HEADER[: len(content)]


OTHER_NAME = ("choose another name, or write over it with ", ArgumentHint("force"))


def _refusal(path: Path, header: Mapping[str, Any] | None, differing: list[str]) -> SafescaleError:
    if header is None:
        return SafescaleError(f"{path}: holds no steps of this build; ", *OTHER_NAME)
    version = header[MARK]
    if isinstance(version, int) and version > FORMAT:
        return SafescaleError(
            f"{path}: written by a newer version (format {version}); upgrade lm-eval-safescale"
        )
    return SafescaleError(
        f"{path}: holds steps that were taken otherwise ({', '.join(differing)} differ); ",
        *OTHER_NAME,
    )


def _differing(header: Mapping[str, Any], about: Mapping[str, Any]) -> list[str]:
    """In what the build of a file is not this one; an earlier format is no difference."""
    its_own = {**header, MARK: FORMAT} if header[MARK] == 1 else header
    return [
        name for name in {**its_own, **about} if not are_alike(its_own.get(name), about.get(name))
    ]


def _line(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode(errors="backslashreplace")


def _parsed(line: bytes, *, is_checked: bool) -> dict[str, Any] | None:
    """What a line says; None for one that is no step, no note and no header."""
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(record, dict):
        return None
    record.pop(LINE, None)
    if MARK in record:
        return record if is_checked == (record[MARK] != 1) else None
    return record if "step" not in record or _is_step(record) else None


def _is_step(record: Mapping[str, Any]) -> bool:
    seconds = record.get("seconds")
    return (
        all(isinstance(record.get(name), str) for name in ("question_id", "step", "prompt_sha256"))
        and isinstance(record.get("text", 0), str | None)
        and isinstance(record.get("finish_reason"), str | None)
        and isinstance(record.get("reasons", False), bool)
        and all(_is_count(record.get(name, "")) for name in ("prompt_tokens", "completion_tokens"))
        and _is_count(record.get("concurrency"))
        and type(seconds) in (int, float)
        and 0 <= seconds < inf  # type: ignore[operator]
    )


def _is_count(value: object) -> bool:
    return value is None or (type(value) is int and value >= 0)
