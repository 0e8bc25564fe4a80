"""The builders on a stub workbench: what is searched for, what stands in the text, and how long it
is.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lm_eval_safescale.contexts import RESERVED_TOKENS
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.radsafe import RADSAFE

RULE = "\n\n---\n\n"
RULE_TOKENS = 3  # three hyphens
# 3 + number tokens
TEXTS = [f"passage {number} " + "word " * number + "end" for number in range(20)]
lengths = st.lists(st.integers(1, 40), min_size=1, max_size=30)
property_test = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60
)


def texts_of(counts):
    """Different texts of exactly so many tokens."""
    return [" ".join([f"t{number}", *["w"] * (count - 1)]) for number, count in enumerate(counts)]


# --- rag ------------------------------------------------------------------------------------------


def test_the_query_is_the_question_stem_alone(bench, item, builder):
    tools = bench(TEXTS)
    builder("rag").build([item(1), item(2)], tools, top_k=3)
    assert tools.asked == [(["What does image 1", "What does image 2"], 3)]


def test_the_top_k_passages_stand_best_first_separated_by_a_rule_line(bench, item, builder):
    tools = bench(TEXTS)
    drafts = builder("rag").build([item(1), item(2)], tools, top_k=3)
    for number, draft in enumerate(drafts, 1):
        best = tools.ranking(f"What does image {number}")[:3]
        assert draft.text == f"{best[0].text}\n\n---\n\n{best[1].text}\n\n---\n\n{best[2].text}"
        assert list(draft.passages) == best
        assert [passage.rank for passage in draft.passages] == [1, 2, 3]
    assert drafts[0].text != drafts[1].text


def test_top_1_is_within_top_5_and_top_5_within_top_10(bench, item, builder):
    one, five, ten = (builder("rag").build([item()], bench(TEXTS), top_k=k)[0] for k in (1, 5, 10))
    assert one.passages == five.passages[:1] == ten.passages[:1]
    assert five.passages == ten.passages[:5]
    assert five.text.startswith(one.text + RULE)
    assert ten.text.startswith(five.text + RULE)


def test_the_conditions_show_1_5_and_the_set_number_of_passages():
    args = {
        condition.name: (condition.builder, dict(condition.args))
        for condition in RADSAFE.conditions
    }
    assert args["rag"] == ("rag", {})
    assert args["rag_top1"] == ("rag", {"top_k": 1})
    assert args["rag_top5"] == ("rag", {"top_k": 5})
    assert args["rag_padded_top1"] == ("padded", {})
    assert args["context_32k"] == ("max_context", {"context_tokens": 30_000})
    assert args["context_100k"] == ("max_context", {"context_tokens": 96_000})


# --- padded ---------------------------------------------------------------------------------------


@property_test
@given(lengths, st.integers(1, 12))
def test_padded_is_as_long_as_the_top_k_and_holds_the_best_passage_alone(
    bench, item, builder, counts, k
):
    tools = bench(texts_of(counts))
    (padded,) = builder("padded").build([item()], tools, top_k=k)
    (rag,) = builder("rag").build([item()], tools, top_k=k)
    assert tools.tokenizer.count([padded.text]) == tools.tokenizer.count([rag.text])
    best = tools.ranking(item().question)[0]
    assert padded.passages == (best,)
    assert RULE.join([best.text] * 2000).startswith(padded.text)


def test_padded_of_one_passage_is_that_passage(bench, item, builder):
    (draft,) = builder("padded").build([item()], bench(TEXTS), top_k=1)
    assert draft.text == bench(TEXTS).ranking(item().question)[0].text


# --- where nothing, or too little, is found -------------------------------------------------------

WINDOW_OF_50 = RESERVED_TOKENS + 50
RETRIEVING = {"rag": {"top_k": 3}, "padded": {"top_k": 3}, "max_context": {}}


def finding(bench, *lengths):
    """A workbench that finds so many passages for question 1, 2, ..."""
    tools = bench(TEXTS, WINDOW_OF_50)
    tools.search = lambda queries, k: [
        tools.ranking(query)[: min(k, lengths[int(query[-1]) - 1])] for query in queries
    ]
    return tools


@pytest.mark.parametrize("name", RETRIEVING)
def test_where_nothing_is_found_nothing_is_shown_and_the_other_questions_are_shown_theirs(
    bench, item, builder, name
):
    items = [item(1), item(2), item(3)]
    nothing, some, none = builder(name).build(items, finding(bench, 0, 20, 0), **RETRIEVING[name])
    for draft in (nothing, none):
        assert (draft.text, draft.passages) == ("", ())
        assert draft.passages_wanted
    alone = bench(TEXTS, WINDOW_OF_50)
    alone.ranking = lambda query, ranking=alone.ranking: ranking("What does image 2")
    (expected,) = builder(name).build([item(2)], alone, **RETRIEVING[name])
    assert (some.text, some.passages) == (expected.text, expected.passages)


def test_padded_is_as_long_as_the_fewer_passages_that_rag_shows(bench, item, builder):
    (padded,) = builder("padded").build([item(1)], finding(bench, 2), top_k=10)
    (rag,) = builder("rag").build([item(1)], finding(bench, 2), top_k=10)
    count = bench(TEXTS).tokenizer.count
    assert count([padded.text]) == count([rag.text])
    assert (len(padded.passages), len(rag.passages)) == (1, 2)
    assert (padded.passages_wanted, rag.passages_wanted) == (1, 10)


def test_max_context_shows_all_that_is_found_where_it_fits(bench, item, builder):
    (draft,) = builder("max_context").build([item(1)], finding(bench, 2))
    assert len(draft.passages) == 2
    assert draft.notes["all_found"] is True


# --- max context ----------------------------------------------------------------------------------


def by_brute_force(ranking, budget):
    """The longest beginning of the ranking whose joined text fits, found by trying every
    beginning."""
    fitting = []
    for number in range(1, len(ranking) + 1):
        if (
            len("\x00".join(p.text for p in ranking[:number]).replace("\x00", " - - - ").split())
            > budget
        ):
            break
        fitting = ranking[:number]
    return fitting


@property_test
@given(lengths, st.integers(1, 400))
def test_max_context_shows_whole_passages_best_first_until_the_next_does_not_fit(
    bench, item, builder, counts, room
):
    tools = bench(texts_of(counts), window=RESERVED_TOKENS + room)
    expected = by_brute_force(tools.ranking(item().question), room)
    if not expected:
        with pytest.raises(
            SafescaleError, match=r"item q0: not even the best passage .* fits the budget of"
        ):
            builder("max_context").build([item()], tools)
        return
    (draft,) = builder("max_context").build([item()], tools)
    assert list(draft.passages) == expected
    assert draft.text == RULE.join(passage.text for passage in expected)
    assert tools.tokenizer.count([draft.text])[0] <= room
    assert draft.notes == {"budget": room, "all_found": len(expected) == len(counts)}


def test_several_questions_are_each_filled_by_their_own_ranking(bench, item, builder):
    counts = [5, 40, 7, 90, 3, 30, 2, 2, 60, 8]
    tools = bench(texts_of(counts), window=RESERVED_TOKENS + 100)
    items = [item(number) for number in range(10)]
    for each, draft in zip(items, builder("max_context").build(items, tools), strict=True):
        assert list(draft.passages) == by_brute_force(tools.ranking(each.question), 100)


def test_the_budget_is_the_window_less_question_answer_and_margin():
    assert RESERVED_TOKENS == 2048 + 4096 + 1000 == 7144


@pytest.mark.parametrize(("setting", "window"), [(30_000, 37_144), (96_000, 103_144)])
def test_a_stated_number_of_tokens_is_filled_where_the_window_just_holds_it_and_refused_below(
    bench, item, builder, setting, window
):
    texts = texts_of([997] * 120)
    (draft,) = builder("max_context").build([item()], bench(texts, window), context_tokens=setting)
    tokens = bench(texts).tokenizer.count([draft.text])[0]
    assert setting - 1000 < tokens == setting // 1000 * 1000 - RULE_TOKENS
    (same,) = builder("max_context").build(
        [item()], bench(texts, 10 * window), context_tokens=setting
    )
    assert same.text == draft.text
    with pytest.raises(
        SafescaleError,
        match=rf"max context of {setting:,} tokens: .*{window - 1:,}.* leaves {setting - 1:,}",
    ):
        builder("max_context").build([item()], bench(texts, window - 1), context_tokens=setting)


def test_a_stated_number_of_tokens_needs_no_known_window(bench, item, builder):
    (draft,) = builder("max_context").build([item()], bench(texts_of([10] * 20)), context_tokens=23)
    assert len(draft.passages) == 2  # 10 + 3 + 10


@pytest.mark.parametrize("window", [1, 4096, RESERVED_TOKENS])
def test_a_window_without_room_is_refused_with_the_sizes_and_the_setting(
    bench, item, builder, window
):
    with pytest.raises(SafescaleError) as caught:
        builder("max_context").build([item()], bench(TEXTS, window))
    for said in (
        f"{window:,}",
        "7,144",
        "2,048",
        "4,096",
        "1,000",
        f"{window - RESERVED_TOKENS:,}",
        "max_context_tokens",
    ):
        assert said in str(caught.value)


def test_an_unknown_window_is_refused_with_the_setting(bench, item, builder):
    with pytest.raises(SafescaleError, match=r"window is not known here.*max_context_tokens"):
        builder("max_context").build([item()], bench(TEXTS))


@pytest.mark.parametrize("tokens", [-4, 0, 300.5, "300"])
@pytest.mark.parametrize("window", [None, 50_000])
def test_a_number_of_tokens_that_is_none_is_refused_and_never_searched_for(
    bench, item, builder, tokens, window
):
    with pytest.raises(
        SafescaleError, match=rf"context_tokens is {tokens!r}; expected a whole number"
    ):
        builder("max_context").build([item()], bench(TEXTS, window), context_tokens=tokens)


def test_a_best_passage_that_does_not_fit_is_refused_with_item_budget_and_settings(
    bench, item, builder
):
    with pytest.raises(
        SafescaleError,
        match=(
            r"item q0: not even the best .*11 tokens.* budget of 2 "
            r"tokens.*chunk_tokens.*max_context_tokens"
        ),
    ):
        builder("max_context").build([item()], bench(TEXTS, RESERVED_TOKENS + 2))


def test_where_all_that_is_found_fits_that_is_noted(bench, item, builder):
    (all_of_it,) = builder("max_context").build([item()], bench(TEXTS, 50_000))
    assert (len(all_of_it.passages), all_of_it.notes["all_found"]) == (20, True)
    (part,) = builder("max_context").build([item()], bench(TEXTS, RESERVED_TOKENS + 100))
    assert part.notes["all_found"] is False
