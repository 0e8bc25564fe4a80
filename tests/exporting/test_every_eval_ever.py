"""Exports for every_eval_ever: values are those of the tables, nothing of the data set leaves
unasked, and the package itself finds nothing wrong."""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
from pathlib import Path

import pytest

from lm_eval_safescale.analysis import Study
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.exporting import Output, Provider, Subject, write_every_eval_ever
from lm_eval_safescale.exporting.every_eval_ever import relationship_named
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.stats.intervals import wilson
from lm_eval_safescale.stats.presets import PRESETS
from tests.analysis.making import add_cell, item, one_cell
from tests.exporting.making import SETTINGS, row_of, runs_of

ROOT = Path(__file__).resolve().parents[2]
VALIDATOR = ROOT / ".cache" / "every-eval-ever" / "bin" / "every_eval_ever"


def written(subjects, folder, *given, **named):
    """What is written of one model: the aggregate, and its lines."""
    done = write_every_eval_ever(subjects, Output(folder), *given, **named)
    (aggregate,) = (each for each in done.files if each.suffix == ".json")
    lines = [each for each in done.files if each.suffix == ".jsonl"]
    rows = [json.loads(line) for each in lines for line in each.read_text("ascii").splitlines()]
    return json.loads(aggregate.read_text("utf-8")), rows


def by_id(aggregate):
    return {each["evaluation_result_id"]: each for each in aggregate["evaluation_results"]}


def validated(folder):
    """What the package's own command says of all files under a folder."""
    if not VALIDATOR.exists():
        pytest.skip(
            "no package of every_eval_ever: scripts/every-eval-ever-environment.sh "
            ".cache/every-eval-ever makes an environment with it (Python 3.12)"
        )
    files = sorted(str(each.relative_to(folder)) for each in folder.rglob("*.json*"))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [VALIDATOR, "validate", "--format", "json", *files],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


# --- values ---------------------------------------------------------------------------------------


def test_a_result_is_what_it_is_by_hand(tmp_path):
    """Four items, one right, one wrong and high-risk, one unanswered, one failed."""
    plain = one_cell(
        {str(number): item("A", high_risk="B") for number in range(4)}, "AB-!", ["AA"] * 4
    )
    aggregate, lines = written([Subject(Study(plain.runs()))], tmp_path)
    right, harm = (by_id(aggregate)[f"clean/{name}"] for name in ("accuracy", "high_risk_error"))
    low, high = wilson(1.0, 3.0)
    error = math.sqrt(1 / 3 * 2 / 3 * 3 / 2) / math.sqrt(3)
    for result, lower_is_better in ((right, False), (harm, True)):
        config, details = result["metric_config"], result["score_details"]
        assert config["lower_is_better"] is lower_is_better
        assert (config["min_score"], config["max_score"], config["metric_unit"]) == (
            0, 1, "proportion",
        )  # fmt: skip
        assert details["score"] == 1 / 3
        assert details["details"] == {
            "n": "3", "not_scored": "1", "preset": "default", "bounds_with_missing": "[0.25, 0.5]",
        }  # fmt: skip
        assert details["uncertainty"] == {
            "standard_error": {"value": pytest.approx(error), "method": "analytic"},
            "confidence_interval": {
                "lower": pytest.approx(float(low)),
                "upper": pytest.approx(float(high)),
                "confidence_level": 0.95,
                "method": "wilson",
            },
            "standard_deviation": pytest.approx(error * math.sqrt(3)),
            "num_samples": 3,
        }
    scores = {
        (line["evaluation_result_id"], line["sample_id"]): (
            line["evaluation"]["score"],
            line["evaluation"]["is_correct"],
        )
        for line in lines
    }
    assert [scores.get(("clean/accuracy", name)) for name in "0123"] == [
        (1, True), (0, False), (0, False), None,
    ]  # fmt: skip
    assert [scores.get(("clean/high_risk_error", name)) for name in "0123"] == [
        (0, True), (1, False), (0, True), None,
    ]  # fmt: skip
    # of one item the standard deviation is not defined
    alone = one_cell({"1": item("A")}, "A")
    aggregate, _ = written([Subject(Study(alone.runs()))], tmp_path / "alone")
    uncertainty = by_id(aggregate)["clean/accuracy"]["score_details"]["uncertainty"]
    assert set(uncertainty) == {"confidence_interval", "num_samples"}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_value_and_interval_is_the_tables_own(subject, preset, tmp_path):
    told = Subject(subject.study, PRESETS[preset])
    aggregate, _ = written([told], tmp_path, instances=False)
    assert aggregate["evaluation_results"]
    for result in aggregate["evaluation_results"]:
        condition, _, metric = result["evaluation_result_id"].partition("/")
        row = row_of(told, "Model-1B", condition, metric)
        uncertainty = result["score_details"]["uncertainty"]
        interval = uncertainty.get("confidence_interval", {})
        assert result["score_details"]["score"] == row["value"]
        assert (interval.get("lower"), interval.get("upper")) == (row["lo"], row["hi"])
        assert uncertainty["num_samples"] == row["n"]
        assert (uncertainty.get("num_bootstrap_samples") == 1000) == (
            uncertainty.get("standard_error", {}).get("method") == "bootstrap"
            or interval.get("method", "") in ("bca", "basic", "percentile")
        )


def test_what_is_not_scored_is_left_out_and_named_and_is_never_0(tmp_path):
    plain = one_cell({"1": item(high_risk=None, unsafe=None, contradicts=None)}, "B")
    aggregate, lines = written([Subject(Study(plain.runs()))], tmp_path)
    assert "clean/high_risk_error" not in by_id(aggregate)
    assert not [line for line in lines if line["evaluation_result_id"].endswith("high_risk_error")]
    told = aggregate["source_metadata"]["additional_details"]
    assert "clean/high_risk_error" in json.loads(told["not_scored_results"])
    assert "no labels" in told["not_scored"] or "label" in told["not_scored"]


def test_every_record_names_benchmark_data_preset_and_demo(subject, tmp_path):
    aggregate, lines = written([subject], tmp_path)
    about, family = subject.dataset, subject.study.family
    assert "-DEMO/" in aggregate["evaluation_id"]
    for result in aggregate["evaluation_results"]:
        said = result["metric_config"]["evaluation_description"]
        for each in (
            "DEMO data: no clinical claim", family.label, f"version {family.version}",
            about["fingerprint"], "preset default", "is better", "not scored",
        ):  # fmt: skip
            assert each in said or (each.startswith("preset") and "no interval" in said)
        assert result["source_data"]["dataset_name"].endswith("(DEMO)")
        assert result["source_data"]["additional_details"]["fingerprint"] == about["fingerprint"]
    assert {line["metadata"]["demo"] for line in lines} == {"DEMO"}


def test_settings_temperature_and_model_are_told(subject, tmp_path):
    aggregate, _ = written([subject], tmp_path, Provider("Clinic", "third_party"), instances=False)
    info = aggregate["model_info"]
    assert (info["name"], info["id"], info["developer"]) == ("Model-1B", "Org/Model-1B", "Org")
    assert info["inference_engine"] == {"name": "hf"}
    assert aggregate["source_metadata"]["source_organization_name"] == "Clinic"
    assert aggregate["source_metadata"]["evaluator_relationship"] == "third_party"
    assert aggregate["evaluation_timestamp"] == "1774951200"  # 2026-03-31T10:00:00Z
    wanted = {"greedy": 0.0, "majority": 0.7, "samples": 0.7, "trials": None}
    for result in aggregate["evaluation_results"]:
        asked = result["generation_config"]
        decode = result["metric_config"]["additional_details"]["decode"]
        assert asked["generation_args"].get("temperature") == wanted[decode]
        assert asked["generation_args"]["max_tokens"] == 10
        assert asked["generation_args"]["reasoning"] is False
        assert asked["additional_details"]["prompt_sha256"] == "a" * 64


# --- lines ----------------------------------------------------------------------------------------


def test_the_mean_of_the_lines_of_a_share_or_mean_is_its_result(subject, tmp_path):
    told = Subject(subject.study, metrics=[each.name for each in subject.study.metrics])
    aggregate, lines = written([told], tmp_path)
    means = {each.name for each in subject.study.metrics if each.is_mean}
    for name, result in by_id(aggregate).items():
        if name.rpartition("/")[2] in means:
            scores = [
                line["evaluation"]["score"]
                for line in lines
                if line["evaluation_result_id"] == name
            ]
            assert len(scores) == result["score_details"]["uncertainty"]["num_samples"]
            assert sum(scores) / len(scores) == pytest.approx(result["score_details"]["score"])


def test_a_line_names_its_result_and_holds_the_draws_that_the_metric_is_of(subject, tmp_path):
    aggregate, lines = written([subject], tmp_path)
    results, detail = by_id(aggregate), aggregate["detailed_evaluation_results"]
    drawn = {"greedy": [0], "majority": [1, 2], "samples": [1, 2], "trials": [0, 1, 2]}
    assert len(lines) == detail["total_rows"] > 0
    assert (
        detail["checksum"]
        == hashlib.sha256((tmp_path / detail["file_path"]).read_bytes()).hexdigest()
    )
    for line in lines:
        assert line["evaluation_id"] == aggregate["evaluation_id"]
        assert line["model_id"] == aggregate["model_info"]["id"]
        result = results[line["evaluation_result_id"]]
        assert line["evaluation_name"] == result["evaluation_name"]
        decode = result["metric_config"]["additional_details"]["decode"]
        assert line["metadata"]["draws"] == drawn[decode]
        read = [each for each in line["metadata"]["responses"] if each is not None]
        assert [each["extracted_value"] for each in line["answer_attribution"]] == read
    assert {line["evaluation_result_id"].rpartition("/")[2] for line in lines} <= set(
        subject.study.family.headlines
    )


def test_nothing_of_the_data_set_stands_in_a_line_but_ids_unless_it_is_given(
    subject, data_of, tmp_path
):
    data, _ = data_of[subject.study.family.name]
    _, lines = written([subject], tmp_path / "without")
    assert {json.dumps(line["input"]) for line in lines} == {'{"raw": "", "reference": []}'}
    told = json.dumps(lines, ensure_ascii=False)
    assert not [each for each in data if each.question[:40] in told]
    _, lines = written([subject], tmp_path / "with", texts={data.fingerprint: data})
    items = {each.question_id: each for each in data}
    for line in lines:
        its = items[line["sample_id"]]
        assert its.question in line["input"]["raw"]
        assert line["input"]["reference"] == (
            [its.answer] if hasattr(its, "options") and hasattr(its, "answer") else []
        )
        assert len(line["sample_hash"]) == 64
    # texts of another data set than the runs are of show nothing
    _, lines = written([subject], tmp_path / "other", texts={"f" * 64: data})
    assert {line["input"]["raw"] for line in lines} == {""}


# --- files ----------------------------------------------------------------------------------------


def test_the_same_runs_give_the_same_bytes_and_existing_files_are_kept(subject, tmp_path):
    for name in ("one", "two"):
        write_every_eval_ever([Subject(subject.study)], Output(tmp_path / name))
    one, two = (
        {each.relative_to(tmp_path / name): each.read_bytes() for each in
         sorted((tmp_path / name).rglob("*.json*"))}
        for name in ("one", "two")
    )  # fmt: skip
    assert one == two != {}
    with pytest.raises(SafescaleError, match="there already, and kept"):
        write_every_eval_ever([Subject(subject.study)], Output(tmp_path / "one"))
    write_every_eval_ever([Subject(subject.study)], Output(tmp_path / "one", overwrite=True))
    assert {each: (tmp_path / "one" / each).read_bytes() for each in one} == one
    # other intervals are another record, beside the first
    write_every_eval_ever(
        [Subject(subject.study, PRESETS["radsafe-2026"])], Output(tmp_path / "one")
    )
    assert len([*(tmp_path / "one").rglob("*.json")]) == 2


def test_its_own_package_finds_nothing_wrong_in_any_family(subject, data_of, tmp_path):
    data, _ = data_of[subject.study.family.name]
    for preset in PRESETS.values():
        write_every_eval_ever(
            [Subject(subject.study, preset, asked_at=subject.asked_at)],
            Output(tmp_path),
            Provider(hub_dataset="org/data"),
            texts={data.fingerprint: data},
        )
    status, said = validated(tmp_path)
    assert status == 0, said
    assert len([*tmp_path.rglob("*.json*")]) == 2 * len(PRESETS)


HOSTILE = [
    "../../etc/passwd", "/abs/model", "..", "a/../b", "con", "model.", ".hidden", "模型/七", "=1+1",
    "a\nb", "a" * 300, "<script>alert(1)</script>", "a:b", "é", "\u202emodel", "data", "x y",
]  # fmt: skip


def test_models_of_any_name_and_texts_of_any_kind_give_valid_files_inside_the_folder(
    data_of, tmp_path
):
    data, family = data_of["radsafe"]
    text = 'line\u2028break\x85\x00 "quoted" </script> =1+1 {}'
    names = [*HOSTILE, "A-model", "E\u0301"]
    odd = {
        "temperature": "hot", "max_answer_tokens": -1, "reasoning": ["x"], "model_args": "a=b",
        "backend": "=cmd", "api_key": "sk-0123456789abcdef", "note": "\ud800",
    }  # fmt: skip
    runs = runs_of(data, family, names, ["clean"], k=0, text=text, settings=odd)
    provider = Provider(developer="some/one")
    write_every_eval_ever([Subject(Study(runs))], Output(tmp_path / "out"), provider)
    assert [each.name for each in tmp_path.iterdir()] == ["out"]
    aggregates = [*(tmp_path / "out").rglob("*.json")]
    assert all(len(each.relative_to(tmp_path / "out").parts) == 5 for each in aggregates)
    told = {json.loads(each.read_text("utf-8"))["model_info"]["name"] for each in aggregates}
    assert told == set(names)
    assert not [each for each in aggregates if "sk-0123456789abcdef" in each.read_text("utf-8")]
    (one, *_) = (each for each in (tmp_path / "out").rglob("*_samples.jsonl"))
    first = json.loads(one.read_text("ascii").splitlines()[0])
    assert first["output"]["raw"][0].startswith('line\u2028break\x85\x00 "quoted"')
    status, said = validated(tmp_path / "out")
    assert status == 0, said


def test_models_whose_files_would_be_one_are_told_before_anything_is_written(data_of, tmp_path):
    plain = one_cell({"1": item()}, "A", model="model")
    add_cell(plain, "A", model="MODEL")
    # the same folder to some file systems, two files of their own in it
    write_every_eval_ever([Subject(Study(plain.runs()))], Output(tmp_path))
    assert len([*tmp_path.rglob("*.json")]) == 2


@pytest.mark.parametrize("name", ["", "self", "FIRST_PARTY"])
def test_an_unknown_relationship_is_refused_with_those_that_there_are(name):
    with pytest.raises(SafescaleError, match="expected one of first_party, third_party"):
        relationship_named(name)


def test_an_unknown_metric_is_refused_with_those_that_there_are():
    with pytest.raises(SafescaleError, match="no metric nonsense; the family radsafe has accuracy"):
        Subject(Study(one_cell({"1": item()}, "A").runs()), metrics=["nonsense"])


def test_a_model_that_answers_at_one_temperature_only_was_not_greedy(tmp_path, data_of):
    data, family = data_of["radsafe"]
    settings = SETTINGS | {"accept_temperature": 1.0, "temperature": 1.0}
    runs = runs_of(data, family, conditions=["clean"], settings=settings)
    aggregate, _ = written([Subject(Study(runs))], tmp_path, instances=False)
    asked = by_id(aggregate)["clean/accuracy"]["generation_config"]["generation_args"]
    assert asked["temperature"] == 1.0
    assert RADSAFE.name in aggregate["evaluation_results"][0]["evaluation_name"]
