"""A family that is none of ours goes all the way: asked, interrupted, resumed, verified, analysed;
and refused where it does not belong.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from types import ModuleType

import pytest

import lm_eval_safescale.plugins
from lm_eval_safescale.analysis import Study, make_tables, paired_tests, preset_named, results
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.harness import engines
from lm_eval_safescale.hookspecs import hookimpl
from lm_eval_safescale.plugins import Plugin, Plugins, _built_in
from lm_eval_safescale.runs import open_runs
from lm_eval_safescale.runs.store import merge_runs
from lm_eval_safescale.testing.scaffold import TEMPLATES
from lm_eval_safescale.verifying.verify import verify
from tests.running import asking
from tests.running.asking import ask, write_questions

spec = importlib.util.spec_from_file_location(
    "family_template", TEMPLATES / "family" / "plugin_name.py"
)
template = importlib.util.module_from_spec(spec)
spec.loader.exec_module(template)
FAMILY = template.PART
TEXTS = ("3", "The answer is 12.", "206", "200", "3 or 4", "-7", "I do not know.")


def install(monkeypatch, *modules):
    known = Plugins(
        [
            *_built_in(),
            *(
                Plugin(f"numbers{place}", "1", "m", lambda m=module: m)
                for place, module in enumerate(modules)
            ),
        ]
    )
    for name, module in list(sys.modules.items()):
        if (
            name.startswith("lm_eval_safescale")
            and hasattr(module, "plugins")
            and callable(module.plugins)
        ):
            monkeypatch.setattr(module, "plugins", lambda: known)
    monkeypatch.setattr(lm_eval_safescale.plugins, "plugins", lambda: known)
    return known


@pytest.fixture
def numbers(monkeypatch):
    """The template's package, installed; the stub answers with numbers."""
    monkeypatch.setattr(engines, "sys", asking.seeded)
    monkeypatch.setattr(asking, "TEXTS", TEXTS)
    return install(monkeypatch, template)


@pytest.fixture
def records(tmp_path):
    path = tmp_path / "numbers.jsonl"
    rows = [
        {
            "question_id": f"n{number:02}",
            "question": f"How many are {number}?",
            "value": number % 5,
            "tolerance": 1,
            "organ": "ab"[number % 2],
        }
        for number in range(12)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def run(folder, **given):
    given = {"conditions": ["plugin_name"], "metadata": {"draws": 4}, **given}
    return ask(folder, **given)


def test_it_is_asked_interrupted_resumed_and_verified(numbers, records, tmp_path):
    metadata = {"draws": 4, "dataset_path": str(records), "groups": ["organ"]}
    run(tmp_path / "whole", metadata=metadata)
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path / "torn", metadata=metadata, faults={"fails_at": 3, "says": "interrupt"})
    run(tmp_path / "torn", metadata=metadata)
    whole, torn = (open_runs(tmp_path / name) for name in ("whole", "torn"))
    assert whole.answers.drop("latency_s", "concurrency").equals(
        torn.answers.drop("latency_s", "concurrency")
    )
    assert whole.about["dataset"]["family"] == "plugin_name"
    assert set(whole.answers["response"].drop_nulls().to_list()) <= {"3", "12", "206", "200", "-7"}
    assert (whole.answers["status"] == "unanswered").any()
    assert whole.items.columns == ["question_id", "value", "tolerance", "group_organ"]
    found = verify(tmp_path / "torn")
    assert (found.verdict.name, found.read_again) == ("WHOLE", whole.answers.height), found.findings


def test_its_metrics_and_groups_stand_in_every_table(numbers, records, tmp_path):
    metadata = {"draws": 4, "dataset_path": str(records), "groups": "organ"}
    for name in ("one", "two"):
        run(tmp_path / name, metadata=metadata, name=name)
    runs = merge_runs({name: open_runs(tmp_path / name) for name in ("one", "two")})
    table = results(runs)
    assert set(table["metric"]) == {"right", "unanswered", "distance", "latency_s"}
    assert set(table["group"].drop_nulls()) == {"a", "b"}
    assert set(table["family"]) == {"plugin_name"}
    greedy = runs.answers.filter((runs.answers["draw"] == 0) & (runs.answers["model"] == "one"))
    value = dict(runs.items.select("question_id", "value").iter_rows())
    right = [
        response is not None and abs(int(response) - value[name]) <= 1
        for name, response in greedy.select("question_id", "response").iter_rows()
    ]
    (row,) = table.filter(
        (table["metric"] == "right") & (table["model"] == "one") & table["group"].is_null()
    ).to_dicts()
    assert (row["value"], row["n"]) == (pytest.approx(sum(right) / 12), 12)
    tests = paired_tests(runs)
    assert set(tests["metric"]) >= {"right", "distance"}
    assert set(tests["left_model"]) == {"one"}
    _, failed = make_tables(Study(runs), preset_named("default"))
    assert failed == {}


def test_what_belongs_to_another_family_is_refused(numbers, records, tmp_path):
    questions = write_questions(tmp_path / "questions.jsonl", 3)
    with pytest.raises(
        SafescaleError,
        match=r"conditions of the families plugin_name and radsafe.*folder of its own",
    ):
        run(tmp_path / "both", conditions=["plugin_name", "closed_book"])
    with pytest.raises(
        SafescaleError,
        match=(
            r"data set demo .* is of the family radsafe, and is asked under conditions of "
            r"plugin_name"
        ),
    ):
        run(tmp_path / "data", metadata={"draws": 1, "dataset": "demo"})
    with pytest.raises(SafescaleError, match="value: expected a whole number, found None"):
        run(tmp_path / "file", metadata={"draws": 1, "dataset_path": str(questions)})
    with pytest.raises(
        SafescaleError, match=r"plugin_name_examples .* of the family plugin_name.* radsafe"
    ):
        run(
            tmp_path / "other",
            conditions=["closed_book"],
            metadata={"draws": 1, "dataset": "plugin_name_examples"},
        )
    with pytest.raises(SafescaleError, match=r"reader: .*reads its answers itself"):
        run(tmp_path / "reader", metadata={"draws": 1, "reader": "mine"})
    with pytest.raises(SafescaleError, match="groups: no item has a group 'scanner'"):
        run(
            tmp_path / "group",
            metadata={"draws": 1, "dataset_path": str(records), "groups": ["scanner"]},
        )
    run(tmp_path / "numbers")
    ask(
        tmp_path / "letters",
        conditions=["closed_book"],
        metadata={"draws": 1, "dataset_path": str(questions)},
    )
    with pytest.raises(
        SafescaleError,
        match=r"numbers is of the family plugin_name.*letters of radsafe.*analyse them apart",
    ):
        open_runs(tmp_path / "numbers", tmp_path / "letters")


def test_runs_of_a_family_that_is_not_installed_say_so(numbers, tmp_path, monkeypatch):
    run(tmp_path / "numbers")
    install(monkeypatch)
    with pytest.raises(SafescaleError, match="there is no family 'plugin_name'; known: radsafe"):
        open_runs(tmp_path / "numbers")


def test_a_family_whose_scores_are_wrong_costs_itself_alone(
    monkeypatch, numbers, records, tmp_path
):
    class Odd(template.PluginName):
        name, label, defaults = "odd", "odd", {}
        conditions = (template.Condition("odd", "the question alone"),)

        def score(self, items, answers, settings):
            return {**super().score(items, answers, settings), "right": 7.0}

    module = ModuleType("odd")
    module.safescale_register_families = hookimpl(
        lambda register: register(Odd()), specname="safescale_register_families"
    )
    install(monkeypatch, template, module)
    with pytest.raises(
        SafescaleError,
        match=r"family odd \(version 1\): its score right has the shape \(\); expected",
    ):
        run(
            tmp_path / "odd",
            conditions=["odd"],
            metadata={"draws": 1, "dataset_path": str(records)},
        )
    assert run(tmp_path / "numbers").failures == {}
