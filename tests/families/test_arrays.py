"""Items and answers as arrays say what the records say."""

from __future__ import annotations

import pytest

from lm_eval_safescale.families import NO_RESPONSE, UNSCORED, AnswerArrays, ItemTable
from lm_eval_safescale.records import Answers, Choice, Reading, Status

LETTERS = ("A", "B", "C")
ITEMS = [Choice(f"q{n}", "Which?", dict.fromkeys("ABC", "text"), "A") for n in range(2)]


def test_answers_are_places_in_the_vocabulary_greedy_first():
    readings = [
        Reading("C", Status.OK),
        *(Reading(None, status) for status in Status if status is not Status.OK),
    ]
    given = AnswerArrays.of(
        [Answers(reading, (Reading("A", Status.OK), reading)) for reading in readings], LETTERS
    )
    code = {
        Status.OK: 2,
        Status.UNANSWERED: NO_RESPONSE,
        Status.TRUNCATED: NO_RESPONSE,
        Status.FILTERED: UNSCORED,
        Status.UNJUDGED: UNSCORED,
        Status.ERROR: UNSCORED,
    }
    expected = [code[reading.status] for reading in readings]
    assert given.greedy.tolist() == expected
    assert given.samples.tolist() == [[0, each] for each in expected]
    assert given.draws == 2


def test_without_samples_or_without_items_arrays_have_no_room_for_them():
    assert AnswerArrays.of([Answers(Reading("B", Status.OK))], LETTERS).codes.tolist() == [[1]]
    nothing = AnswerArrays.of([], LETTERS)
    assert (nothing.codes.shape, nothing.draws) == ((0, 1), 0)


def test_a_response_that_is_not_in_the_vocabulary_is_refused():
    with pytest.raises(ValueError, match="'D' is not in the vocabulary"):
        AnswerArrays.of([Answers(Reading("D", Status.OK))], LETTERS)


def test_answers_of_different_numbers_of_samples_are_refused():
    one = Reading("A", Status.OK)
    with pytest.raises(ValueError, match="0 and 2 samples"):
        AnswerArrays.of([Answers(one), Answers(one, (one, one))], LETTERS)


def test_a_table_of_items_has_their_columns_in_order_and_none_of_their_text():
    table = ItemTable.of(
        ITEMS, lambda item: {"answer": item.answer, "number": int(item.question_id[1:])}
    )
    assert (table.ids, len(table)) == (("q0", "q1"), 2)
    assert table.columns == {"answer": ["A", "A"], "number": [0, 1]}
