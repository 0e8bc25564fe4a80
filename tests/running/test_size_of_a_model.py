"""The size that a sweep's file says of a model goes with its answers, into tables over size."""

from __future__ import annotations

import json

from lm_eval_safescale.analysis.scaling import scaling
from lm_eval_safescale.analysis.study import Study, remarks
from lm_eval_safescale.families.panel import Panel, PanelModel
from lm_eval_safescale.running import runner
from lm_eval_safescale.runs.store import open_runs
from lm_eval_safescale.sweep import read_sweep


def ask(folder, name, size, condition="clean"):
    model = runner.Model("dummy", {}, name=name, parameters_b=size)
    runner.run(model, folder, [condition], metadata={"dataset": "demo", "draws": 0}, limit=2)
    return folder


def test_a_sweeps_file_hands_the_size_to_the_job(tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "output: out\ndefaults: {backend: dummy}\n"
        "models: [{model: a, parameters_b: 7}, {model: b}]",
        encoding="utf-8",
    )
    assert [job.parameters_b for job in read_sweep(file).jobs] == [7, None]


def test_models_of_sizes_that_only_their_runs_say_stand_in_a_line_over_size(tmp_path):
    folders = [
        ask(tmp_path / name, name, size)
        for name, size in (("one", 1.0), ("seven", 7.0), ("unsized", None))
    ]
    study = Study(open_runs(*folders))
    (line,) = [
        row
        for row in scaling(study)
        if (row["metric"], row["condition"], row["family"]) == ("accuracy", "clean", "all")
    ]
    assert (line["n_models"], line["parameters_min_b"], line["parameters_max_b"]) == (2, 1.0, 7.0)
    said = {row["model"]: row["reason"] for row in remarks(study) if "panel" in row["reason"]}
    assert said["one"].startswith("of no family")
    assert said["unsized"].startswith("not in the model panel")


def test_the_size_of_the_panel_goes_before_that_of_the_runs(tmp_path):
    panel = Panel((PanelModel("one", "Ours", 3.0), PanelModel("two", "Ours")))
    sized = panel.sized({"one": 1.0, "two": 2.0, "three": 3.5})
    assert [
        (sized.find(name).family, sized.find(name).parameters_b) for name in ("one", "two", "three")
    ] == [
        ("Ours", 3.0),
        ("Ours", 2.0),
        (None, 3.5),
    ]
    assert (
        Study(open_runs(ask(tmp_path / "one", "one", 1.0)), given_panel=panel)
        .panel.find("one")
        .parameters_b
        == 3.0
    )


def test_another_size_is_no_other_run_and_the_last_that_was_said_counts(tmp_path):
    ask(tmp_path / "runs", "one", 1.0)
    identity = json.loads((tmp_path / "runs" / "run.json").read_text())["identity"]
    ask(tmp_path / "runs", "one", 2.0, "closed_book")
    assert json.loads((tmp_path / "runs" / "run.json").read_text())["identity"] == identity
    assert open_runs(tmp_path / "runs").about["models"]["one"]["parameters_b"] == 2.0


def test_a_model_of_two_folders_has_the_size_of_either(tmp_path):
    folders = [ask(tmp_path / "a", "one", None), ask(tmp_path / "b", "one", 2.0, "closed_book")]
    assert open_runs(*folders).about["models"]["one"]["parameters_b"] == 2.0
