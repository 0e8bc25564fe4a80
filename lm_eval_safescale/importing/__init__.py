"""Runs from other people's files: logs of `lm_eval`, and the folder of published answers."""

from lm_eval_safescale.importing.lm_eval_logs import import_lm_eval
from lm_eval_safescale.importing.release import import_release

__all__ = ["import_lm_eval", "import_release"]
