"""Runs: the table of answers, its store and its importers."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from lm_eval_safescale.runs.arrays import answer_arrays, item_table
from lm_eval_safescale.runs.store import open_runs, write_runs
from lm_eval_safescale.runs.table import Runs

if TYPE_CHECKING:
    from lm_eval_safescale.runs.lm_eval_logs import import_lm_eval
    from lm_eval_safescale.runs.release import import_release

__all__ = [
    "Runs",
    "answer_arrays",
    "import_lm_eval",
    "import_release",
    "item_table",
    "open_runs",
    "write_runs",
]


@functools.cache
def __getattr__(name: str) -> Any:
    """The importers, which know how data sets and answers are read, and take a while to import: most of what asks for runs needs none."""
    if name == "import_lm_eval":
        from lm_eval_safescale.runs.lm_eval_logs import import_lm_eval

        return import_lm_eval
    if name == "import_release":
        from lm_eval_safescale.runs.release import import_release

        return import_release
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
