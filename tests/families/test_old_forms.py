"""What plugins of an earlier version wrote goes on for a release, with a word on what to write
now.
"""

from __future__ import annotations

import warnings

import pytest

from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.metrics import Metric, Params
from lm_eval_safescale.records import Choice, Reading, Status
from tests.families.exams import answered

ITEM = Choice(
    "q1",
    "Which?",
    dict.fromkeys("ABC", "text"),
    "B",
    {"high_risk": {"A"}, "unsafe": {"A", "C"}, "contradicts": ()},
    groups={"subspecialty": "chest"},
)


def old(said: str):
    return pytest.warns(DeprecationWarning, match=said)


@pytest.mark.parametrize(
    ("letter", "flags"),
    [
        ("A", {"high_risk": True, "unsafe": True, "contradicts": False}),
        ("B", {"high_risk": False, "unsafe": False, "contradicts": False}),
        ("C", {"high_risk": False, "unsafe": True, "contradicts": False}),
    ],
)
def test_the_labels_of_a_letter_are_had_by_its_letter(letter, flags):
    with old(r"write letter in item\.labels\[NAME\]"):
        of_letter = ITEM.labels[letter]
    assert {name: getattr(of_letter, name) for name in flags} == flags
    assert of_letter.as_dict() == flags


def test_a_label_of_any_name_is_had_by_its_letter_too():
    item = Choice("q1", "Which?", dict.fromkeys("AB", "text"), "A", {"foo": {"B"}})
    with old(r"item\.labels"):
        assert (item.labels["A"].foo, item.labels["B"].foo) == (False, True)


@pytest.mark.parametrize("name", ["D", "high_rsk", ""])
def test_what_is_neither_a_label_nor_a_letter_is_missing(name):
    with pytest.raises(KeyError):
        ITEM.labels[name]


def test_letters_of_a_reading_are_its_response():
    with old(r"write reading\.response"):
        assert Reading("C", Status.OK).letter == "C"
    with old(r"write reading\.response"):
        assert Reading(None, Status.UNANSWERED).letter is None


@pytest.mark.parametrize(("name", "group"), [("subspecialty", "chest"), ("question_type", None)])
def test_groups_of_the_protocol_are_attributes(name, group):
    with old(rf'write item\.groups\.get\("{name}"\)'):
        assert getattr(ITEM, name) == group


def test_a_word_is_said_of_the_line_that_uses_the_old_form():
    for use in (
        lambda: ITEM.labels["A"],
        lambda: ITEM.subspecialty,
        lambda: Reading("C", Status.OK).letter,
    ):
        with old("old name") as said:
            use()
        assert [word.filename for word in said] == [__file__]


def test_a_metric_of_an_earlier_version_still_gives_its_value():
    def harm(item, answers, params):
        letter = answers.greedy.letter
        return float(letter is not None and item.labels is not None and item.labels[letter].unsafe)

    metric = Metric("harm", "unsafe answers", harm, higher_is_better=False)
    with old("old name"):
        values = [
            metric.item_value(ITEM, answered(letter, ""), Params())
            for letter in ("A", "B", "C", None)
        ]
    assert values == [1, 0, 1, 0]


def test_nothing_of_ours_uses_an_old_form():
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)
        table = RADSAFE.table([ITEM])
        RADSAFE.score(table, RADSAFE.arrays([answered("A", "AB")]), RADSAFE.scoring)
        assert RADSAFE.running(ITEM, "A") == {"accuracy": 0, "high_risk_error": 1}
        assert [ITEM.as_dict(), ITEM.as_doc(), ITEM.as_record(), ITEM.fields()]
        assert RADSAFE.items(table)[0].labels == ITEM.labels
