"""An index never passes on what a retriever got wrong: it says which retriever, whose, and for
which query.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.retrieval import Hit, Hybrid, open_index
from tests.retrieval.conftest import TEXTS, StubRetriever

GOOD = [Hit(2, 3.0), Hit(0, 1.5), Hit(5, -1.0)]
WRONG = {
    "too many": ([*GOOD, Hit(1, -2.0)], "4 passages; expected at most 3"),
    "twice": ([Hit(2, 3.0), Hit(2, 3.0), Hit(0, 1.0)], "passage 2 stands twice"),
    "beyond the last": (
        [Hit(2, 3.0), Hit(6, 2.0), Hit(0, 1.0)],
        "passage 6 is unknown; expected whole numbers from 0 to 5",
    ),
    "negative": ([Hit(2, 3.0), Hit(-1, 2.0), Hit(0, 1.0)], "passage -1 is unknown"),
    "an id": ([Hit("a#1", 3.0), Hit(1, 2.0), Hit(0, 1.0)], "passage 'a#1' is unknown"),
    "a fraction": ([Hit(1.5, 3.0), Hit(1, 2.0), Hit(0, 1.0)], "passage 1.5 is unknown"),
    "not a number": (
        [Hit(2, 3.0), Hit(1, math.nan), Hit(0, 1.0)],
        "score nan; expected a finite number",
    ),
    "infinite": ([Hit(2, math.inf), Hit(1, 2.0), Hit(0, 1.0)], "score inf"),
    "no score": ([Hit(2, 3.0), Hit(1, None), Hit(0, 1.0)], "score None"),
    "a text as score": ([Hit(2, "3"), Hit(1, "2"), Hit(0, "1")], "score '3'"),
    "a complex score": (
        [Hit(2, np.complex64(3)), Hit(1, 2.0), Hit(0, 1.0)],
        "expected a finite number",
    ),
    "rising": ([Hit(2, 1.0), Hit(1, 2.0), Hit(0, 0.5)], "scores rise"),
    "three values": ([(2, 3.0, "x"), (1, 2.0), (0, 1.0)], "TypeError"),
    "no list": (None, "TypeError"),
}


def opened(passages, store, answer, **more):
    return open_index(
        StubRetriever(answer, **more),
        passages,
        store,
        settings={"a": 1},
        provided_by="package acme",
    )


@pytest.mark.parametrize("wrong", WRONG)
def test_a_bad_answer_is_an_error_that_names_retriever_provider_and_query(wrong, make, store):
    hits, message = WRONG[wrong]
    index = opened(
        make(),
        store,
        lambda queries, k: [hits if query == "the second" else GOOD for query in queries],
    )
    with pytest.raises(SafescaleError, match="retriever stub") as error:
        index.search(["the first", "the second", "the third"], 3)
    for part in ("package acme", "'the second'", message):
        assert part in str(error.value)


def test_a_query_may_match_fewer_passages_than_are_asked_for_or_none(make, store):
    index = opened(
        make(), store, lambda queries, k: [GOOD[:2] if query == "two" else [] for query in queries]
    )
    assert [[passage.rank for passage in found] for found in index.search(["two", "none"], 3)] == [
        [1, 2],
        [],
    ]


@pytest.mark.parametrize("lists", [[], [GOOD], [GOOD] * 3])
def test_as_many_lists_as_queries_are_expected(lists, make, store):
    with pytest.raises(
        SafescaleError,
        match=rf"stub \(package acme\) gave {len(lists)} lists of hits for 2 queries",
    ):
        opened(make(), store, lambda queries, k: lists).search(["one", "two"], 3)


def failing(queries, k):
    if "the second" in queries:
        raise RuntimeError("no such engine\nat line 3")
    return [GOOD[:k]] * len(queries)


@pytest.mark.parametrize("queries", [["the first", "the second", "the third"], ["the second"]])
def test_a_failure_for_one_query_names_that_query(queries, make, store):
    index = opened(make(), store, failing)
    with pytest.raises(
        SafescaleError,
        match=r"stub \(package acme\) failed for the query 'the second': RuntimeError: no such e",
    ):
        index.search(queries, 3)
    assert [passage.rank for passage in index.search(["the first"], 3)[0]] == [1, 2, 3]


def test_a_failure_of_the_batch_alone_says_so(make, store):
    def answer(queries, k):
        if len(queries) > 1:
            raise MemoryError("too much")
        return [GOOD]

    with pytest.raises(SafescaleError, match="failed for 2 queries at once: MemoryError: too much"):
        opened(make(), store, answer).search(["one", "two"], 3)


def test_a_retriever_that_ends_the_process_for_one_query_ends_no_run_without_a_word(make, store):
    def answer(queries, k):
        if "the second" in queries:
            raise SystemExit(0)
        return [GOOD] * len(queries)

    with pytest.raises(
        SafescaleError, match=r"stub \(package acme\) failed for the query 'the second': SystemExit"
    ):
        opened(make(), store, answer).search(["the first", "the second"], 3)


def test_numbers_and_scores_of_numpy_are_welcome_and_become_plain(make, store):
    hits = [Hit(np.int64(2), np.float32(0.5)), (np.int32(0), np.float64(0.25)), (5, 0)]
    (found,) = opened(
        make(), store, lambda queries, k: np.array([0]) if not queries else [hits]
    ).search(["q"], 3)
    assert [(passage.article, passage.score, passage.rank) for passage in found] == [
        ("a00002", 0.5, 1),
        ("a00000", 0.25, 2),
        ("a00005", 0.0, 3),
    ]
    assert all(type(passage.score) is float for passage in found)
    assert found[0].text == TEXTS[2]


def test_k_is_at_most_the_number_of_passages_and_at_least_one(make, store):
    index = opened(
        make(), store, lambda queries, k: [[Hit(number, 0.0) for number in range(k)]] * len(queries)
    )
    assert [len(found) for found in index.search(["one", "two"], 1000)] == [6, 6]
    assert index.search([], 3) == []


@pytest.mark.parametrize("k", [0, -5, 2.5, math.nan, "3", None])
def test_a_k_that_is_no_whole_number_is_refused_before_a_retriever_could_be_blamed(k, make, store):
    index = opened(make(), store, lambda queries, k: pytest.fail("it was asked"))
    with pytest.raises(ValueError, match="expected a whole number from 1"):
        index.search(["one"], k)


def test_a_retriever_that_alters_the_queries_alters_its_own_copy(make, store):
    def greedy(queries, k):
        queries.append("one more")
        return [GOOD] * len(queries)

    asked = ["one", "two"]
    with pytest.raises(SafescaleError, match="gave 3 lists of hits for 2 queries"):
        opened(make(), store, greedy).search(asked, 3)
    assert asked == ["one", "two"]


def test_many_queries_are_asked_in_batches_and_answered_in_order(make, store):
    index = opened(
        make(), store, lambda queries, k: [[Hit(int(query) % 6, 0.0)] for query in queries]
    )
    queries = [str(number) for number in range(2500)]
    assert [hits[0].number for hits in index.hits(queries, 1)] == [
        number % 6 for number in range(2500)
    ]
    assert max(len(asked) for asked in index.retriever.asked) <= 1024


def test_a_long_query_is_shown_short(make, store):
    with pytest.raises(SafescaleError) as error:
        opened(make(), store, lambda queries, k: [GOOD]).search(["word " * 1000], 1)
    assert len(str(error.value)) < 300


def raising(error):
    def build(folder):
        raise error

    return build


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("no disk engine"), "cannot build its index: RuntimeError: no disk engine"),
        (SafescaleError("model missing; name a folder"), "model missing; name a folder"),
        (FileNotFoundError(2, "No such file or directory", "/models/x"), "FileNotFoundError"),
        (ConnectionError("hub unreachable"), "ConnectionError: hub unreachable"),
        (SystemExit(0), "cannot build its index: SystemExit: 0"),
    ],
)
def test_a_failing_build_names_the_retriever_and_leaves_nothing(error, said, make, store):
    passages = make()
    with pytest.raises(SafescaleError, match=r"retriever stub \(package acme\)") as found:
        opened(passages, store, lambda queries, k: [], build=raising(error))
    assert said in str(found.value)
    assert list(store.root.iterdir()) == []
    assert opened(passages, store, lambda queries, k: [GOOD]).hits(["q"], 3) == [GOOD]


def test_a_failing_open_names_retriever_folder_and_remedy(make, store):
    class Unopenable(StubRetriever):
        def open(self, passages, folder):
            raise KeyError("vocabulary")

    with pytest.raises(
        SafescaleError,
        match=r"stub \(package acme\) cannot open its index .*stub-.*KeyError.*delete the folder",
    ):
        open_index(
            Unopenable(lambda queries, k: []),
            make(),
            store,
            settings={},
            provided_by="package acme",
        )


def test_the_index_is_built_once_for_the_same_settings_and_again_for_others(make, store):
    built = []
    passages, others = make(), make(TEXTS[:3])

    def names(settings, of=passages, provider="acme"):
        retriever = StubRetriever(lambda queries, k: [], build=built.append)
        return open_index(retriever, of, store, settings=settings, provided_by=provider).about[
            "index"
        ]

    first = names({"a": 1})
    assert names({"a": 1}) == first
    assert len(built) == 1
    assert (
        len({first, names({"a": 2}), names({"a": 1}, of=others), names({"a": 1}, provider="other")})
        == 4
    )
    assert len(built) == 4


def test_settings_that_are_masked_for_their_names_make_indexes_of_their_own_and_are_not_written(
    make, store
):
    passages = make()

    def index(settings):
        return open_index(
            StubRetriever(lambda queries, k: []),
            passages,
            store,
            settings=settings,
            provided_by="acme",
        )

    light, heavy, again = (
        index({"keyword_weight": weight})
        for weight in ("weight-of-1", "weight-of-9", "weight-of-9")
    )
    assert light.about["index"] != heavy.about["index"] == again.about["index"]
    assert heavy.about["settings"] == {"keyword_weight": "***"}
    keys = [json.loads(path.read_text())["key"] for path in store.root.glob("*/about.json")]
    assert len({key["settings_sha256"] for key in keys}) == 2
    assert "weight-of" not in str(keys)
    index({"a": (1, 2)})
    assert (
        sum("settings_sha256" in path.read_text() for path in store.root.glob("*/about.json")) == 2
    )


def test_reciprocal_rank_fusion_by_hand(make, store):
    passages = make()
    left = opened(
        passages,
        store,
        lambda queries, k: (
            [[Hit(n, 9 - i) for i, n in enumerate((3, 1, 0, 2, 4, 5)[:k])]] * len(queries)
        ),
    )
    right = opened(
        passages,
        store,
        lambda queries, k: (
            [[Hit(n, 9 - i) for i, n in enumerate((1, 4, 3, 5, 0, 2)[:k])]] * len(queries)
        ),
    )
    fused = open_index(
        Hybrid(("left", "right"), constant=10, depth=3),
        passages,
        store,
        settings={},
        provided_by="ours",
        parts={"left": left, "right": right},
    )
    (hits,) = fused.hits(["q"], 6)
    scores = {1: 1 / 12 + 1 / 11, 3: 1 / 11 + 1 / 13, 4: 1 / 12, 0: 1 / 13}
    assert [hit.number for hit in hits] == [1, 3, 4, 0]
    assert [hit.score for hit in hits] == pytest.approx([scores[hit.number] for hit in hits])
    assert all(fused.hits(["q", "r"], k) == [hits[:k]] * 2 for k in range(1, 7))


@pytest.mark.parametrize("settings", [
    {"retrievers": ["bm25"]}, {"retrievers": ["bm25", "bm25"]}, {"retrievers": "bm25"},
    {"args": {"other": {}}}, {"constant": 0}, {"depth": 0},
])  # fmt: skip
def test_a_fusion_of_nothing_is_refused(settings):
    with pytest.raises(ValueError, match=r"expected|not among"):
        Hybrid(**settings)
