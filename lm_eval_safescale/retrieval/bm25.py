"""BM25 by the library bm25s: the retriever that needs no model."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from lm_eval_safescale.retrieval.passages import Passages
from lm_eval_safescale.retrieval.retriever import Hit, Retriever, best


class BM25(Retriever):
    """Okapi BM25 as Lucene computes it, over lower-case words of two letters or more, without English stop words."""

    name = "bm25"
    description = "word statistics (BM25), by bm25s; needs no model"

    def __init__(self, k1: float = 1.5, b: float = 0.75) -> None:
        if not (0 <= k1 < inf and 0 <= b <= 1):
            raise ValueError(f"k1 = {k1}, b = {b}; expected k1 of 0 or more and b in [0, 1]")
        self.k1, self.b = k1, b

    def build(self, passages: Passages, folder: Path, *, scratch: Path) -> None:  # noqa: ARG002 (it takes seconds)
        """Write the score matrix and the vocabulary, in the library's own format."""
        import bm25s

        tokens = bm25s.tokenize(passages.texts(), stopwords="en", show_progress=False)
        if not tokens.vocab:
            raise ValueError("no passage holds a word that is not a stop word")
        index = bm25s.BM25(k1=self.k1, b=self.b, method="lucene")
        index.index(tokens, show_progress=False)
        index.save(folder, show_progress=False)

    def open(self, passages: Passages, folder: Path) -> None:  # noqa: ARG002
        """Memory-map the score matrix."""
        import bm25s

        self._index: Any = bm25s.BM25.load(folder, mmap=True, show_progress=False)

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The k best passages; those without any word of the query score 0 and come last, in order."""
        import bm25s

        vocabulary = self._index.vocab_dict
        texts = bm25s.tokenize(list(queries), stopwords="en", return_ids=False, show_progress=False)
        return [best(self._scores([vocabulary[word] for word in words if word in vocabulary]), k) for words in texts]

    def _scores(self, words: list[int]) -> Any:
        if not words:
            return np.zeros(self._index.scores["num_docs"], dtype=np.float32)
        return self._index.get_scores_from_ids(words)
