"""The report as a folder of pages."""

from __future__ import annotations

import json

import pytest

from lm_eval_safescale.assembly import settings_of_named
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.report import building
from lm_eval_safescale.report.building import Wanted, build_report
from lm_eval_safescale.report.texts import find_texts
from lm_eval_safescale.runs.store import open_runs
from tests.report.making import drawn_runs, stored
from tests.report.studies import QUESTIONS, panel, questions, write_study


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Two models in a folder each."""
    folder = tmp_path_factory.mktemp("runs")
    return [
        stored(drawn_runs(models=(model,)), folder / model.partition("/")[0])
        for model in ("Qwen3-4B", "unknown/model")
    ]


def files_of(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_input_gives_the_same_bytes(runs, tmp_path):
    for name in ("one", "two"):
        build_report(runs, tmp_path / name, Wanted())
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")


def test_a_report_is_replaced_as_a_whole(runs, tmp_path):
    build_report(runs, tmp_path / "out", Wanted())
    assert "unknown/model" in (tmp_path / "out" / "index.html").read_text()
    build_report(runs[:1], tmp_path / "out", Wanted())
    assert "unknown/model" not in (tmp_path / "out" / "index.html").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    known = json.loads((tmp_path / "out" / "report.json").read_text())
    assert known["files"] == sorted(set(files_of(tmp_path / "out")) - {"report.json"})


def test_a_folder_with_anything_else_is_refused(runs, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "mine.txt").write_text("x")
    with pytest.raises(SafescaleError, match=r"notes is there, and holds other things"):
        build_report(runs, tmp_path / "notes", Wanted())
    build_report(runs, tmp_path / "out", Wanted())
    (tmp_path / "out" / "mine.txt").write_text("x")
    with pytest.raises(SafescaleError, match=r"files that are not of it \(mine.txt\)"):
        build_report(runs, tmp_path / "out", Wanted())
    with pytest.raises(SafescaleError, match="runs stand there"):
        build_report(runs, runs[0], Wanted())


def test_what_a_build_left_that_was_cut_off_is_cleared_away(runs, tmp_path):
    build_report(runs, tmp_path / "out", Wanted())
    (tmp_path / "out").rename(tmp_path / ".out.12345678.old")
    (tmp_path / ".out.12345678.unfinished").mkdir()
    build_report(runs, tmp_path / "out", Wanted())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def test_two_data_sets_have_a_report_each_and_a_page_that_leads_to_both(runs, tmp_path):
    other = stored(drawn_runs(n=9), tmp_path / "other")
    built = build_report([*runs, other], tmp_path / "out", Wanted())
    index = built.first.read_text()
    for name in ("radsafe-drawn", "radsafe-drawn-2"):
        assert f'href="{name}/index.html"' in index
        assert 'href="../index.html"' in (tmp_path / "out" / name / "index.html").read_text()
    known = json.loads((tmp_path / "out" / "report.json").read_text())
    assert [each["dataset"]["items"] for each in known["reports"]] == [24, 9]


def test_texts_that_are_not_at_hand_are_said_with_the_way_to_get_them(runs, tmp_path):
    built = build_report(runs, tmp_path / "out", Wanted())
    assert any("name its file" in note for note in built.notes)
    assert not built.complaints
    page = (tmp_path / "out" / "index.html").read_text()
    assert "Texts that are not at hand" in page
    assert "--dataset FILE" in page


def test_texts_are_found_by_the_file_that_the_runs_recorded(tmp_path):
    runs = open_runs(write_study(tmp_path / "study", questions(12), panel(1), draws=0))
    assert find_texts(runs, None, []).dataset is not None
    (tmp_path / "study" / QUESTIONS).unlink()
    assert find_texts(runs, None, []).no_dataset is not None


def test_another_data_set_than_the_runs_is_said_and_costs_no_page(runs, tmp_path):
    demo = settings_of_named("demo")
    built = build_report(runs, tmp_path / "out", Wanted(dataset=demo))
    assert ["is not the one that the runs" in each for each in built.complaints] == [True]
    assert "is not the one that the runs" in (tmp_path / "out" / "index.html").read_text()


def test_a_baseline_that_is_no_model_is_refused_before_anything_is_written(runs, tmp_path):
    with pytest.raises(SafescaleError, match=r"baseline 'x' is none of the models Qwen3-4B"):
        build_report(runs, tmp_path / "out", Wanted(baseline="x"))
    assert not (tmp_path / "out").exists()


def test_a_page_that_fails_costs_no_other(runs, tmp_path, monkeypatch):
    def broken(report):
        raise ZeroDivisionError("by <b>zero</b>")

    monkeypatch.setattr(building, "PAGES", (*building.PAGES, broken))
    built = build_report(runs, tmp_path / "out", Wanted())
    assert built.complaints == ("page broken could not be made: ZeroDivisionError: by <b>zero</b>",)
    page = (tmp_path / "out" / "failed-broken.html").read_text()
    assert "by &lt;b&gt;zero&lt;/b&gt;" in page


@pytest.mark.parametrize("place", ["out/card.md", "out/new/card.md", "out/index.html"])
def test_a_card_in_the_reports_own_folder_is_refused_before_the_next_report_takes_it(
    runs, tmp_path, place
):
    with pytest.raises(SafescaleError, match="would take the card with it"):
        build_report(runs, tmp_path / "out", Wanted(card=tmp_path / place))
    assert not (tmp_path / "out").exists()


def test_a_card_takes_no_place_of_runs(runs, tmp_path):
    stood = (runs[0] / "about.json").read_bytes()
    with pytest.raises(SafescaleError, match="answers of models"):
        build_report(runs, tmp_path / "out", Wanted(card=runs[0] / "about.json"))
    assert (runs[0] / "about.json").read_bytes() == stood
    assert not (tmp_path / "out").exists()


def test_links_in_a_circle_are_said(runs, tmp_path):
    (tmp_path / "out").symlink_to(tmp_path / "out")
    with pytest.raises(SafescaleError, match="choose another folder"):
        build_report(runs, tmp_path / "out", Wanted())
