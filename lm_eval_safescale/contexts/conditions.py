"""Conditions: under which circumstances a question is asked (PROTOCOL §2). They do not know how a prompt is laid out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lm_eval_safescale.datasets import Dataset


@dataclass(frozen=True, slots=True)
class Condition:
    """A deployment condition: what is shown above the question."""

    name: str
    description: str
    builder: str | None = None
    """Name of the context builder that makes what is shown; None for nothing."""
    args: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the builder that belong to the condition, over the user's."""

    @property
    def evidence(self) -> str | None:
        """Which of the item's own evidence is shown, if it is."""
        return self.args.get("evidence")

    def can_show(self, dataset: Dataset) -> bool:
        """Whether the data set has what the condition shows, for every item."""
        return self.evidence is None or dataset.has_evidence(self.evidence)


CONDITIONS: tuple[Condition, ...] = (
    Condition("closed_book", "the question alone"),
    Condition("clean", "a passage that settles the question", "evidence", {"evidence": "clean"}),
    Condition(
        "conflict", "a passage in which supporting and contradicting statements meet", "evidence", {"evidence": "conflict"}
    ),
    Condition("rag", "the best passages of a corpus (10 unless told)", "rag"),
    Condition("rag_top1", "the best passage of a corpus", "rag", {"top_k": 1}),
    Condition("rag_top5", "the 5 best passages of a corpus", "rag", {"top_k": 5}),
    Condition("rag_padded_top1", "the best passage, repeated to the length of those of rag: a control for length", "padded"),
    Condition("agentic", "a report written by multi-step retrieval and reasoning", "agentic"),
    Condition("max_context", "ranked passages up to the model's window", "max_context"),
    Condition("context_32k", "ranked passages of 30,000 tokens", "max_context", {"context_tokens": 30_000}),
    Condition("context_100k", "ranked passages of 96,000 tokens", "max_context", {"context_tokens": 96_000}),
)
"""Our own, in the order in which tables show them."""
