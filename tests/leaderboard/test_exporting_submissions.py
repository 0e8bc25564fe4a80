"""A submission exports as the runs that it was packed of do; one that is refused does not."""

from __future__ import annotations

import csv
import json

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.exporting import open_folder
from lm_eval_safescale.leaderboard.opening import open_submission
from lm_eval_safescale.leaderboard.verify import Verdicts
from tests.leaderboard.making import lines_of, load_of, sealed_again

ROOT_HASH = "submission with root hash "


def export(*words):
    return CliRunner().invoke(app, ["export", *map(str, words)])


def rows_of(path):
    """Rows without what tells where the answers come from, or is noted of a folder alone."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    sources = {row.pop("source") for row in rows}
    return sources, [{n: v for n, v in row.items() if not n.startswith("setting_")} for row in rows]


def test_every_figure_of_a_submission_is_that_of_its_runs(made, tmp_path):
    for name, path in (("run", made / "run"), ("zip", made / "submission.zip")):
        done = export("csv", path, "-o", tmp_path / f"{name}.csv")
        assert done.exit_code == 0, done.output
    (sources, from_zip), (_, from_run) = (rows_of(tmp_path / f"{n}.csv") for n in ("zip", "run"))
    assert from_zip == from_run != []
    (source,) = sources
    assert source.startswith("safescale run, submission with root hash ")


def test_its_lines_hold_what_the_model_wrote_and_its_record_the_root_hash(made, tmp_path):
    done = export("every-eval-ever", made / "submission.zip", "-o", tmp_path)
    assert done.exit_code == 0, done.output
    (aggregate,) = (json.loads(each.read_text("utf-8")) for each in tmp_path.rglob("*.json"))
    assert ROOT_HASH in aggregate["eval_library"]["additional_details"]["answers_from"]
    (lines,) = tmp_path.rglob("*_samples.jsonl")
    written = {
        text for line in lines.read_text("ascii").splitlines()
        for text in json.loads(line)["output"]["raw"]
    }  # fmt: skip
    assert written <= set(open_folder(made / "run", texts=True).runs.answers["text"])
    assert "Answer: B" in written


def test_with_its_data_set_it_is_verified_and_dated_by_its_last_start(made):
    opened, verdict = open_submission(made / "submission.zip", load_of(made))
    assert verdict is Verdicts.VERIFIED
    assert opened.asked_at == open_folder(made / "run").asked_at
    (known,) = opened.runs.about["models"].values()
    assert known["source"].endswith(", verified")


def test_an_altered_one_is_not_exported_and_the_first_reason_is_told(made, files, tmp_path):
    rows = lines_of(files["answers.jsonl"])
    row = next(row for row in rows if row.get("response") == "B")
    row["response"] = "C"
    altered = {**files, "answers.jsonl": b"".join(json.dumps(r).encode() + b"\n" for r in rows)}
    path = sealed_again(tmp_path / "altered.zip", altered)
    with pytest.raises(SafescaleError, match=r"altered.zip: refused, and not exported: "):
        open_submission(path, load_of(made))
    done = export("csv", path, "-o", tmp_path / "out.csv")
    assert (done.exit_code, (tmp_path / "out.csv").exists()) == (1, False)


def test_a_zip_file_of_anything_else_is_told(made, tmp_path):
    path = sealed_again(tmp_path / "other.zip", {"hello.txt": b"hello"})
    done = export("csv", path, "-o", tmp_path / "out.csv")
    assert done.exit_code == 1
    assert "refused, and not exported" in str(done.exception)
    path.write_bytes((made / "submission.zip").read_bytes()[:300])
    done = export("csv", path, "-o", tmp_path / "out.csv")
    assert done.exit_code == 1
    assert "other.zip" in str(done.exception)
    assert "expected runs" not in str(done.exception)


def test_one_model_cannot_stand_in_a_submission_and_in_its_runs_at_once(made, tmp_path):
    done = export("csv", made / "run", made / "submission.zip", "-o", tmp_path / "out.csv")
    assert done.exit_code == 1
    assert "both hold answers of" in str(done.exception)
