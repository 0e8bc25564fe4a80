"""Judging of free advice: what a model is asked, how its replies are read, and how they become
verdicts. It knows neither scores nor files.
"""

from lm_eval_safescale.families.noharm_text.judging.judge import RubricJudge

__all__ = ["RubricJudge"]
