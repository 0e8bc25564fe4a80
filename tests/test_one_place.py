"""What a benchmark says of itself stands in `families/` alone: its labels, its conditions, its thresholds, its metrics."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from lm_eval_safescale.families import RADSAFE, ItemTable

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
