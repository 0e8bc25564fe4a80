"""The report as a folder of pages."""

from __future__ import annotations

import json

import pytest

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.report.building import Wanted, build_report
from tests.report.making import drawn_runs, stored


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
