"""Runs jobs on this machine, each in a child process: one after another, or several beside each
other. It knows nothing of what they do.
"""

from __future__ import annotations

import os
import selectors
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass

import msgspec

from lm_eval_safescale.sweep.jobs import Job, Outcome, failed, lost
from lm_eval_safescale.sweep.running import Stopwatch
from lm_eval_safescale.words import counted

PATIENCE = 10.0
"""Seconds that a job has to end by itself when the sweep is interrupted."""
COMMAND = ("-m", "lm_eval_safescale.sweep.child")


@dataclass(slots=True)
class _Child:
    job: Job
    process: subprocess.Popen[bytes]
    gpus: list[str]


class LocalExecutor:
    """Child processes of this one.

    Parameters
    ----------
    at_once
        Jobs in parallel. Each gets GPUs of its own, as many as it asks for.
    gpus
        Names of the GPUs that may be used; by default those of `CUDA_VISIBLE_DEVICES`, or all.
        None: it is not known which there are, and jobs that need some run one after another.
    """

    def __init__(self, at_once: int = 1, gpus: list[str] | None = None) -> None:
        self._at_once = at_once
        self._all = gpus_here() if gpus is None else gpus
        self._free = list(self._all or [])
        self._children: list[_Child] = []
        self._ended: list[tuple[Job, Outcome]] = []
        self._watch = Stopwatch()

    def has_room(self, job: Job) -> bool:
        """Whether a place is free, and enough GPUs, or never will be enough."""
        if len(self._children) >= self._at_once:
            return False
        if self._all is None:
            return not job.gpus or not any(child.job.gpus for child in self._children)
        return job.gpus <= len(self._free) or job.gpus > len(self._all)

    def start(self, job: Job) -> None:
        """Start its process."""
        if self._all is not None and job.gpus > len(self._all):
            self._ended.append((job, failed(_too_few(job, len(self._all)))))
            return
        gpus = [] if self._all is None else [self._free.pop(0) for _ in range(job.gpus)]
        environment = dict(os.environ)
        if self._all:
            environment["CUDA_VISIBLE_DEVICES"] = ",".join(gpus)
        self._watch.start(job)
        try:
            job.log.parent.mkdir(parents=True, exist_ok=True)
            with job.log.open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, *COMMAND],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=environment,
                    # Ctrl-C reaches this process alone, which then ends the child in order
                    start_new_session=True,
                )
        except OSError as error:
            self._free += gpus
            self._ended.append(
                (
                    job,
                    failed(
                        f"{job.folder}: cannot be written, or no process be started "
                        f"({error.strerror})"
                    ),
                )
            )
            return
        self._children.append(_Child(job, process, gpus))
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # it died at once, which is seen below
            process.stdin.write(msgspec.json.encode(job) + b"\n")
            process.stdin.flush()

    def has_begun(self, job: Job) -> bool:
        """It has, as soon as its process is there."""
        return any(child.job is job for child in self._children)

    def wait(self, seconds: float) -> list[tuple[Job, Outcome]]:
        """Jobs whose process has ended."""
        if not self._ended:
            self._until_one_ends(seconds)
        for child in [each for each in self._children if each.process.poll() is not None]:
            self._children.remove(child)
            self._free += child.gpus
            self._ended.append((child.job, self._outcome(child)))
        ended, self._ended = self._ended, []
        return ended

    def stop(self) -> None:
        """End what is at work: asked first, and killed with all that it has started if it takes
        long."""
        for child in self._children:
            with suppress(ProcessLookupError):
                child.process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + PATIENCE
        for child in self._children:
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, deadline - time.monotonic()))
            _end_group(child)
            child.process.wait()
            _close(child)
        self._children = []

    def _until_one_ends(self, seconds: float) -> None:
        """Its standard output closes then."""
        with selectors.DefaultSelector() as selector:
            for child in self._children:
                assert child.process.stdout is not None
                selector.register(child.process.stdout, selectors.EVENT_READ)
            if not selector.select(seconds):
                return
        deadline = time.monotonic() + seconds
        for child in self._children:  # the outcome is there, the end is near
            with suppress(subprocess.TimeoutExpired):
                child.process.wait(max(0.0, min(0.1, deadline - time.monotonic())))

    def _outcome(self, child: _Child) -> Outcome:
        assert child.process.stdout is not None
        os.set_blocking(child.process.stdout.fileno(), False)
        # what it wrote is there; others that hold the pipe open are not waited for
        said = child.process.stdout.read() or b""
        _end_group(child)
        _close(child)
        code, seconds = child.process.returncode, self._watch.of(child.job)
        try:
            return msgspec.json.decode(said, type=Outcome)
        except msgspec.DecodeError:
            pass
        if code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            hint = ", as the system does when memory runs out" if name == "SIGKILL" else ""
            return lost(f"its process was killed ({name}{hint})", seconds)
        return lost(f"its process ended with status {code} and no outcome", seconds)


def gpus_here() -> list[str] | None:
    """The GPUs that this process may use, by the names that `CUDA_VISIBLE_DEVICES` takes; None
    where that cannot be told."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [
            name.strip()
            for name in visible.split(",")
            if name.strip() not in ("", "-1", "NoDevFiles")
        ]
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    try:
        listed = subprocess.run(
            [command, "--query-gpu=index", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return [line.strip() for line in listed.stdout.splitlines() if line.strip()]


def _too_few(job: Job, there: int) -> str:
    return (
        f"it needs {counted(job.gpus, 'GPU')}, and this machine has {there} to use; run it where "
        "there are enough, or set gpus (0 for a model that runs on the processor)"
    )


def _end_group(child: _Child) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.process.pid, signal.SIGKILL)


def _close(child: _Child) -> None:
    for pipe in (child.process.stdin, child.process.stdout):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
