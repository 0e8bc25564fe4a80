"""Runs: the table of answers, its store and its importers."""

from lm_eval_safescale.runs.cube import NO_LETTER, NOT_HEARD, Cube, cubes
from lm_eval_safescale.runs.lm_eval_logs import import_lm_eval
from lm_eval_safescale.runs.release import import_release
from lm_eval_safescale.runs.store import open_runs, write_runs
from lm_eval_safescale.runs.table import CONDITION_ORDER, Runs

__all__ = [
    "CONDITION_ORDER",
    "NOT_HEARD",
    "NO_LETTER",
    "Cube",
    "Runs",
    "cubes",
    "import_lm_eval",
    "import_release",
    "open_runs",
    "write_runs",
]
