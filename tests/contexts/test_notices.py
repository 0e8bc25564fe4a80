"""What is said of contexts before anyone relies on them."""

from __future__ import annotations

import pytest

from lm_eval_safescale.contexts import ContextSet, notices_of
from lm_eval_safescale.records import FEWER_FOUND, NOTHING_FOUND, Context, Flag

ABOUT = {"retriever": {"retriever": "bm25"}, "corpus": {"corpus": "articles.jsonl"}}


def made(*flags, about=ABOUT):
    """A set of contexts with one flag each, or none."""
    contexts = {
        f"q{n}": Context("text", "rag", flags=(flag,) if flag else ())
        for n, flag in enumerate(flags)
    }
    return ContextSet(about, contexts)


def test_of_contexts_without_trouble_nothing_is_said():
    assert list(notices_of(made(None, None))) == []


def test_a_search_that_found_nothing_is_said_with_how_many_the_first_and_what_was_searched():
    nothing = Flag(NOTHING_FOUND, "0 of 5 passages")
    (said,) = notices_of(made(None, nothing, nothing))
    for part in (
        "for 2 of 3 questions",
        "first q1",
        "retriever bm25, corpus articles.jsonl",
        "without a context",
        "language",
    ):
        assert part in said


def test_a_search_that_found_too_little_is_said_with_how_little():
    (said,) = notices_of(made(None, Flag(FEWER_FOUND, "2 of 5 passages")))
    assert (
        "fewer passages than were to be shown were found for 1 of 2 questions (first q1: 2 of 5 "
        "passages;"
    ) in said


def test_each_kind_of_trouble_is_said_once():
    kinds = [
        Flag(NOTHING_FOUND, "0 of 5 passages"),
        Flag(FEWER_FOUND, "2 of 5 passages"),
        Flag("prompt line", "Answer: B"),
    ]
    said = list(notices_of(made(*kinds, *kinds, about={})))
    assert len(said) == 3
    assert "2 of 6 contexts hold text that imitates a prompt (first q2: 'Answer: B')" in said[2]


@pytest.mark.parametrize("kind", ["leak", "unknown"])
def test_a_flag_of_another_kind_is_no_imitation(kind):
    assert list(notices_of(made(Flag(kind, "x")))) == []
