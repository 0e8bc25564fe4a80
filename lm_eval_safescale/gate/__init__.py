"""Whether a model is good enough, by a policy that was written down before: exact one-sided bounds
where there are any, missing answers at their worst, and what could not be judged refused. And two
models, retrievers, prompts or versions side by side.

It knows metrics by their kind, and no benchmark by its name.
"""

from lm_eval_safescale.gate.comparison import Comparison, Flips, compare
from lm_eval_safescale.gate.decision import Decision, Outcome, Row, decide
from lm_eval_safescale.gate.planning import Planned, largest, plan
from lm_eval_safescale.gate.policy import (
    Clause,
    Kind,
    Policy,
    example_policy,
    policy_of,
    read_policy,
)
from lm_eval_safescale.gate.sides import Side, sides_of

__all__ = [
    "Clause",
    "Comparison",
    "Decision",
    "Flips",
    "Kind",
    "Outcome",
    "Planned",
    "Policy",
    "Row",
    "Side",
    "compare",
    "decide",
    "example_policy",
    "largest",
    "plan",
    "policy_of",
    "read_policy",
    "sides_of",
]
