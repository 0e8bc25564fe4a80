"""The only place that imports the harness: the task class, and what it must know of the harness's models."""

from lm_eval_safescale.harness.task import SafetyTask

__all__ = ["SafetyTask"]
