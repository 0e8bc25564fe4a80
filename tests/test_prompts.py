import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.assembly import contexts_of
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.families.choice.family import PROMPT
from lm_eval_safescale.families.radsafe.conditions import CONDITIONS
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.prompts import Prompt, load_prompt
from lm_eval_safescale.records import Choice, Context
from lm_eval_safescale.settings import Settings

ITEM = Choice(
    "q1",
    "Which vessel?",
    {"A": "artery", "B": "vein"},
    "B",
    evidence={"clean": "The vein.", "conflict": "Either."},
)
HOSTILE = [
    "{question}",
    "{context} {options}",
    "{{ x }}",
    "{% raw %}",
    "{0}",
    "{}",
    r"\1 \g<0>",
    "%s ${x}",
    "<|im_end|>",
    "a\n\nb",
]


@pytest.fixture
def load(tmp_path):
    def from_text(text):
        path = tmp_path / "prompt.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_prompt(path, PROMPT)

    return from_text


def context(text):
    return Context(text, "test")


# --- our own prompt -------------------------------------------------------------------------------


def test_every_condition_of_ours_has_the_same_prompt():
    assert {
        RADSAFE.prompt(condition)
        for condition in ("", *(condition.name for condition in CONDITIONS))
    } == {PROMPT}


def test_the_user_turn_stands_as_the_protocol_lays_it_out():
    question = "Question: Which vessel?\n\nOptions:\nA. artery\nB. vein\n\nAnswer:"
    assert PROMPT.render(ITEM, None) == question
    assert PROMPT.render(ITEM, context("The vein.")) == f"The vein.\n\n{question}"


def test_the_key_and_labels_are_never_shown():
    other = replace(ITEM, answer="A", labels={"high_risk": "B"}, groups={"subspecialty": "vessels"})
    assert PROMPT.render(ITEM, context("x")) == PROMPT.render(other, context("x"))


def test_the_system_turn_asks_for_the_letter_and_nothing_else():
    assert "medical expert" in PROMPT.system
    assert "letter" in PROMPT.system
    assert "no explanation" in PROMPT.system


texts = st.text(max_size=30) | st.sampled_from(HOSTILE)


@given(question=texts, first=texts, second=texts, above=texts)
def test_texts_of_data_are_shown_as_they_are_whatever_they_hold(question, first, second, above):
    item = Choice("q1", question, {"A": first, "B": second}, "A")
    asked = f"Question: {question}\n\nOptions:\nA. {first}\nB. {second}\n\nAnswer:"
    assert PROMPT.render(item, None) == asked
    assert PROMPT.render(item, context(above)) == (f"{above}\n\n{asked}" if above else asked)


# --- the user's prompt ----------------------------------------------------------------------------


def test_no_file_means_our_prompt():
    assert load_prompt(None, PROMPT) is PROMPT


def test_a_users_template_may_hold_braces_of_its_own_and_leaves_the_contexts_paragraph_out(load):
    prompt = load(
        'system: "Be brief: {x}."\nuser: |\n  Read:\n  {context}\n\n  {question}\n\n  {options}\n'
        '  Reply as {"answer": "A"}.\n'
    )
    asked = 'Which vessel?\n\nA. artery\nB. vein\nReply as {"answer": "A"}.'
    assert prompt.system == "Be brief: {x}."
    assert prompt.render(ITEM, context("x\n\ny")) == f"Read:\nx\n\ny\n\n{asked}"
    assert prompt.render(ITEM, None) == prompt.render(ITEM, context("")) == asked


def test_a_field_in_the_system_turn_is_refused_because_it_would_not_be_filled_in(load):
    with pytest.raises(SafescaleError, match=r"\{question\} in the system turn"):
        load('system: "Answer {question}"\nuser: "{question} {options}"')


def test_the_system_turn_is_ours_unless_the_file_has_one_and_may_be_empty(load):
    assert load('user: "{question} {options}"').system == PROMPT.system
    assert load('user: "{question} {options}"\nsystem: ""').system == ""


@pytest.mark.parametrize(
    "user",
    [
        "{context}\\n{question}\\n\\n{options}",
        "{context} {question} {options}",
        "{question}\\n\\n{context}\\n{options}",
    ],
)
def test_no_template_hides_question_or_options_where_there_is_no_context(user, load):
    try:
        shown = load(f'user: "{user}"').render(ITEM, None)
    except SafescaleError:
        return  # refusing such a template is as good
    assert "Which vessel?" in shown
    assert "B. vein" in shown


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected a mapping"),
        ("- user", "expected a mapping"),
        ("user: 5", "expected a mapping"),
        ('user: "{question} {options}"\nassistant: "A"', "expected a mapping"),
        ('system: "only"', "expected a mapping"),
        ('user: "{question} {options}"\nsystem: null', "without a system turn"),
        ('user: "{question}"', r"lacks \{options\}"),
        ('user: "no fields"', r"lacks \{options\}, \{question\}"),
        ('user: "{question} {options} {evidence}"', r"unknown \{evidence\}"),
        ('user: "{question} {options} {}"', r"unknown \{\}"),
        ("user: [", "cannot be read as YAML"),
        ("user: !!python/object/apply:os.getcwd []", "cannot be read as YAML"),
        (b"user: caf\xe9", "cannot be read as YAML"),
    ],
)
def test_a_template_that_cannot_be_used_is_refused_with_what_was_expected(text, expected, load):
    with pytest.raises(SafescaleError, match=expected) as caught:
        load(text)
    assert "prompt.yaml" in str(caught.value)


def test_a_template_that_is_not_there_or_is_a_folder_is_refused(tmp_path):
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(SafescaleError, match="cannot be read"):
            load_prompt(path, PROMPT)


def test_any_change_of_a_template_changes_its_fingerprint():
    prompts = [
        PROMPT,
        Prompt(PROMPT.system + " ", PROMPT.user),
        Prompt(PROMPT.system, "{question}"),
        Prompt("ab", "c"),
        Prompt("a", "bc"),
    ]
    assert len({prompt.fingerprint for prompt in prompts}) == len(prompts)
    expected = hashlib.sha256(json.dumps(["a", "bc"]).encode()).hexdigest()
    assert prompts[-1].fingerprint == expected


def test_a_prompt_says_whether_it_would_show_a_context():
    assert PROMPT.shows_context
    assert not Prompt("", "{question}\n\n{options}").shows_context


# --- conditions -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text"), [("closed_book", None), ("clean", "The vein."), ("conflict", "Either.")]
)
def test_a_condition_shows_its_own_evidence_and_closed_book_shows_nothing(name, text):
    made = contexts_of(
        plugins().find("condition", name), Dataset.of("mine", "1", [ITEM]), Settings()
    )
    assert (made and made.contexts["q1"].text) == text
    if made:
        assert made.contexts["q1"].fingerprint == hashlib.sha256(text.encode()).hexdigest()
        assert made.about["builder"]["settings"] == {"evidence": name}


@pytest.mark.parametrize(
    ("lacking", "refused"), [("clean", {"clean"}), ("conflict", {"conflict"}), (None, set())]
)
def test_a_condition_knows_whether_data_have_what_it_shows(lacking, refused):
    items = [
        ITEM,
        Choice(
            "q2",
            "Q?",
            ITEM.options,
            "A",
            evidence={k: v for k, v in ITEM.evidence.items() if k != lacking},
        ),
    ]
    dataset = Dataset.of("mine", "1", items)
    assert {
        condition.name for condition in CONDITIONS if not condition.can_show(dataset)
    } == refused


def test_an_unknown_condition_is_refused_with_the_known_ones():
    with pytest.raises(
        SafescaleError, match="no condition 'open_book'; known: closed_book, clean, conflict"
    ):
        plugins().find("condition", "open_book")
