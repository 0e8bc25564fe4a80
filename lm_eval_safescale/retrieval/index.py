"""An index: a retriever opened over passages, whose hits are checked before anyone builds on
them.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from numbers import Integral, Real
from typing import Any

from lm_eval_safescale.errors import FAILURES, SafescaleError, reason_of
from lm_eval_safescale.records import Passage
from lm_eval_safescale.retrieval.passages import Passages
from lm_eval_safescale.retrieval.retriever import Hit, Retriever, unknown_numbers
from lm_eval_safescale.retrieval.store import Store
from lm_eval_safescale.secrets import without_secrets

BATCH = 1024


@dataclass(frozen=True)
class Index:
    """Searches passages. Made by `open_index`."""

    about: Mapping[str, Any]
    """Retriever, who provides it, settings, key: what a result must say of it."""
    retriever: Retriever
    passages: Passages

    def search(self, queries: Sequence[str], k: int) -> list[list[Passage]]:
        """The k best passages for each query, best first, ranked from 1; fewer, or none, where no
        more match.

        Raises
        ------
        SafescaleError
            Naming the retriever and the query, if it fails or gives too many, duplicate, unknown or
            badly scored passages.
        """
        return [
            [
                self.passages.passage(int(hit.number), score=float(hit.score), rank=rank)
                for rank, hit in enumerate(found, 1)
            ]
            for found in self.hits(queries, k)
        ]

    def hits(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        """As `search`, as numbers and scores."""
        if not isinstance(k, Integral) or k < 1:
            raise ValueError(f"k = {k!r}; expected a whole number from 1")
        k = min(k, len(self.passages))
        found: list[list[Hit]] = []
        for start in range(0, len(queries), BATCH):
            found += self._searched(queries[start : start + BATCH], k)
        return found

    def _searched(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        try:
            answers = self._answers(queries, k)
        except FAILURES as error:
            raise SafescaleError(
                f"{self._who} failed{self._for_which(queries, k)}: {_said(error)}"
            ) from error
        if len(answers) != len(queries):
            raise SafescaleError(
                f"{self._who} gave {len(answers)} lists of hits for {len(queries)} queries; "
                "expected one for each"
            )
        for query, hits in zip(queries, answers, strict=True):
            if wrong := _wrong(hits, k, len(self.passages)):
                raise SafescaleError(f"{self._who}, for the query {_short(query)}: {wrong}")
        return answers

    def _answers(self, queries: Sequence[str], k: int) -> list[list[Hit]]:
        return [[Hit(*hit) for hit in hits] for hits in self.retriever.search(list(queries), k)]

    def _for_which(self, queries: Sequence[str], k: int) -> str:
        """Which of the queries it fails for, asked one by one."""
        for query in queries if len(queries) > 1 else ():
            try:
                self._answers([query], k)
            except FAILURES:
                return f" for the query {_short(query)}"
        return (
            f" for the query {_short(queries[0])}"
            if len(queries) == 1
            else f" for {len(queries)} queries at once"
        )

    @property
    def _who(self) -> str:
        return f"retriever {self.about['retriever']} ({self.about['provided_by']})"


def open_index(
    retriever: Retriever,
    passages: Passages,
    store: Store,
    *,
    settings: Mapping[str, Any],
    provided_by: str,
    parts: Mapping[str, Index] | None = None,
) -> Index:
    """An index of the passages, from the store or built into it.

    Raises
    ------
    SafescaleError
        Naming the retriever, if it cannot build or open its index. Nothing half-made is left.
    """
    retriever.parts = dict(parts or {})
    who = f"retriever {retriever.name} ({provided_by})"
    try:
        key = {
            "retriever": retriever.name,
            "provided_by": provided_by,
            "version": retriever.version,
            **_written(settings),
            "passages": passages.fingerprint,
            "parts": {name: index.about for name, index in retriever.parts.items()},
        }
        folder = store.folder(
            retriever.name,
            key,
            lambda empty, scratch: retriever.build(passages, empty, scratch=scratch),
            about={"corpus": passages.corpus.name, "passages_cut": passages.cut},
        )
    except SafescaleError as error:
        raise SafescaleError(f"{who}: ", error) from error
    except FAILURES as error:
        raise SafescaleError(f"{who} cannot build its index: {_said(error)}") from error
    try:
        retriever.open(passages, folder)
    except FAILURES as error:
        raise SafescaleError(
            f"{who} cannot open its index {folder}: {_said(error)}; delete the folder, and it is "
            "made again"
        ) from error
    about = {name: key[name] for name in ("retriever", "provided_by", "version", "settings")} | {
        "index": folder.name
    }
    return Index(about, retriever, passages)


def _written(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they stand in a key. Where some are masked, the SHA-256 of all as given (JSON)
    tells them from others."""
    masked = without_secrets(settings)
    shown, given = (json.dumps(each, sort_keys=True) for each in (masked, settings))
    return {"settings": masked} | (
        {} if shown == given else {"settings_sha256": sha256(given.encode()).hexdigest()}
    )


def _wrong(hits: Sequence[Hit], k: int, n: int) -> str:
    """What is wrong with the hits of one query; empty if nothing is."""
    numbers = [hit.number for hit in hits]
    if unknown := unknown_numbers(hits, n):
        return f"passage {unknown[0]!r} is unknown; expected whole numbers from 0 to {n - 1}"
    if twice := [number for number, count in Counter(numbers).items() if count > 1]:
        return f"passage {twice[0]} stands twice"
    if len(hits) > k:
        return f"{len(hits)} passages; expected at most {k}"
    if bad := [hit.score for hit in hits if not _is_finite(hit.score)]:
        return f"score {bad[0]!r}; expected a finite number"
    if any(left.score < right.score for left, right in pairwise(hits)):
        return "scores rise from one passage to the next; expected best first"
    return ""


def _is_finite(score: object) -> bool:
    try:
        return isinstance(score, Real) and math.isfinite(score)
    except OverflowError:  # a whole number beyond all floats
        return False


def _said(error: BaseException) -> str:
    return (
        f"{type(error).__name__}: {reason_of(error)}"
        if not isinstance(error, SafescaleError)
        else str(error)
    )


def _short(query: str) -> str:
    return repr(query if len(query) <= 80 else query[:77] + "...")
