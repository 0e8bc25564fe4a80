"""Disputed items in the report: every headline with and without them, as the table has it."""

from __future__ import annotations

import json

import pytest

from lm_eval_safescale.analysis import Dispute, Disputes, read_disputes
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.report.building import Wanted, build_report
from lm_eval_safescale.report.disputed import disputed_sections
from tests.report.making import drawn_runs, report_of, stored
from tests.report.studies import HOSTILE

MODELS = ("Qwen3-4B", "unknown/model")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return stored(drawn_runs(models=MODELS), tmp_path_factory.mktemp("runs") / "runs")


def disputes(*ids, note=""):
    return Disputes(tuple(Dispute(name, "other", note) for name in ids), "disputes.json", "ab12")


def rows_of(data):
    names = [column.name for column in data.columns]
    return [dict(zip(names, row, strict=True)) for row in data.rows]


def test_every_headline_stands_with_and_without_them(runs):
    report = report_of(runs, disputes=disputes("q01", "q02"), baseline=MODELS[1])
    compared, every, which = disputed_sections(report)
    shown = rows_of(every.data)
    assert len(shown) == 2 * 3 * len(report.family.headlines)
    assert shown == [{name: row[name] for name in shown[0]} for row in report.rows("disputed")]
    (figure,) = compared.figures
    assert [(strip.points[0].x, strip.points[1].x) for strip in figure.rows] == [
        (row["value"], row["value_without"]) for row in report.rows("disputed", model=MODELS[1])
    ]
    assert [row["question_id"] for row in rows_of(which.data)] == ["q01", "q02"]
    assert list(which.data.cases) == [{"item": "q01"}, {"item": "q02"}]
    assert "ab12" in which.note
    assert "2 items disputed; every other table is over all items." in compared.lead


def test_without_disputes_nothing_is_said(runs):
    assert list(disputed_sections(report_of(runs))) == []


def test_the_overview_shows_them_and_every_other_page_stays(runs, tmp_path):
    build_report([runs], tmp_path / "with", Wanted(disputes=disputes("q01", note=HOSTILE[0])))
    build_report([runs], tmp_path / "plain", Wanted())
    page = (tmp_path / "with" / "index.html").read_text("utf-8")
    assert "With and without disputed items" in page
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page
    for name in ("groups.html", "abstention-and-gate.html"):
        assert (tmp_path / "with" / name).read_bytes() == (tmp_path / "plain" / name).read_bytes()


def test_of_several_reports_they_are_those_of_the_one_that_has_the_items(runs, tmp_path):
    other = stored(drawn_runs(models=MODELS[:1], n=30), tmp_path / "other")
    file = tmp_path / "disputes.json"
    file.write_text(json.dumps([{"question_id": "q30", "dispute": "key wrong"}]), "utf-8")
    built = build_report([runs, other], tmp_path / "out", Wanted(disputes=read_disputes(file)))
    said = {
        path.parent.name: "With and without disputed items" in path.read_text("utf-8")
        for path in (tmp_path / "out").glob("*/index.html")
    }
    assert sorted(said.values()) == [False, True]
    assert built.pages > 2
    with pytest.raises(SafescaleError, match="'nobody' is no item of these runs"):
        build_report([runs, other], tmp_path / "no", Wanted(disputes=disputes("nobody")))
    assert not (tmp_path / "no").exists()
