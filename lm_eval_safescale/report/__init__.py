"""What people look at: result files as rows, and the sections of a report."""

from lm_eval_safescale.report.results import read_results

__all__ = ["read_results"]
