"""What is said of data is true, and said once."""

import json

import pytest

from lm_eval_safescale.assembly import load_dataset
from lm_eval_safescale.datasets import DataError
from lm_eval_safescale.datasets.problems import summarized
from lm_eval_safescale.settings import load_settings
from tests.datasets.layouts import as_csv


@pytest.fixture
def errors(question, write):
    """The lines of the error of one question with these changes; none where it can be asked."""

    def of(evidence=(), **changes):
        path = write([question(labels=None, **changes), question("other", labels=None)])
        try:
            load_dataset(load_settings({"dataset_path": str(path)}, environ={}), evidence)
        except DataError as error:
            return [line.removeprefix(f"{path}:") for line in str(error).split("\n")[1:]]
        return []

    return of


@pytest.fixture
def loaded(question, write):
    """One question with these changes, and what is said of it."""

    def of(**changes):
        path = write([question(labels=None, **changes)])
        dataset = load_dataset(load_settings({"dataset_path": str(path)}, environ={}))
        return dataset.items[0], [line for _, line in summarized(dataset.warnings, "data")]

    return of


def test_more_options_than_letters_are_counted_as_they_are(errors):
    (line,) = errors(options=[f"option {number}" for number in range(30)], answer="A")
    assert line == "1: item q1: options: 30 options; expected at most 26"


def test_a_key_that_is_the_text_of_two_options_is_said_to_be(errors):
    (line,) = errors(options=["artery", "vein", "Artery"], answer="artery")
    assert (
        line == "1: item q1: answer: key 'artery' is the text of options A and C; give the letter"
    )


@pytest.mark.parametrize("written", ["{}. {}", "{}) {}", "({}) {}", "{}: {}", "{}.  {}"])
def test_options_that_carry_their_letters_are_shown_without_them_and_that_is_said(written, loaded):
    options = {letter: written.format(letter, f"text {letter}") for letter in "ABC"}
    for key in ("B", options["B"], "text B"):
        item, said = loaded(options=options, answer=key)
        assert item.options == {letter: f"text {letter}" for letter in "ABC"}
        assert item.answer == "B"
        assert said == [
            "data:1: item q1: options: the options carry their letters, which are taken off"
        ]


@pytest.mark.parametrize(
    "options", [["A. x", "y", "z"], ["B. x", "A. y", "C. z"], ["C. diff", "E. coli", "B. fragilis"]]
)
def test_options_that_begin_with_other_letters_stay_as_they_are(options, loaded):
    item, said = loaded(options=options, answer="B")
    assert (list(item.options.values()), said) == (options, [])


@pytest.mark.parametrize("unseen", ["\u200b", "\u200b\u200d \ufeff", "\u2060", "\u00ad", "\u3164"])
def test_an_option_of_characters_that_show_nothing_is_empty(unseen, errors):
    assert errors(options=["x", unseen, "z"]) == ["1: item q1: options: option B is empty"]
    assert errors(question=unseen) == ["1: item q1: question: missing or empty"]


@pytest.mark.parametrize(
    "changes",
    [
        {"options": {"A": "x"}},
        {"options": {"A": "x", "B": ""}},
        {"options": "x or y"},
        {"answer": ""},
        {"answer": "F"},
        {"question": ["x"]},
    ],
)
def test_one_bad_cell_is_one_line(changes, errors):
    assert len(errors(**changes)) == 1


def test_1200_rows_of_three_bad_cells_are_three_lines(write):
    rows = [
        {"id": n, "question": "", "a": "x", "b": "y", "key": "C", "unsafe_a": "?", "unsafe_b": 1}
        for n in range(1200)
    ]
    with pytest.raises(DataError) as caught:
        load_dataset(load_settings({"dataset_path": str(write(as_csv(rows), "a.csv"))}, environ={}))
    head, *lines = str(caught.value).split("\n")
    assert "3600 problems" in head
    assert [line.count("and 1199 more like it") for line in lines] == [1, 1, 1]


@pytest.mark.parametrize("given", [None, " "])
def test_a_file_without_evidence_is_told_under_which_conditions_it_can_be_asked(given, errors):
    *_, hint = errors(["clean"], evidence_clean=given)
    assert "conditions=closed_book" in hint


@pytest.mark.parametrize(
    ("options", "key"), [([1, 2, 3], 2), (["0", "1", "2"], "1"), ([3, 5, 7], "3"), ([1, 2, 4], 1.0)]
)
def test_a_number_is_no_key_where_the_options_are_numbers_either(
    options, key, errors, question, write
):
    (line,) = errors(options=options, answer=key)
    assert "a number may count from 0 or from 1; say with `first_index`" in line
    # which is then a number, and no text
    path = str(write([question(labels=None, options=options, answer=key)]))
    for first in (0, 1):
        settings = load_settings({"dataset_path": path, "first_index": first}, environ={})
        place = int(float(key)) - first
        if place < 3:
            assert load_dataset(settings).items[0].answer == "ABC"[place]
        else:
            with pytest.raises(DataError, match=f"counts from {first}"):
                load_dataset(settings)


def test_a_number_beyond_the_options_can_be_nothing_but_a_text(loaded):
    assert loaded(options=[10, 20, 30], answer=20)[0].answer == "B"


@pytest.mark.parametrize(
    ("options", "key"),
    [
        (["[18F]FDG", "[11C]choline"], "[11C]choline"),
        (["[1]", "[2]"], "[2]"),
        (["{x}", "{y}"], "{Y}"),
        (["x", "y"], '["B"]'),
        (["x", "y"], "[B]"),
        (["x", "y"], ["y"]),
    ],
)
def test_a_key_may_begin_with_a_bracket_or_be_a_list_of_one(options, key, loaded):
    assert loaded(options=options, answer=key)[0].answer == "B"


def test_a_letter_beside_a_number_says_what_it_is(loaded):
    assert loaded(options=["2", "1", "3"], answer="2", answer_idx="A")[0].answer == "A"


def test_a_case_that_is_not_asked_with_its_question_is_said_with_the_way_out(question, write):
    path = write([question(labels=None, context=["A man coughs.", "He smokes."])])
    given = {"dataset_path": str(path)}
    (warning,) = load_dataset(load_settings(given, environ={})).warnings
    assert "'context' may belong to the question, and is not read" in warning.message
    columns = json.loads(
        "{" + warning.message.partition("`columns` with ")[2].rpartition(" joins")[0] + "}"
    )
    dataset = load_dataset(load_settings(given | {"columns": columns}, environ={}))
    assert dataset.items[0].question == "A man coughs.\nHe smokes.\nWhich vessel is occluded?"
    assert dataset.warnings == ()


def test_several_columns_are_an_id_options_or_a_text_and_lines_are_counted(write):
    rows = [
        {
            "exam": "x",
            "n": n,
            "stem": "Which?",
            "first": "vein",
            "second": "duct",
            "third": "",
            "key": "B",
        }
        for n in (1, 2)
    ]
    path = str(write(as_csv(rows), "a.csv"))
    columns = {"question_id": ["exam", "n"], "options": ["first", "second", "third"]}
    dataset = load_dataset(load_settings({"dataset_path": path, "columns": columns}, environ={}))
    assert [item.question_id for item in dataset] == ["x-1", "x-2"]
    assert [item.options for item in dataset] == [{"A": "vein", "B": "duct"}] * 2
    assert dataset.warnings == ()
    columns["question_id"] = "#line"
    dataset = load_dataset(load_settings({"dataset_path": path, "columns": columns}, environ={}))
    assert [item.question_id for item in dataset] == ["2", "3"]
