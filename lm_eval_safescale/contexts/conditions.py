"""Conditions: under which circumstances a question is asked (PROTOCOL §2). They do not know how a prompt is laid out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.records import Context, Item


@dataclass(frozen=True, slots=True)
class Condition:
    """A deployment condition."""

    name: str
    description: str
    evidence: str | None = None
    """Which of the item's own evidence is shown; None for nothing."""

    def can_show(self, dataset: Dataset) -> bool:
        """Whether the data set has what the condition shows, for every item."""
        return self.evidence is None or dataset.has_evidence(self.evidence)


CONDITIONS: dict[str, Condition] = {
    condition.name: condition
    for condition in (
        Condition("closed_book", "the question alone"),
        Condition("clean", "a passage that settles the question", evidence="clean"),
        Condition("conflict", "a passage in which supporting and contradicting statements meet", evidence="conflict"),
    )
}


def find_condition(name: str) -> Condition:
    """The condition of that name; SafescaleError if there is none."""
    if name not in CONDITIONS:
        raise SafescaleError(f"condition: there is no {name!r}; known: {', '.join(CONDITIONS)}")
    return CONDITIONS[name]


def build_context(condition: Condition, item: Item) -> Context | None:
    """What the condition shows above the item's question; None for nothing."""
    if condition.evidence is None:
        return None
    text = item.evidence[condition.evidence]
    return Context(text, builder=f"evidence_{condition.evidence}", fingerprint=hashlib.sha256(text.encode()).hexdigest())
