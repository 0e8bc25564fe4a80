"""Runs from other people's files: logs of `lm_eval`, the folder of published answers, and judged
records in the layout of the open NOHARM kit.
"""

from lm_eval_safescale.importing.lm_eval_logs import import_lm_eval
from lm_eval_safescale.importing.noharm import import_noharm
from lm_eval_safescale.importing.release import import_release

__all__ = ["import_lm_eval", "import_noharm", "import_release"]
