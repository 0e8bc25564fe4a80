"""What a change of an output does to its reading: what takes a choice back makes none, and a
renamed letter is read renamed.
"""

from __future__ import annotations

import pytest

from lm_eval_safescale.reading import read_answer

TEXTS = {
    "A": "Pneumothorax",
    "B": "Pleural effusion",
    "C": "Pulmonary embolism",
    "D": "Lobar pneumonia",
}
CHOICES = (
    "{x}",
    "({x})",
    "**{x}**",
    "{x}. {own}",
    "{x}) {own}",
    "Option {x}",
    "{own} ({x})",
    "Answer: {x}",
    "Answer: {x}. {own}",
    "The answer is {x}.",
    "The correct answer is ({x}) {own}.",
    "The most likely diagnosis is {x}.",
    "I would choose {x}.",
    "I think it is {x}.",
    "Therefore, {x}.",
    "{x} is correct.",
    "Option {x} is the best answer.",
    "{own} ({x}) is the correct answer.",
    "The answer is {own} ({x}).",
    "答案是{x}。",
    "Die richtige Antwort ist {x}.",
    "La réponse est {x}.",
    "La respuesta correcta es {x}.",
    "Правильный ответ: {x}",
    "정답은 {x}입니다.",
)
NONE = (
    "{x}?",
    "Not {x}.",
    "{x} is wrong.",
    "The answer is not {x}.",
    "Unlike {own} ({x}), the lung is dense.",
    "Option {x} would show air.",
    "{x} or {y}",
    "The trap answer is {x}.",
    "My second choice is {x}.",
    "At first glance {x}, but no.",
    "If there is air, the answer is {x}.",
    "答案不是{x}。",
    "La respuesta {x} es incorrecta.",
    "Hepatitis {x}",
    "Answer: {x} lines",
    "Answer: {x}/{y} ratio",
    "A student chose {x}.",
)
FINAL = ("Final answer: {x}", "\\boxed{{{x}}}", '{{"answer": "{x}"}}', "<answer>{x}</answer>")


def written(form, letter, other="D"):
    return form.format(x=letter, own=TEXTS[letter], y=other)


def letter_of(text, options=TEXTS):
    return read_answer(text, options).response


@pytest.mark.parametrize("letter", "ABC")
@pytest.mark.parametrize("form", [*CHOICES, *FINAL])
def test_a_choice_is_read_whichever_letter_it_is(form, letter):
    assert letter_of(written(form, letter)) == letter


@pytest.mark.parametrize("letter", "ABC")
@pytest.mark.parametrize("form", NONE)
def test_what_chooses_nothing_chooses_no_letter(form, letter):
    assert letter_of(written(form, letter)) is None


@pytest.mark.parametrize("form", [*CHOICES, *FINAL, *NONE])
def test_options_in_another_order_are_read_by_their_new_letters(form):
    turned = {"A": TEXTS["C"], "B": TEXTS["A"], "C": TEXTS["D"], "D": TEXTS["B"]}
    for letter, other in (("B", "D"), ("C", "D")):
        text = form.format(x=letter, own=turned[letter], y=other)
        assert letter_of(text, turned) == letter_of(written(form, letter))


BACK = (
    "{text} Wait, no: {y}.",
    "{text}\n\nActually, {y}.",
    "{text}\n\nHmm, {y} fits better.",
    "{text} However, {y} explains it better.",
    "{text} Maybe {y}.",
    "{text}\n\nThe answer is {y}.",
    "{text} This is wrong.",
    "{text}\n\nThat is not correct.",
    "{text}\n\nOn second thought, {y}.",
    "{text} I mean {y}.",
)


@pytest.mark.parametrize("back", BACK)
@pytest.mark.parametrize("form", CHOICES)
def test_what_takes_a_choice_back_makes_none(form, back):
    text = written(form, "B")
    text = text if text.endswith((".", "。")) else f"{text}."
    assert letter_of(back.format(text=text, y="D")) is None


@pytest.mark.parametrize("back", BACK)
@pytest.mark.parametrize("form", CHOICES)
def test_a_later_final_answer_still_counts(form, back):
    assert (
        letter_of(back.format(text=f"{written(form, 'B')}.", y="C") + "\n\nFinal answer: D") == "D"
    )


@pytest.mark.parametrize(
    "form", [form for form in CHOICES if form.endswith(".") and form.isascii()]
)
def test_a_question_a_condition_or_a_report_makes_none(form):
    text = written(form, "C")
    assert letter_of(text.rstrip(".") + "?") is None
    assert letter_of(text.rstrip(".") + " if there is a clot.") is None
    assert letter_of("A student says: " + text) is None


@pytest.mark.parametrize("form", [*CHOICES, *FINAL])
def test_an_explanation_of_the_other_options_changes_nothing(form):
    lines = (
        "A. Pneumothorax: no line of air.",
        "B. Pleural effusion: the angle is sharp.",
        "D. Lobar pneumonia: no bronchograms.",
    )
    why = "\n- ".join(("\n\nExplanation:", *lines))
    assert letter_of(written(form, "C") + why) == "C"


@pytest.mark.parametrize("form", [*CHOICES, *FINAL])
@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("<mm:think>", "</mm:think>"),
        ("<thinking_process>", "</thinking_process>"),
        ('<analysis type="x">', "</analysis>"),
        ("<|inner_prefix|>", "<|inner_suffix|>"),
        ("<|im_start|>think\n", "<|im_end|>\n<|im_start|>answer\n"),
        ("<|open|>think<|sep|>", "<|close|>think<|sep|><|open|>response<|sep|>"),
        ("[THINKING]", "[/THINKING]"),
        ("## Thinking\n\n", "\n\n## Answer\n\n"),
        ("Here is my thought process:\n", "\n\nHere is my response:\n"),
    ],
)
def test_a_choice_in_the_reasoning_is_never_read(form, opening, closing):
    thought = written(form, "B")
    assert letter_of(f"{opening}{thought}{closing}D") == "D"
    if closing.startswith("\n") and form in (*FINAL, "Answer: {x}", "Answer: {x}. {own}"):
        return  # what begins so ends what a heading began
    cut = read_answer(f"{opening}{thought} So it seems, but", TEXTS)
    assert (cut.response, cut.status.value) == (None, "truncated")
