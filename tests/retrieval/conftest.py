"""What the tests of retrieval share: a small corpus, a store in a temporary folder, and a retriever
made of a function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from lm_eval_safescale.retrieval import (
    WORDS,
    Article,
    Corpus,
    Passages,
    Retriever,
    Store,
    load_tokenizer,
    make_passages,
)

TEXTS = (
    "Gadolinium is avoided in pregnancy unless the benefit is clear.",
    "Diffusion restriction appears within minutes of an infarct.",
    "A perforated duodenal ulcer shows free air under the diaphragm.",
    "Iodinated contrast may harm the kidneys of a dehydrated patient.",
    "The infarct is bright on diffusion and dark on the map of the diffusion coefficient.",
    "Free fluid in the pelvis after trauma needs a search for the bleeding vessel.",
)


@pytest.fixture(autouse=True)
def _no_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("SAFESCALE_INDEX_DIR", str(tmp_path / "indexes"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def make(tmp_path) -> Callable[..., Passages]:
    """Passages of texts, one each unless cut smaller."""

    def passages(texts: Sequence[str] = TEXTS, *, size: int = 300, overlap: int = 0) -> Passages:
        corpus = Corpus.of(
            "stub", [Article(f"a{number:05}", "", text) for number, text in enumerate(texts)]
        )
        return make_passages(
            corpus, load_tokenizer(WORDS), size=size, overlap=overlap, store=Store(tmp_path / "cut")
        )

    return passages


class StubRetriever(Retriever):
    """Answers with whatever it was given."""

    name = "stub"

    def __init__(
        self,
        answer: Callable[[Sequence[str], int], Any],
        build: Callable[[Path], None] = lambda folder: None,
    ) -> None:
        self.answer, self.write = answer, build
        self.asked: list[list[str]] = []

    def build(self, passages: Passages, folder: Path, *, scratch: Path) -> None:
        (folder / "index.txt").write_text("an index", encoding="utf-8")
        self.write(folder)

    def open(self, passages: Passages, folder: Path) -> None:
        assert (folder / "index.txt").is_file()

    def search(self, queries: Sequence[str], k: int) -> Any:
        self.asked.append(list(queries))
        return self.answer(queries, k)
