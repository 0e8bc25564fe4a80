"""Passages hold every token, have exactly the size and overlap asked for, and know their
article.
"""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.retrieval import WORDS, Article, Corpus, cut, load_tokenizer, make_passages
from lm_eval_safescale.retrieval import tokenizers as module
from lm_eval_safescale.retrieval.scripts import UNSPACED

words = load_tokenizer(WORDS)
texts = st.one_of(
    st.text(max_size=200),
    st.text(alphabet="ab1_\u0301\u200d肺の ก\u0e49, ", max_size=100),
    st.text(alphabet="ab1_é-., \n\u200b\U0001f600", max_size=300),
    st.text(alphabet="x ", max_size=200),
)
sizes = st.integers(1, 12).flatmap(lambda size: st.tuples(st.just(size), st.integers(0, size - 1)))


def tokens_of(text):
    """Spans of words, ideographs and punctuation marks by another way than the tokenizer's: one
    character after the other."""
    spans: list[tuple[int, int]] = []
    takes: tuple[str, ...] = ()  # what may go on with the last span
    for at, character in enumerate(text):
        kind = kind_of(character)
        if kind in takes and not ("letter" in takes and at - spans[-1][0] == 32):
            spans[-1] = (spans[-1][0], at + 1)
            continue
        takes = {"letter": ("letter", "mark"), "unspaced": ("mark",)}.get(kind, ())
        if kind != "space":
            spans.append((at, at + 1))
    return spans


def kind_of(character):
    if re.match(f"[{UNSPACED}]", character):
        return "unspaced"
    if unicodedata.category(character)[0] == "M" and (
        character < "\U00010000" or "\U000e0100" <= character <= "\U000e01ef"
    ):
        return "mark"
    if character in "\u200c\u200d":
        return "mark"
    return (
        "letter"
        if character.isalnum() or character == "_"
        else "space"
        if character.isspace()
        else "sign"
    )


@given(texts, sizes)
def test_a_cut_covers_every_token_in_passages_of_exact_size_and_overlap(text, how):
    size, overlap = how
    spans = tokens_of(text)
    found = [
        [i for i, (left, right) in enumerate(spans) if start <= left and right <= end]
        for start, end in cut(text, words, size=size, overlap=overlap)
    ]
    assert sorted({i for tokens in found for i in tokens}) == list(range(len(spans)))
    assert all(len(tokens) == size for tokens in found[:-1])
    for before, after in pairwise(found):
        assert [i for i in after if i in before] == before[size - overlap :]
    if found:
        assert len(found[-1]) > (overlap if len(found) > 1 else 0)  # never only overlap
        assert len(found[-1]) <= size


def test_a_cut_by_hand():
    text = "one two three four five six seven"
    shown = [text[start:end].strip() for start, end in cut(text, words, size=4, overlap=1)]
    assert shown == ["one two three four", "four five six seven"]
    assert (
        len(cut(text, words, size=7, overlap=6)) == len(cut(text, words, size=300, overlap=50)) == 1
    )
    assert cut(" ", words, size=4, overlap=1) == []


def test_passages_know_their_article_part_and_text(make):
    passages = make(["one two three four five", "six", "seven eight nine"], size=3, overlap=1)
    assert list(passages.texts()) == ["one two three", "three four five", "six", "seven eight nine"]
    assert [passages.text(number) for number in range(len(passages))] == list(passages.texts())
    shown = [passages.passage(number, score=0.5, rank=1) for number in range(4)]
    assert [passage.id for passage in shown] == ["a00000#1", "a00000#2", "a00001#1", "a00002#1"]
    assert [passage.article for passage in shown] == ["a00000", "a00000", "a00001", "a00002"]


def test_the_title_belongs_to_the_first_passage(store):
    corpus = Corpus.of("stub", [Article("a", "Ulcer", "Free air under the diaphragm.")])
    passages = make_passages(corpus, words, size=3, overlap=0, store=store)
    assert [re.sub(r"\s+", " ", text) for text in passages.texts()] == [
        "Ulcer Free air",
        "under the diaphragm",
        ".",
    ]
    assert passages.describe() | {"corpus_fingerprint": ""} == {
        "corpus": "stub", "corpus_fingerprint": "", "articles": 1, "passages": 3,
        "tokenizer": WORDS, "tokenizer_fingerprint": words.fingerprint, "size": 3, "overlap": 0,
    }  # fmt: skip


def test_an_article_without_a_word_has_no_passage_and_shifts_no_other(store):
    corpus = Corpus.of(
        "stub", [Article("a", "", "one"), Article("b", "", " "), Article("c", "", "three")]
    )
    passages = make_passages(corpus, words, size=3, overlap=0, store=store)
    assert [passages.passage(number, score=0, rank=1).id for number in range(len(passages))] == [
        "a#1",
        "c#1",
    ]


@pytest.mark.parametrize(("size", "overlap"), [(5, 5), (5, 6), (5, -1)])
def test_an_overlap_that_is_no_smaller_than_the_passage_is_refused(size, overlap, make):
    with pytest.raises(SafescaleError, match=f"chunk_overlap is {overlap} and chunk_tokens {size}"):
        make(size=size, overlap=overlap)


def test_a_corpus_without_a_word_is_refused_and_leaves_nothing(store):
    with pytest.raises(SafescaleError, match="corpus stub: no passages"):
        make_passages(
            Corpus.of("stub", [Article("a", "", " ")]), words, size=3, overlap=0, store=store
        )
    assert list(store.root.iterdir()) == []


def test_where_passages_were_cut_is_kept_memory_mapped_and_holds_no_pickle(make, monkeypatch):
    before = make()
    monkeypatch.setattr(module.WordTokenizer, "blocks", None)  # a second cut would fail
    again = make()
    assert np.array_equal(before.bounds, again.bounds)
    assert isinstance(again.bounds, np.memmap)
    assert before.fingerprint == again.fingerprint


def test_another_size_overlap_or_text_is_another_fingerprint(make):
    prints = {
        make().fingerprint,
        make(size=5).fingerprint,
        make(size=5, overlap=2).fingerprint,
        make(["other"]).fingerprint,
    }
    assert len(prints) == 4


def test_a_run_of_white_space_is_no_passage_though_the_tokenizer_counts_it(store):
    class StubCharacters:
        """A token for every character."""

        name = fingerprint = "characters"

        def count(self, texts):
            return [len(text) for text in texts]

        def blocks(self, text, size):
            return [(i, min(i + size, len(text))) for i in range(0, len(text), size)]

    corpus = Corpus.of("stub", [Article("a", "", "ab" + "\n" * 7 + "c")])
    passages = make_passages(corpus, StubCharacters(), size=3, overlap=0, store=store)
    assert [passages.passage(number, score=0, rank=1).text for number in range(len(passages))] == [
        "ab",
        "c",
    ]
