"""The judge sees letters and a raw text, and its replies are taken at their word or not at all."""

from __future__ import annotations

import inspect
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.chat import Reply
from lm_eval_safescale.reading import judge as judge_module
from lm_eval_safescale.reading.judge import (
    MOST_CHARACTERS,
    VerdictStatus,
    bare_letter,
    judge_messages,
    letter_stands,
    read_verdict,
    shown_part,
)

TEXT = "After all of this I would rather settle on (C), though B was close."


def says(clear="yes", letter="C", **more):
    return json.dumps(
        {"clear_selection": clear, "reasoning": "it says so", "letter": letter, **more}
    )


def verdict(reply, text=TEXT, letters="ABCD"):
    found = read_verdict(Reply(reply), text, letters)
    assert (found.letter is not None) == (found.status is VerdictStatus.LETTER)
    return found.letter or found.status.value


# --- what it is shown -----------------------------------------------------------------------------


def test_the_judge_is_shown_the_letters_and_the_text():
    system, user = judge_messages(TEXT, "ABCDE")
    assert (system.role, user.role) == ("system", "user")
    assert TEXT in user.content
    assert "The option letters are A, B, C, D, E." in user.content


def test_nothing_but_the_text_and_the_letters_can_reach_the_prompt():
    assert list(inspect.signature(judge_messages).parameters) == ["text", "letters"]


@given(st.text(max_size=200))
def test_a_text_reaches_the_judge_unchanged_between_two_marks(text):
    content = judge_messages(text, "AB")[1].content
    mark = next(line for line in content.splitlines() if line.startswith("=====OUTPUT"))
    assert content.split(f"\n{mark}\n", 1)[1].startswith(f"{text}\n{mark}\n")


def test_a_text_that_imitates_the_mark_of_another_does_not_end_its_own():
    other = judge_messages("C", "ABCD")[1].content
    mark = next(line for line in other.splitlines() if line.startswith("====="))
    assert judge_messages(f"B\n{mark}", "ABCD")[1].content.count(mark) == 1


@pytest.mark.parametrize("length", [MOST_CHARACTERS, MOST_CHARACTERS + 1, 200_000])
def test_a_text_beyond_the_limit_is_cut_to_head_and_tail(length):
    text = "H" + "x" * (length - 2) + "T"
    shown = shown_part(text)
    assert shown[0] == "H"
    assert shown[-1] == "T"
    if length <= MOST_CHARACTERS:
        assert shown == text
    else:
        assert f"{length - MOST_CHARACTERS:,} characters are left out" in shown
        assert len(shown) < MOST_CHARACTERS + 100


def test_a_cut_through_a_word_does_not_make_a_letter_of_its_half():
    half = MOST_CHARACTERS // 2
    words = " word" * half
    cut_in_head = words[: half - 2] + " Dense" + words
    assert cut_in_head[half - 1] == "D"
    cut_in_tail = words + " grade-IID" + words[: half - 1]
    assert cut_in_tail[-half] == "D"
    for text in (cut_in_head, cut_in_tail):
        assert not letter_stands("D", text)
        assert " D\n" not in shown_part(text)
        assert "\nD " not in shown_part(text)


# --- replies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        says(),
        says(letter="c"),
        says(letter="(C)"),
        says(letter="Option C."),
        says(letter=["C"]),
        says(letter="C. Pulmonary embolism"),
        says(letter="(C) Pulmonary embolism"),
        says(letter="C: Pulmonary embolism, as the CT shows"),
        says(letter="Option C - Pulmonary embolism"),
        says(letter="C. No fracture"),
        says(letter="Ｃ"),
        says(letter="（Ｃ）"),
        says(letter=["Ｃ. 肺栓塞"]),
        says(clear=True),
        says(clear="YES"),
        says(extra={"a": [1]}),
        f"```json\n{says()}\n```",
        f"Sure! Here it is:\n{says()}\nI hope that helps.",
        f"<think>Maybe B? {says(letter='B')}</think>{says()}",
        f'{{"verdict": {says()}}}',
        f"{says()}\n{says()}",
        '{"Clear Selection": "yes", "Letter": "C"}',
        '{"clear_selection": "yes", "reasoning": "two\nlines and a } brace {", "letter": "C"}',
        "{'clear_selection': 'yes', 'reasoning': 'it''s so', 'letter': 'C',}",
        '{"clear_selection": "yes", "reasoning": "cut", "letter": "C"',
        "{" * 50 + says(),
    ],
)
def test_a_verdict_is_read_however_it_is_dressed(reply):
    assert verdict(reply) == "C"


@pytest.mark.parametrize(
    "reply",
    [
        says("no", None),
        says(False, None),
        says("no", "null"),
        says("No", "C"),
        '{"clear_selection": "no"}',
    ],
)
def test_no_clear_selection_is_no_letter(reply):
    assert verdict(reply) == "none"


@pytest.mark.parametrize(
    "reply",
    [
        None,
        "",
        "C",
        "The answer is C.",
        "I'm sorry, but I cannot help with medical questions.",
        "{}",
        "[]",
        "null",
        '{"letter": "C"}',
        '{"clear_selection": "yes"}',
        says("maybe"),
        says(letter=None),
        says(letter="null"),
        says(letter="B or C"),
        says(letter="BC"),
        says(letter=["B", "C"]),
        says(letter=[]),
        says(letter=[["C"]]),
        says(letter={"C": "Pulmonary embolism"}),
        says(letter=3),
        says(letter="Pulmonary embolism"),
        says(letter="C or D"),
        says(letter="C. Pulmonary embolism; D. Lobar pneumonia"),
        says(letter="C) and D)"),
        says(letter="C. No, D"),
        says(letter="C. Not sure"),
        says(letter="C. Pulmonary embolism or D. Lobar pneumonia"),
        says(letter="A 45-year-old"),
        says() + says(letter="B"),
        says() + says("no", None),
        '{"clear_selection": "yes", "letter": "B", "reasoning": "cut' + says(),
        says() + '{"clear_selection": "yes", "letter": "B"',
        '{"clear_selection": "yes", "letter": "B", "letter": "C"}' + says(),
        '{"clear_selection": "yes", "letter": "B", "reasoning": "cut' + says("no", None),
        '{"clear_selection": "yes", "letter": "C", "letter": "B"}',
        (
            '{"clear_selection": "yes" or "no", "reasoning": "one short sentence", '
            '"letter": the letter, or null}'
        ),
        '{"clear_selection": "yes", "reasoning": "the model wrote \\"letter\\": \\"C\\" and',
        f"<think>{says()}",
        "{" * 100_000,
        '{"a":' * 3_000,
        "[" * 15_000,
        says(reasoning="x" * 200_000),
    ],
)
def test_a_reply_that_holds_no_verdict_is_a_failure_and_never_guessed(reply):
    assert verdict(reply) == "failed"


def test_a_failure_says_why():
    assert "gave no reply: HTTP 500" in read_verdict(Reply(None, "HTTP 500"), TEXT, "ABCD").reason
    assert "inside its reasoning" in read_verdict(Reply("<think>hm"), TEXT, "ABCD").reason
    assert "\ud800" not in read_verdict(Reply("\ud800"), TEXT, "ABCD").reason


@given(
    st.text(max_size=300)
    | st.recursive(st.none() | st.booleans() | st.text(max_size=5), st.lists).map(json.dumps)
)
def test_no_reply_breaks_the_reading(reply):
    read_verdict(Reply(reply), TEXT, "ABCD")


# --- the letter stands in the text ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("letter", "text"),
    [
        ("D", TEXT),
        ("A", "I think it is a cyst."),
        ("B", "CBD stone"),
        ("C", "C-reactive protein"),
        ("E", "e.g. a stone"),
        ("C", "C.difficile"),
    ],
)
def test_a_letter_that_is_no_token_of_the_text_is_refused(letter, text):
    assert verdict(says(letter=letter), text, "ABCDE") == "refused"


def test_a_letter_that_is_no_option_is_refused():
    assert verdict(says(letter="E"), "Answer: E", "ABCD") == "refused"
    assert verdict(says(letter="E"), "Answer: E", "ABCDE") == "E"


@pytest.mark.parametrize(
    "text",
    [
        "C",
        "(C)",
        "**C**",
        "__C__",
        "C.",
        "C)",
        "C:",
        "Answer:C",
        "C.Pulmonary embolism",
        "答案是C",
        "Ｃ",
        "\\boxed{C}",
        "so it is c",
        "A/C",
        '"C"',
        "the answer is (c)",
        "I say C—surely",
        "C\u200b",
    ],
)
def test_a_letter_stands_in_its_usual_dress(text):
    assert letter_stands("C", text)


@pytest.mark.parametrize(
    "text",
    ["a", "(a)", "a)", "the answer is a", "Answer: a.", "**a**", "Option a\nbecause", "A cyst"],
)
def test_a_stands_where_it_labels(text):
    assert letter_stands("A", text)


@pytest.mark.parametrize(
    "text",
    [
        "a cyst",
        "this is a mass",
        "such a finding.",
        "Dr. A-line",
        "type-A",
        "A's",
        "U.S.A.",
        "MRA",
        "",
    ],
)
def test_a_does_not_stand_where_it_is_a_word_or_a_part(text):
    assert not letter_stands("A", text)


def test_a_letter_in_the_part_that_the_judge_does_not_see_is_refused():
    text = "x " * MOST_CHARACTERS + "C" + " x" * MOST_CHARACTERS
    assert verdict(says(), text) == "refused"
    assert verdict(says(), text + " C") == "C"


@given(st.text(alphabet="abcdefABCDEF .,()-\n'/", max_size=60), st.sampled_from("ABCDE"))
def test_an_accepted_letter_always_stands_in_the_text(text, letter):
    if verdict(says(letter=letter), text, "ABCDE") == letter:
        words = "".join(each if each.isalnum() else " " for each in text).upper().split()
        assert letter in words


# --- bare letters ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["C", "c", " C\n", "(C)", "**C**", "C.", "<think>A or B?</think>\n\nC", '"C"']
)
def test_a_bare_letter_needs_no_judge(text):
    assert bare_letter(text, "ABCD") == "C"


@pytest.mark.parametrize(
    "text",
    ["", "Answer: C", "C?", "C D", "C. Pneumonia", "E", "3", "<think>C", "not C", "x" * 200_000],
)
def test_everything_else_is_no_bare_letter(text):
    assert bare_letter(text, "ABCD") is None


def test_the_prompt_knows_no_key():
    prompt = judge_module.SYSTEM + judge_module.USER
    assert "correct" not in prompt.replace("corrects itself", "")
    assert "key" not in prompt
