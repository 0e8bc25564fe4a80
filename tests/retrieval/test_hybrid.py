"""Fusion counts what the retrievers found, and shows nothing that none of them found."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.retrieval import BM25, Hit, Hybrid, Index, open_index
from tests.retrieval.conftest import StubRetriever


class StubParts:
    """Passages that are only counted."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n


def fused(
    rankings: list[list[int]], n: int, k: int, *, matching: int | None = None, **settings
) -> list[tuple[int, float]]:
    """The fusion of rankings of passage numbers, of which the first `matching` match the query."""
    retriever = Hybrid([f"r{i}" for i in range(len(rankings))], **settings)
    passages = StubParts(n)
    retriever.parts = {}
    for i, ranking in enumerate(rankings):
        hits = [Hit(number, n - rank) for rank, number in enumerate(ranking)][:matching]
        stub = StubRetriever(lambda queries, k, hits=hits: [hits[:k]] * len(queries))
        retriever.parts[f"r{i}"] = Index(
            {"retriever": f"r{i}", "provided_by": "stub"}, stub, passages
        )
    (found,) = retriever.search(["query"], k)
    return [tuple(hit) for hit in found]


def test_ranks_fused_by_hand():
    found = fused([[0, 1, 2], [2, 3, 0]], n=6, k=6, depth=3)
    assert found == [
        (0, pytest.approx(1 / 61 + 1 / 63)),
        (2, pytest.approx(1 / 61 + 1 / 63)),
        (1, pytest.approx(1 / 62)),
        (3, pytest.approx(1 / 62)),
    ]


def test_the_constant_and_the_depth_are_what_was_asked():
    assert fused([[0, 1, 2], [2, 1, 0]], n=3, k=3, constant=1, depth=1) == [(0, 1 / 2), (2, 1 / 2)]
    assert fused([[0, 1, 2], [2, 1, 0]], n=3, k=1, constant=0.5, depth=2) == [
        (1, pytest.approx(2 / 2.5))
    ]


def test_what_no_retriever_found_is_not_found():
    assert [number for number, _ in fused([[5], [5, 7, 6]], n=8, k=8)] == [5, 7, 6]
    assert [number for number, _ in fused([[], [7, 6]], n=8, k=8)] == [7, 6]
    assert fused([[], []], n=8, k=8) == []


def test_passages_without_a_word_of_the_query_are_ranked_by_the_other_retriever_alone(make, store):
    passages = make(["nothing here", "nor here", "the torsion", "near torsion"])
    words = open_index(BM25(), passages, store, settings={}, provided_by="ours")
    meaning = StubRetriever(
        lambda queries, k: [[Hit(3, 0.9), Hit(2, 0.8), Hit(1, 0.2), Hit(0, 0.1)]] * len(queries)
    )
    other = open_index(meaning, passages, store, settings={}, provided_by="stub")
    parts = {"words": words, "meaning": other}
    index = open_index(
        Hybrid(list(parts)), passages, store, settings={}, provided_by="ours", parts=parts
    )
    assert [hit.number for hit in index.hits(["torsion"], 4)[0]] == [2, 3, 1, 0]


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_equal_shares_from_different_retrievers_are_a_tie_whatever_the_order_of_the_sum(order):
    n = 30
    places = {0: (26, 0, 3), 1: (0, 3, 26), 2: (3, 26, 0)}  # each passage has the same three ranks
    rankings = []
    for i in order:
        ranking: list[int | None] = [None] * n
        for number, ranks in places.items():
            ranking[ranks[i]] = number
        others = iter(range(3, n))
        rankings.append([next(others) if number is None else number for number in ranking])
    found = dict(fused(rankings, n=n, k=n))
    assert len(found) == n
    assert found[0] == found[1] == found[2]


RANKINGS = st.integers(2, 8).flatmap(
    lambda n: st.tuples(
        st.just(n), st.lists(st.permutations(range(n)), min_size=2, max_size=4), st.integers(1, n)
    )
)


@given(RANKINGS, st.integers(1, 9), st.sampled_from([1, 60]))
def test_fusion_equals_the_sum_written_out_and_the_best_j_are_the_first_of_the_best_k(
    drawn, depth, constant
):
    n, rankings, matching = drawn
    found = fused(rankings, n, n, matching=matching, depth=depth, constant=constant)
    counted = min(depth, matching)
    expected = [
        sum(1 / (constant + r.index(number) + 1) for r in rankings if r.index(number) < counted)
        for number in range(n)
    ]
    assert sorted(number for number, _ in found) == [
        number for number in range(n) if expected[number]
    ]
    assert [score for _, score in found] == pytest.approx([expected[number] for number, _ in found])
    assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
    for j in range(1, n):
        assert fused(rankings, n, j, matching=matching, depth=depth, constant=constant) == found[:j]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"retrievers": []}, "expected two or more different ones"),
        ({"retrievers": ["bm25"]}, "expected two or more different ones"),
        ({"retrievers": ["bm25", "bm25", "dense"]}, "expected two or more different ones"),
        ({"retrievers": "bm25"}, "expected two or more different ones"),
        (
            {"args": {"tantivy": {}}},
            "args for tantivy, which is not among the retrievers bm25, dense",
        ),
        ({"constant": 0}, "expected a positive constant"),
        ({"constant": -1}, "expected a positive constant"),
        ({"constant": float("inf")}, "expected a positive constant"),
        ({"constant": float("nan")}, "expected a positive constant"),
        ({"depth": 0}, "a whole depth from 1"),
        ({"depth": 10.5}, "a whole depth from 1"),
    ],
)
def test_settings_that_fuse_nothing_are_refused(settings, expected):
    with pytest.raises(ValueError, match=expected):
        Hybrid(**settings)


def test_the_parts_get_their_own_settings():
    needs = Hybrid(["bm25", "tantivy"], args={"tantivy": {"language": "en"}}).needs()
    assert needs == {"bm25": {}, "tantivy": {"language": "en"}}
    assert list(Hybrid().needs()) == ["bm25", "dense"]


def test_a_score_of_0_above_lower_ones_is_a_match_as_of_a_retriever_by_distance():
    by_distance = [Hit(2, 0.0), Hit(0, -0.5), Hit(1, -2.0)]
    retriever = Hybrid(["one", "other"])
    stubs = {
        name: StubRetriever(lambda queries, k: [by_distance[:k]] * len(queries))
        for name in ("one", "other")
    }
    passages = StubParts(3)
    retriever.parts = {
        name: Index({"retriever": name, "provided_by": "stub"}, stub, passages)
        for name, stub in stubs.items()
    }
    (found,) = retriever.search(["query"], 3)
    assert found == [
        (2, pytest.approx(2 / 61)),
        (0, pytest.approx(2 / 62)),
        (1, pytest.approx(2 / 63)),
    ]
