"""Sweeps: many models under many conditions, on this machine or on a cluster, each job in a process of its own."""

from lm_eval_safescale.runs.sweep.file import Gpu, Size, Sweep, read_sweep, sweep_named
from lm_eval_safescale.runs.sweep.jobs import Job, Outcome, run_job
from lm_eval_safescale.runs.sweep.plan import Load, Plan, plan_sweep
from lm_eval_safescale.runs.sweep.running import Executor, Standing, run_jobs

__all__ = [
    "Executor",
    "Gpu",
    "Job",
    "Load",
    "Outcome",
    "Plan",
    "Size",
    "Standing",
    "Sweep",
    "plan_sweep",
    "read_sweep",
    "run_job",
    "run_jobs",
    "sweep_named",
]
