"""A data set: items, a name, a version and a fingerprint. It does not know where it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from lm_eval_safescale.datasets.problems import DataError, Problem, not_there
from lm_eval_safescale.records import Item

DEMO = "demo"
"""What bundled demo data are called."""


@dataclass(frozen=True)
class Dataset:
    """Items in the order of their ids *as strings* (PROTOCOL §8), with what a result must say of
    its data."""

    name: str
    version: str
    items: tuple[Item, ...]
    warnings: tuple[Problem, ...] = ()
    records: tuple[Mapping[str, Any], ...] = field(default=(), compare=False, repr=False)
    """What it was made of by `dataset_from_records`: its family may know more names than were
    recognised."""
    family: str = field(default="", compare=False)
    """Name of the family whose items they are, where it is known."""
    excluded: tuple[str, ...] = field(default=(), compare=False)
    """Ids of items that were left out because somebody said so."""
    is_demo: bool = False
    """Whether these are the bundled demo questions, whatever the file's name: no clinical claim may
    rest on them."""

    @classmethod
    def of(
        cls, name: str, version: str, items: Iterable[Item], warnings: Sequence[Problem] = ()
    ) -> Dataset:
        """A data set of `items`, put into order."""
        return cls(
            name, version, tuple(sorted(items, key=lambda item: item.question_id)), tuple(warnings)
        )

    def without(self, ids: Collection[str]) -> Dataset:
        """The data set without these items; DataError for an id that no item has."""
        there = {item.question_id for item in self.items}
        if problems := not_there({each: each in there for each in ids}):
            raise DataError(self.name, problems)
        items = tuple(item for item in self.items if item.question_id not in set(ids))
        return replace(self, items=items, excluded=tuple(ids)) if ids else self

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    @cached_property
    def places(self) -> Mapping[str, int]:
        """Where each item stands, by its id."""
        return {item.question_id: place for place, item in enumerate(self.items)}

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the canonical JSON of all items in order; the order of the file does
        not enter."""
        digest = hashlib.sha256(b"[")
        # one by one: all of them together take several times their memory
        for number, item in enumerate(self.items):
            canonical = json.dumps(
                item.as_dict(), ensure_ascii=False, sort_keys=True, separators=(",", ":")
            )
            digest.update(b"," * (number > 0) + canonical.encode())
        digest.update(b"]")
        return digest.hexdigest()

    @property
    def is_labelled(self) -> bool:
        """Whether options carry labels (of all items or of none)."""
        return bool(getattr(next(iter(self.items), None), "labels", None))

    def has_evidence(self, name: str) -> bool:
        """Whether every item has the evidence of that name."""
        return all(item.evidence.get(name) for item in self.items)
