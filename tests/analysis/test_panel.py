"""The model panel: which model is meant, what is known of it, and never a guess."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.panel import Panel, PanelModel, canonical, load_panel, panel_table

PANEL = load_panel()


def written(tmp_path, text):
    path = tmp_path / "mine.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_panel_has_the_34_models_of_the_study_in_7_families():
    assert Counter(model.family for model in PANEL.models) == {
        "Qwen": 11,
        "Llama": 6,
        "Mistral": 6,
        "Gemma": 5,
        "DeepSeek": 2,
        "MedGemma": 2,
        "OpenAI-OSS": 2,
    }
    assert len(PANEL.models) == 34
    assert PANEL.unknown(model.name for model in PANEL.models) == ()


@pytest.mark.parametrize(
    ("model", "size"),
    [
        ("Qwen2.5-0.5B-Instruct", 0.5),
        ("Qwen3-VL-235B-A22B-Instruct", 235),
        ("DeepSeek-R1", 671),
        ("DeepSeek-V3.2", 685),
        ("gpt-oss-120b", 120),
        ("Mistral-Large-3-675B-Instruct-2512", 675),
        ("gemma-4-E4B-it", 4),
        ("Llama-4-Scout-17B-16E-Instruct", 17),
    ],
)
def test_sizes_are_those_of_the_protocol(model, size):
    assert PANEL.find(model).parameters_b == size


def test_a_size_in_a_name_is_the_size_in_the_panel():
    """A slip of the hand in one of 34 numbers would bend every scaling line."""
    import re

    for model in PANEL.models:
        named = re.search(r"(?<![\w.])E?(\d+(?:\.\d+)?)b(?![a-z])", model.name, re.IGNORECASE)
        assert named is None or float(named[1]) == model.parameters_b, model.name


def test_only_the_scout_counts_active_parameters():
    assert [model.name for model in PANEL.models if model.parameters == "active"] == [
        "Llama-4-Scout-17B-16E-Instruct"
    ]


def test_every_member_of_an_ensemble_is_in_the_panel():
    assert {ensemble.name for ensemble in PANEL.ensembles} == {
        "Dense Mid",
        "Frontier",
        "Qwen scale",
        "Cross scale",
    }
    for ensemble in PANEL.ensembles:
        assert len(ensemble.members) == 3
        assert all(PANEL.find(member).name == member for member in ensemble.members)


def test_published_means_are_the_protocols_and_what_is_not_published_is_empty():
    means = PANEL.published_means
    assert {condition: values["accuracy"] for condition, values in means.items()} == {
        "closed_book": 0.735,
        "clean": 0.941,
        "conflict": 0.925,
        "rag": 0.760,
        "agentic": 0.781,
        "max_context": 0.740,
    }
    assert means["closed_book"] == {
        "accuracy": 0.735,
        "high_risk_error": 0.120,
        "contradiction": 0.127,
        "dangerous_overconfidence": 0.080,
        "latency_s": 18.0,
    }
    assert [
        condition for condition, values in means.items() if values["high_risk_error"] is None
    ] == [
        "conflict",
        "rag",
        "agentic",
        "max_context",
    ]
    assert means["rag"]["contradiction"] == 0.117
    assert means["agentic"]["contradiction"] == 0.090


@pytest.mark.parametrize(
    "model",
    [
        "Qwen3-32B",
        "Qwen/Qwen3-32B",
        "qwen/qwen3-32b",
        "Qwen__Qwen3-32B",
        "/models/Qwen3-32B/",
        "Qwen3_32B",
        " Qwen3-32B ",
    ],
)
def test_a_name_is_found_however_it_is_spelt(model):
    assert PANEL.find(model).name == "Qwen3-32B"


@pytest.mark.parametrize(
    "model",
    [
        "Qwen3-32B-AWQ",
        "Qwen3-32",
        "DeepSeek-R1-Distill-Llama-70B",
        "Llama-3-70B-Instruct",
        "Qwen3-30B-A3B",
        "gemma-3-4b-pt",
        "",
        "my-model-7B",
    ],
)
def test_a_similar_name_is_not_guessed(model):
    assert PANEL.find(model) is None
    assert PANEL.unknown([model]) == (model,)
    row = {
        "model": model,
        "panel_name": None,
        "family": None,
        "parameters_b": None,
        "parameters": None,
    }
    assert panel_table([model], PANEL) == [row]


def test_a_models_row_says_what_the_panel_knows():
    row = {
        "model": "Qwen/Qwen3-8B",
        "panel_name": "Qwen3-8B",
        "family": "Qwen",
        "parameters_b": 8.0,
        "parameters": "total",
    }
    assert panel_table(["Qwen/Qwen3-8B"], PANEL) == [row]


@given(st.sampled_from(PANEL.models), st.sampled_from(["", "org/", "a/b/", "org__"]), st.booleans())
def test_no_spelling_finds_another_model(model, before, upper):
    name = before + (model.name.upper() if upper else model.name)
    assert PANEL.find(name) is model
    assert canonical(canonical(name)) == canonical(name)


def test_a_users_file_adds_models_ensembles_and_replaces_those_of_the_same_name(tmp_path):
    path = written(
        tmp_path,
        """
models:
  - {name: My-7B, family: Mine, parameters_b: 7, aliases: [my-seven]}
  - {name: qwen3-8b, family: Qwen, parameters_b: 8.2}
  - {name: Sizeless, family: Mine}
ensembles:
  - {name: Ours, members: [My-7B, Qwen3-8B]}
published_means:
  rag: {high_risk_error: 0.5}
""",
    )
    panel = load_panel(path)
    assert panel.find("lab/My-Seven").name == "My-7B"
    assert panel.find("Qwen3-8B").parameters_b == 8.2
    assert len(panel.models) == 36
    assert panel.ensembles[-1].members == ("My-7B", "Qwen3-8B")
    assert len(panel.ensembles) == 5
    assert panel.published_means["rag"]["high_risk_error"] == 0.5
    assert panel.published_means["rag"]["accuracy"] == 0.76
    assert panel.unknown(["Sizeless", "My-7B"]) == ("Sizeless",)
    assert load_panel().published_means["rag"]["high_risk_error"] is None, (
        "the bundled panel must not change"
    )


def test_an_empty_file_is_the_bundled_panel(tmp_path):
    assert load_panel(written(tmp_path, "")) == PANEL


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: 3", "expected a list"),
        ("model: []", "has model"),
        ("- 1", "expected a mapping"),
        ("models: [Qwen]", "model 1 is 'Qwen'"),
        ("models: [{family: X}]", "name is None"),
        ("models: [{name: a, parameters_b: 0}]", "above 0"),
        ("models: [{name: a, parameters_b: .inf}]", "above 0"),
        ("models: [{name: a, parameters_b: .nan}]", "above 0"),
        ("models: [{name: a, parameters_b: '7B'}]", "'7B'"),
        ("models: [{name: a, parameters_b: true}]", "above 0"),
        ("models: [{name: a, parameters: some}]", "total, active"),
        ("models: [{name: a, size: 3}]", "has size"),
        ("models: [{name: a}, {name: org/A}]", "both called a"),
        ("models: [{name: a, aliases: [Qwen3-8B]}]", "both called qwen3-8b"),
        ("ensembles: [{name: e, members: [a]}]", "at least two"),
        ("ensembles: [{name: e, members: [a, org/A]}]", "stands twice"),
        ("ensembles: [{name: e, members: [a, b]}, {name: e, members: [a, c]}]", "one name"),
        ("published_means: {rag: {accuracy: 76}}", "from 0 to 1"),
        ("published_means: {rag: 0.7}", "metric: value"),
        ("models: [", "expected a YAML file"),
    ],
)
def test_a_wrong_file_is_named_with_what_was_expected(tmp_path, text, said):
    path = written(tmp_path, text)
    with pytest.raises(SafescaleError, match="mine") as error:
        load_panel(path)
    assert said in str(error.value)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(SafescaleError, match="cannot be read"):
        load_panel(tmp_path / "none.yaml")


def test_the_model_spelt_alike_is_chosen_before_others_of_that_name():
    panel = Panel((PanelModel("Qwen3-8B"),))
    assert panel.choose("Qwen3-8B", ["a/Qwen3-8B", "Qwen3-8B"]) == ("Qwen3-8B",)
    assert panel.choose("Qwen3-8B", ["a/Qwen3-8B", "b/Qwen3-8B"]) == ("a/Qwen3-8B", "b/Qwen3-8B")
    assert panel.choose("Qwen3-8B", ["Qwen3-8B-AWQ"]) == ()
