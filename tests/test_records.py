"""Items and readings as code makes them: labels by name, and what their old names still say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lm_eval_safescale.datasets import DataError, Dataset
from lm_eval_safescale.families.radsafe import RADSAFE
from lm_eval_safescale.records import Choice, Reading, Status

ITEM = Choice(
    "q1", "Which?", {"A": "x", "B": "y"}, "A", {"unsafe": "B"}, groups={"subspecialty": "chest"}
)


def test_labels_are_letters_by_name():
    assert dict(ITEM.labels) == {"unsafe": {"B"}}
    assert ITEM.labels == replace(ITEM, labels={"unsafe": ["B"]}).labels
    assert replace(ITEM, labels=None).labels is None


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda: ITEM.labels["B"].unsafe, True),
        (lambda: ITEM.labels["A"].as_dict(), {"unsafe": 0}),
        (lambda: ITEM.subspecialty, "chest"),
        (lambda: ITEM.question_type, None),
        (lambda: Reading("A", Status.OK).letter, "A"),
    ],
)
def test_an_old_name_goes_on_and_the_warning_names_the_line_that_uses_it(ask, says):
    with pytest.warns(DeprecationWarning, match="is an old name") as warned:
        assert ask() == says
    assert [each.filename for each in warned] == [__file__]
    assert warned[0].lineno == ask.__code__.co_firstlineno


@pytest.mark.parametrize("letters", ["C", {"B", "C"}, "b"])
def test_a_label_of_a_letter_that_is_no_option_is_found_and_not_left_out(letters):
    with pytest.raises(
        DataError,
        match=r"labels: (option C has a label, but there is no such option|a letter stands twice)",
    ):
        RADSAFE.checked(Dataset.of("mine", "1", [replace(ITEM, labels={"unsafe": letters})]))


def test_a_label_given_as_0_or_1_by_letter_is_not_taken_for_its_letters():
    with pytest.raises(
        TypeError,
        match=r"label unsafe: expected the letters that carry it, found \{'A': 0, 'B': 1\}",
    ):
        replace(ITEM, labels={"unsafe": {"A": 0, "B": 1}})
