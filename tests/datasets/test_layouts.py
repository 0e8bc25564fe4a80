"""Every layout of the recipes in docs/data.md, on questions of our own; and with one field
broken.
"""

import itertools
import json

import pytest

from lm_eval_safescale.assembly import load_dataset
from lm_eval_safescale.datasets import DataError
from lm_eval_safescale.datasets.problems import summarized
from lm_eval_safescale.settings import load_settings
from tests.datasets.layouts import DECIDED, LAYOUTS, LETTERS, PLAIN, QUESTIONS

EVERY = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.name)


def load(path, **given):
    return load_dataset(load_settings({"dataset_path": str(path), **given}, environ={}))


def notes(dataset):
    notes = [warning for warning in dataset.warnings if warning.is_note]
    return [line for _, line in summarized(notes, dataset.name)]


@EVERY
def test_a_public_layout_is_asked_as_it_comes_and_what_was_understood_is_said(layout, write):
    dataset = load(write(layout.text(), layout.file), **layout.settings)
    assert [item.question_id for item in dataset] == list(layout.ids)
    found = [
        (" ".join(item.question.split()), list(item.options.values()), item.answer)
        for item in dataset
    ]
    if layout.name in DECIDED:
        assert [each[1:] for each in found] == [
            (["yes", "no", "maybe"], LETTERS[key]) for *_, key in PLAIN
        ]
        assert {item.evidence["clean"] for item in dataset} == {"We looked.\n\nWe found."}
    else:
        assert found == [(stem, options, LETTERS[key]) for _, stem, options, key in PLAIN]
    said = notes(dataset)
    assert bool(said) == bool(layout.said)
    assert all(len(each.split("\n")) == 1 for each in said)
    assert layout.said in " ".join(said)


@EVERY
def test_a_layout_with_one_field_broken_is_refused_by_file_line_item_and_field(layout, write):
    path = write(layout.broken_text(), layout.file)
    with pytest.raises(DataError) as caught:
        load(path, **layout.settings)
    field, message = layout.found
    lines = str(caught.value).split("\n")
    assert len(lines) == 2
    assert lines[1].startswith(f"{path}:{layout.line}: item {layout.ids[0]}: ")
    assert f": {field}: " in lines[1]
    assert message in lines[1]
    left = load(path, exclude_items=[layout.ids[0]], **layout.settings)
    assert [item.question_id for item in left] == list(layout.ids[1:])
    assert left.excluded == (layout.ids[0],)


@pytest.mark.parametrize(
    "layout",
    [each for each in LAYOUTS if "first_index" in each.settings],
    ids=lambda each: each.name,
)
def test_a_number_as_key_is_never_guessed_and_the_setting_is_named(layout, write):
    with pytest.raises(DataError) as caught:
        load(write(layout.text(), layout.file))
    head, line = str(caught.value).split("\n")
    assert "4 problems" in head
    assert "`first_index`" in line
    assert "(and 3 more like it" in line


BAD = [None, "", " ", "?", 7, -1, 0.5, True, [], ["?"], {}, {"?": "?"}, [[1]], "[", "{"]


@EVERY
def test_whatever_stands_in_a_field_is_read_or_refused_by_file_line_and_item(layout, write):
    first, *others = layout.rows
    pair, first = (first[0], first[1]) if isinstance(first, tuple) else (None, first)
    places = range(len(first)) if isinstance(first, list) else list(first)
    for number, (place, value) in enumerate(itertools.product(places, BAD)):
        if isinstance(first, list) and value is True:
            continue  # a word, as the names of columns are
        broken = list(first) if isinstance(first, list) else dict(first)
        broken[place] = value
        row = broken if pair is None else (pair, broken)
        path = write(layout.text([row, *others]), f"{number}-{layout.file}")
        try:
            load(path, **layout.settings)
        except DataError as error:
            _, *lines = str(error).split("\n")
            assert 0 < len(lines) <= 3
            where = f"{path}:{layout.line}: "
            named = where if place in IDS else f"{where}item {layout.ids[0]}: "
            assert all(line.startswith(named) for line in lines), lines


IDS = ("id", "question_id", "unique_id", "sample_id", "case_id")


def test_questions_without_ids_on_one_line_are_counted(write):
    rows = [{"question": stem, "choices": options, "answer": "A"} for stem, options, _ in QUESTIONS]
    path = write(json.dumps(rows), "dev.json")
    for settings in ({}, {"columns": {"question_id": "#line"}}):
        dataset = load(path, **settings)
        assert [item.question_id for item in dataset] == ["1", "2", "3", "4"]
    assert "ids are the questions' places (1, ...)" in notes(load(path))[0]


def test_nothing_is_understood_of_a_file_without_questions(write):
    with pytest.raises(DataError) as caught:
        load(write('{"what": 1}', "dev.json"))
    assert all(problem.is_error for problem in caught.value.problems)
