"""BM25 by the library bm25s: the retriever that needs no model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from pathlib import Path
from typing import Any

from lm_eval_safescale.retrieval.passages import Passages
from lm_eval_safescale.retrieval.retriever import Hit, Retriever, best
from lm_eval_safescale.retrieval.terms import RULE, stop_words, terms_of


class BM25(Retriever):
    """Okapi BM25 as Lucene computes it, over the terms of a text without English stop words."""

    name = "bm25"
    description = "word statistics (BM25), by bm25s; needs no model"
    version = f"2, {RULE}"

    def __init__(self, k1: float = 1.5, b: float = 0.75) -> None:
        if not (0 <= k1 < inf and 0 <= b <= 1):
            raise ValueError(f"k1 = {k1}, b = {b}; expected k1 of 0 or more and b in [0, 1]")
        self.k1, self.b = k1, b

    # it takes seconds
    def build(self, passages: Passages, folder: Path, *, scratch: Path) -> None:  # noqa: ARG002
        """Write the score matrix and the vocabulary, in the library's own format."""
        import bm25s

        numbers, vocabulary = _numbered(passages.texts())
        if not vocabulary:
            raise ValueError("no passage holds a word that is not a stop word")
        index = bm25s.BM25(k1=self.k1, b=self.b, method="lucene")
        index.index(bm25s.tokenization.Tokenized(numbers, vocabulary), show_progress=False)
        index.save(folder, show_progress=False)

    def open(self, passages: Passages, folder: Path) -> None:  # noqa: ARG002
        """Memory-map the score matrix."""
        import bm25s

        self._index: Any = bm25s.BM25.load(folder, mmap=True, show_progress=False)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The k best of the passages that hold a term of the query; fewer, or none, where no more
        do."""
        return [self._matching(query, k) for query in queries]

    def _matching(self, query: str, k: int) -> list[Hit]:
        vocabulary = self._index.vocab_dict
        known = [vocabulary[term] for term in terms_of(query) if term in vocabulary]
        if not known:
            return []
        # a term that is there always weighs more than 0
        return best(self._index.get_scores_from_ids(known), k, above=0)


def _numbered(texts: Iterable[str]) -> tuple[list[list[int]], dict[str, int]]:
    """Each text's terms as numbers, and the numbers by term."""
    vocabulary: dict[str, int] = {}
    left_out = stop_words()
    numbers = [
        [
            vocabulary.setdefault(term, len(vocabulary))
            for term in terms_of(text)
            if term not in left_out
        ]
        for text in texts
    ]
    return numbers, vocabulary
