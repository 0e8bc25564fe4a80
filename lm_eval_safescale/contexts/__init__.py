"""What is shown above the question: conditions, context builders, and contexts built ahead."""

from lm_eval_safescale.chat.asks import ORCHESTRATE, ROLES, WRITE, Ask, ChatSession, Unusable
from lm_eval_safescale.chat.session import BuildProgress, ModelSession
from lm_eval_safescale.chat.step_log import StepLog
from lm_eval_safescale.conditions import Condition
from lm_eval_safescale.contexts.agentic import AGENTIC
from lm_eval_safescale.contexts.builders import (
    CONTEXT_BUILDERS,
    RESERVED_TOKENS,
    RULE,
    BuildTools,
    ContextBuilder,
    Draft,
    evidence,
    join,
)
from lm_eval_safescale.contexts.comparing import ContextComparison, compare_contexts
from lm_eval_safescale.contexts.files import (
    ContextSet,
    check_belongs,
    read_contexts,
    write_contexts,
)
from lm_eval_safescale.contexts.from_drafts import make_contexts
from lm_eval_safescale.contexts.imitation import find_imitations
from lm_eval_safescale.contexts.leaks import LEAK, find_leaks
from lm_eval_safescale.contexts.notices import notices_of
from lm_eval_safescale.contexts.replies import by_letter, cite, lines_of, prose, whole_sentences
from lm_eval_safescale.contexts.strategies import Agent, Question, ReportFailed, in_waves
from lm_eval_safescale.renamed import old_names

__all__ = [
    "AGENTIC",
    "CONTEXT_BUILDERS",
    "LEAK",
    "ORCHESTRATE",
    "RESERVED_TOKENS",
    "ROLES",
    "RULE",
    "WRITE",
    "Agent",
    "Ask",
    "BuildProgress",
    "BuildTools",
    "ChatSession",
    "Condition",
    "ContextBuilder",
    "ContextComparison",
    "ContextSet",
    "Draft",
    "ModelSession",
    "Question",
    "ReportFailed",
    "StepLog",
    "Unusable",
    "by_letter",
    "check_belongs",
    "cite",
    "compare_contexts",
    "evidence",
    "find_imitations",
    "find_leaks",
    "in_waves",
    "join",
    "lines_of",
    "make_contexts",
    "notices_of",
    "prose",
    "read_contexts",
    "whole_sentences",
    "write_contexts",
]

__getattr__ = old_names(
    __name__,
    {
        "Desk": "lm_eval_safescale.contexts.ChatSession",
        "ModelDesk": "lm_eval_safescale.contexts.ModelSession",
        "Standing": "lm_eval_safescale.contexts.BuildProgress",
        "Steps": "lm_eval_safescale.contexts.StepLog",
        "Workbench": "lm_eval_safescale.contexts.BuildTools",
    },
)
