"""Items that a reader disputes, and the file that names them. It knows no figure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.inputs import InputError, json_and_bytes
from lm_eval_safescale.json_text import whole
from lm_eval_safescale.words import counted, meant

KINDS = ("key wrong", "label wrong", "other")
"""What is disputed of an item."""
KEYS = ("question_id", "dispute", "note")
MOST_BYTES = 50_000_000
MOST_CHARACTERS = 10_000
"""Of a note."""


@dataclass(frozen=True, slots=True)
class Dispute:
    """An item, and what is wrong with it."""

    question_id: str
    dispute: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Disputes:
    """The disputed items of a file, each once."""

    items: tuple[Dispute, ...]
    source: str
    """The file's name."""
    sha256: str
    """Of its bytes."""

    def __len__(self) -> int:
        return len(self.items)

    @property
    def ids(self) -> frozenset[str]:
        """Of the items."""
        return frozenset(each.question_id for each in self.items)

    def as_dict(self) -> dict[str, Any]:
        """As it stands in `about.json`."""
        return {
            "file": self.source,
            "sha256": self.sha256,
            "items": [
                {name: getattr(each, name) for name in KEYS if getattr(each, name)}
                for each in self.items
            ],
        }

    def refuse_unknown(self, known: Sequence[str]) -> None:
        """SafescaleError where a disputed item is none of these, or all of these are disputed."""
        given = set(known)
        odd = [
            (place, each.question_id)
            for place, each in enumerate(self.items, 1)
            if each.question_id not in given
        ]
        if odd:
            place, name = odd[0]
            more = f" (and {counted(len(odd) - 1, 'more item')})" if len(odd) > 1 else ""
            raise SafescaleError(
                f"{self.source}, entry {place}: {name!r:.80} is no item of these runs{more}"
                f"{meant(name[:80], known)}. Expected disputes of the runs' own data set"
            )
        if len(self.ids) == len(given):
            raise SafescaleError(
                f"{self.source}: all {counted(len(given), 'item')} of these runs are disputed, and "
                "without them nothing is left; expected a part of them"
            )


def read_disputes(path: Path) -> Disputes:
    """The disputes of a JSON file, a list of `{"question_id", "dispute", "note"}`, as the report
    saves them; the note may be left out.

    Raises
    ------
    SafescaleError
        Naming the file and the entry, where it is anything else, or an item stands twice in it.
    """
    given, content = json_and_bytes(path, MOST_BYTES)
    if not isinstance(given, list):
        raise InputError(
            path,
            f"{_kind_of(given)}; expected a list of disputes, each with question_id, dispute and "
            "note, as the report saves them",
        )
    found: dict[str, Dispute] = {}
    for place, each in enumerate(given, 1):
        try:
            dispute = _dispute(each)
            if dispute.question_id in found:
                raise SafescaleError(
                    f"{dispute.question_id!r:.80} stands twice; expected each item once"
                )
        except SafescaleError as error:
            raise SafescaleError(f"{path}, entry {place}: ", error) from None
        found[dispute.question_id] = dispute
    return Disputes(tuple(found.values()), path.name, hashlib.sha256(content).hexdigest())


def _dispute(given: Any) -> Dispute:
    if not isinstance(given, dict):
        raise SafescaleError(f"{_kind_of(given)}; expected an object with {', '.join(KEYS)}")
    for key in given:
        if key not in KEYS:
            raise SafescaleError(f"{key!r:.80} is no key of a dispute{meant(key[:80], KEYS)}")
    name, dispute, note = (given.get(key) for key in KEYS)
    if not isinstance(name, str) or not name:
        raise SafescaleError(f"question_id: {name!r:.80}; expected the id of an item, as a text")
    if not isinstance(dispute, str) or dispute not in KINDS:
        raise SafescaleError(f"dispute: {dispute!r:.80}; expected {', '.join(KINDS)}")
    if note is not None and not isinstance(note, str):
        raise SafescaleError(f"note: {note!r:.80}; expected a text, or none")
    if note and len(note) > MOST_CHARACTERS:
        raise SafescaleError(
            f"note: {len(note):,} characters; expected at most {MOST_CHARACTERS:,}"
        )
    return Dispute(whole(name), dispute, whole(note or ""))


def _kind_of(given: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a text", type(None): "null"}
    return kinds.get(type(given), "a number" if not isinstance(given, bool) else "true or false")
