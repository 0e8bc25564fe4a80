"""What a family's data files may hold: the names of labels, evidence and groups, and the other
names they are recognised by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Aliases = Mapping[str, Sequence[str]]
"""Our name: other names that it is recognised by."""


@dataclass(frozen=True)
class Schema:
    """The names that a family knows. Other labels, evidence and groups may be there too, under
    plain names (docs/data.md)."""

    labels: Aliases = field(default_factory=dict)
    """Of options; recognised in `option_1_LABEL`, `option_a_LABEL`, `LABEL_a`, `LABEL_1`."""
    evidence: Aliases = field(default_factory=dict)
    """Recognised as columns; `evidence_NAME` always is."""
    groups: Aliases = field(default_factory=dict)
    """By which results are given; the setting `groups` names others."""
    needed: Sequence[str] = ()
    """Groups that no item may lack."""
    fields: Aliases = field(default_factory=dict)
    """Fields of the family's own, or further names of ours (`datasets.columns.ALIASES`)."""
    fallbacks: Aliases = field(default_factory=dict)
    """Names that count where a file lacks required fields (`datasets.columns.FALLBACKS`)."""


PLAIN = Schema()
"""Of no family: plain names alone are recognised."""
