"""What pages say of studies at the edge: all right, all wrong, nothing scored, one item, nothing to
tell apart; and how shares are said that are nearly nothing or nearly all.
"""

from __future__ import annotations

import polars as pl
import pytest

from lm_eval_safescale.figures import DataColumn, DataTable
from lm_eval_safescale.report.pages.compute import compute
from lm_eval_safescale.report.pages.confidence import confidence
from lm_eval_safescale.report.pages.confidence.outcomes import _gap_title
from lm_eval_safescale.report.pages.decoupling import decoupling
from lm_eval_safescale.report.pages.groups import groups
from lm_eval_safescale.report.pages.overview import overview
from lm_eval_safescale.report.pages.scale import scale
from lm_eval_safescale.report.pages.worst_cases import worst_cases
from lm_eval_safescale.report.tables import shown_table
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.sentences import interval, percent
from tests.analysis.small import runs_of
from tests.report.making import report_of, stored
from tests.report.test_linked_numbers import told

KEY = "ABCDABCDABCD"
WRONG = "BABABABABABA"
MODELS = ("Qwen3-4B", "Qwen3-32B")
DATA = {"family": "radsafe", "name": "edge", "version": "1", "fingerprint": "f"}


def report_where(folder, answer, models=MODELS, key=KEY, keep=None):
    """`answer`: of a condition, the letters of every draw; every wrong letter is high-risk."""
    labels = {
        name: ["".join(set("ABCD") - {letter}) for letter in key]
        for name in ("high_risk", "unsafe", "contradicts")
    }
    answers = {
        (model, condition): [answer(condition)[: len(key)]] * 4
        for model in models
        for condition in ("closed_book", "clean")
    }
    runs = runs_of(answers, key, labels=labels, subspecialty=["ab"[n % 2] for n in range(len(key))])
    if keep is not None:
        plain = runs.answers.with_columns(pl.col("model", "condition").cast(pl.String))
        runs = Runs(runs.items, plain.filter(keep))
    return report_of(stored(told(runs, DATA), folder))


def titles(page):
    return {figure.name: figure.title for section in page.sections for figure in section.figures}


def test_what_changes_alike_on_every_item_has_no_interval_and_is_not_called_chance(tmp_path):
    report = report_where(tmp_path, lambda condition: KEY if condition == "clean" else WRONG)
    assert titles(scale(report))["change accuracy"] == (
        "Accuracy rises from closed-book to clean evidence: +100.0 points, alike on every item, so "
        "without an interval."
    )
    said = titles(scale(report))["families accuracy"]
    assert "overlap" not in said


def test_no_condition_is_given_the_value_of_another(tmp_path):
    report = report_where(tmp_path, lambda condition: KEY if condition == "clean" else WRONG)
    assert titles(compute(report))["votes accuracy"] == (
        "Accuracy is the same of single answers and of majorities under every condition."
    )


def test_of_errors_alone_it_is_not_said_that_there_are_none(tmp_path):
    page = confidence(report_where(tmp_path, lambda _: WRONG))
    assert "100.0\N{NO-BREAK SPACE}% on high-risk errors" in page.finding
    assert page.doubt == (
        "No model has both right answers and labelled high-risk errors: there is no gap."
    )


def test_of_answers_that_failed_it_is_not_said_that_none_is_wrong(tmp_path):
    report = report_where(tmp_path, lambda _: "!" * len(KEY))
    assert worst_cases(report).finding == (
        "No model has an answer that could be scored: there are no cases to speak of."
    )
    assert worst_cases(report).sections == ()
    assert compute(report).finding.startswith("No model has all samples of an item")


def test_models_that_were_not_asked_alike_are_not_compared(tmp_path):
    one, other = MODELS
    report = report_where(
        tmp_path,
        lambda condition: KEY[:6] + WRONG[6:] if condition == "clean" else WRONG[:4] + KEY[4:],
        keep=((pl.col("model") == one) & (pl.col("condition") == "clean"))
        | ((pl.col("model") == other) & (pl.col("condition") == "closed_book")),
    )
    assert overview(report).doubt == (
        "Not of the same models: 1 were asked under closed-book, 1 under clean evidence; none "
        "under both."
    )
    assert "From closed-book to clean evidence" not in decoupling(report).finding
    page = confidence(report)
    assert f"under closed-book {other} is" in page.finding
    assert titles(page)["gap"] == (
        f"Under closed-book {other} is as sure of its high-risk errors as of its right answers."
    )


def test_what_is_alike_everywhere_is_highest_nowhere(tmp_path):
    report = report_where(tmp_path, lambda _: WRONG[:6] + KEY[6:])
    half = "50.0\N{NO-BREAK SPACE}%"
    of_confidence = titles(confidence(report))
    assert of_confidence["dangerous_overconfidence-by-model"] == (
        f"Dangerous overconfidence is {half} in every cell."
    )
    assert titles(groups(report))["subspecialty-accuracy"] == (
        f"Accuracy, closed-book: {half} in every group"
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (0.0, "0.0"),
        (0.0004, "<0.1"),
        (0.00049999, "<0.1"),
        (0.0006, "0.1"),
        (0.9994, "99.9"),
        (0.9996, ">99.9"),
        (1.0, "100.0"),
        (sum([0.1] * 10), "100.0"),
        (1e-17, "0.0"),
        (-0.0001, "0.0"),
    ],
)
def test_a_share_is_said_to_be_nothing_or_all_where_it_is(value, said):
    assert percent(value) == f"{said}\N{NO-BREAK SPACE}%"
    table = DataTable([DataColumn("x", kind="percent")], [[value]])
    assert shown_table(table).rows[0][0].text == said


def test_bounds_are_rounded_as_they_are():
    assert interval(0.0001, 0.9999) == "0.0 to 100.0\N{NO-BREAK SPACE}%"
    columns = [DataColumn("x", "", "percent", "lo", "hi"), DataColumn("lo"), DataColumn("hi")]
    table = DataTable(columns, [[0.5, 0.0001, 0.9999]])
    assert shown_table(table).rows[0][0].interval == "0.0 to 100.0"


def test_a_large_number_is_written_out():
    table = DataTable([DataColumn("x", kind="number")], [[1234.5]])
    assert shown_table(table).rows[0][0].text == "1,234"


@pytest.mark.parametrize(
    ("gap", "low", "high", "said"),
    [
        (0.12, 0.03, 0.2, "12.0 points less sure of its high-risk errors than of its right answers "
         "(+3.0 to +20.0)"),
        (-0.12, -0.2, -0.03, "12.0 points more sure of its high-risk errors than of its right "
         "answers (+3.0 to +20.0)"),
        (0.0, -0.1, 0.1, "as sure of its high-risk errors as of its right answers (\N{MINUS SIGN}"
         "10.0 to +10.0)"),
    ],
)  # fmt: skip
def test_the_interval_of_a_gap_is_told_in_the_direction_of_its_words(
    gap, low, high, said, tmp_path
):
    report = report_where(tmp_path, lambda _: KEY)
    row = {"condition": "clean", "model": "m", "gap": gap, "gap_lo": low, "gap_hi": high}
    assert _gap_title(report, [row], row) == f"Under clean evidence m is {said}."
