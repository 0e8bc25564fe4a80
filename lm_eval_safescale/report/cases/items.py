"""The items of the case browser, in shards; and what stood above them under each condition. It
knows no answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lm_eval_safescale.contexts import ContextSet
from lm_eval_safescale.families.views import Chip, ItemView
from lm_eval_safescale.records import Context
from lm_eval_safescale.report.cases.scripts import as_json

if TYPE_CHECKING:
    from lm_eval_safescale.report.cases.index import Index

SHARD = 1 << 20
"""Characters of texts that are loaded together; a longer one is a shard by itself."""


def item_shards(index: Index) -> Iterator[tuple[int, bytes]]:
    """The first item of each shard, and its items: text, options, further texts, and responses
    where they are the item's own."""
    shown = []
    for place, own in enumerate(index.items):
        item = _shown(index.report.family.shown_item(own))
        if not index.shared:
            item["responses"] = [index.shown(each) for each in index.responses[place]]
        shown.append(as_json(item))
    yield from _sharded(shown)


def context_shards(contexts: ContextSet, ids: Sequence[str]) -> Iterator[tuple[int, bytes]]:
    """The same of what stood above each item under a condition; null for nothing."""
    yield from _sharded(
        [as_json(_context(contexts.contexts.get(question_id))) for question_id in ids]
    )


def _sharded(parts: Sequence[bytes]) -> Iterator[tuple[int, bytes]]:
    first, size = 0, 0
    for place, part in enumerate(parts):
        if place > first and size + len(part) > SHARD:
            yield first, b"[" + b",".join(parts[first:place]) + b"]"
            first, size = place, 0
        size += len(part)
    if parts:
        yield first, b"[" + b",".join(parts[first:]) + b"]"


def _shown(view: ItemView) -> dict[str, Any]:
    return {
        "text": view.text,
        "options": [
            {
                "key": option.key,
                "text": option.text,
                "chips": [chip_of(chip) for chip in option.chips],
                "did": [chip_of(option.chosen), chip_of(option.left)],
            }
            for option in view.options
        ],
        "texts": [list(each) for each in view.texts],
    }


def chip_of(chip: Chip | None) -> list[str] | None:
    """Its words and its tone."""
    return None if chip is None else [chip.words, chip.tone]


def _context(context: Context | None) -> Mapping[str, Any] | None:
    if context is None:
        return None
    return {
        "text": context.text,
        "tokens": context.tokens,
        "passages": len(context.passages),
        "measures": {
            name: round(value, 3) for name, value in context.measures.items() if value is not None
        },
    }
