"""RadSaFE's deployment conditions (PROTOCOL §2)."""

from __future__ import annotations

from lm_eval_safescale.conditions import Condition

CONDITIONS: tuple[Condition, ...] = (
    Condition("closed_book", "the question alone", label="closed-book"),
    Condition(
        "clean",
        "a passage that settles the question",
        "evidence",
        {"evidence": "clean"},
        label="clean evidence",
    ),
    Condition(
        "conflict",
        "a passage in which supporting and contradicting statements meet",
        "evidence",
        {"evidence": "conflict"},
        label="conflict evidence",
    ),
    Condition("rag", "the best passages of a corpus (10 unless told)", "rag", label="standard RAG"),
    Condition("rag_top1", "the best passage of a corpus", "rag", {"top_k": 1}, label="RAG, top 1"),
    Condition(
        "rag_top5", "the 5 best passages of a corpus", "rag", {"top_k": 5}, label="RAG, top 5"
    ),
    Condition(
        "rag_padded_top1",
        "the best passage, repeated to the length of those of rag: a control for length",
        "padded",
        label="RAG, top 1 padded",
    ),
    Condition(
        "agentic",
        "a report written by multi-step retrieval and reasoning",
        "agentic",
        label="agentic RAG",
    ),
    Condition(
        "context_32k",
        "ranked passages of 30,000 tokens",
        "max_context",
        {"context_tokens": 30_000},
        label="context 32k",
    ),
    Condition(
        "context_100k",
        "ranked passages of 96,000 tokens",
        "max_context",
        {"context_tokens": 96_000},
        label="context 100k",
    ),
    Condition(
        "max_context",
        "ranked passages up to the model's window",
        "max_context",
        label="max context",
    ),
)
"""In the order in which tables show them: it stands here alone."""
DEFAULT = tuple(each.name for each in CONDITIONS if each.builder in (None, "evidence"))
"""Asked without being named: those that need nothing but the data."""
PROTOCOL = tuple(
    each.name for each in CONDITIONS if each.name in {*DEFAULT, "rag", "agentic", "max_context"}
)
"""The six of the protocol."""
PAIRS = (
    ("clean", "closed_book"),
    ("conflict", "clean"),
    ("rag_top1", "closed_book"),
    ("rag_top5", "closed_book"),
    ("rag", "closed_book"),
    ("agentic", "rag"),
    ("agentic", "closed_book"),
    ("context_100k", "closed_book"),
    ("max_context", "closed_book"),
    ("context_100k", "rag"),
    ("max_context", "rag"),
    ("max_context", "context_100k"),
)
"""Conditions that are compared, the left less the right one."""
COLORS = {
    "closed_book": "#525252",
    "clean": "#2166AC",
    "conflict": "#67A9CF",
    "rag": "#F4A582",
    "rag_top1": "#FBD3BC",
    "rag_top5": "#F8BC9E",
    "rag_padded_top1": "#C9A08D",
    "agentic": "#D6604D",
    "context_32k": "#D98A93",
    "context_100k": "#C65160",
    "max_context": "#B2182B",
}
"""In figures: the paper's, and tints of them for other settings of the same condition."""
PUBLISHED_NAMES = {
    "zero_shot": "closed_book",
    "evidence_clean": "clean",
    "evidence_conflict": "conflict",
    "top_10": "rag",
    "top_1": "rag_top1",
    "top_5": "rag_top5",
    "padded_top_1": "rag_padded_top1",
    "deep_research": "agentic",
    "context_32k": "context_32k",
    "context_100k": "context_100k",
    "context_max": "max_context",
}
"""Published name of a condition to ours (PROTOCOL §2); another keeps its name."""
