"""A data set: items, a name, a version and a fingerprint. It does not know where it came from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from lm_eval_safescale.datasets.problems import Problem
from lm_eval_safescale.records import Item

DEFAULT_DATASET = "RadSaFE-200"
DEMO = "demo"


@dataclass(frozen=True)
class Dataset:
    """Items in the order of their ids *as strings* (PROTOCOL §8), with what a result must say of its data."""

    name: str
    version: str
    items: tuple[Item, ...]
    warnings: tuple[Problem, ...] = ()
    is_demo: bool = False
    """Whether these are the bundled demo questions, whatever the file's name: no clinical claim may rest on them."""

    @classmethod
    def of(cls, name: str, version: str, items: Iterable[Item], warnings: Sequence[Problem] = ()) -> Dataset:
        """A data set of `items`, put into order."""
        return cls(name, version, tuple(sorted(items, key=lambda item: item.question_id)), tuple(warnings))

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self.items)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over the canonical JSON of all items in order; the order of the file does not enter."""
        digest = hashlib.sha256(b"[")
        for number, item in enumerate(self.items):  # one by one: all of them together take several times their memory
            canonical = json.dumps(item.as_dict(), ensure_ascii=False, sort_keys=True, separators=(",", ":"))
            digest.update(b"," * (number > 0) + canonical.encode())
        digest.update(b"]")
        return digest.hexdigest()

    @property
    def is_labelled(self) -> bool:
        """Whether options carry safety labels (of all items or of none)."""
        return bool(self.items) and self.items[0].labels is not None

    def has_evidence(self, name: str) -> bool:
        """Whether every item has the evidence of that name."""
        return all(item.evidence.get(name) for item in self.items)
