"""What holds of every output, whatever it says."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lm_eval_safescale.reading import opens_reasoning, read_answer
from lm_eval_safescale.records import Reading, Status

OPTIONS = {
    "A": "Pneumothorax",
    "B": "Pleural effusion",
    "C": "Pulmonary embolism",
    "D": "Lobar pneumonia",
}
WORDS = [
    "A",
    "B",
    "C",
    "D",
    "E",
    "a",
    "answer",
    "the",
    "is",
    "option",
    ":",
    ".",
    "(",
    ")",
    "\n",
    "not",
    "or",
    "<think>",
    "</think>",
    "**",
    "?",
    '"',
    "{",
]
FORMS = (
    "{}",
    "{}.",
    "({})",
    "**{}**",
    "Answer: {}",
    "The answer is {}",
    "Option {}",
    "{}\n\nBecause.",
)
FORMS += ("\\boxed{{{}}}", '{{"answer": "{}"}}')
NOISE = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(WORDS), max_size=14).map(" ".join))


@given(NOISE)
@settings(max_examples=300)
def test_a_letter_read_is_one_of_the_options_and_stands_in_the_text(text):
    reading = read_answer(text, OPTIONS)
    if reading.status is Status.OK:
        import unicodedata

        assert reading.response in OPTIONS
        assert reading.response in unicodedata.normalize("NFKC", text).upper()
    else:
        assert reading.response is None


ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=9),
    st.lists(st.text(max_size=3), max_size=3),
    st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3),
)  # fmt: skip


@given(ANYTHING)
def test_what_is_no_text_is_an_error_and_never_raises(thing):
    assert read_answer(thing, OPTIONS) == Reading(None, Status.ERROR)


@given(
    st.text(st.characters(), max_size=200),
    st.sampled_from(["auto", "on", "off", "separate"]),
    st.booleans(),
)
@settings(max_examples=300)
def test_no_text_breaks_the_reading(text, reasoning, opened):
    # half surrogate pairs, line ends and NULs among them
    read_answer(text, OPTIONS, reasoning=reasoning, opened=opened)


@given(NOISE)
def test_the_letter_that_is_read_does_not_depend_on_the_other_options_texts(text):
    first = read_answer(text, {"A": "one", "B": "two", "C": "three"})
    other = read_answer(text, {"A": "red", "B": "green", "C": "blue"})
    assert str(first) == str(other)


@given(st.sampled_from("ABCD"), NOISE)
def test_reasoning_never_changes_the_answer_after_it(letter, thought):
    thought = thought.replace("<", " ").replace("[", " ")
    for opening, closing in (
        ("<think>", "</think>"),
        ("<unused94>thought\n", "<unused95>"),
        ("<|channel>thought\n", "<channel|>"),
    ):
        assert str(read_answer(f"{opening}{thought}{closing}{letter}", OPTIONS)) == letter
        assert str(read_answer(f"{opening}{thought} Answer: {letter}", OPTIONS)) == "truncated"


@given(st.sampled_from("ABCD"), st.sampled_from("ABCD"))
def test_two_different_choices_are_none_and_a_final_one_decides(first, second):
    text = f"The answer is {first}.\nThe answer is {second}."
    assert str(read_answer(text, OPTIONS)) == (first if first == second else "unanswered")
    assert str(read_answer(f"The answer is {first}.\nFinal answer: {second}", OPTIONS)) == second


@pytest.mark.parametrize("letter", "ABCD")
@pytest.mark.parametrize("form", FORMS)
def test_every_letter_reads_alike_in_every_form(form, letter):
    assert str(read_answer(form.format(letter), OPTIONS)) == letter
    assert str(read_answer(form.format("E"), OPTIONS)) == "unanswered"
    assert str(read_answer(form.format("E"), OPTIONS | {"E": "Rib fracture"})) == "E"


def test_no_output_at_all_is_an_error_of_the_backend_and_no_answer_of_the_model():
    assert read_answer(None, OPTIONS) == Reading(None, Status.ERROR)
    assert read_answer("", OPTIONS) == Reading(None, Status.UNANSWERED)


@pytest.mark.parametrize(
    "unit",
    [
        "a",
        "A ",
        "<think>",
        "answer is ",
        "\\boxed{",
        "**",
        "option A or ",
        "best ",
        "$",
        "(",
        "\n",
        "C. ",
        "🩻",
    ],
)
def test_a_hostile_length_takes_no_hostile_time(unit):
    text = unit * (200_000 // len(unit))
    start = time.process_time()
    read_answer(text, OPTIONS)
    assert time.process_time() - start < 60  # seconds; quadratic growth would take many minutes


@pytest.mark.parametrize("unit", ["answer is ", '{"answer":"A"},', "Answer: ("])
def test_the_time_of_reading_grows_with_the_length_and_not_with_its_square(unit):
    def seconds(length):
        start = time.process_time()
        read_answer(unit * (length // len(unit)), OPTIONS)
        return time.process_time() - start

    seconds(1000)
    # 8 times is linear, 64 times the square
    assert seconds(240_000) < 20 * min(seconds(30_000), seconds(30_000))


@pytest.mark.parametrize(
    ("prompt", "opened"),
    [
        ("...<think>\n", True),
        ("<|assistant|><unused94>", True),
        ("<think></think>\n\n", False),
        ("", False),
    ],
)
def test_a_prompt_that_ends_in_open_reasoning_is_recognised(prompt, opened):
    assert opens_reasoning(prompt) is opened


@pytest.mark.parametrize("logged", ["A", "unanswered", "truncated", "error"])
def test_a_reading_survives_its_logged_form(logged):
    assert str(Reading.parse(logged)) == logged


def test_a_reading_without_a_letter_cannot_be_ok():
    with pytest.raises(ValueError, match="exactly when"):
        Reading(None, Status.OK)


@pytest.mark.parametrize("odd", ["(A and B)", "", "()", "**", "A", "\u200b", "1", "D."])
@given(
    st.lists(
        st.sampled_from(
            [*FORMS, "The answer is {}. The scan shows a finding ({}) in the left lung."]
        ),
        min_size=1,
        max_size=3,
    )
)
@settings(max_examples=20)
def test_an_option_whose_text_is_odd_or_nothing_loses_no_output(odd, forms):
    options = {"A": "Fluid", "B": "Air", "C": "Clot", "D": odd}
    for letter in "CD":
        text = "\n".join(form.replace("{}", letter, 1).replace("{}", "D") for form in forms)
        assert read_answer(text, options).response in {*options, None}
