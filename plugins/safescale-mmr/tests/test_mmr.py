"""The builder against rankings worked by hand."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest
from safescale_mmr import MMR, build, choose, content_words, scaled, similarity

from lm_eval_safescale.contexts import RULE
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.hookspecs import GROUP
from lm_eval_safescale.records import Choice, Passage
from lm_eval_safescale.testing import check_context_builder

ITEM = Choice("1", "Which finding?", {"A": "one", "B": "two"}, "A")
RANKED = [
    Passage(f"{name}#1", name, "", text, score, rank)
    for rank, (name, text, score) in enumerate(
        [
            ("a", "pleural line pneumothorax", 10.0),
            ("b", "the pleural line of a pneumothorax", 9.0),  # the content words of a
            ("c", "pleural effusion", 8.0),  # shares 1 of 4 words with a
            ("d", "hip dysplasia", 5.0),  # shares nothing
            ("e", "scaphoid fracture", 0.0),
        ],
        1,
    )
]


class StubTools:
    """A workbench that always finds the same passages, and notes how many it was asked for."""

    def search(self, queries, k):
        self.asked = k
        return [RANKED[:k] for _ in queries]


def names(passages) -> str:
    return "".join(passage.article for passage in passages)


def test_it_keeps_the_contract_of_a_context_builder():
    check_context_builder(MMR)
    check_context_builder(MMR, settings={"diversity": 1.0, "pool": 2})


def test_it_is_found_once_installed():
    registered = []
    entry_points(group=GROUP)["mmr"].load().safescale_register_context_builders(registered.append)
    assert registered == [MMR]


# Relevance of a to e: 1, 0.9, 0.8, 0.5, 0. At diversity 0.5, after a (halved below):
#   b 0.9 - 1 = -0.1    c 0.8 - 0.25 = 0.55    d 0.5 - 0 = 0.5    e 0
#   so c, then d, then e (0), then b (-0.1).
# At 0.3: after a: b 0.63 - 0.3 = 0.33, c 0.56 - 0.075 = 0.485, d 0.35, e 0
#   so c, then d, then b, then e.
# At 1: after a, similarity alone: d and e 0 (d is ranked higher), then e, c (-0.25), b (-1).
@pytest.mark.parametrize(
    ("diversity", "order"), [(0, "abcde"), (0.3, "acdbe"), (0.5, "acdeb"), (1, "adecb")]
)
def test_passages_are_chosen_as_by_hand(diversity, order):
    for k in range(1, 7):
        assert names(choose(RANKED, k, diversity)) == order[:k]


def test_without_diversity_the_order_is_the_retrievers_even_among_equal_scores():
    tied = [Passage(f"{n}#1", str(n), "", "same words", 1.0, n + 1) for n in range(9)]
    assert choose(tied, 9, 0) == tied


def test_the_pool_is_never_smaller_than_what_is_shown():
    for top_k, pool, asked in ((2, 4, 4), (3, 1, 3)):
        bench = StubTools()
        (draft,) = build([ITEM], bench, top_k=top_k, pool=pool)
        assert (bench.asked, len(draft.passages), draft.notes["pool"]) == (asked, top_k, asked)


@pytest.mark.parametrize("found", [0, 2])
def test_where_fewer_passages_are_found_than_wanted_only_those_are_shown(found):
    class Scarce(StubTools):
        def search(self, queries, k):
            return [RANKED[:found] for _ in queries]

    (draft,) = build([ITEM], Scarce(), top_k=3)
    assert (names(draft.passages), draft.text.count("pleural"), draft.passages_wanted) == (
        "ab"[:found],
        found,
        3,
    )


def test_the_text_is_that_of_the_chosen_passages_in_their_order():
    (draft,) = build([ITEM], StubTools(), top_k=2, pool=5, diversity=0.5)
    assert draft.text == f"pleural line pneumothorax{RULE}pleural effusion"
    assert [passage.rank for passage in draft.passages] == [1, 3]


@pytest.mark.parametrize(
    "settings",
    [{"diversity": value} for value in (-0.1, 1.1, float("nan"), "0.3", True, None)]
    + [{"pool": v} for v in (0, 2.5, "9", True)],
)
def test_a_setting_that_makes_no_sense_is_named(settings):
    (name,) = settings
    with pytest.raises(SafescaleError, match=f"mmr: {name} = "):
        build([ITEM], StubTools(), top_k=2, **settings)


def test_scores_are_scaled_within_the_query():
    assert scaled([-1.0, -3.0, -2.0]) == [1.0, 0.0, 0.5]
    assert scaled([7.0, 7.0]) == [1.0, 1.0]
    assert scaled([]) == []


def test_similarity_is_shared_content_words_over_all():
    left, right = content_words("The Chest, and a wall"), content_words("chest of the patient")
    assert (left, right) == ({"chest", "wall"}, {"chest", "patient"})
    assert similarity(left, right) == pytest.approx(1 / 3)
    assert similarity(frozenset(), frozenset()) == 0
