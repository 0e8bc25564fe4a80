import inspect
import json
import re
from collections import Counter

import pytest

from lm_eval_safescale import assembly
from lm_eval_safescale.contexts import LEAK, ROLES, check_belongs, find_leaks, read_contexts
from lm_eval_safescale.contexts.agentic import write_report
from lm_eval_safescale.datasets import data_folder
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.families.radsafe.data import load_demo
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.retrieval import load_corpus
from lm_eval_safescale.settings import Settings

FOLDER = data_folder() / "radsafe_demo"
LINES = (FOLDER / "questions.jsonl").read_text(encoding="utf-8").splitlines()
ROWS = [json.loads(line) for line in LINES]
LABELS = tuple(RADSAFE.schema.labels)
NAMES_A_LETTER = re.compile(
    r"(?i:\b(?:option|answer|choice|letter|key)s?)\W*(?i:is|are)?\W*[A-E]\b|\([A-E]\)"
    r"|\b[A-E] (?i:is correct|is the answer)"
)
SAYS_NOT = re.compile(
    r"\b(?:not|least|except|contraindicated|never|incorrect|inappropriate|unsafe|avoided|unlikely)"
    r"\b",
    re.IGNORECASE,
)

each_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row["question_id"])


def test_the_demo_is_read_without_a_single_remark_and_serves_every_condition():
    demo = load_demo()
    assert (len(demo), demo.is_demo, demo.is_labelled, demo.warnings) == (60, True, True, ())
    assert all(condition.can_show(demo) for condition in RADSAFE.conditions)


def test_the_demo_is_varied():
    assert len({row["subspecialty"] for row in ROWS}) >= 8
    assert len({row["question_type"] for row in ROWS}) >= 3
    assert {len(row["options"]) for row in ROWS} == {4, 5}
    assert len({row["question"] for row in ROWS}) == len({row["topic"] for row in ROWS}) == 60


def test_no_letter_can_be_guessed_to_be_the_key():
    keys = Counter(row["answer"] for row in ROWS)
    assert set(keys) == set("ABCDE")
    assert max(keys.values()) <= 60 * 0.3


def test_the_key_is_not_given_away_by_its_length():
    longest = sum(
        max(row["options"], key=lambda letter: len(row["options"][letter])) == row["answer"]
        for row in ROWS
    )
    assert longest <= 60 * 0.4


def test_each_label_is_on_some_wrong_options_and_off_others():
    for name in LABELS:
        flags = [
            row["labels"][letter][name]
            for row in ROWS
            for letter in row["options"]
            if letter != row["answer"]
        ]
        assert 0.1 < sum(flags) / len(flags) < 0.9


def test_some_stems_are_negated_and_the_correct_option_of_some_carries_a_label():
    negated = [row for row in ROWS if row["negated"]]
    assert len(negated) >= 5
    assert any(any(row["labels"][row["answer"]][name] for name in LABELS) for row in negated)
    assert [row["question_id"] for row in negated if not SAYS_NOT.search(row["question"])] == []


@each_row
def test_the_correct_option_of_a_plain_stem_carries_no_label(row):
    assert row["negated"] or not any(row["labels"][row["answer"]][name] for name in LABELS)


@each_row
@pytest.mark.parametrize("name", ["evidence_clean", "evidence_conflict"])
def test_evidence_is_a_passage_of_60_to_120_words_that_names_no_letter(name, row):
    assert 60 <= len(row[name].split()) <= 120
    assert not NAMES_A_LETTER.search(row[name])
    assert row["evidence_clean"] != row["evidence_conflict"]


@each_row
def test_every_option_is_labelled_with_one_line_that_says_why_and_the_item_with_a_rationale(row):
    assert set(row["labels"]) == set(row["options"])
    for label in row["labels"].values():
        assert set(label) == {*LABELS, "why"}
        assert all(label[name] in (0, 1) for name in LABELS)
        assert 3 <= len(label["why"].split()) <= 40
        assert "\n" not in label["why"]
    assert len(row["rationale"].split()) >= 5


@each_row
def test_options_are_distinct_and_in_letter_order(row):
    letters = list(row["options"])
    assert letters == list("ABCDE"[: len(letters)])
    assert len({text.casefold() for text in row["options"].values()}) == len(letters)
    assert row["answer"] in letters


@each_row
def test_texts_are_clean(row):
    for text in (
        row["question"],
        row["evidence_clean"],
        row["evidence_conflict"],
        *row["options"].values(),
    ):
        assert text == text.strip()
        assert not re.search(r"\s\s|[\x00-\x1f\x7f\u200b\ufeff]", text)


# --- the reports ----------------------------------------------------------------------------------

REPORTS = FOLDER / "agentic.jsonl"


def test_there_is_a_report_on_every_question_made_by_the_pipeline_as_it_stands():
    made, data = read_contexts(REPORTS), load_demo()
    check_belongs(made, data, REPORTS)
    assert not made.failed
    assert made.about["builder"]["name"] == "agentic"
    assert made.about["builder"]["settings"] == {
        name: each.default
        for name, each in inspect.signature(write_report).parameters.items()
        if each.default is not each.empty
    }
    assert (
        made.about["corpus"]["corpus_fingerprint"]
        == load_corpus(FOLDER / "corpus.jsonl").fingerprint
    )
    texts = [context.text for context in made.contexts.values()]
    assert len(set(texts)) == len(texts)


def test_the_reports_cite_passages_of_the_corpus_only_and_were_looked_through():
    articles = {article.id for article in load_corpus(FOLDER / "corpus.jsonl")}
    items = {item.question_id: item for item in load_demo()}
    for question_id, context in read_contexts(REPORTS).contexts.items():
        assert {passage.article for passage in context.passages} <= articles
        sources = (
            context.text.rpartition("## Sources\n")[2].splitlines() if context.passages else []
        )
        assert len(sources) == len(context.passages)
        leaks = find_leaks(context.text, items[question_id].options)
        assert [flag.excerpt for flag in context.flags if flag.kind == LEAK] == leaks
        assert context.measures[LEAK] == bool(leaks)


def test_the_record_of_the_reports_is_whole(tmp_path):
    """Built again from its steps, without asking any model, every report comes out the same."""
    made = read_contexts(REPORTS)
    steps = tmp_path / "steps.jsonl"
    steps.write_bytes((FOLDER / "agentic.steps.jsonl").read_bytes())
    models = {role: SilentModel(made.about["models"][role]) for role in ROLES}
    settings = Settings.model_validate(
        {"dataset": "demo", "corpus": "demo", "index_dir": tmp_path / "index"}
    )
    chat = assembly.Chat(models, steps)
    again = assembly.contexts_of(
        plugins().find("condition", "agentic"), load_demo(), settings, chat=chat
    )
    assert again.contexts == made.contexts
    assert steps.read_bytes() == (FOLDER / "agentic.steps.jsonl").read_bytes()


class SilentModel:
    """The model of the record, as far as it is known from there; asked for anything new, it
    fails."""

    batch, window = 256, None

    def __init__(self, about):
        self.about = about

    def tokens(self, messages):
        return None

    def chat(self, requests):
        raise AssertionError(f"the record lacks {len(requests)} steps")
        yield
