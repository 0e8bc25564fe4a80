"""The commands `import-release`, `import-lm-eval` and `import-noharm`, from what is on the disk to
runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lm_eval_safescale import cli
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.runs import open_runs

QUESTION = {"question": "Which?", "options": {"A": "a", "B": "b"}, "answer_idx": "A"}


def fails(*arguments):
    result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
    assert isinstance(result.exception, SafescaleError), result.output
    return str(result.exception)


def passes(*arguments):
    result = CliRunner().invoke(
        cli.app, [str(argument) for argument in arguments], catch_exceptions=False
    )
    assert result.exit_code == 0
    return result.output


@pytest.fixture
def release(tmp_path):
    """Two models and two questions; the file of the second model is cut off."""
    folder = tmp_path / "release"
    (folder / "datasets").mkdir(parents=True)
    (folder / "datasets" / "risk_radiorag_full_merged.json").write_text(
        json.dumps([{"question_id": n, **QUESTION} for n in (1, 2)])
    )
    answer = {"greedy": {"raw_output": "A", "checked_answer": {"confirmed_answer": "A"}}}
    lines = "".join(
        json.dumps(
            {
                "question_id": f"risk_radiorag_{n}",
                "correct_answer": "A",
                "conditions": {"zero_shot": answer},
            }
        )
        + "\n"
        for n in (1, 2)
    )
    for model, text in (("whole", lines), ("cut", lines[:-20])):
        path = (
            folder / "phase4_checking_results" / "results" / model / "risk_radiorag_checked.jsonl"
        )
        path.parent.mkdir(parents=True)
        path.write_text(text)
    return folder


def test_published_answers_are_stored_and_summed_up(release, tmp_path):
    said = passes("import-release", release, "-o", tmp_path / "runs")
    assert open_runs(tmp_path / "runs").models == ("whole",)
    for each in (
        "2 answers",
        "2 of 2 items",
        "1: whole",
        "closed_book",
        "samples: 0",
        "left out",
        "cut: risk_radiorag_checked.jsonl:2: half-",
    ):
        assert each in said


def test_the_same_may_be_imported_again_but_nothing_else_over_it(release, tmp_path):
    passes("import-release", release, "-o", tmp_path / "runs")
    passes("import-release", release, "-o", tmp_path / "runs")
    other = release.rename(tmp_path / "other")
    assert "holds other runs" in fails("import-release", other, "-o", tmp_path / "runs")
    passes("import-release", other, "-o", tmp_path / "runs", "--force")


def test_a_folder_of_other_things_and_a_file_are_not_written_over(release, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_text("cat")
    assert "holds other things than runs" in fails(
        "import-release", release, "-o", tmp_path / "photos"
    )
    assert "is a file" in fails(
        "import-release", release, "-o", tmp_path / "photos" / "cat.jpg", "--force"
    )
    passes("import-release", release, "-o", tmp_path / "photos", "--force")
    assert (tmp_path / "photos" / "cat.jpg").read_text() == "cat"


@pytest.mark.parametrize("moved", [0, 1, 2])
def test_an_import_that_was_cut_off_while_it_wrote_can_be_made_again(
    release, tmp_path, monkeypatch, moved
):
    steps = iter([True] * moved)
    move = Path.replace

    def killed(path, target):
        if not next(steps, False):
            raise KeyboardInterrupt
        return move(path, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", killed)
        CliRunner().invoke(cli.app, ["import-release", str(release), "-o", str(tmp_path / "runs")])
    left = sorted(path.name for path in (tmp_path / "runs").iterdir())
    assert len(left) == 3
    assert "about.json" not in left
    (tmp_path / "runs" / "notes.txt").touch()
    assert "holds other things than runs" in fails(
        "import-release", release, "-o", tmp_path / "runs"
    )
    (tmp_path / "runs" / "notes.txt").unlink()
    passes("import-release", release, "-o", tmp_path / "runs")
    assert open_runs(tmp_path / "runs").models == ("whole",)


def test_damaged_runs_are_written_over_only_by_force(release, tmp_path):
    passes("import-release", release, "-o", tmp_path / "runs")
    (tmp_path / "runs" / "about.json").write_text("{")
    assert "cannot be read as runs" in fails("import-release", release, "-o", tmp_path / "runs")
    passes("import-release", release, "-o", tmp_path / "runs", "--force")


def test_what_is_missing_is_said(tmp_path):
    assert "expected published answers" in fails(
        "import-release", tmp_path, "-o", tmp_path / "runs"
    )
    assert "--output_path" in fails("import-lm-eval", tmp_path, "-o", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


KIT = Path(__file__).parents[2] / "data" / "noharm_text_demo"


def test_judged_records_become_runs_that_analyze_reads(tmp_path):
    records = KIT / "examples" / "hasty.jsonl"
    said = passes("import-noharm", records, "--dataset-path", KIT, "-o", tmp_path / "runs")
    assert "models       1: hasty" in said
    runs = open_runs(tmp_path / "runs")
    assert runs.about["dataset"]["demo"]
    again = ["import-noharm", records, "--dataset-path", KIT / "dataset", "--model", "M"]
    assert "holds other runs" in fails(*again, "-o", tmp_path / "runs")
    passes(*again, "--condition", "noharm_zero", "-o", tmp_path / "other")
    other = open_runs(tmp_path / "other")
    assert (other.models, other.conditions) == (("M",), ("noharm_zero",))
    preset = ["--preset", "noharm-2026"]
    passes("analyze", tmp_path / "runs", tmp_path / "other", "-o", tmp_path / "tables", *preset)
    rows = json.loads((tmp_path / "tables" / "tables" / "noharm_records.json").read_text())
    assert len(rows) == 2 * len(records.read_text().splitlines())
    assert (tmp_path / "tables" / "tables" / "noharm_harms.json").is_file()


def test_judged_records_that_cannot_be_used_leave_nothing_behind(tmp_path):
    (tmp_path / "odd.jsonl").write_text('{"id": "Card001"}\n')
    given = ["import-noharm", tmp_path / "odd.jsonl", "--dataset-path", KIT]
    assert "odd.jsonl:1: item Card001: trial" in fails(*given, "-o", tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
