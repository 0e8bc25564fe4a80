"""Tables as files: what a reader gets back is what was written, whatever a model or a question is
called; what a spreadsheet would take for a formula, behind an apostrophe."""

from __future__ import annotations

import csv
import io

import polars as pl
import pytest

from lm_eval_safescale.analysis.writing import as_csv

COLUMNS = ("model", "n", "rate")
NAMES = ["a\rb", "a\nb", "a\r\nb", '"', '",', " a ", "ünï 模型"]
FORMULAS = ["\r", "=1+1", "\t"]


@pytest.mark.parametrize(
    ("name", "back"),
    [*((name, name) for name in NAMES), *((name, f"'{name}") for name in FORMULAS)],
)
def test_a_name_with_line_ends_or_quotes_comes_back_from_csv(name, back):
    text = as_csv(
        [{"model": name, "n": 1, "rate": None}, {"model": "m", "n": 2, "rate": 0.5}], COLUMNS
    )
    assert list(csv.reader(io.StringIO(text, newline=""))) == [
        ["model", "n", "rate"],
        [back, "1", ""],
        ["m", "2", "0.5"],
    ]
    assert pl.read_csv(io.BytesIO(text.encode())).rows() == [(back, 1, None), ("m", 2, 0.5)]


def test_a_line_ends_in_a_line_feed():
    assert as_csv([{"model": "m", "n": 1}], COLUMNS[:2]) == "model,n\nm,1\n"
    assert as_csv([], COLUMNS) == "model,n,rate\n"
