"""Runs: the table of answers, its log on disk, and its store."""

from lm_eval_safescale.renamed import old_names
from lm_eval_safescale.runs.arrays import answer_arrays, item_table
from lm_eval_safescale.runs.store import open_runs, write_runs
from lm_eval_safescale.runs.table import Runs

__all__ = ["Runs", "answer_arrays", "item_table", "open_runs", "write_runs"]

__getattr__ = old_names(
    __name__,
    {name: f"lm_eval_safescale.importing.{name}" for name in ("import_lm_eval", "import_release")},
)
