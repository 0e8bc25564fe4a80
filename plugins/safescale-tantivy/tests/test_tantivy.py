"""The retriever against the formula, against itself in pieces, and against questions that look like
query syntax.
"""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from importlib.metadata import entry_points
from math import log
from pathlib import Path
from types import SimpleNamespace

import pytest
import safescale_tantivy
from safescale_tantivy import Tantivy

from lm_eval_safescale.hookspecs import GROUP
from lm_eval_safescale.retrieval import (
    Article,
    Corpus,
    Hit,
    Store,
    WordTokenizer,
    make_passages,
    open_index,
)
from lm_eval_safescale.testing import check_retriever

ARTICLES = [
    "fever and cough in a child",
    "cough without fever",
    "rash after fever: fever, fever, fever",
    "a fracture of the wrist",
    "fractures of both wrists heal",
]
HOSTILE = [
    '"fever',
    'text:fever AND (cough OR "rash")',
    "NOT fever",
    "-fever +cough",
    "fever^3 cough~2 ra*",
    "[fever TO cough}",
    "fever\\",
    "number:3",
    "/fe.*r/ <=cough> {a} ((((",
    "Welcher Befund spricht für „Fieber“? — 37.5 °C 發燒 \0",
    "fever " * 3000,
    "half a character: \ud800 fever",
]


@pytest.fixture
def make_index(tmp_path):
    def make(texts, store="indexes", **settings):
        corpus = Corpus.of(
            "test", [Article(f"{number:06}", "", text) for number, text in enumerate(texts)]
        )
        place = Store(tmp_path / store)
        passages = make_passages(corpus, WordTokenizer(), size=300, overlap=50, store=place)
        return open_index(
            Tantivy(**settings), passages, place, settings=settings, provided_by="safescale-tantivy"
        )

    return make


def hits(index, query, k) -> list[Hit]:
    return index.hits([query], k)[0]


def files(folder: Path) -> dict[str, str]:
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_it_keeps_the_contract_of_a_retriever():
    check_retriever(Tantivy)
    check_retriever(Tantivy, settings={"language": None})


def test_it_is_found_once_installed():
    registered = []
    entry_points(group=GROUP)["tantivy"].load().safescale_register_retrievers(registered.append)
    assert registered == [Tantivy]


def test_scores_are_those_of_the_formula(make_index):
    index = make_index(ARTICLES, language=None)
    texts = [article.replace(":", "").replace(",", "").split() for article in ARTICLES]
    mean = sum(map(len, texts)) / len(texts)
    query = ["cough", "fever", "wrist"]

    def score(text: list[str]) -> float:
        total = 0.0
        for word in query:
            matching = sum(word in other for other in texts)
            inverse = log(1 + (len(texts) - matching + 0.5) / (matching + 0.5))
            often = Counter(text)[word]
            total += inverse * 2.2 * often / (often + 1.2 * (0.25 + 0.75 * len(text) / mean))
        return total

    scores = ((score(text), -number) for number, text in enumerate(texts))
    expected = sorted((each for each in scores if each[0]), reverse=True)
    found = hits(index, " ".join(query), 5)
    assert [hit.number for hit in found] == [-number for _, number in expected]
    assert [hit.score for hit in found] == pytest.approx([score for score, _ in expected], rel=1e-5)


def test_words_are_stemmed_in_the_language_asked_for(make_index):
    matching = {
        language: {
            hit.number
            for hit in hits(make_index(ARTICLES, language=language), "wrist fracture", 5)
            if hit.score
        }
        for language in ("english", None)
    }
    assert matching == {"english": {3, 4}, None: {3}}


@pytest.mark.parametrize("language", ["klingon", "", 5])
def test_an_unknown_language_is_refused(language):
    with pytest.raises(ValueError, match="expected None or one of danish"):
        Tantivy(language)


@pytest.mark.parametrize("query", HOSTILE)
def test_a_question_is_words_and_never_query_syntax(make_index, query):
    index = make_index(ARTICLES)
    words = "".join(character if character.isalnum() else " " for character in query)
    assert hits(index, query, 5) == hits(index, words, 5)


@pytest.mark.parametrize("query", ["", "?! ...", "zebra", "x" * 100])
def test_a_query_without_a_known_word_finds_nothing(make_index, query):
    assert hits(make_index(ARTICLES), query, 3) == []


def test_only_passages_with_a_word_of_the_query_are_found(make_index):
    assert {hit.number for hit in hits(make_index(ARTICLES), "cough", 5)} == {0, 1}


class StubSearcher:
    """The engine's searcher, but with the last passage first among equals: it promises no order
    when there are several segments."""

    def __init__(self, searcher):
        self._searcher = searcher
        self.fast_field_values = searcher.fast_field_values

    def search(self, query, limit, count):
        found = self._searcher.search(query, self._searcher.num_docs, count=count).hits
        return SimpleNamespace(hits=sorted(found, key=lambda hit: (-hit[0], -hit[1].doc))[:limit])


@pytest.mark.parametrize(
    "order", [lambda searcher: searcher, StubSearcher], ids=["as it is", "backwards"]
)
def test_among_equals_the_lower_number_comes_first(make_index, order):
    index = make_index(["fever and cough"] * 40 + ["fever and fever"] * 3)
    index.retriever._searcher = order(index.retriever._searcher)
    for k in (1, 2, 3, 7, 43):
        assert [hit.number for hit in hits(index, "fever", k)] == [40, 41, 42, *range(40)][:k]


def test_an_index_in_several_segments_gives_the_hits_of_one(make_index, monkeypatch):
    random.seed(1)
    words = [f"word{number}" for number in range(60)]
    # to fill the memory
    unique = [" ".join(f"{letter}{number}" for letter in "abcdefgh") for number in range(20_000)]
    # of equal length: with many ties
    texts = [" ".join([*random.choices(words, k=4), own]) for own in unique]
    whole = make_index(texts, "whole")
    monkeypatch.setattr(safescale_tantivy, "MEMORY", 15_000_000)
    parts = make_index(texts, "parts")
    assert whole.retriever._searcher.num_segments == 1 < parts.retriever._searcher.num_segments
    for _ in range(20):
        query = " ".join(random.choices(words, k=3))
        everything = hits(whole, query, len(texts))
        for k in (1, 5, 60, len(texts)):
            assert hits(parts, query, k) == everything[:k]


def test_opening_and_searching_leave_the_folder_as_it_was(make_index, tmp_path):
    make_index(ARTICLES)
    before = files(tmp_path)
    assert hits(make_index(ARTICLES), "fever", 2) == hits(make_index(ARTICLES), "fever", 2)
    assert files(tmp_path) == before


def test_a_build_leaves_no_lock_behind(make_index, tmp_path):
    make_index(ARTICLES)
    assert not list(tmp_path.rglob("*.lock"))
