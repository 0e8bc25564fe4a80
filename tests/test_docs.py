"""What the pages say of settings, data, reading and metrics is what the code does."""

import inspect
import json
import re
from collections import Counter
from pathlib import Path
from statistics import median

import pytest

from lm_eval_safescale.contexts import Draft
from lm_eval_safescale.contexts.from_drafts import measure
from lm_eval_safescale.datasets import check_file
from lm_eval_safescale.datasets.columns import ALIASES, EVIDENCE, GROUP, Columns
from lm_eval_safescale.families import RADSAFE, ItemTable
from lm_eval_safescale.families.medguard import MEDGUARD
from lm_eval_safescale.families.noharm import NOHARM_OPTIONS
from lm_eval_safescale.families.radsafe.data import SCHEMA, load_demo
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.prompts import load_prompt
from lm_eval_safescale.reading import CUT, read_answer
from lm_eval_safescale.reading.choices import SHAPE_RULES
from lm_eval_safescale.reading.languages import LANGUAGES
from lm_eval_safescale.reading.letters import OTHER_RULES, VETO_RULES
from lm_eval_safescale.records import Answers, Choice, Context, Passage, Reading, Status
from lm_eval_safescale.retrieval import load_corpus
from lm_eval_safescale.settings import (
    ANSWER_TOKENS,
    ENV_PREFIX,
    REASONING_TOKENS,
    Settings,
    load_settings,
)
from lm_eval_safescale.stats import confidence
from lm_eval_safescale.testing import check_metric
from tests.datasets.layouts import LAYOUTS

ROOT = Path(__file__).resolve().parent.parent
DATASHEET = ROOT / "data" / "radsafe_demo" / "DATASHEET.md"
SKIPPED = {"out", "build", "dist", "node_modules"}
PAGES = sorted(
    path
    for path in ROOT.rglob("*.md")
    if not any(part.startswith(".") or part in SKIPPED for part in path.relative_to(ROOT).parts)
)
OPTIONS = {
    "A": "Pneumothorax",
    "B": "Pleural effusion",
    "C": "Pulmonary embolism",
    "D": "Lobar pneumonia",
}


def page(name: str) -> str:
    return (ROOT / "docs" / name).read_text(encoding="utf-8")


def table(text: str, *header: str) -> list[list[str]]:
    """Rows of the one table whose header begins with these cells."""
    found, rows = False, []
    for line in text.splitlines():
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
        if cells[: len(header)] == list(header):
            assert not found, f"two tables begin with {header}"
            found = True
        elif found and not cells:
            break
        elif found and set(line) - set("|-: "):
            rows.append(cells)
    assert rows, f"no table begins with {header}"
    return rows


def code(cell: str) -> list[str]:
    return [span.replace("\\|", "|") for span in re.findall(r"`([^`]+)`", cell)]


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


# --- settings -------------------------------------------------------------------------------------

SETTINGS_ROWS = {code(row[0])[0]: row for row in table(page("settings.md"), "key in `--metadata`")}


def test_the_list_of_settings_is_complete():
    assert set(SETTINGS_ROWS) == set(Settings.model_fields)


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_is_listed_with_its_variable_default_and_range(name):
    _, variable, default, limits, _ = SETTINGS_ROWS[name]
    field = Settings.model_fields[name]
    assert code(variable) == [ENV_PREFIX + name.upper()]
    assert (code(default)[0] if code(default) else default) == (
        "none" if field.default is None else str(field.default)
    )
    bounds = [
        getattr(limit, kind)
        for limit in field.metadata
        for kind in ("ge", "gt", "le", "lt")
        if hasattr(limit, kind)
    ]
    assert [float(number) for number in re.findall(r"\d+(?:\.\d+)?", limits) if bounds] == sorted(
        map(float, bounds)
    )


def test_the_reasoning_values_are_all_listed():
    values = code(SETTINGS_ROWS["reasoning"][3])
    assert {Settings(reasoning=value).reasoning for value in values} == set(
        Settings.model_fields["reasoning"].annotation.__args__
    )


def test_the_token_limits_are_those_of_the_code():
    assert {str(ANSWER_TOKENS), str(REASONING_TOKENS)} <= set(
        re.findall(r"\d+", SETTINGS_ROWS["max_answer_tokens"][4])
    )
    assert f"from {ANSWER_TOKENS} to {REASONING_TOKENS}" in page("reading.md")


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_metadata_written_down_can_be_used(path):
    for given in re.findall(r"--metadata '(\{.*?\})'", path.read_text(encoding="utf-8")):
        metadata = json.loads(given)
        assert set(metadata) <= set(Settings.model_fields)
        load_settings(metadata, environ={})


def test_the_refused_generation_arguments_are_all_listed():
    from lm_eval_safescale.harness.task import FIXED_BY_SETTINGS

    rows = table(page("settings.md"), "refused key")
    listed = {key: (code(instead) or [None])[0] for keys, instead in rows for key in code(keys)}
    assert listed == FIXED_BY_SETTINGS


def test_the_example_prompt_file_leaves_its_context_out_in_closed_book(tmp_path):
    (example,) = blocks(page("settings.md"), "yaml")
    path = tmp_path / "prompt.yaml"
    path.write_text(example, encoding="utf-8")
    prompt, item = load_prompt(path, RADSAFE.prompt("")), next(iter(load_demo()))
    assert "Read this first:\nTEXT" in prompt.render(item, Context("TEXT", "test", ""))
    assert prompt.render(item, None).startswith(item.question)


# --- data -----------------------------------------------------------------------------------------


FIELDS = {
    **ALIASES,
    **{EVIDENCE + name: (name, *others) for name, others in SCHEMA.evidence.items()},
    **{GROUP + name: (name, *others) for name, others in SCHEMA.groups.items()},
}


@pytest.mark.parametrize(("header", "aliases"), [("field", FIELDS), ("label", SCHEMA.labels)])
def test_the_alias_tables_are_those_of_the_code(header, aliases):
    rows = table(page("data.md"), header, "also recognised as")
    assert {code(name)[0]: tuple(code(others)) for name, others in rows} == aliases


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("option_a", "option_a"),
        ("option_1", "option_a"),
        ("choice_a", "option_a"),
        ("a", "option_a"),
        ("label_NAME_a", "label_name_a"),
    ]
    + [
        (form, "label_unsafe_a")
        for form in ("option_1_unsafe", "option_a_unsafe", "unsafe_a", "unsafe_1")
    ],
)
def test_the_column_forms_named_are_recognised(column, field):
    template = column.replace("unsafe", "LABEL")
    assert f"`{template}`" in page("data.md")
    assert Columns(SCHEMA).canonical(column) == field


def test_the_recipes_are_the_layouts_that_are_tested():
    rows = table(page("data.md"), "layout", "settings", "what is understood")
    told = {name: json.loads((code(given) or ["{}"])[0]) for name, given, _ in rows}
    assert told == {layout.name: layout.settings for layout in LAYOUTS}


def test_the_example_files_are_valid(tmp_path):
    lines, whole = blocks(page("data.md"), "json")
    examples = {
        "a.jsonl": lines.replace("\n", " "),
        "b.json": whole,
        "c.csv": blocks(page("data.md"), "csv")[0],
    }
    for name, content in examples.items():
        path = tmp_path / name
        path.write_text(content, encoding="utf-8")
        assert check_file(path, parse=RADSAFE.parse) == [], name


# --- reading --------------------------------------------------------------------------------------

READING_ROWS = [("auto", *row) for row in table(page("reading.md"), "output", "reads as")]
READING_ROWS += [
    (code(row[0])[0], *row[1:]) for row in table(page("reading.md"), "reasoning", "output")
]


@pytest.mark.parametrize(("reasoning", "output", "reads"), READING_ROWS)
def test_an_example_reads_as_stated(reasoning, output, reads):
    text = "" if output == "(empty)" else code(output)[0].replace("\\n", "\n")
    assert str(read_answer(text, OPTIONS, reasoning=reasoning)) == reads


RULE_ROWS = [
    row
    for what in ("what counts", "what is no choice", "why there is none")
    for row in table(page("reading.md"), "rule", what)
]


@pytest.mark.parametrize(("rule", "_", "output"), RULE_ROWS)
def test_an_example_of_a_rule_is_read_by_it(rule, _, output):
    reading = read_answer(code(output)[0].replace("\\n", "\n"), OPTIONS)
    assert (reading.rule, reading.response) == (rule, "C" if rule in SHAPE_RULES else None)


def test_every_rule_of_a_reading_is_listed():
    assert [row[0] for row in RULE_ROWS] == [*SHAPE_RULES, *VETO_RULES, *OTHER_RULES]
    assert f"rule `{CUT}`" in page("reading.md")


def test_every_language_of_the_reading_is_listed():
    listed = set(
        re.search(r"denials: ((?:[A-Z]\w+(?:, |,\n +|\.))+)", page("reading.md"))[1]
        .rstrip(".")
        .replace("\n", " ")
        .split(", ")
    )
    assert {name.strip() for name in listed} == {
        *LANGUAGES,
        "Danish",
        "Norwegian",
        "Swedish",
        "Chinese",
        "Japanese",
        "Korean",
    } - {"Scandinavian"}


# --- metrics --------------------------------------------------------------------------------------


def test_every_metric_is_listed_with_its_formula_direction_and_place():
    rows = table(page("metrics.md"), "metric")
    listed = {code(row[0])[0]: (row[1].replace(r"\|", "|"), row[2], row[3]) for row in rows}
    assert listed == {
        metric.name: (
            metric.formula,
            "higher" if metric.higher_is_better else "lower",
            "yes" if metric.in_table else "no",
        )
        for metric in RADSAFE.metrics(ItemTable((), {}))
    }


@pytest.mark.parametrize(("name", "family"), [("noharm", NOHARM_OPTIONS), ("medguard", MEDGUARD)])
def test_every_metric_of_a_family_is_listed_with_its_formula_and_direction(name, family):
    listed = {
        code(row[0])[0]: (row[1], row[2]) for row in table(page(f"{name}.md"), "metric", "formula")
    }
    metrics = {metric.name: metric for metric in family.metrics(ItemTable((), {}))}
    for metric, (formula, better) in listed.items():
        assert (metrics[metric].formula, better) == (
            formula,
            "higher" if metrics[metric].higher_is_better else "lower",
        )
    others = {f"{metric}_answered" for metric in listed}
    assert listed.keys() <= metrics.keys() <= listed.keys() | others
    assert all(metric.formula for metric in metrics.values())
    assert family.notation


def test_every_column_that_metrics_may_name_is_explained():
    listed = [name for row in table(page("plugins.md"), "column", "value") for name in code(row[0])]
    item = Choice("q", "Which?", {"A": "x", "B": "y"}, "A")
    given = RADSAFE.score(
        RADSAFE.table([item]), RADSAFE.arrays([Answers(Reading("A", Status.OK))]), RADSAFE.scoring
    )
    assert sorted(listed) == sorted(given)


@pytest.mark.parametrize(
    "name", ["wrong_in_unison", "steadiness", "harm_for_a_right_answer", "confidence_gap"]
)
def test_the_example_metrics_are_written_by_the_contract(name):
    (example,) = (
        block
        for block in blocks(page("plugins.md"), "python")
        if "safescale_register_metrics" in block
    )
    registered, module = [], {}
    exec(example, module)
    module["safescale_register_metrics"](registered.append)
    (metric,) = (each for each in registered if each.name == name)
    check_metric(metric)


def test_the_example_of_scoring_in_python_prints_every_metric(capsys):
    (example,) = blocks(page("metrics.md"), "python")
    items = list(load_demo())
    exec(
        example,
        {"items": items, "answers": [Answers(Reading(item.answer, Status.OK)) for item in items]},
    )
    printed = dict(line.split() for line in capsys.readouterr().out.splitlines())
    assert (printed["accuracy"], printed["confidence"]) == ("1.0", "nan")


@pytest.mark.parametrize(
    ("options", "votes", "value", "place"), table(page("metrics.md"), "options", "votes")
)
def test_the_confidence_of_the_votes_is_as_stated(options, votes, value, place):
    result = confidence([int(count) for count in votes.split("+")], int(options))
    assert f"{result:.3f}" == value
    assert place == ("over" if result >= Settings().overconfidence_threshold else "under")


# --- datasheet ------------------------------------------------------------------------------------


def test_the_counts_of_the_datasheet_are_those_of_the_data():
    records = [
        json.loads(line)
        for line in (DATASHEET.parent / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    subspecialties = Counter(record["subspecialty"] for record in records)
    (each,) = set(subspecialties.values())
    keys = [record["labels"][record["answer"]] for record in records]
    wrong = [
        flags
        for record in records
        for letter, flags in record["labels"].items()
        if letter != record["answer"]
    ]
    harmless = [
        record
        for record in records
        if not any(
            f["high_risk"] or f["unsafe"]
            for letter, f in record["labels"].items()
            if letter != record["answer"]
        )
    ]
    longest = [
        record
        for record in records
        if all(
            len(text) < len(record["options"][record["answer"]])
            for letter, text in record["options"].items()
            if letter != record["answer"]
        )
    ]
    expected = {
        "items": len(records),
        "subspecialties": len(subspecialties),
        "items in each subspecialty": each,
        **{
            f"type {name}": count
            for name, count in Counter(record["question_type"] for record in records).items()
        },
        **{
            f"items with {n} options": c
            for n, c in Counter(len(record["options"]) for record in records).items()
        },
        "options": sum(len(record["options"]) for record in records),
        "wrong options": len(wrong),
        **{
            f"key {letter}": count
            for letter, count in Counter(record["answer"] for record in records).items()
        },
        **{
            f"wrong options labelled {name}": sum(flags[name] for flags in wrong)
            for name in SCHEMA.labels
        },
        "wrong options without any label": sum(
            not any(flags[name] for name in SCHEMA.labels) for flags in wrong
        ),
        "items without a high_risk or unsafe wrong option": len(harmless),
        "negated stems": sum(record["negated"] for record in records),
        "keys with a label": sum(any(flags[name] for name in SCHEMA.labels) for flags in keys),
        "keys longer than every other option": len(longest),
    }
    for name, field in (("clean", "evidence_clean"), ("conflicting", "evidence_conflict")):
        words = [len(record[field].split()) for record in records]
        for kind, value in (("least", min(words)), ("median", median(words)), ("most", max(words))):
            expected[f"words of the {name} passage, {kind}"] = value
    text = DATASHEET.read_text(encoding="utf-8")
    assert {name: float(value) for name, value in table(text, "count", "value")} == expected
    for name in subspecialties:
        assert name in text


def test_the_datasheet_names_the_fingerprint_and_version_of_the_data():
    demo, text = load_demo(), DATASHEET.read_text(encoding="utf-8")
    assert demo.fingerprint in text
    assert f"version {demo.version}" in text


def test_the_datasheet_is_right_about_labelled_keys_and_harm():
    records = [
        json.loads(line)
        for line in (DATASHEET.parent / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    for record in records:
        key = record["labels"][record["answer"]]
        assert record["negated"] or not any(key[name] for name in SCHEMA.labels)
        assert all(flags["unsafe"] >= flags["high_risk"] for flags in record["labels"].values())


# --- links ----------------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_relative_link_is_dead(path):
    for link in re.findall(r"\]\(([^)\s]+)\)", path.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), link
        assert not anchor or target.suffix != ".md" or anchor in anchors(target), link


# --- retrieval ------------------------------------------------------------------------------------


def test_every_task_that_retrieves_is_listed_and_has_a_file():
    listed = {
        code(row[0])[0] for row in table(page("retrieval.md"), "task", "above the question stands")
    }
    files = {
        path.stem: path.read_text(encoding="utf-8")
        for path in (ROOT / "task_configs").glob("*.yaml")
    }
    assert listed == {"radsafe"} | {
        name for name, text in files.items() if "safescale_retrieval" in text
    }


def test_the_settings_of_our_retrievers_are_listed_with_their_defaults():
    for row in table(page("retrieval.md"), "`retriever`"):
        (part,) = [part for part in plugins().all("retriever") if part.name == code(row[0])[0]]
        parameters = inspect.signature(part.thing).parameters
        assert [name for name in code(row[2]) if name in parameters] == list(parameters)


def test_every_measure_of_a_context_is_explained():
    passage = Passage("a#1", "a", "", "The vein is dilated.", 1.0, 1)
    item = Choice("q", "Which?", {"A": "x", "B": "y"}, "A", evidence={"clean": "A dilated vein."})
    measured = measure(item, Draft(passage.text, (passage,) * 10), {"q": ["a"]}, "clean")
    assert {name for row in table(page("retrieval.md"), "measure") for name in code(row[0])} == set(
        measured
    )


def test_the_datasheet_has_the_fingerprint_of_the_articles():
    corpus = load_corpus(ROOT / "data" / "radsafe_demo" / "corpus.jsonl")
    assert f"`{corpus.fingerprint}`" in DATASHEET.read_text(encoding="utf-8")
    words = [len(article.text.split()) for article in corpus]
    assert (
        f"{len(corpus)} articles (`id`, `title`, `text`) of {min(words)} to {max(words)} words"
        in DATASHEET.read_text(encoding="utf-8")
    )
