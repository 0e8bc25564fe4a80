"""Sweeps: many models under many conditions, on this machine or on a cluster, each job in a process
of its own.
"""

from lm_eval_safescale.sweep.file import Gpu, Size, Sweep, read_sweep, sweep_named
from lm_eval_safescale.sweep.jobs import Job, Outcome, missing_model, run_job
from lm_eval_safescale.sweep.plan import Load, Plan, plan_sweep
from lm_eval_safescale.sweep.running import Executor, SweepProgress, run_jobs

__all__ = [
    "Executor",
    "Gpu",
    "Job",
    "Load",
    "Outcome",
    "Plan",
    "Size",
    "Sweep",
    "SweepProgress",
    "missing_model",
    "plan_sweep",
    "read_sweep",
    "run_job",
    "run_jobs",
    "sweep_named",
]
