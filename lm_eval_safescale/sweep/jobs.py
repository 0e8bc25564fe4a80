"""One job of a sweep: a model with its conditions, asked in a process of its own. It does not know
what starts that process.

The model is loaded once for all its conditions, and not at all where nothing is left to ask.
"""

from __future__ import annotations

import os
import socket
import sys
import time
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.runs.identity import is_missing_path
from lm_eval_safescale.runs.journal import LOG
from lm_eval_safescale.secrets import shown_text
from lm_eval_safescale.words import counted

MOST_REASON = 2000
"""Characters of a reason; the log has all of it."""
EVERY = 30.0
"""Seconds between two lines of progress in the log."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A model and what it is asked. Nothing of it is written down but by `run`, which leaves
    secrets out."""

    name: str
    folder: str
    """Where its answers are stored: absolute."""
    backend: str
    model_args: dict[str, Any]
    conditions: list[str]
    metadata: dict[str, Any] = {}
    batch_size: str | None = None
    device: str | None = None
    chat_template: bool | None = None
    latency: Literal["loaded", "isolated"] = "loaded"
    limit: int | None = None
    retry_filtered: bool = False
    gpus: int = 0
    cpus: int = 1
    parameters_b: float | None = None
    """Billions of parameters, where the file says so: kept with the answers, for tables over
    size."""
    here: str = "."
    """The folder that relative paths are taken from."""

    @property
    def short_conditions(self) -> frozenset[str]:
        """Names of the conditions as answers have them, without the package that provides them."""
        return frozenset(name.rpartition("/")[2] for name in self.conditions)

    @property
    def log(self) -> Path:
        """Where everything is that the job prints."""
        return Path(self.folder) / LOG


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a job."""

    state: Literal["done", "incomplete", "failed", "lost"]
    """`incomplete`: some items lack answers, and count as errors; `lost`: its process died."""
    reason: str = ""
    answers: int = 0
    """That are there."""
    of: int = 0
    seconds: float = 0.0
    again: bool = False
    """Whether another try may do better."""


def lost(reason: str, seconds: float = 0.0) -> Outcome:
    """The outcome of a job whose process died."""
    return Outcome(state="lost", reason=reason[:MOST_REASON], seconds=seconds, again=True)


def failed(reason: str, seconds: float = 0.0, *, again: bool = False) -> Outcome:
    """The outcome of a job that stopped."""
    return Outcome(state="failed", reason=reason[:MOST_REASON], seconds=seconds, again=again)


def run_job(job: Job) -> Outcome:
    """Ask the model of a job, in this process, which does nothing else before or after: output goes
    to the job's log from here on.

    It raises nothing but what ends the process: what goes wrong is in the outcome.
    """
    started = time.monotonic()
    try:
        _print_to(job.log)
    except OSError as error:
        return failed(f"{job.log}: cannot be written ({error.strerror})")
    os.environ.setdefault("TQDM_DISABLE", "1")
    print(f"--- {job.name}: process {os.getpid()} on {socket.gethostname()}", flush=True)
    told = _Told()
    try:
        if Path(job.here).is_dir():
            os.chdir(job.here)
        outcome = _run(job, told)
    except SafescaleError as error:
        if error.__cause__ is not None:
            # somebody else's: the log is where it can be looked into
            _print_traceback(error.__cause__, job)
        print(f"error: {error}", flush=True)
        outcome = failed(str(error), again=told.settled)
    except Exception as error:
        _print_traceback(error, job)
        outcome = failed(
            f"{type(error).__name__}: {shown_text(reason_of(error), job.model_args, job.metadata)}",
            again=True,
        )
    outcome = msgspec.structs.replace(outcome, seconds=time.monotonic() - started)
    print(f"--- {outcome.state} after {outcome.seconds:.0f} s", flush=True)
    return outcome


def _print_traceback(error: BaseException, job: Job) -> None:
    print(
        shown_text("".join(traceback.format_exception(error)), job.model_args, job.metadata),
        flush=True,
    )


def missing_model(job: Job) -> str:
    """What is wrong where the model is a folder, and there is none: the hub's error for such a name
    is no help, nor is another try. Empty for nothing."""
    name = str(job.model_args.get("pretrained", ""))
    if not is_missing_path(name):
        return ""
    expected = "one with a model's files, or a name on the hub (ORG/NAME)"
    return f"model {name}: no such folder; expected {expected}"


def _run(job: Job, told: _Told) -> Outcome:
    from lm_eval_safescale.running import Model, runner

    if missing := missing_model(job):
        raise SafescaleError(missing)
    model = Model(
        job.backend, job.model_args, job.batch_size, job.device, job.name, job.parameters_b
    )
    report = runner.run(
        model, Path(job.folder), job.conditions, metadata=job.metadata,
        chat_template=job.chat_template, limit=job.limit, latency=job.latency,
        retry_filtered=job.retry_filtered, on_progress=told,
    )  # fmt: skip
    now = report.standing
    reason = lacking(report.failures)
    print(
        reason or f"{counted(now.done, 'answer')} in {now.seconds:.0f} s; {now.known:,} were there",
        flush=True,
    )
    return Outcome(
        state="incomplete" if reason else "done",
        reason=reason,
        answers=now.known + now.done,
        of=now.of,
    )


def lacking(failures: Mapping[str, Mapping[str, str]]) -> str:
    """What lacks answers, by condition, with a reason each; empty if nothing does."""
    parts = []
    for condition, items in failures.items():
        item, why = next(iter(items.items()))
        parts.append(
            f"{condition}: {counted(len(items), 'item')} without all answers, for example {item}: "
            f"{why}"
        )
    return "; ".join(parts)[:MOST_REASON]


class _Told:
    """Prints how far a run is, now and then."""

    def __init__(self) -> None:
        self.settled, self._what, self._printed, self._warned = False, "", time.monotonic(), ""

    def __call__(self, now: Any) -> None:
        self.settled = now.settled
        if now.what and now.what != self._what:
            print(f"{now.what} ...", flush=True)
        self._what = now.what
        if now.warning and not self._warned:
            self._warned = now.warning
            print(f"warning: {now.warning}", flush=True)
        if not now.what and time.monotonic() - self._printed > EVERY:
            self._printed = time.monotonic()
            print(
                f"{now.known + now.done:,} of {now.of:,} answers, {now.rate:,.1f} a second",
                flush=True,
            )


def _print_to(log: Path) -> None:
    """Everything that this process and its children print goes to the end of a file."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for standard in (1, 2):
        os.dup2(descriptor, standard)
    os.close(descriptor)
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    sys.stderr = open(  # noqa: SIM115
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )
