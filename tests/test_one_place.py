"""Each decision stands in one place: what a benchmark says of itself in `families/` alone, what a
setting makes at the setting.
"""

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
# a status, too
METRICS = {metric.name for metric in RADSAFE.metrics(ItemTable((), {}))} - {"unanswered"}
SETTINGS = {RADSAFE.threshold}
ALLOWED = {
    "settings.py": SETTINGS,  # a setting is declared where all are
    "metrics/metric.py": SETTINGS,  # what a plugin's item_value is told
    "assembly/scoring.py": SETTINGS,
    "stats/__init__.py": {"agreement", "confidence"},
    "stats/calibration.py": {"accuracy", "confidence"},
    "report/pages/confidence/__init__.py": {"confidence"},  # the page's own name
    # a column of the table of ensembles: of their members, not of samples
    "report/pages/compute/ensembles.py": {"synchronised_failure"},
}
MODULES = sorted(
    path
    for path in PACKAGE.rglob("*.py")
    if "families" not in path.parts and "templates" not in path.parts
)


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
    return {
        word for word in words if text == word or ("_" in word and re.search(rf"\b{word}\b", text))
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_outside_families_knows_a_label_a_condition_a_threshold_or_a_metric(path):
    words = (LABELS | CONDITIONS | SETTINGS | METRICS) - ALLOWED.get(
        path.relative_to(PACKAGE).as_posix(), set()
    )
    found = [
        (line, sorted(names)) for line, text in texts_of(path) if (names := names_in(text, words))
    ]
    assert found == []


def test_the_order_of_conditions_is_the_one_that_the_family_says():
    every = [condition.name for condition in RADSAFE.conditions]
    assert RADSAFE.in_order(reversed(every)) == every
    assert RADSAFE.default_conditions == ("closed_book", "clean", "conflict")
    assert RADSAFE.all_conditions == (
        "closed_book",
        "clean",
        "conflict",
        "rag",
        "agentic",
        "max_context",
    )
    for group, named in (
        ("radsafe", RADSAFE.all_conditions),
        ("radsafe_evidence", RADSAFE.default_conditions),
    ):
        told = yaml.safe_load(
            (PACKAGE.parent / "task_configs" / f"{group}.yaml").read_text(encoding="utf-8")
        )
        assert told["task"] == [f"radsafe_{name}" for name in named]


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_says_what_it_makes(name):
    assert sum(isinstance(said, Makes) for said in Settings.model_fields[name].metadata) == 1


def test_the_sets_that_identify_data_contexts_answers_and_scores_follow_from_that():
    """They may grow by new settings; a setting that changes sides makes stored runs
    incomparable."""
    data = {"dataset", "dataset_path", "dataset_args", "columns", "groups", "unit"}
    data |= {"first_index", "exclude_items"}
    assert data == settings.CHOOSE_DATA
    assert data | {
        "corpus", "corpus_path", "settling_path", "chunk_tokens", "chunk_overlap",
        "chunk_tokenizer", "retriever", "retriever_args", "top_k", "context_builder",
        "builder_args", "report_builder", "report_args", "max_context_tokens", "context_tokenizer",
        "index_dir",
    } == settings.BUILD_CONTEXTS  # fmt: skip
    answers = {
        "draws",
        "temperature",
        "accept_temperature",
        "send_seed",
        "max_answer_tokens",
        "reasoning",
        "reader",
    }
    assert answers == settings.MAKE_ANSWERS
    assert {"overconfidence_threshold", "metrics"} == settings.MAKE_SCORES
    assert settings.LATER == {
        "accept_temperature": None,
        "send_seed": True,
        "metrics": {},
        "unit": None,
        "first_index": None,
        "exclude_items": [],
    }


def test_what_a_family_scores_by_is_a_setting_of_scores():
    assert set(RADSAFE.scoring) <= settings.MAKE_SCORES


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_has_a_list_of_its_own_of_settings_that_make_something(path):
    """A set of names of which three and more are settings is one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    listed = [
        {each.value for each in node.elts if isinstance(each, ast.Constant)}
        & settings.SETTING_NAMES
        for node in ast.walk(tree)
        if isinstance(node, ast.Set)
    ]
    assert [sorted(names) for names in listed if len(names) > 2] == []


# --- messages -------------------------------------------------------------------------------------


FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]*|(?<![\w-])-o\b")
THEIR_FLAGS = {
    "leaderboard": {  # git's
        "--raw",
        "--no-renames",
        "--full-index",
        "--end-of-options",
        "--name-only",
        "--quiet",
        "--initial-branch",
    },
    "harness": {  # what lm_eval is given: the adapter speaks to its users
        "--metadata",
        "--model",
        "--model_args",
        "--gen_kwargs",
        "--apply_chat_template",
        "--batch_size",
        "--cache_requests",
        "--include_path",
        "--log_samples",
        "--force-reinstall",
        "--no-deps",  # pip's
    },
    "importing": {"--output_path", "--log_samples"},  # what lm_eval was given that wrote the files
    "report": {"--output_path", "--fig-"},  # the latter begins names of CSS variables
    "runs": {"--log_samples"},
    "sweep": {"--query-gpu", "--format", "--head"},  # nvidia-smi's and Ray's
}
"""Options of other programs, by the package that may name them."""


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_only_the_command_line_names_an_option_of_ours(path):
    """Else a hint does (`errors.Hint`), and whoever prints it phrases it (`command_line`)."""
    part = path.relative_to(PACKAGE).parts[0]
    if part in ("cli", "command_line.py"):
        return
    named = [(line, flag) for line, text in texts_of(path) for flag in FLAG.findall(text)]
    assert [(line, flag) for line, flag in named if flag not in THEIR_FLAGS.get(part, ())] == []


LOOKS_AT_WORDS = {
    "startswith",
    "endswith",
    "removeprefix",
    "removesuffix",
    "search",
    "match",
    "fullmatch",
    "find",
    "partition",
}
TEXTS = {"error", "message", "msg", "reason", "why", "failure", "warning"}
"""How attributes and variables are called that hold what is said of something that went wrong."""
WORDS_OF_OTHERS = {
    "errors.py": "the system's words for a full disk, deep in another library's error",
    "contexts/logged.py": "msgspec names a field in its message alone",
    "datasets/files.py": "Python's json and codecs say by words alone that a text ends too soon",
    "datasets/tables.py": "Python's csv says by words alone that a text ends too soon",
    "settings.py": "pydantic's words, that are shown after our own",
}


def is_message(node):
    """An expression that is the text of an error: `str(error)`, `error.msg`, `found["msg"]`,
    `reply.error`, `why`."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("str", "reason_of")
    ):
        return any(
            isinstance(each, ast.Name) and re.search("err|exc|fail", each.id)
            for each in ast.walk(node.args[0])
        )
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "what_is_wrong"
    ):
        return True
    if isinstance(node, ast.Subscript):
        return isinstance(node.slice, ast.Constant) and node.slice.value in TEXTS
    return getattr(node, "attr", getattr(node, "id", None)) in TEXTS


def decisions_by_words(tree):
    """Lines where something is looked for in the text of an error, or it is compared with a
    text."""
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in LOOKS_AT_WORDS
        ):
            looked_at = [node.func.value, *node.args]
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.In | ast.NotIn):
            looked_at = node.comparators
        elif isinstance(node, ast.Compare) and isinstance(node.ops[0], ast.Eq | ast.NotEq):
            both = [node.left, *node.comparators]
            looked_at = (
                both if any(isinstance(each, ast.Constant) and each.value for each in both) else []
            )
        else:
            continue
        if any(map(is_message, looked_at)):
            yield node.lineno


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_nobody_decides_by_the_words_of_a_message(path):
    found = list(decisions_by_words(ast.parse(path.read_text(encoding="utf-8"))))
    assert bool(found) == (path.relative_to(PACKAGE).as_posix() in WORDS_OF_OTHERS), found


@pytest.mark.parametrize(
    "line",
    [
        'str(error).removeprefix("error: ")',
        'response.error.startswith("HTTP 401")',
        '"timed out" in str(failed)',
        "PATTERN.search(reply.error)",
        'error.reason == "unexpected end of data"',
        'found["msg"].removeprefix("Value error, ")',
    ],
)
def test_such_a_decision_is_seen(line):
    assert list(decisions_by_words(ast.parse(line))) == [1]
