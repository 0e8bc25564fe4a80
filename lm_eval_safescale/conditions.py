"""Conditions: under which circumstances a question is asked (PROTOCOL §2). They do not know how a
prompt is laid out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.settings import MAKE_ANSWERS

MAY_DEFAULT = MAKE_ANSWERS - {"draws"}
"""Settings of which a condition may have a default of its own: all of a run have one K."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A deployment condition: what is shown above the question."""

    name: str
    description: str
    builder: str | None = None
    """Name of the context builder that makes what is shown; None for nothing."""
    args: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the builder that belong to the condition, over the user's."""
    family: str = ""
    """Name of the family whose items are asked; empty: the one that needs no name (`radsafe`)."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Settings of answers (`max_answer_tokens`, ...) with other defaults under it than the
    family's."""
    label: str = ""
    """In words, where a reader sees it; empty: the name with spaces."""

    def __post_init__(self) -> None:
        if odd := sorted(self.defaults.keys() - MAY_DEFAULT):
            raise ValueError(
                f"condition {self.name}: defaults of {', '.join(odd)}; expected settings of "
                f"answers: {', '.join(sorted(MAY_DEFAULT))}"
            )

    @property
    def evidence(self) -> str | None:
        """Which of the item's own evidence is shown, if it is."""
        return self.args.get("evidence")

    def can_show(self, dataset: Dataset) -> bool:
        """Whether the data set has what the condition shows, for every item."""
        return self.evidence is None or dataset.has_evidence(self.evidence)
