"""Runs: the table of answers, its store and its importers."""

from lm_eval_safescale.runs.arrays import answer_arrays, item_table
from lm_eval_safescale.runs.lm_eval_logs import import_lm_eval
from lm_eval_safescale.runs.release import import_release
from lm_eval_safescale.runs.store import open_runs, write_runs
from lm_eval_safescale.runs.table import CONDITION_ORDER, Runs

__all__ = [
    "CONDITION_ORDER",
    "Runs",
    "answer_arrays",
    "import_lm_eval",
    "import_release",
    "item_table",
    "open_runs",
    "write_runs",
]
