"""Has jobs run by an executor, tries the lost and the failed ones again, and says how far they are.
It knows no process and no cluster.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

import msgspec

from lm_eval_safescale.runs.lines import SHARDS
from lm_eval_safescale.sweep.jobs import Job, Outcome

TICK = 1.0
"""Seconds between two looks at the jobs."""

State = Literal["waiting", "running", "done", "incomplete", "failed"]


class Executor(Protocol):
    """Something that runs jobs, each in a fresh process."""

    def has_room(self, job: Job) -> bool:
        """Whether the job may be handed over now."""
        ...

    def start(self, job: Job) -> None:
        """Hand a job over; its outcome comes out of `wait` in any case."""
        ...

    def has_begun(self, job: Job) -> bool:
        """Whether a job that was handed over is at work."""
        ...

    def wait(self, seconds: float) -> list[tuple[Job, Outcome]]:
        """Jobs that have ended, as soon as there is one, or none after that time."""
        ...

    def stop(self) -> None:
        """End all jobs that are at work, and let everything go."""
        ...


@dataclass(slots=True)
class SweepProgress:
    """How far a job is."""

    job: Job
    state: State = "waiting"
    answers: int = 0
    """That its folder holds."""
    tries: int = 0
    seconds: float = 0.0
    """Of all tries."""
    reason: str = ""
    _read: dict[Path, int] = field(default_factory=dict)

    def look(self) -> None:
        """Count the answers that have come into the folder since the last look."""
        for path in (Path(self.job.folder) / SHARDS).glob("*.jsonl"):
            self.answers += self._count(path)

    def _count(self, path: Path) -> int:
        at = self._read.get(path, 0)
        try:
            with path.open("rb") as file:
                file.seek(at)
                new = file.read()
        except OSError:
            return 0
        whole = new[: new.rfind(b"\n") + 1]
        self._read[path] = at + len(whole)
        return sum(_answers(line, self.job.short_conditions) for line in whole.split(b"\n") if line)


class _Counted(msgspec.Struct):
    condition: str
    draws: list[msgspec.Raw] = []


_decoder = msgspec.json.Decoder(_Counted)


def _answers(line: bytes, conditions: Collection[str]) -> int:
    try:
        counted = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return 0  # torn: it is asked again
    return len(counted.draws) if counted.condition in conditions else 0


def run_jobs(
    jobs: Sequence[Job],
    executor: Executor,
    *,
    retries: int = 2,
    on_change: Callable[[Sequence[SweepProgress]], object] = lambda _: None,
) -> list[SweepProgress]:
    """Run all jobs, in this order as far as there is room. One that fails costs no other one.

    Parameters
    ----------
    retries
        Further tries for a job whose process died, or whose model failed; not for settings or data
        that are wrong.
    on_change
        Told how far all are, about once a second.
    """
    standings = {job.name: SweepProgress(job) for job in jobs}
    for standing in standings.values():
        standing.look()
    waiting, running = list(jobs), set[str]()
    try:
        while waiting or running:
            for job in list(waiting):
                if executor.has_room(job):
                    waiting.remove(job)
                    running.add(job.name)
                    standings[job.name].tries += 1
                    executor.start(job)
            for job, outcome in executor.wait(TICK):
                running.discard(job.name)
                if _ended(standings[job.name], outcome, retries):
                    waiting.append(job)
            for name in running:
                standing = standings[name]
                if executor.has_begun(standing.job):
                    standing.state = "running"
                    standing.look()
            on_change(list(standings.values()))
    finally:
        executor.stop()
    return list(standings.values())


def _ended(standing: SweepProgress, outcome: Outcome, retries: int) -> bool:
    """Whether the job is to be tried again."""
    standing.look()
    standing.seconds += outcome.seconds
    standing.reason = outcome.reason
    if outcome.state in ("done", "incomplete"):
        standing.state = outcome.state  # type: ignore[assignment]
        standing.answers = outcome.answers
        return False
    if outcome.again and standing.tries <= retries:
        standing.state = "waiting"
        return True
    standing.state = "failed"
    return False


class Stopwatch:
    """Seconds since a job was started, for an executor whose job did not live to say so."""

    def __init__(self) -> None:
        self._since: dict[str, float] = {}

    def start(self, job: Job) -> None:
        """From now."""
        self._since[job.name] = time.monotonic()

    def of(self, job: Job) -> float:
        """Until now."""
        return time.monotonic() - self._since[job.name]
