"""Each decision stands in one place: what a benchmark says of itself in `families/` alone, what a setting makes at the setting."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
import yaml

from lm_eval_safescale import settings
from lm_eval_safescale.families import RADSAFE, ItemTable
from lm_eval_safescale.settings import Makes, Settings

PACKAGE = Path(__file__).parent.parent / "lm_eval_safescale"
BUILDERS = {"rag", "agentic", "max_context"}
"""Context builders, too, have these names."""
LABELS = set(RADSAFE.schema.labels)
CONDITIONS = {condition.name for condition in RADSAFE.conditions} - BUILDERS
METRICS = {metric.name for metric in RADSAFE.metrics(ItemTable((), {}))} - {"unanswered"}  # a status, too
SETTINGS = {RADSAFE.threshold}
ALLOWED = {
    "settings.py": SETTINGS,  # a setting is declared where all are
    "metrics/metric.py": SETTINGS,  # what a plugin's item_value is told
    "assembly/scoring.py": SETTINGS,
    "stats/__init__.py": {"agreement", "confidence"},
    "stats/calibration.py": {"accuracy", "confidence"},
}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if "families" not in path.parts and "templates" not in path.parts)


def texts_of(path):
    """String constants of a module but for docstrings, and names of attributes."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said:
            yield node.lineno, node.value
        elif isinstance(node, ast.Attribute):
            yield node.lineno, node.attr


def names_in(text, words):
    """The words that a text is; and those in it that are no words of English."""
    return {word for word in words if text == word or ("_" in word and re.search(rf"\b{word}\b", text))}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_outside_families_knows_a_label_a_condition_a_threshold_or_a_metric(path):
    words = (LABELS | CONDITIONS | SETTINGS | METRICS) - ALLOWED.get(path.relative_to(PACKAGE).as_posix(), set())
    found = [(line, sorted(names)) for line, text in texts_of(path) if (names := names_in(text, words))]
    assert found == []


def test_the_order_of_conditions_is_the_one_that_the_family_says():
    every = [condition.name for condition in RADSAFE.conditions]
    assert RADSAFE.in_order(reversed(every)) == every
    assert RADSAFE.default_conditions == ("closed_book", "clean", "conflict")
    assert RADSAFE.all_conditions == ("closed_book", "clean", "conflict", "rag", "agentic", "max_context")
    for group, named in (("radsafe", RADSAFE.all_conditions), ("radsafe_evidence", RADSAFE.default_conditions)):
        told = yaml.safe_load((PACKAGE.parent / "task_configs" / f"{group}.yaml").read_text(encoding="utf-8"))
        assert told["task"] == [f"radsafe_{name}" for name in named]


# --- settings -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_says_what_it_makes(name):
    assert sum(isinstance(said, Makes) for said in Settings.model_fields[name].metadata) == 1


def test_the_sets_that_identify_data_contexts_answers_and_scores_follow_from_that():
    """They may grow by new settings; a setting that changes sides makes stored runs incomparable."""
    data = {"dataset", "dataset_path", "dataset_args", "columns", "groups"}
    assert data == settings.CHOOSE_DATA
    assert data | {
        "corpus", "corpus_path", "settling_path", "chunk_tokens", "chunk_overlap", "chunk_tokenizer", "retriever", "retriever_args",
        "top_k", "context_builder", "builder_args", "report_builder", "report_args", "max_context_tokens", "context_tokenizer",
        "index_dir",
    } == settings.BUILD_CONTEXTS  # fmt: skip
    answers = {"draws", "temperature", "accept_temperature", "send_seed", "max_answer_tokens", "reasoning", "reader"}
    assert answers == settings.MAKE_ANSWERS
    assert {"overconfidence_threshold", "metrics"} == settings.MAKE_SCORES
    assert settings.LATER == {"accept_temperature": None, "send_seed": True, "metrics": {}}


def test_what_a_family_scores_by_is_a_setting_of_scores():
    assert set(RADSAFE.scoring) <= settings.MAKE_SCORES


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_has_a_list_of_its_own_of_settings_that_make_something(path):
    """A set of names of which three and more are settings is one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    listed = [
        {each.value for each in node.elts if isinstance(each, ast.Constant)} & settings.SETTING_NAMES
        for node in ast.walk(tree)
        if isinstance(node, ast.Set)
    ]
    assert [sorted(names) for names in listed if len(names) > 2] == []
