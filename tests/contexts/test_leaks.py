"""Which sentences of a report give the answer away, and which do not; and that no text is too odd
or too long to be looked through.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.contexts import find_leaks
from lm_eval_safescale.contexts.leaks import EXCERPT, MOST

OPTIONS = {
    "A": "Pneumothorax",
    "B": "Pleural effusion",
    "C": "Effusion",
    "D": "Repeat CT (low dose) in 6-12 months",
    "E": "T2* images, no contrast",
}

LEAKS = (
    # by letter
    "The answer is B.",
    "The correct answer is B.",
    "The correct answer is: B",
    "The correct answer is:\n\nB. Pleural effusion",
    "Correct answer: C",
    "Answer: C",
    "**Answer:** C",
    "Final answer: (D)",
    "The best option is E.",
    "The most likely answer is clearly A.",
    "The most appropriate choice would be option D.",
    "The right choice here is **B**.",
    "The correct option is therefore B.",
    "The correct answer to this question is B.",
    "The answer would be B.",
    "The answer must be option B.",
    "The correct answer, then, is B.",
    "The correct answer (B) is supported by two passages [1].",
    "Therefore, B is correct.",
    "Thus B is the answer.",
    "So **B** is right.",
    "It follows that (B) is the correct answer.",
    "B is the answer",
    "B is the correct choice.",
    "**B** is correct.",
    "Only B is correct.",
    "Option B is correct.",
    "Option B is the correct one.",
    "Option **B** is the best answer.",
    "option B is clearly the right answer",
    "Option B is the most likely diagnosis.",
    "The most likely diagnosis is pleural effusion.",
    "Therefore, the best explanation would be a pleural effusion.",
    "In conclusion, the most appropriate next step is pleural effusion, because it is seen.",
    "Option B appears to be correct.",
    "Option B must be the answer.",
    "Choice D is most appropriate in this patient.",
    "Option B (Pleural effusion) is correct.",
    "B. Pleural effusion is correct.",
    "Choose B.",
    "One should select option D.",
    "Pick (C).",
    "The evidence points to option B.",
    "The evidence points clearly to option B.",
    "On balance this favours option B.",
    "The sequence that best shows this is:\n\nD",
    "The passages were read.\n\nD\n\nThey say little.",
    "B",
    "**B**",
    # by the option's text
    "The correct answer is pneumothorax.",
    "The correct option is \"Pleural effusion\".",
    "The best answer is a pleural effusion.",
    "The correct answer is **Repeat CT (low dose) in 6-12 months**.",
    "Pneumothorax is the correct answer.",
    "Pleural effusion is the best choice.",
    "Pleural effusion is correct.",
    "Pleural\neffusion is the right option.",
    "T2* images, no contrast is the correct option.",
    "Answer: Pneumothorax",
    "Choose pleural effusion.",
    # of the section's own option
    "The option is right.",
    "The option is correct.",
    "This option is the correct one.",
    "This is the correct answer.",
    "This is the right option.",
    "This is the correct answer to the question.",
    "It is the best choice in this patient.",
    "Pneumothorax is the best choice for this question.",
    "This option is the answer.",
    "The option is therefore correct [1].",
    "The section shows that this choice is clearly right.",
)  # fmt: skip

NO_LEAKS = (
    # open questions and announcements
    "Which option is correct remains open.",
    "Which of these is correct cannot be said.",
    "It does not say which option is right.",
    "Whether option B is correct remains open.",
    "It is not known whether the option is right.",
    "If option B is correct, the fluid moves with position.",
    "Which of the following is the most likely diagnosis?",
    "Question: Which is the correct answer?\nA. Pneumothorax\nB. Pleural effusion",
    "The most likely diagnosis is:\nA. Pneumothorax\nB. Pleural effusion",
    "The correct answer depends on the timing.",
    "The best option has to be weighed against the question.",
    "The answer is a matter of debate.",
    "The answer is an open one.",
    "A best answer cannot be given.",
    # ruling out
    "Option A is not correct.",
    "The correct answer is not B.",
    "The answer is not B.",
    "Option A is incorrect.",
    "Option A is unlikely.",
    "Option A is wrong.",
    "Option A is never the right answer.",
    "Option A is less likely.",
    "The option is not right.",
    "This option is not the correct one.",
    "Pneumothorax is not the correct answer.",
    "This is not the correct answer.",
    "B is not correct.",
    "Neither passage says that B isn't right.",
    "Do not choose B.",
    # evidence for an option
    "Passage [1] supports option B.",
    "This supports option B.",
    "Evidence for option A: fluid shifts [2].",
    "The passages speak for option C and against option D.",
    "Option A is described in two passages.",
    "Option A is best for soft tissue.",
    "It is the best choice for children.",
    "Pleural effusion is the right option when fluid moves.",
    "In tall young men the most likely diagnosis is pleural effusion.",
    "- The most likely diagnosis is pleural effusion [1].",
    "The most likely cause of pneumothorax is a bleb.",
    "The most likely diagnosis is not pleural effusion.",
    "Pleural effusion is the most common cause of a white hemithorax.",
    "Pneumothorax is right-sided in most patients.",
    "Pleural effusion is true fluid in the pleural space.",
    "CT is the best choice of imaging for a pneumothorax.",
    "## Pneumothorax\nEvidence for: air is seen [1].",
    "The correct position of the tube is above the carina.",
    # letters that are something else
    "Hepatitis B is common.",
    "Hepatitis B is the right topic of screening.",
    "Vitamin A is fat-soluble.",
    "Vitamin D is the best marker.",
    "This is grade B evidence.",
    "A is the atomic mass.",
    "A pneumothorax is air in the pleural space.",
    "A chest radiograph is the best first step.",
    "a correct answer",
    "The answer is a chest radiograph.",
    "The answer is A chest radiograph might show.",
    "Select a window that shows lung.",
    "Choose E. coli coverage early.",
    "Kerley B lines are seen.",
    "Type B dissection is treated with drugs.",
    "Stanford type A is best treated by surgery.",
    "The DeBakey class, B-lines and E-waves are named.",
    "On the right, B-lines are seen.",
    "In patient A, the right lung is small.",
    "The right choice of window matters.",
    "The scale runs from A to E.",
    "The radiation dose is the right one to report.",
)  # fmt: skip


def test_the_table_is_of_some_size_and_says_nothing_twice():
    assert len({*LEAKS, *NO_LEAKS}) == len(LEAKS) + len(NO_LEAKS) >= 120


@pytest.mark.parametrize("text", LEAKS)
def test_a_sentence_that_commits_to_an_option_is_a_leak(text):
    assert find_leaks(text, OPTIONS)


@pytest.mark.parametrize("text", NO_LEAKS)
def test_a_sentence_that_commits_to_none_is_no_leak(text):
    assert find_leaks(text, OPTIONS) == []


@pytest.mark.parametrize("leak", LEAKS)
def test_a_leak_is_found_inside_a_report(leak):
    report = (
        "This report compares the options.\n\n## Pneumothorax\nEvidence for: air is seen [1].\n\n"
        f"{leak}\n\nThe evidence is thin."
    )
    assert find_leaks(report, OPTIONS)


def test_no_sentence_of_the_table_that_is_no_leak_becomes_one_beside_the_others():
    assert find_leaks("\n\n".join(NO_LEAKS), OPTIONS) == []


def test_an_excerpt_says_where_in_the_order_of_the_text():
    found = find_leaks(
        "Fluid is seen. Therefore, B is correct. It moves. The correct answer is C.", OPTIONS
    )
    assert ["B is correct" in found[0], "correct answer is C" in found[1], len(found)] == [
        True,
        True,
        2,
    ]


def test_one_place_is_one_leak():
    assert len(find_leaks("The correct answer is B.", OPTIONS)) == 1
    assert len(find_leaks("The option is the correct answer: B.", OPTIONS)) == 1


def test_excerpts_are_few_and_short():
    found = find_leaks(
        "The correct answer is B. " * 50 + "The answer is " + "the " * 100 + "B", OPTIONS
    )
    assert len(found) == MOST
    assert max(map(len, found)) <= EXCERPT


def test_only_letters_that_are_options_are_options():
    assert find_leaks("The correct answer is C.", {"A": "x-ray", "B": "CT"}) == []
    assert find_leaks("The correct answer is F.", {**OPTIONS, "F": "Fibrosis"})


@pytest.mark.parametrize(
    "odd",
    ["", " ", ".", "...", "(", "[", "\\", "a+b", "(?P<x>", ".*", "$^", "|", "\n", "*", "{1,9}"],
)
def test_an_option_of_odd_text_is_neither_a_pattern_nor_found_everywhere(odd):
    options = {"A": odd, "B": "Pleural effusion"}
    assert (
        find_leaks("Air is the best choice. It is correct. Nothing is the correct answer.", options)
        == []
    )
    assert find_leaks("The correct answer is pleural effusion.", options)
    if odd.strip(" .\n"):
        assert find_leaks(f"The correct answer is {odd}", options)


def test_no_options_no_leaks():
    assert find_leaks("The correct answer is B.", {}) == []


def test_an_option_inside_another_word_or_option_is_not_that_option():
    assert find_leaks("Haemopneumothorax is the correct answer.", OPTIONS) == []
    assert find_leaks("Monoeffusion is the correct answer.", OPTIONS) == []
    (found,) = find_leaks("Pleural effusion is the correct answer.", OPTIONS)
    assert found.startswith("Pleural effusion")


@pytest.mark.parametrize(
    "piece",
    [
        "A", "A ", " ", "\n", "A\n", "is ", "is: ", "the ", "option ", "the option is the ",
        "The correct answer is the ", "answer", "*", "“", "(", ", ", ". A ", "so A is the most ",
        "Pleural effusion is the ", "Effusion", "correct option here is clearly ", "\u2028", "not ",
        "'",
    ],
)  # fmt: skip
def test_a_long_hostile_text_is_looked_through(piece):
    # one that grows with the square of the length would take hours
    find_leaks((piece * 200_000)[:200_000] + "x", OPTIONS)


@given(
    st.text(max_size=300),
    st.dictionaries(st.sampled_from("ABCDE"), st.text(max_size=20), max_size=5),
)
def test_any_text_with_any_options_gives_excerpts_of_that_text(text, options):
    assert all(excerpt in text for excerpt in find_leaks(text, options))
