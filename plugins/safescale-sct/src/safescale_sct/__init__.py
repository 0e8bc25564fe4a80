"""Script concordance tests: a case, a hypothesis, a new finding; how does the finding change the
hypothesis, from -2 to +2?

An answer is worth what a panel of experts makes of it: the experts who gave it, over the experts
who gave the commonest answer (Charlin et al., Teaching and Learning in Medicine 12:189, 2000).
"""

from __future__ import annotations

from collections.abc import Callable

from lm_eval_safescale.datasets import Source
from lm_eval_safescale.families import Family
from lm_eval_safescale.hookspecs import hookimpl
from safescale_sct.data import EXAMPLES
from safescale_sct.family import SCT

__all__ = ["EXAMPLES", "SCT"]


@hookimpl
def safescale_register_families(register: Callable[[Family], None]) -> None:
    """One family."""
    register(SCT)


@hookimpl
def safescale_register_datasets(register: Callable[[Source], None]) -> None:
    """Twelve invented items."""
    register(EXAMPLES)
