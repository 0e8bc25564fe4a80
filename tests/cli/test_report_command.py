"""`safescale report`: what it prints, and its exit status."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from tests.report.making import MODELS, drawn_runs, stored


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return stored(drawn_runs(models=MODELS[:1], n=8), tmp_path_factory.mktemp("made") / "runs")


def report(*options):
    return CliRunner().invoke(app, ["report", *map(str, options)])


def test_it_names_the_page_to_open_and_texts_that_are_not_at_hand_are_no_failure(runs, tmp_path):
    result = report(runs, "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert f"open {tmp_path / 'out' / 'index.html'}" in result.output
    assert "--dataset FILE" in result.output
    assert (tmp_path / "out" / "index.html").is_file()


def test_a_folder_that_cannot_be_read_is_told_by_the_exit_status_and_costs_no_page(runs, tmp_path):
    result = report(runs, tmp_path / "none", "-o", tmp_path / "out")
    assert result.exit_code == 1
    assert "not read: " in result.output
    assert (tmp_path / "out" / "index.html").is_file()


def test_a_data_set_that_is_named_and_is_another_is_told_by_the_exit_status(runs, tmp_path):
    result = report(runs, "-o", tmp_path / "out", "--dataset", "demo")
    assert result.exit_code == 1
    assert "is not the one that the runs" in " ".join(result.output.split())


def test_a_data_set_is_named_in_one_way(runs, tmp_path):
    result = report(runs, "-o", tmp_path / "out", "--dataset", "demo", "--dataset-path", "x.csv")
    assert "not both" in str(result.exception)
    assert not (tmp_path / "out").exists()
