"""Rows as text: what is written is what is read back, in JSON and in CSV."""

import csv
import io
import json

from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.analysis.writing import as_csv, as_json

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"])) | st.sampled_from(['a "b", c', "two\nlines", "null", ","])
NUMBERS = st.integers(-(10**9), 10**9) | st.floats(allow_nan=False, allow_infinity=False)
NAMES = ("model", "n", "what, else", "why")
ROWS = st.lists(
    st.tuples(TEXTS, NUMBERS, st.none() | NUMBERS, st.none() | TEXTS).map(lambda row: dict(zip(NAMES, row, strict=True)))
)


@given(ROWS)
def test_json_gives_back_the_rows(rows):
    assert json.loads(as_json(rows)) == rows


@given(ROWS)
def test_csv_gives_back_the_same_numbers_and_texts_and_an_empty_cell_for_none(rows):
    read = list(csv.DictReader(io.StringIO(as_csv(rows, NAMES), newline="")))
    expected = [
        {**row, "what, else": "" if row["what, else"] is None else row["what, else"], "why": row["why"] or ""} for row in rows
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
