"""What is shown above the question: conditions, context builders, and contexts built ahead."""

from lm_eval_safescale.conditions import Condition
from lm_eval_safescale.contexts.agentic import AGENTIC
from lm_eval_safescale.contexts.asking import ORCHESTRATE, ROLES, WRITE, Ask, Desk
from lm_eval_safescale.contexts.builders import (
    CONTEXT_BUILDERS,
    RESERVED_TOKENS,
    RULE,
    ContextBuilder,
    Draft,
    Workbench,
    evidence,
    join,
)
from lm_eval_safescale.contexts.desk import ModelDesk, Standing
from lm_eval_safescale.contexts.files import ContextSet, check_belongs, read_contexts, write_contexts
from lm_eval_safescale.contexts.imitation import find_imitations
from lm_eval_safescale.contexts.leaks import LEAK, find_leaks
from lm_eval_safescale.contexts.making import make_contexts
from lm_eval_safescale.contexts.notices import notices_of
from lm_eval_safescale.contexts.replies import by_letter, cite, lines_of, prose, whole_sentences
from lm_eval_safescale.contexts.steps import Steps
from lm_eval_safescale.contexts.waves import Agent, Question, ReportFailed, Unusable, in_waves

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
    "Condition",
    "ContextBuilder",
    "ContextSet",
    "Desk",
    "Draft",
    "ModelDesk",
    "Question",
    "ReportFailed",
    "Standing",
    "Steps",
    "Unusable",
    "Workbench",
    "by_letter",
    "check_belongs",
    "cite",
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
