"""Passages: a corpus cut into overlapping runs of tokens (PROTOCOL §2). They know how they were
cut, not how they are searched.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import gcd
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.records import Passage
from lm_eval_safescale.retrieval.corpus import Corpus
from lm_eval_safescale.retrieval.store import Store
from lm_eval_safescale.retrieval.tokenizers import Tokenizer

Bounds = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Passages:
    """The passages of a corpus, numbered from 0 in the order of the articles; texts are cut out
    when asked for."""

    corpus: Corpus
    cut: dict[str, Any]
    """How they were cut: tokenizer, its fingerprint, size and overlap in tokens."""
    bounds: Bounds
    """Shape (n, 3): article number, first character and end, in the article's title and text
    joined."""

    def __len__(self) -> int:
        return len(self.bounds)

    def text(self, number: int) -> str:
        """The text of one passage."""
        article, start, end = self.bounds[number]
        whole: str = self.corpus.articles[article].whole
        return whole[start:end].strip()

    def texts(self) -> Iterator[str]:
        """The texts of all passages in order."""
        at, whole = -1, ""
        for article, start, end in self.bounds:
            if article != at:
                at, whole = article, self.corpus.articles[article].whole
            yield whole[start:end].strip()

    def passage(self, number: int, *, score: float, rank: int) -> Passage:
        """One passage, as found with a score at a rank."""
        article = self.corpus.articles[self.bounds[number][0]]
        part = number - int(self._firsts[self.bounds[number][0]]) + 1
        return Passage(
            f"{article.id}#{part}", article.id, article.title, self.text(number), score, rank
        )

    @cached_property
    def _firsts(self) -> npt.NDArray[np.int64]:
        return np.searchsorted(self.bounds[:, 0], np.arange(len(self.corpus)))

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the corpus and the way it was cut."""
        return hashlib.sha256(
            json.dumps([self.corpus.fingerprint, self.cut], sort_keys=True).encode()
        ).hexdigest()

    def describe(self) -> dict[str, Any]:
        """What a result must say of them."""
        return {
            "corpus": self.corpus.name,
            "corpus_fingerprint": self.corpus.fingerprint,
            "articles": len(self.corpus),
            "passages": len(self),
            **self.cut,
        }


def cut(text: str, tokenizer: Tokenizer, *, size: int, overlap: int) -> list[tuple[int, int]]:
    """Character spans of the passages of a text: `size` tokens each, of which the first `overlap`
    end the one before.

    The last is shorter where the text ends, and is never only overlap. Empty for a text without
    tokens.
    """
    step = size - overlap
    unit = gcd(size, step)  # all borders lie on multiples of it
    blocks = tokenizer.blocks(text, unit)
    spans = []
    for first in range(0, len(blocks), step // unit):
        end = min(first + size // unit, len(blocks))
        spans.append((blocks[first][0], blocks[end - 1][1]))
        if end == len(blocks):
            break
    return spans


def make_passages(
    corpus: Corpus, tokenizer: Tokenizer, *, size: int, overlap: int, store: Store
) -> Passages:
    """The passages of a corpus; where they were cut is kept in the store.

    Raises
    ------
    SafescaleError
        If the overlap is not smaller than the size, or the corpus holds no token at all.
    """
    if not 0 <= overlap < size:
        raise SafescaleError(
            f"chunk_overlap is {overlap} and chunk_tokens {size}: expected an overlap smaller than "
            "the passage"
        )
    how = {
        "tokenizer": tokenizer.name,
        "tokenizer_fingerprint": tokenizer.fingerprint,
        "size": size,
        "overlap": overlap,
    }

    def write(folder: Path, _: Path) -> None:
        bounds = [
            (number, start, end)
            for number, article in enumerate(corpus)
            for start, end in cut(article.whole, tokenizer, size=size, overlap=overlap)
            if article.whole[start:end].strip()  # to some tokenizers white space is a token
        ]
        if not bounds:
            raise SafescaleError(f"corpus {corpus.name}: no passages, since there is no word in it")
        np.save(folder / "bounds.npy", np.array(bounds, dtype=np.int32), allow_pickle=False)

    folder = store.folder(
        "passages", {"corpus": corpus.fingerprint, **how}, write, about={"corpus_name": corpus.name}
    )
    bounds = np.load(folder / "bounds.npy", mmap_mode="r", allow_pickle=False)
    return Passages(corpus, how, bounds)
