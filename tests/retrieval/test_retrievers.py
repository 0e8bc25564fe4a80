"""The hits of every retriever are those of brute force, whatever stands beside the query and
however many are asked for.
"""

from __future__ import annotations

import math
import os
import re
import sys
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from bm25s.stopwords import STOPWORDS_EN
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.retrieval import BM25, Dense, Hit, Hybrid, Store, best, open_index
from lm_eval_safescale.retrieval import dense as dense_module
from tests.retrieval.conftest import TEXTS

QUERIES = [
    "infarct on diffusion",
    "free air or free fluid?",
    "contrast, contrast and CONTRAST in pregnancy",
    "zebra",
    "",
    "the of and",
]


def many_texts(n=300, seed=1):
    draw = np.random.default_rng(seed)
    words = np.array([f"w{number}" for number in range(80)] + ["the", "and"])
    return [" ".join(draw.choice(words, size=draw.integers(1, 40))) + f" only{i}" for i in range(n)]


def opened(retriever, passages, store, parts=None, **settings):
    return open_index(
        retriever, passages, store, settings=settings, provided_by="ours", parts=parts
    )


# --- best -----------------------------------------------------------------------------------------

score_lists = st.lists(
    st.one_of(st.integers(-3, 3), st.floats(-1e6, 1e6, width=32)), min_size=1, max_size=60
)


@given(score_lists, st.sampled_from([np.float32, np.float64]))
def test_the_best_are_those_of_a_full_sort_for_every_k(scores, dtype):
    array = np.array(scores, dtype=dtype)
    everything = [
        Hit(i, float(array[i])) for i in sorted(range(len(array)), key=lambda i: (-array[i], i))
    ]
    for k in range(1, len(array) + 2):
        assert best(array, k) == everything[:k]


def test_a_score_that_is_not_a_number_is_never_ranked():
    with pytest.raises(ValueError, match="passage 1 "):
        best(np.array([1.0, math.nan, 2.0]), 2)


@given(score_lists, st.sampled_from([0, -1, 0.5]))
def test_only_what_scores_more_than_a_passage_that_matches_nothing_was_found(scores, above):
    array = np.array(scores, dtype=np.float64)
    matching = [hit for hit in best(array, len(array)) if hit.score > above]
    for k in range(1, len(array) + 2):
        assert best(array, k, above=above) == matching[:k]


# --- BM25 -----------------------------------------------------------------------------------------


def words_of(text):
    return [word for word in re.findall(r"(?u)\b\w\w+\b", text.lower()) if word not in STOPWORDS_EN]


def lucene(texts, query, k1=1.5, b=0.75):
    """Scores as Lucene's BM25Similarity defines them (without the constant k1 + 1), one passage
    after the other."""
    bags = [Counter(words_of(text)) for text in texts]
    average = sum(map(Counter.total, bags)) / len(bags)
    scores = []
    for bag in bags:
        norm = k1 * (1 - b + b * bag.total() / average)
        score = 0.0
        for word in words_of(query):
            containing = sum(word in other for other in bags)
            score += (
                math.log(1 + (len(bags) - containing + 0.5) / (containing + 0.5))
                * bag[word]
                / (bag[word] + norm)
            )
        scores.append(score)
    return scores


@pytest.mark.parametrize(
    "settings", [{}, {"k1": 0.9, "b": 0.4}, {"k1": 2, "b": 0}, {"k1": 1.2, "b": 1}]
)
@pytest.mark.parametrize("texts", [TEXTS, many_texts()], ids=["sentences", "many"])
def test_bm25_is_lucenes_by_brute_force(texts, settings, make, store):
    index = opened(BM25(**settings), make(texts), store, **settings)
    queries = (
        QUERIES
        if texts is TEXTS
        else ["w1 w2 w3", "w7", "w7 w7 w9 only12", "nothing known", "W5 and the w6"]
    )
    for query, hits in zip(queries, index.hits(queries, len(texts)), strict=True):
        expected = lucene(texts, query, **settings)
        matching = [score for score in expected if score > 0]
        assert sorted(hit.number for hit in hits) == [
            number for number, score in enumerate(expected) if score > 0
        ]
        assert [hit.score for hit in hits] == pytest.approx(
            [expected[hit.number] for hit in hits], rel=1e-5, abs=1e-6
        )
        assert [hit.score for hit in hits] == pytest.approx(
            sorted(matching, reverse=True), rel=1e-5, abs=1e-6
        )


@pytest.mark.parametrize(
    "query", ["zebra", "", "the of and", "x", "?!", "肺水肿的征象是什么?", "ปอด", "\u0301\u200d"]
)
def test_a_query_that_matches_nothing_finds_nothing(query, make, store):
    index = opened(BM25(), make(), store)
    assert index.hits([query, "infarct"], 4) == [[], *index.hits(["infarct"], 4)]


def test_passages_without_a_word_of_the_query_are_not_found_however_many_are_asked_for(make, store):
    (hits,) = opened(BM25(), make(), store).hits(["the infarct"], 6)
    assert {hit.number for hit in hits} == {1, 4}
    assert all(hit.score > 0 for hit in hits)


def test_equal_passages_are_ranked_by_number(make, store):
    texts = ["infarct seen"] * 50 + ["ulcer"] * 50
    hits = opened(BM25(), make(texts), store).hits(["infarct", "ulcer"], 7)
    assert [[hit.number for hit in found] for found in hits] == [
        list(range(7)),
        list(range(50, 57)),
    ]


def test_a_corpus_of_stop_words_cannot_be_indexed_by_words(make, store):
    with pytest.raises(
        SafescaleError,
        match=r"retriever bm25 \(ours\) cannot build its index: .*no passage holds a word",
    ):
        opened(BM25(), make(["the and of", "to a"]), store)


@pytest.mark.parametrize(
    "settings", [{"k1": -1}, {"b": 1.5}, {"b": -0.1}, {"k1": math.nan}, {"k1": math.inf}]
)
def test_bm25_refuses_settings_that_are_none(settings):
    with pytest.raises(ValueError, match="expected k1 of 0 or more"):
        BM25(**settings)


# --- Dense ----------------------------------------------------------------------------------------

DIMENSION = 16


class StubEncoder:
    """Embeds a text as the normalised sum of one random vector a word, and counts what it was asked
    for."""

    def __init__(self, fail_after=math.inf):
        self.texts, self.fail_after = [], fail_after

    def encode(self, texts, **_):
        if len(self.texts) + len(texts) > self.fail_after:
            raise KeyboardInterrupt
        self.texts += texts
        return np.array([embedding(text) for text in texts], dtype=np.float32)


def embedding(text):
    words = text.lower().split() or ["nothing"]
    vector = sum(
        np.random.default_rng(zlib.crc32(word.encode())).normal(size=DIMENSION) for word in words
    )
    return vector / np.linalg.norm(vector)


@pytest.fixture
def encoder(monkeypatch):
    stub = StubEncoder()
    monkeypatch.setattr(Dense, "_load_encoder", lambda self: stub)
    return stub


def test_dense_is_exact_cosine_similarity_by_brute_force_with_ties_by_number(encoder, make, store):
    texts = many_texts(200) + ["w1 w2 w3"] * 30
    index = opened(Dense(), make(texts), store)
    queries = ["w1 w2 w3", "w4", "the w5", ""]
    for query, hits in zip(queries, index.hits(queries, 20), strict=True):
        cosines = np.array([embedding(text) @ embedding(query) for text in texts])
        order = sorted(range(len(texts)), key=lambda i: (-round(cosines[i], 5), i))[:20]
        assert [hit.number for hit in hits] == order
        assert [hit.score for hit in hits] == pytest.approx(cosines[order], abs=2e-6)


def test_what_differs_by_less_than_a_batch_may_move_it_is_a_tie(encoder, make, store, monkeypatch):
    vectors = {"zero": [0.6, 0.8], "one": [0.6000001, 0.8], "two": [0.60001, 0.8], "query": [1, 0]}
    monkeypatch.setattr(
        encoder,
        "encode",
        lambda texts, **_: np.array([vectors[text] for text in texts], dtype=np.float32),
    )
    (hits,) = opened(Dense(), make(["zero", "one", "two"]), store).hits(["query"], 3)
    assert [hit.number for hit in hits] == [2, 0, 1]


def test_a_query_of_which_the_encoder_makes_nothing_finds_nothing(
    encoder, make, store, monkeypatch
):
    index = opened(Dense(), make(), store)
    known = index.hits(["infarct"], 3)
    embed = encoder.encode
    monkeypatch.setattr(
        encoder,
        "encode",
        lambda texts, **_: embed(texts) * np.array([[text != "zyx"] for text in texts]),
    )
    assert index.hits(["zyx", "infarct"], 3) == [[], *known]


def test_the_prefix_stands_before_queries_alone(encoder, make, store):
    opened(Dense(query_prefix="query: "), make(), store).hits(["one", "two"], 2)
    assert {"query: one", "query: two"} <= set(encoder.texts)
    assert sum(text.startswith("query: ") for text in encoder.texts) == 2


def test_an_interrupted_build_encodes_no_shard_twice(make, store, monkeypatch):
    monkeypatch.setattr(dense_module, "SHARD", 10)
    texts = many_texts(45)
    passages = make(texts)
    stub = StubEncoder(fail_after=25)
    monkeypatch.setattr(Dense, "_load_encoder", lambda self: stub)
    with pytest.raises(KeyboardInterrupt):
        opened(Dense(), passages, store)
    assert [path for path in store.root.iterdir() if not path.name.startswith(".")] == []
    stub.fail_after = math.inf
    index = opened(Dense(), passages, store)
    assert stub.texts == texts
    (place,) = store.root.iterdir()
    assert np.load(place / "embeddings.npy", allow_pickle=False) == pytest.approx(
        np.array([embedding(text) for text in texts])
    )
    assert index.hits([texts[31]], 1)[0][0].number == 31


@pytest.mark.parametrize("left", [b"", b"\x93NUMPY", b"garbage"])
def test_a_shard_that_a_power_failure_damaged_is_encoded_again(left, make, store, monkeypatch):
    monkeypatch.setattr(dense_module, "SHARD", 10)
    passages, stub = make(many_texts(25)), StubEncoder(fail_after=20)
    monkeypatch.setattr(Dense, "_load_encoder", lambda self: stub)
    with pytest.raises(KeyboardInterrupt):
        opened(Dense(), passages, store)
    (shard,) = store.root.glob(".*.scratch/10.npy")
    shard.write_bytes(left)
    stub.fail_after = math.inf
    opened(Dense(), passages, store)
    assert len(stub.texts) == 35


class StubTokenizer:
    """A token a word, and two that mark the ends."""

    model_max_length = 10**30

    def __call__(self, texts, *, truncation, **_):
        assert not truncation
        return {"input_ids": [[0, *range(len(text.split())), 1] for text in texts]}


@pytest.mark.parametrize(("limit", "longer"), [(8, 3), (9, 2), (13, 1), (14, 0), (None, 0)])
def test_passages_longer_than_the_encoder_reads_are_counted_in_a_warning_each_time_it_is_opened(
    limit, longer, encoder, make, store, monkeypatch
):
    monkeypatch.setattr(dense_module, "SHARD", 2)
    encoder.tokenizer, encoder.max_seq_length = StubTokenizer(), limit
    passages = make(["one two"] * 4 + [" ".join("w" * n) for n in (7, 8, 12)])
    for _ in range(2):
        retriever = Dense(model="some/encoder")
        opened(retriever, passages, store)
        assert len(retriever.warnings) == bool(longer)
    for text in retriever.warnings:
        assert f"{longer} of 7 passages" in text
        assert f"the {limit} tokens that the encoder 'some/encoder' reads" in text
        assert "lower chunk_tokens (now 300)" in text


def test_embeddings_that_are_not_finite_are_refused(make, store, monkeypatch):
    class Broken:
        def encode(self, texts, **_):
            return np.full((len(texts), 4), np.nan, dtype=np.float32)

    monkeypatch.setattr(Dense, "_load_encoder", lambda self: Broken())
    with pytest.raises(SafescaleError, match=r"retriever dense \(ours\).*not finite"):
        opened(Dense(), make(), store)
    assert list(store.root.iterdir()) == []


def test_an_encoder_whose_files_changed_under_its_name_is_found_out(
    encoder, make, store, monkeypatch
):
    passages = make()
    opened(Dense(), passages, store).hits(["one"], 1)
    monkeypatch.setattr(
        encoder,
        "encode",
        lambda texts, **_: np.array([-embedding(text) for text in texts], dtype=np.float32),
    )
    with pytest.raises(SafescaleError, match="its files have changed; delete the folder"):
        opened(Dense(), passages, store).hits(["one"], 1)


def test_an_encoder_that_is_not_there_is_named_with_what_to_do(make, store, tmp_path, monkeypatch):
    pytest.importorskip("sentence_transformers")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(
        SafescaleError, match=r"neither on this machine nor reachable.*name a model folder.*bm25"
    ):
        opened(Dense(model=str(tmp_path / "no-model")), make(), store)


@pytest.mark.skipif(
    not os.environ.get("ENCODER_DIR"), reason="ENCODER_DIR does not name an encoder's folder"
)
def test_the_real_encoder_finds_what_words_alone_do_not(make, store):
    passages = make()
    index = opened(Dense(model=os.environ["ENCODER_DIR"]), passages, store)
    queries = [
        "MRI of acute stroke",
        "renal failure after injected dye",
        "burst stomach ulcer",
        "haemorrhage after an accident",
    ]
    hits = index.hits(queries, 6)
    assert [
        found[0].number in right for found, right in zip(hits, [{1, 4}, {3}, {2}, {5}], strict=True)
    ] == [True] * 4
    assert all(-1 <= hit.score <= 1 for found in hits for hit in found)
    model = index.retriever._load_encoder()
    cosines = (
        model.encode(list(TEXTS), normalize_embeddings=True)
        @ model.encode(queries, normalize_embeddings=True).T
    )
    assert [[hit.number for hit in found] for found in hits] == np.argsort(
        -cosines, axis=0
    ).T.tolist()
    for i, query in enumerate(queries):
        assert [hit.number for hit in index.hits([query], 6)[0]] == [hit.number for hit in hits[i]]


# --- all of them ----------------------------------------------------------------------------------


@pytest.fixture(params=["bm25", "dense", "hybrid"])
def again(request, encoder, make, store):
    """Opens the retriever over 300 passages, anew each time."""
    passages = make(many_texts())

    def anew():
        if request.param != "hybrid":
            return opened({"bm25": BM25, "dense": Dense}[request.param](), passages, store)
        parts = {"bm25": opened(BM25(), passages, store), "dense": opened(Dense(), passages, store)}
        return opened(Hybrid(), passages, store, parts=parts)

    return anew


SEARCHES = ["w1 w2 w3", "w7 only12", "the", "w9 w9 w10 w11 w12 w13", "unknown", "w40 w41"]


def test_the_best_j_are_the_first_j_of_the_best_k(again):
    index = again()
    everything = index.hits(SEARCHES, 300)
    for k in (1, 2, 5, 50, 299):
        assert index.hits(SEARCHES, k) == [found[:k] for found in everything]


def test_the_other_queries_of_a_batch_do_not_matter(again):
    index = again()
    together = index.hits(SEARCHES, 10)
    assert together == [index.hits([query], 10)[0] for query in SEARCHES]
    assert together == index.hits(SEARCHES * 30, 10)[: len(SEARCHES)]
    assert together == index.hits(SEARCHES[::-1], 10)[::-1]


def test_a_reopened_index_gives_the_same_hits(again):
    assert again().hits(SEARCHES, 20) == again().hits(SEARCHES, 20)


def test_no_index_holds_a_pickle_and_arrays_are_memory_mapped(again, store):
    index = again()
    files = [path for path in store.root.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".npy", ".json", ".jsonl"}
    for path in files:
        if path.suffix == ".npy":
            assert np.load(path, allow_pickle=False).dtype != object
    if isinstance(index.retriever, BM25):
        assert isinstance(index.retriever._index.scores["data"], np.memmap)
    if isinstance(index.retriever, Dense):
        assert isinstance(index.retriever._vectors, np.memmap)


def test_stores_in_different_places_give_the_same_hits(make, tmp_path):
    passages = make(many_texts())
    left, right = (
        opened(BM25(), passages, Store(Path(tmp_path / name))) for name in ("left", "right")
    )
    assert left.hits(SEARCHES, 9) == right.hits(SEARCHES, 9)


# --- what is missing ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("module", "distribution"),
    [("sentence_transformers", "sentence-transformers"), ("faiss", "faiss-cpu")],
)
def test_a_missing_library_is_named_with_the_extra_that_brings_it(
    module, distribution, make, store, monkeypatch
):
    monkeypatch.setitem(sys.modules, module, None)
    if module == "faiss":
        monkeypatch.setattr(Dense, "_load_encoder", lambda self: StubEncoder())
    with pytest.raises(
        SafescaleError,
        match=rf"dense retrieval needs {distribution} .*pip install 'lm-eval-safescale\[dense\]'",
    ):
        opened(Dense(), make(), store).hits(["one"], 1)


def test_an_encoder_of_another_dimension_under_the_same_name_is_found_out(
    encoder, make, store, monkeypatch
):
    passages = make()
    opened(Dense(), passages, store)
    narrow = np.eye(1, DIMENSION // 2, dtype=np.float32)
    monkeypatch.setattr(encoder, "encode", lambda texts, **_: np.repeat(narrow, len(texts), axis=0))
    with pytest.raises(SafescaleError, match="its files have changed; delete the folder"):
        opened(Dense(), passages, store).hits(["one"], 1)


def test_scores_of_an_unsigned_type_are_ranked_like_any_other():
    scores = np.array([3, 0, 255, 3, 7], dtype=np.uint8)
    assert best(scores, 4) == [Hit(2, 255.0), Hit(4, 7.0), Hit(0, 3.0), Hit(3, 3.0)]


def test_a_second_opening_builds_nothing(again, monkeypatch):
    again()
    for retriever in (BM25, Dense, Hybrid):
        monkeypatch.setattr(retriever, "build", None)
    again()


def test_without_room_for_shards_the_index_is_built_all_the_same(encoder, make, tmp_path):
    texts = many_texts(5)
    Dense().build(make(texts), tmp_path, scratch=tmp_path / "not there")
    assert np.load(tmp_path / "embeddings.npy", allow_pickle=False).shape == (5, DIMENSION)
