"""Where chat models are asked: what was heard before is not asked again, and every step is kept in a file as it comes."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from lm_eval_safescale.chat import ChatModel, ChatRequest, Message, Reply
from lm_eval_safescale.contexts.asking import Ask
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.records import Passage

FORMAT = 1
MARK = "safescale_steps"


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a build has come."""

    wave: int
    asked: int
    """Steps of this wave that have their reply."""
    of: int
    """Steps of this wave."""
    heard: int
    """Replies that models gave since the start."""
    known: int
    """Replies known from an interrupted build."""
    made: int
    """Reports that are made."""
    failed: int
    """Reports that could not be made."""


class Steps:
    """The steps of a build, in a JSON lines file to which is only added. One process at a time; a torn last line is dropped."""

    def __init__(self, path: Path | None, about: Mapping[str, Any], *, anew: bool = False) -> None:
        """Open it, or start it; without a path, steps are kept for this process only. `anew`: one of another build is written over.

        Raises
        ------
        SafescaleError
            If it is of another build (what differs is named), in use, damaged, or cannot be written.
        """
        self._path, self._file = path, None
        self._known: dict[tuple[str, str], dict[str, Any]] = {}
        self._noted: set[str] = set()
        if path is not None:
            with self._writing():
                path.parent.mkdir(parents=True, exist_ok=True)
                self._file = path.open("a+b", buffering=0)  # what a full disk refused is not tried again when it closes
            _lock(self._file, path)
            try:
                self._read(path, self._file, {MARK: FORMAT, **about}, anew)
            except BaseException:
                self.close()
                raise

    def known(self, ask: Ask) -> Reply | None:
        """What was replied to this very prompt."""
        record = self._known.get((ask.question_id, ask.step))
        if record is None or record["prompt_sha256"] != ask.prompt_sha256 or record["text"] is None:
            return None
        return Reply(record["text"], "", record["prompt_tokens"], record["completion_tokens"], record["seconds"])

    def replied(self, ask: Ask, reply: Reply, wave: int) -> None:
        """Take a reply down."""
        record = {
            "question_id": ask.question_id,
            "step": ask.step,
            "role": ask.role,
            "wave": wave,
            "prompt_sha256": ask.prompt_sha256,
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
            "seconds": round(reply.seconds, 3),
            "text": reply.text,
            **({"error": reply.error} if reply.text is None else {}),
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
        """What was taken down is on the disk."""
        if self._file is not None:
            with self._writing():
                os.fsync(self._file.fileno())

    def close(self) -> None:
        """Let others open it."""
        if self._file is not None:
            self._file.close()

    def _add(self, record: Mapping[str, Any]) -> None:
        if self._file is not None:
            with self._writing():
                left = memoryview(_line(record))
                while left:
                    left = left[self._file.write(left) :]

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SafescaleError(
                f"{self._path} cannot be written: {error.strerror or error}; what is in it is kept, and the same command goes on"
            ) from error

    def _read(self, path: Path, file: IO[bytes], about: Mapping[str, Any], anew: bool) -> None:
        file.seek(0)
        content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        if anew and (not whole or _differing(whole, about)):
            whole = b""
        elif not whole and not _line(about).startswith(content):
            raise SafescaleError(f"{path} holds no steps of this build; choose another name, or --force to write it anew")
        if len(whole) < len(content):
            with self._writing():
                file.truncate(len(whole))
        if not whole:
            self._add(about)
            return
        if differing := _differing(whole, about):
            raise SafescaleError(
                f"{path} holds steps that were taken otherwise ({', '.join(differing)} differ); choose another name, or --force to write "
                "it anew"
            )
        records = [_parsed(line, number, path) for number, line in enumerate(whole.split(b"\n")[1:-1], 2)]
        for number, record in enumerate(records, 2):
            if "step" not in record:
                self._noted.add(json.dumps(record, ensure_ascii=False, sort_keys=True))
            elif _is_step(record):
                self._known[record["question_id"], record["step"]] = record
            else:
                raise SafescaleError(f"{path}, line {number}: not a step; delete the line, and it is asked again")


def _differing(whole: bytes, about: Mapping[str, Any]) -> list[str]:
    """In what the build of a file is not this one."""
    try:
        header = json.loads(whole.partition(b"\n")[0])
        return [name for name in {**header, **about} if header.get(name) != about.get(name)]
    except (ValueError, TypeError, AttributeError):
        return [MARK]


def _characters(text: str | None) -> str | None:
    """Without halves of surrogate pairs, which no file and no prompt can hold."""
    return text if text is None else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _lock(file: IO[bytes], path: Path) -> None:
    try:
        import fcntl
    except ImportError:  # not on this system
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise SafescaleError(f"{path} is in use: another process writes to it") from None
    except OSError:  # a file system without locks
        return


def _line(record: Mapping[str, Any]) -> bytes:
    return (json.dumps(record, ensure_ascii=False) + "\n").encode(errors="backslashreplace")


def _is_step(record: Mapping[str, Any]) -> bool:
    counts = [record.get(name, "") for name in ("prompt_tokens", "completion_tokens")]
    return (
        all(isinstance(record.get(name), str) for name in ("question_id", "step", "prompt_sha256"))
        and isinstance(record.get("text", 0), str | None)
        and all(count is None or (type(count) is int and count >= 0) for count in counts)
        and type(record.get("seconds")) in (int, float)
    )


def _parsed(line: bytes, number: int, path: Path) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise SafescaleError(f"{path}, line {number}: not a step; delete the line, and it is asked again")
    return record


class ModelDesk:
    """Asks the models of a build."""

    def __init__(
        self, models: Mapping[str, ChatModel], steps: Steps, on_progress: Callable[[Standing], None] = lambda _: None
    ) -> None:
        self._models, self._steps, self._on_progress = models, steps, on_progress
        self._standing = Standing(0, 0, 0, 0, 0, 0, 0)

    def ask(self, asks: Sequence[Ask]) -> list[Reply]:
        """Replies, in order. One model's steps are one batch, whatever their roles; a failed request is sent once more."""
        self._standing = replace(self._standing, wave=self._standing.wave + 1, asked=0, of=len(asks))
        replies: dict[int, Reply] = {}
        for model in {id(model): model for model in self._models.values()}.values():
            numbers = [number for number, ask in enumerate(asks) if self._models[ask.role] is model]
            replies |= self._asked(model, {number: asks[number] for number in numbers})
        self._steps.sync()
        return [replies[number] for number in range(len(asks))]

    def room(self, role: str, messages: Sequence[Message], max_tokens: int) -> int | None:
        """Tokens of the window that are left."""
        model = self._models[role]
        tokens = None if model.window is None else model.tokens(messages)
        return None if model.window is None or tokens is None else model.window - tokens - max_tokens

    def searched(self, question_id: str, queries: Sequence[str], found: Sequence[Sequence[Passage]]) -> None:
        """Take a search down."""
        ids = [[passage.id for passage in passages] for passages in found]
        self._steps.note({"question_id": question_id, "queries": list(queries), "passages": ids})

    def ended(self, question_id: str, failed: str) -> None:
        """A report is made, or failed."""
        self._steps.note(
            {"question_id": question_id, "report": "failed" if failed else "made", **({"failed": failed} if failed else {})}
        )
        now = self._standing
        self._moved(**({"failed": now.failed + 1} if failed else {"made": now.made + 1}))

    def _asked(self, model: ChatModel, asks: Mapping[int, Ask]) -> dict[int, Reply]:
        replies = {number: self._refusal(model, ask) for number, ask in asks.items()}
        heard = {number: reply for number, reply in replies.items() if reply is not None}
        self._moved(asked=self._standing.asked + len(heard))
        left = [number for number in asks if number not in heard]
        for _ in range(2):  # a second time what failed at first
            left = self._not_known(model, asks, left, heard)
            if left:
                self._ask_model(model, asks, left, heard)
            left = [number for number in left if heard[number].text is None]
        return heard

    def _refusal(self, model: ChatModel, ask: Ask) -> Reply | None:
        """A prompt that is too long would be cut by the backend, sources first: it is not sent."""
        room = self.room(ask.role, ask.messages, ask.max_tokens)
        if room is None or room >= 0:
            return None
        return Reply(
            None,
            f"the prompt and a reply of {ask.max_tokens:,} tokens are {-room:,} tokens longer than the model's window of {model.window:,}; "
            "give the model a larger window, or show it less",
        )

    def _not_known(self, model: ChatModel, asks: Mapping[int, Ask], left: Sequence[int], heard: dict[int, Reply]) -> list[int]:
        """What must be asked: batches of which a reply is missing, whole."""
        missing: list[int] = []
        for start in range(0, len(left), model.batch):
            batch = left[start : start + model.batch]
            known = [(number, reply) for number in batch if (reply := self._steps.known(asks[number])) is not None]
            if len(known) < len(batch):
                missing += batch
            else:
                heard.update(known)
                self._moved(asked=self._standing.asked + len(batch), known=self._standing.known + len(batch))
        return missing

    def _ask_model(self, model: ChatModel, asks: Mapping[int, Ask], numbers: Sequence[int], heard: dict[int, Reply]) -> None:
        requests = [ChatRequest(asks[number].messages, asks[number].max_tokens) for number in numbers]
        for place, heard_now in model.chat(requests):
            reply = replace(heard_now, text=_characters(heard_now.text), error=_characters(heard_now.error) or "")
            ask = asks[numbers[place]]
            first = numbers[place] not in heard
            heard[numbers[place]] = reply
            self._steps.replied(ask, reply, self._standing.wave)
            self._moved(asked=self._standing.asked + first, heard=self._standing.heard + 1)
        if lost := [asks[number] for number in numbers if number not in heard]:
            raise SafescaleError(
                f"the model gave {len(lost)} replies too few, the first to {lost[0].question_id}, {lost[0].step}"
            )

    def _moved(self, **changes: int) -> None:
        self._standing = replace(self._standing, **changes)
        self._on_progress(self._standing)
