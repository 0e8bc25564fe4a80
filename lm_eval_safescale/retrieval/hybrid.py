"""Reciprocal rank fusion of other retrievers' rankings."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from math import fsum, inf
from pathlib import Path
from typing import Any

from lm_eval_safescale.retrieval.passages import Passages
from lm_eval_safescale.retrieval.retriever import Hit, Retriever


class Hybrid(Retriever):
    """The score of a passage is the sum over the retrievers of 1 / (constant + rank) (Cormack,
    Clarke, Buettcher, SIGIR 2009).

    Only the first `depth` passages of each ranking count: what none of them holds is not found.
    """

    name = "hybrid"
    description = "reciprocal rank fusion of other retrievers (bm25 and dense unless told)"
    version = "2"

    def __init__(
        self,
        retrievers: Sequence[str] = ("bm25", "dense"),
        args: Mapping[str, Mapping[str, Any]] | None = None,
        constant: float = 60,
        depth: int = 1000,
    ) -> None:
        if (
            len(set(retrievers)) < 2
            or len(set(retrievers)) < len(retrievers)
            or isinstance(retrievers, str)
        ):
            raise ValueError(f"retrievers = {retrievers!r}; expected two or more different ones")
        if unknown := set(args or {}) - set(retrievers):
            raise ValueError(
                f"args for {', '.join(sorted(unknown))}, which is not among the retrievers "
                f"{', '.join(retrievers)}"
            )
        if not (0 < constant < inf and isinstance(depth, int) and depth >= 1):
            raise ValueError(
                f"constant = {constant}, depth = {depth}; expected a positive constant and a whole "
                "depth from 1"
            )
        self._needs = {name: (args or {}).get(name, {}) for name in retrievers}
        self._constant, self._depth = constant, depth

    def needs(self) -> Mapping[str, Mapping[str, Any]]:
        """The retrievers that are fused."""
        return self._needs

    def build(self, passages: Passages, folder: Path, *, scratch: Path) -> None:
        """Nothing: the parts have their own indexes."""

    def open(self, passages: Passages, folder: Path) -> None:
        """Nothing: the parts are open."""

    def search(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """The fused ranking, of what any of the retrievers found."""
        rankings = [index.hits(queries, self._depth) for index in self.parts.values()]
        return [self._fuse([ranking[i] for ranking in rankings], k) for i in range(len(queries))]

    def _fuse(self, rankings: Sequence[Sequence[Hit]], k: int) -> list[Hit]:
        shares: dict[int, list[float]] = defaultdict(list)
        for ranking in rankings:
            for rank, hit in enumerate(ranking, 1):
                shares[hit.number].append(1 / (self._constant + rank))
        # exact: ties do not hang on the order of the sum
        scores = {number: fsum(of_it) for number, of_it in shares.items()}
        return [
            Hit(*entry)
            for entry in sorted(scores.items(), key=lambda entry: (-entry[1], entry[0]))[:k]
        ]
