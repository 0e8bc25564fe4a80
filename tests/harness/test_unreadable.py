"""What is said where most answers cannot be read: of which kind they are, and what to set."""

from __future__ import annotations

import pytest

from lm_eval_safescale.harness.unreadable import LEAST, Unreadable


def counted(*answers, reasoning="auto", limit=10):
    """Answers, each (status, text, finish reason, field of reasoning)."""
    found = Unreadable(reasoning, limit)
    for status, text, finish, field in answers:
        found.add(status, text, finish_reason=finish, reasoning_field=field)
    return found


GOOD = ("ok", "C", "stop", "")
KEPT_BACK = ("truncated", "", "length", "reasoning_content")
SAID = {
    "kept back": (
        [KEPT_BACK],
        "carry reasoning_content and no content: set reasoning=separate, max_answer_tokens=4096",
    ),
    "in another field": (
        [("unanswered", "", None, "reasoning")],
        "carry reasoning and no content: set reasoning=separate",
    ),
    "in parts": (
        [("truncated", "", "length", "content")],
        "carry parts of reasoning and no content: set reasoning=separate",
    ),
    "a parser that takes the answer": (
        [("unanswered", "", "stop", "reasoning_content")],
        "the server's reasoning parser does not fit",
    ),
    "used up unseen": (
        [("unanswered", "", "length", "")],
        "are empty and were cut off at the limit of 10 tokens, as where a server keeps",
    ),
    "empty": (
        [("unanswered", " ", "stop", "")],
        "are empty. Where the server keeps the model's reasoning back (reasoning_content), set",
    ),
    "in the text": (
        [("truncated", "<think>A", None, "")],
        "stopped inside the model's reasoning: set reasoning=on, max",
    ),
    "cut": (
        [("unanswered", "The most likely", "length", "")],
        "were cut off at the limit of 10 tokens before they chose a letter",
    ),
    "filtered": (
        [("filtered", "", "content_filter", "")],
        "were held back by a content filter of the server; they are not scored",
    ),
}


@pytest.mark.parametrize(("answers", "said"), SAID.values(), ids=list(SAID))
def test_most_answers_of_a_kind_are_said_with_their_share_and_what_to_set(answers, said):
    found = counted(GOOD, *answers * 3)
    assert found.are_most
    assert str(found).startswith("75 % of the replies ")
    assert said in str(found)


def test_answers_that_were_read_or_chose_nothing_are_none_of_them():
    found = counted(
        GOOD,
        ("unanswered", "I cannot say.", "stop", ""),
        ("unanswered", "A or B", None, ""),
        ("ok", "C", "length", ""),
    )
    assert not found.are_most
    assert str(found) == ""


def test_half_are_not_most():
    assert not counted(GOOD, KEPT_BACK).are_most
    assert counted(GOOD, KEPT_BACK, KEPT_BACK).are_most


def test_the_commonest_kind_is_named_where_they_are_of_several():
    found = counted(KEPT_BACK, KEPT_BACK, ("filtered", "", "content_filter", ""), GOOD)
    assert str(found).startswith("50 % of the replies carry reasoning_content")


def test_a_setting_that_is_in_force_is_not_advised_again_and_a_limit_is_raised_from_what_it_is():
    assert str(counted(KEPT_BACK, reasoning="separate", limit=4096)).endswith(
        "no content: set max_answer_tokens=16384"
    )
    assert "set max_answer_tokens=4096" in str(counted(KEPT_BACK, reasoning="separate", limit=512))


def test_it_shows_once_there_are_enough_answers():
    few = counted(*[KEPT_BACK] * (LEAST - 1))
    assert few.are_most
    assert not few.shows_already
    few.add(*KEPT_BACK[:2])
    assert few.shows_already
