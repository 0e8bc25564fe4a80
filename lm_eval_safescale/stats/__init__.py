"""Pure functions on numbers and arrays: no models, no files, no global random state."""

from lm_eval_safescale.stats.intervals import wilson_interval

__all__ = ["wilson_interval"]
