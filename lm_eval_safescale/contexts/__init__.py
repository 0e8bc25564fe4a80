"""What is shown above the question: conditions, context builders, and contexts built ahead."""

from lm_eval_safescale.contexts.builders import (
    CONTEXT_BUILDERS,
    RESERVED_TOKENS,
    RULE,
    ContextBuilder,
    Draft,
    Workbench,
    join,
)
from lm_eval_safescale.contexts.conditions import CONDITIONS, Condition
from lm_eval_safescale.contexts.files import ContextSet, check_belongs, read_contexts, write_contexts
from lm_eval_safescale.contexts.imitation import find_imitations
from lm_eval_safescale.contexts.making import make_contexts

__all__ = [
    "CONDITIONS",
    "CONTEXT_BUILDERS",
    "RESERVED_TOKENS",
    "RULE",
    "Condition",
    "ContextBuilder",
    "ContextSet",
    "Draft",
    "Workbench",
    "check_belongs",
    "find_imitations",
    "join",
    "make_contexts",
    "read_contexts",
    "write_contexts",
]
