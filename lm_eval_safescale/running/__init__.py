"""Our runner: asks a model under conditions, item by item, and keeps every answer as it comes."""

from lm_eval_safescale.running.progress import RunProgress
from lm_eval_safescale.running.runner import Model, Report, run

__all__ = ["Model", "Report", "RunProgress", "run"]
