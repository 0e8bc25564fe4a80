"""Our runner: asks a model under conditions, item by item, and keeps every answer as it comes."""

from lm_eval_safescale.running.models import Guardian, Model, Team
from lm_eval_safescale.running.progress import Report, RunProgress
from lm_eval_safescale.running.runner import run, run_team

__all__ = ["Guardian", "Model", "Report", "RunProgress", "Team", "run", "run_team"]
