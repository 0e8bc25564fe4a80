"""Tables for pages, CSV files and papers."""

from __future__ import annotations

import csv
import io

import pytest

from lm_eval_safescale.figures import DataColumn, DataTable, with_bounds
from lm_eval_safescale.report.citing import bibtex_of, escaped, latex_of
from lm_eval_safescale.report.tables import csv_of, shown_table

TABLE = DataTable(
    (
        DataColumn("model"),
        *with_bounds("rate", cases={"kind": "wrong"}),
        DataColumn("n", kind="count"),
    ),
    [("a_b", 0.125, 0.1, 0.15, 1200), ('=HYPERLINK("x")', None, None, None, 0)],
    [{"model": "a_b"}, {}],
)


def test_bounds_stand_below_their_value_and_not_scored_is_no_number():
    shown = shown_table(
        TABLE, lambda filters: "#" + "&".join(f"{k}={v}" for k, v in filters.items())
    )
    assert [head.words for head in shown.heads] == ["model", "rate", "n"]
    first, second = shown.rows
    assert (first[1].text, first[1].interval) == ("12.5", "10.0 to 15.0")
    assert first[1].href == "#model=a_b&kind=wrong"
    assert first[1].order == "0.125"
    assert (second[1].text, second[1].interval, second[1].href) == ("–", "", "")
    assert second[1].order == ""
    assert first[2].text == "1,200"


def test_the_csv_file_has_every_column_with_all_digits_and_no_formula():
    rows = list(csv.DictReader(io.StringIO(csv_of(TABLE))))
    assert rows[0] == {
        "model": "a_b",
        "rate": "0.125",
        "rate_lo": "0.1",
        "rate_hi": "0.15",
        "n": "1200",
    }
    assert rows[1]["model"] == '\'=HYPERLINK("x")'
    assert rows[1]["rate"] == ""


def test_latex_has_the_same_rows_and_escapes_what_is_special():
    text = latex_of(TABLE, "Rates & more", "t-1")
    assert r"a\_b & 12.5 [10.0 to 15.0] & 1,200 \\" in text
    assert r"\caption{Rates \& more}" in text
    assert text.count(r"\\") == 3


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (r"\input{/etc/passwd}", r"\textbackslash{}input\{/etc/passwd\}"),
        ("50 % $x$ #1 ~^", r"50 \% \$x\$ \#1 \textasciitilde{}\textasciicircum{}"),
        ("a\nb\x00\ud800c", "a b c"),
    ],
)
def test_no_name_of_a_run_is_a_command_to_latex(given, expected):
    assert escaped(given) == expected


def test_a_bibtex_entry_holds_its_fields():
    assert bibtex_of("key", {"title": "a_b}"}) == "@misc{key,\n  title = {a\\_b\\}}\n}\n"
