"""What people look at."""

from lm_eval_safescale.report.results import ResultRow, read_results

__all__ = ["ResultRow", "read_results"]
