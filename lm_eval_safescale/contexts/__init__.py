"""What is shown above the question."""

from lm_eval_safescale.contexts.conditions import CONDITIONS, Condition, build_context, find_condition

__all__ = ["CONDITIONS", "Condition", "build_context", "find_condition"]
