"""Runs jobs as Ray tasks: on this machine, or on a cluster by its address. It knows nothing of what
they do.

Every machine must have the package, the backend, and the folders of models, data and answers under
the same paths.
"""

from __future__ import annotations

import os
from typing import Any

from lm_eval_safescale.errors import ArgumentHint, SafescaleError, reason_of
from lm_eval_safescale.settings import ENV_PREFIX
from lm_eval_safescale.sweep.jobs import Job, Outcome, failed, lost, run_job
from lm_eval_safescale.sweep.running import Stopwatch
from lm_eval_safescale.words import counted

QUIET = ("RAY_DEDUP_LOGS_SKIP_REGEX", "^A worker died or was killed while executing a task")
"""Lines of Ray's that are left out; read when ray is imported. Whatever the level of logging, it
would put a paragraph on each lost worker between our lines of progress, which say that too; the
reason is kept in the outcome."""


class RayExecutor:
    """A Ray cluster, or a Ray of its own on this machine.

    Parameters
    ----------
    address
        `auto`, `HOST:PORT` or `ray://HOST:PORT`; None for this machine alone (or what `RAY_ADDRESS`
        says).

    Raises
    ------
    SafescaleError
        If Ray is not installed, or the cluster cannot be reached.
    """

    def __init__(self, address: str | None = None) -> None:
        os.environ.setdefault(*QUIET)
        try:
            import ray
        except ImportError as error:
            raise SafescaleError(
                ArgumentHint("executor", "ray"),
                f': {reason_of(error)}; pip install "lm-eval-safescale[ray]", or use ',
                ArgumentHint("executor", "local"),
            ) from None
        self._ray = ray
        settings = {
            name: value for name, value in os.environ.items() if name.startswith(ENV_PREFIX)
        }
        own = (
            {"include_dashboard": False}
            if address is None and not os.environ.get("RAY_ADDRESS")
            else {}
        )
        try:
            ray.init(
                address=address,
                # else a setting would hold on this machine alone
                runtime_env={"env_vars": {**settings, "TQDM_DISABLE": "1"}},
                log_to_driver=False,
                logging_level="error",
                ignore_reinit_error=True,
                **own,
            )
        except Exception as error:
            raise SafescaleError(
                f"no Ray {f'at {address}' if address else 'on this machine'}: "
                f"{type(error).__name__}: {reason_of(error)}; start one (ray start --head), give "
                "another address, ",
                ArgumentHint("address", "ADDRESS"),
                ", or use ",
                ArgumentHint("executor", "local"),
            ) from None
        # a fresh process for each job; tries are counted by the sweep, alike for all executors
        self._task = ray.remote(max_calls=1, max_retries=0)(run_job)
        self._running: dict[Any, Job] = {}
        self._ended: list[tuple[Job, Outcome]] = []
        self._logged: dict[str, int] = {}
        self._watch = Stopwatch()

    def has_room(self, job: Job) -> bool:  # noqa: ARG002
        """Ray itself has jobs wait for room."""
        return True

    def start(self, job: Job) -> None:
        """Hand it over, unless no machine of the cluster could ever run it."""
        if why := self._impossible(job):
            self._ended.append((job, failed(why)))
            return
        self._logged[job.name] = _size(job)
        self._watch.start(job)
        task = self._task.options(
            num_gpus=job.gpus, num_cpus=job.cpus, name=f"safescale {job.name}"
        ).remote(job)
        self._running[task] = job

    def has_begun(self, job: Job) -> bool:
        """It has, when it has written to its log."""
        return _size(job) > self._logged.get(job.name, 0)

    def wait(self, seconds: float) -> list[tuple[Job, Outcome]]:
        """Jobs whose task has ended."""
        if not self._ended and self._running:
            ready, _ = self._ray.wait(list(self._running), num_returns=1, timeout=seconds)
            for task in ready:
                job = self._running.pop(task)
                self._ended.append((job, self._outcome(task, job)))
        ended, self._ended = self._ended, []
        return ended

    def stop(self) -> None:
        """End what is at work, and leave the cluster."""
        for task in self._running:
            self._ray.cancel(task, force=True)
        self._running = {}
        self._ray.shutdown()

    def _outcome(self, task: Any, job: Job) -> Outcome:
        try:
            outcome: Outcome = self._ray.get(task)
            return outcome
        except Exception as error:
            return lost(
                f"its worker was lost: {type(error).__name__}: {reason_of(error)}",
                self._watch.of(job),
            )

    def _impossible(self, job: Job) -> str:
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        for kind, wanted in (("GPU", job.gpus), ("CPU", job.cpus)):
            most = int(max((machine.get(kind, 0) for machine in machines), default=0))
            if wanted > most:
                hint = " (0 for a model that runs on the processor)" if kind == "GPU" else ""
                return (
                    f"it needs {counted(wanted, kind)} on one machine, and the largest of the "
                    f"cluster has {most}; add a larger one, or set {kind.lower()}s{hint}"
                )
        return ""


def _size(job: Job) -> int:
    try:
        return job.log.stat().st_size
    except OSError:
        return 0
