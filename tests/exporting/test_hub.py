"""Exports for a model's repository on the hub: the hub's own library reads them as they were meant,
and shares are in percent."""

from __future__ import annotations

import huggingface_hub
import pytest
import yaml
from huggingface_hub.repocard_data import (
    ModelCardData,
    eval_results_to_model_index,
    model_index_to_eval_results,
)

from lm_eval_safescale.analysis import Study
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.exporting import Output, Subject, write_eval_results, write_model_index
from tests.analysis.making import add_cell, item, one_cell
from tests.exporting.making import row_of, runs_of


def loaded(done):
    (path,) = done.files
    return path, yaml.safe_load(path.read_text("utf-8"))


def in_percent(subject, row, name):
    (metric,) = (each for each in subject.study.metrics if each.name == name)
    return 100 * row if metric.is_fraction else row


def test_the_hubs_library_reads_each_headline_of_each_condition_with_its_value(subject, tmp_path):
    path, content = loaded(
        write_eval_results(
            [subject], Output(tmp_path), "org/questions", "https://example.org/traces"
        )
    )
    assert path == tmp_path / "Model-1B" / ".eval_results" / "questions.yaml"
    entries = huggingface_hub.parse_eval_result_entries(content)
    assert huggingface_hub.eval_result_entries_to_yaml(entries) == content
    conditions = subject.study.conditions
    assert len(entries) == len(conditions) * len(subject.study.family.headlines)
    for entry in entries:
        condition, _, metric = entry.task_id.partition(".")
        row = row_of(subject, "Model-1B", condition, metric)
        assert entry.value == pytest.approx(in_percent(subject, row["value"], metric))
        assert (entry.dataset_id, entry.source_url, entry.date) == (
            "org/questions", "https://example.org/traces", "2026-03-31T12:00:00+02:00",
        )  # fmt: skip
        for said in (
            "DEMO data: no clinical claim may rest on it", subject.dataset["fingerprint"],
            f"condition {condition}; {metric}: ", "percent", "is better", f"n = {row['n']}",
        ):  # fmt: skip
            assert said in entry.notes


def test_the_hubs_library_reads_the_model_index_and_writes_it_again_as_it_was(subject, tmp_path):
    _, content = loaded(write_model_index([subject], Output(tmp_path), "org/questions"))
    name, results = model_index_to_eval_results(content["model-index"])
    assert name == "Model-1B"
    assert eval_results_to_model_index(name, results) == content["model-index"]
    card = ModelCardData(model_name=name, eval_results=results)
    assert yaml.safe_load(card.to_yaml())["model-index"] == content["model-index"]
    for result in results:
        row = row_of(subject, name, result.dataset_config, result.metric_type)
        assert result.metric_value == pytest.approx(
            in_percent(subject, row["value"], result.metric_type)
        )
        for end in ("lo", "hi"):  # null is absent
            told = result.metric_args.get(end)
            assert told == pytest.approx(
                row[end] and in_percent(subject, row[end], result.metric_type)
            )
        assert result.dataset_args["demo"] == "DEMO"
        assert "DEMO" in result.dataset_name
        assert "DEMO" in result.metric_name
        assert result.dataset_args["fingerprint"] == subject.dataset["fingerprint"]
        assert (result.metric_args["n"], result.metric_args["not_scored"]) == (
            row["n"], row["not_scored"],
        )  # fmt: skip


def test_a_share_by_hand_is_in_percent_and_says_which_way_is_better(tmp_path):
    plain = one_cell({str(number): item("A", high_risk="B") for number in range(3)}, "ABB")
    subject = Subject(Study(plain.runs()))
    _, content = loaded(write_model_index([subject], Output(tmp_path)))
    (result,) = content["model-index"][0]["results"]
    by_name = {each["type"]: each for each in result["metrics"]}
    assert by_name["accuracy"]["value"] == 33.33333333
    assert by_name["high_risk_error"]["value"] == 66.66666667
    assert by_name["high_risk_error"]["name"] == "high_risk_error (lower is better)"
    assert by_name["accuracy"]["args"]["unit"] == "percent"
    assert "demo" not in result["dataset"]["args"]
    # no samples were drawn: what rests on them is no 0, but absent
    assert "dangerous_overconfidence" not in by_name


def test_other_metrics_than_the_headlines_can_be_named_and_no_share_stays_as_it_is(tmp_path):
    plain = one_cell({"1": item()}, "A")
    plain.latency["m", "clean", "1"] = 2.5
    subject = Subject(Study(plain.runs()), metrics=["latency_s"])
    _, content = loaded(write_eval_results([subject], Output(tmp_path), "org/questions"))
    assert [(each["dataset"]["task_id"], each["value"]) for each in content] == [
        ("clean.latency_s", 2.5)
    ]
    assert "percent" not in content[0]["notes"]


def test_several_data_sets_cannot_all_be_one_on_the_hub_and_stand_in_one_model_index(
    data_of, tmp_path
):
    subjects = [
        Subject(Study(runs_of(*data_of[name]))) for name in ("radsafe", "noharm_options", "sct")
    ]
    for write in (write_eval_results, write_model_index):
        with pytest.raises(
            SafescaleError, match=r"org/questions names one data set, and these are 3"
        ):
            write(subjects, Output(tmp_path), "org/questions")
    assert not [*tmp_path.iterdir()]
    _, content = loaded(write_model_index(subjects, Output(tmp_path)))
    families = [each["dataset"]["args"]["family"] for each in content["model-index"][0]["results"]]
    assert families == ["radsafe", "radsafe", "noharm_options", "sct"]


@pytest.mark.parametrize("name", ["data", "a/b/c", "../data", "org/", "org/da ta", ""])
def test_what_can_be_no_data_set_on_the_hub_is_refused(subject, tmp_path, name):
    with pytest.raises(SafescaleError, match="expected ORG/NAME"):
        write_eval_results([subject], Output(tmp_path), name)


def test_a_revision_is_one_of_the_hub_only_where_it_looks_like_one(data_of, tmp_path):
    data, family = data_of["radsafe"]
    runs = runs_of(data, family)
    for place, (version, revision) in enumerate((("a" * 40, "a" * 40), ("1.0", None))):
        about = {**runs.about, "dataset": {**runs.about["dataset"], "version": version}}
        subject = Subject(Study(type(runs)(runs.items, runs.answers, about)))
        output = Output(tmp_path / str(place))
        _, content = loaded(write_eval_results([subject], output, "org/questions"))
        assert content[0]["dataset"].get("revision") == revision


HOSTILE = [
    "../../x",
    "- a: b",
    "a: b # c",
    "!!python/object:os.system",
    "&a [*a]",
    "模型",
    "\u202ex",
]


def test_models_of_any_name_give_yaml_that_says_that_name_inside_the_folder(tmp_path):
    plain = one_cell({"1": item()}, "A", model=HOSTILE[0])
    for name in HOSTILE[1:]:
        add_cell(plain, "A", model=name)
    subject = Subject(Study(plain.runs()))
    done = write_model_index([subject], Output(tmp_path / "out"))
    assert [each.name for each in tmp_path.iterdir()] == ["out"]
    names = [
        yaml.safe_load(each.read_text("utf-8"))["model-index"][0]["name"] for each in done.files
    ]
    assert sorted(names) == sorted(HOSTILE)
    assert all(len(each.relative_to(tmp_path / "out").parts) == 2 for each in done.files)


def test_a_model_of_the_hub_has_the_folders_of_its_repository(tmp_path):
    plain = one_cell({"1": item()}, "A", model="Org/Model-1B")
    path, _ = loaded(write_model_index([Subject(Study(plain.runs()))], Output(tmp_path)))
    assert path == tmp_path / "Org" / "Model-1B" / "model-index.yaml"


def test_two_models_whose_folders_are_one_to_many_systems_are_refused_and_nothing_is_written(
    tmp_path,
):
    plain = one_cell({"1": item()}, "A", model="model")
    add_cell(plain, "A", model="MODEL")
    with pytest.raises(SafescaleError, match="would be one file on many file systems"):
        write_model_index([Subject(Study(plain.runs()))], Output(tmp_path))
    assert not [*tmp_path.iterdir()]
