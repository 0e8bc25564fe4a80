"""A stub of the workbench, so that builders are tested without corpus, index or model."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lm_eval_safescale.records import Item, Passage
from lm_eval_safescale.retrieval import load_tokenizer


class StubBench:
    """Ranks given texts for every query, the last query character deciding the order; remembers what it was asked."""

    def __init__(self, texts: Sequence[str], window: int | None = None) -> None:
        self.texts, self.window, self.tokenizer = list(texts), window, load_tokenizer("words")
        self.asked: list[tuple[list[str], int]] = []

    def ranking(self, query: str) -> list[Passage]:
        start = ord(query[-1]) % len(self.texts)
        order = [*range(start, len(self.texts)), *range(start)]
        return [
            Passage(f"p{number}#1", f"p{number}", "", self.texts[number], 1 / rank, rank)
            for rank, number in enumerate(order, 1)
        ]

    def search(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        self.asked.append((list(queries), k))
        return [self.ranking(query)[:k] for query in queries]

    def count(self, passages: Sequence[Passage]) -> list[int]:
        return self.tokenizer.count([passage.text for passage in passages])


@pytest.fixture
def bench():
    """Makes a stub workbench."""
    return StubBench


@pytest.fixture
def item():
    """Makes an item."""

    def make(number: int = 0, *, answer: str = "A", labels=None, evidence=None) -> Item:
        options = {"A": "Pneumothorax", "B": "Effusion"}
        return Item(f"q{number}", f"What does image {number}", options, answer, labels, evidence or {})

    return make


@pytest.fixture
def builder():
    """Our builder of that name."""
    from lm_eval_safescale.contexts import CONTEXT_BUILDERS

    return {each.name: each for each in CONTEXT_BUILDERS}.__getitem__
