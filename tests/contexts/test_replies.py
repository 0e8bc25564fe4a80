"""What is read from replies that keep to a form more or less, and that nothing but `Unusable` is
raised for those that do not.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.contexts import Unusable
from lm_eval_safescale.contexts.replies import (
    by_letter,
    cite,
    for_and_against,
    lines_of,
    nearest_sentence,
    prose,
    whole_sentences,
)

messy = st.one_of(
    st.text(max_size=200),
    st.lists(
        st.sampled_from(
            [
                "For:", "Against:", "**For**", "\n", " ", ". ", "[1]", "[99]", "[", "]", "1", "2",
                ",", "-", "- ", "A", "B:", "A. ", "Sources:", "x", "word ", "[1-3]", "【2】",
                "[Passage 1]", "\u2028", "\ud800", "Error", "I'm sorry", "*", "(", ")", "\0",
                "\ue000", "\ue001", "٣",
            ]
        ),
        max_size=30,
    ).map("".join),
)  # fmt: skip


def read(parse):
    """What it gives, or why it cannot."""
    try:
        return parse()
    except Unusable as error:
        return str(error)


# --- lines ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("- one\n- two", ["one", "two"]),
        ("* one\n• two\n– three", ["one", "two", "three"]),
        ("1. one\n2) two\n(3) three\n 4: four", ["one", "two", "three", "four"]),
        ("Here are the queries:\n- one", ["one"]),
        ("Here they are\n\n- one\nThat is all", ["one"]),
        ("one\ntwo", ["one", "two"]),
        (
            "- **one**\n- 'two'\n- \"three\"\n- `four`\n- “five”",
            ["one", "two", "three", "four", "five"],
        ),
        ("- one\n- one\n-  one ", ["one"]),
        ("- one\r\n- two\r\n", ["one", "two"]),
        ("   - one\n\n\n\t- two", ["one", "two"]),
        ("- Queries:\n- one", ["one"]),
        ("- one two three four\n- five", ["five"]),
        ("1.5 T magnet\n3 T magnet", ["1.5 T magnet", "3 T magnet"]),
        ("- 1.5 T magnet", ["1.5 T magnet"]),
        ("- one\n- \n- ...\n- two", ["one", "two"]),
        ("- 氣胸\n- Ödem", ["氣胸", "Ödem"]),
    ],
)
def test_lines_lose_what_marks_them(text, lines):
    assert lines_of(text, most=6, longest=3) == lines


def test_lines_are_the_first_of_those_that_fit():
    assert lines_of("- a\n- b\n- c", most=2, longest=3) == ["a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n ",
        "-",
        "- \n- ",
        "...",
        "one two three four five",
        "Queries:",
        "- - -",
        "\u2028",
        "***",
    ],
)
def test_no_line_that_fits_is_unusable_and_says_what_was_expected(text):
    with pytest.raises(Unusable, match=r'lines that start with "- ", each of at most 3 words'):
        lines_of(text, most=6, longest=3)


# --- letters --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        "{}: {}", "{}. {}", "{}) {}", "({}) {}", "{} - {}", "{} – {}", "{}- {}", "**{}**: {}",
        "**{}:** {}", "**{}.** {}", "- {}: {}", "* {}. {}", "• {}) {}", "Option {}: {}",
        "**Option {}**: {}", "- **Option {}:** {}", "OPTION {}. {}", "  {}: {}  ", "{}:{}",
        "{} : {}", "[{}] {}", "[{}]: {}", "`{}`: {}", "### {}. {}", "> {}: {}", "_{}_: {}",
        "{}: **{}**", '{}: "{}"', "({}): {}", "option {} - {}",
    ],
)  # fmt: skip
@pytest.mark.parametrize("change", [str, str.lower])
def test_a_letter_is_read_in_any_form(form, change):
    text = "Here is the plan:\n" + "\n".join(
        form.format(change(letter), what) for letter, what in (("A", "air"), ("B", "fluid"))
    )
    assert by_letter(text, "AB") == {"A": "air", "B": "fluid"}


@pytest.mark.parametrize(
    ("text", "lacking"),
    [
        ("", "A, B"), ("A: air", "B"), ("B: fluid", "A"), ("A:\nB: fluid", "A"), ("A: ...\nB", "B"),
        ("A air\nB fluid", "A, B"), ("A: **\nB: x", "A"),
        ("A-scan of the eye\nB-lines at the bases", "A, B"),
        ("a pneumothorax: air\nBoth: fluid", "A, B"), ("C: air\nD: fluid", "A, B"),
        ("1. air\n2. fluid", "A, B"), ("AB: both", "A, B"),
    ],
)  # fmt: skip
def test_a_letter_that_lacks_its_line_is_named(text, lacking):
    with pytest.raises(Unusable, match=f"a line for each option; {lacking} lacks one"):
        by_letter(text, "AB")


def test_the_first_line_of_a_letter_counts():
    assert by_letter("A: air\nB: fluid\nA: other", "AB") == {"A": "air", "B": "fluid"}


def test_letters_that_are_no_options_are_passed_over():
    assert by_letter("A: air\nE: else\nB: fluid\nF. more", "AB") == {"A": "air", "B": "fluid"}


# --- for and against ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "For: air.\nAgainst: fluid.", "**For:** air.\n**Against:** fluid.",
        "**For**: air.\n\n**Against**: fluid.", "for: air.\nagainst: fluid.",
        "FOR: air.\nAGAINST: fluid.", "For - air.\nAgainst - fluid.",
        "- For: air.\n- Against: fluid.", "### For\nair.\n### Against\nfluid.",
        "## For:\nair.\n\n## Against:\nfluid.", "Evidence for: air.\nEvidence against: fluid.",
        "Evidence for the option: air.\nEvidence against the option: fluid.",
        "For it: air.\nAgainst it: fluid.", "For this option: air.\nAgainst this option: fluid.",
        "Here it is.\nFor: air.\nAgainst: fluid.", "For: air. Against: fluid.",
        "For: air.\nAgainst: fluid.\n\nSources:\n[1] A title",
        "For: air.\nAgainst: fluid.\n\nReferences: [1] A title",
        "**For**\nair.\n**Against**\nfluid.", "> For: air.\n> Against: fluid.",
        "For:\nair.\nAgainst:\nfluid.\n",
    ],
)  # fmt: skip
def test_both_parts_are_read_in_any_form(text):
    supporting, opposing = for_and_against(text)
    assert (supporting.rstrip(" >-"), opposing) == ("air.", "fluid.")


def test_either_part_may_be_empty_but_not_both():
    assert for_and_against("For:\nAgainst: fluid.") == ("", "fluid.")
    assert for_and_against("For: air.\nAgainst:") == ("air.", "")
    with pytest.raises(Unusable, match="Both parts are empty"):
        for_and_against("For:\nAgainst: ...")


@pytest.mark.parametrize(
    "text",
    [
        "air and fluid",
        "For: air",
        "Against: fluid",
        "Against: fluid.\nFor: air.",
        "Evidence for air, evidence against fluid",
        "The case for: none",
    ],
)
def test_a_part_that_is_missing_or_out_of_order_is_unusable(text):
    with pytest.raises(
        Unusable, match=r'starts with "For:", and after it a part that starts with "Against:"'
    ):
        for_and_against(text)


def test_a_part_keeps_its_citations_and_loses_its_line_ends():
    assert for_and_against(
        "For: air\nis seen [1].\n- And more [2].\nAgainst: no\n\nfluid [3]."
    ) == (
        "air is seen [1]. - And more [2].",
        "no fluid [3].",
    )


# --- prose ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Air is seen [1].",
        "  Air is seen. ",
        "Sorrow aside, air is seen.",
        "450 patients were seen.",
        "Errors of two kinds occur.",
    ],
)
def test_a_text_that_says_something_is_kept(text):
    assert prose(text) == text.strip()


@pytest.mark.parametrize(
    "heading",
    [
        "Sources:",
        "References",
        "**Sources:**",
        "## Sources",
        "## References:",
        "SOURCES:",
        "Bibliography:",
        "Sources: [2] B",
    ],
)
def test_sources_are_cut_off(heading):
    assert prose(f"Air is seen [1].\n\n{heading}\n[1] A title") == "Air is seen [1]."


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("...", "nothing besides sources"),
        ("[1] [2]", "nothing besides sources"),
        ("Sources:\n[1] A title", "nothing besides sources"),
        ("## References\n1. A title", "nothing besides sources"),
        ("Sources: [1] A title", "nothing besides sources"),
        ("\n\n[1], [2].\n\nSources:\nx", "nothing besides"),
        *(
            (text, "error message or an apology")
            for text in (
                "Error: timeout",
                "ERROR 500",
                '{"error": "rate limit"}',
                "Internal Server Error",
                "500 Internal Server Error",
                "HTTP 503",
                "502 Bad Gateway",
                "Traceback (most recent call last):",
                "Exception: no",
                "<html><body>Nope</body></html>",
                "<!DOCTYPE html>",
                "I'm sorry, but I cannot help.",
                "I’m sorry, I can’t.",
                "I am sorry.",
                "Sorry, no.",
                "I cannot answer this.",
                "I can't do that.",
                "I can’t do that.",
                "I can not say.",
                "I am unable to write it.",
                "I'm not able to.",
                "As an AI, I",
                "As a large language model, I",
                "As a language model",
                "I apologize, but",
                "Unfortunately, I cannot write this.",
                "**Error**",
            )
        ),
    ],
)
def test_a_text_that_says_nothing_is_unusable_and_says_why(text, why):
    with pytest.raises(Unusable, match=why):
        prose(text)


# --- sentences ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "whole", "cut"),
    [
        ("One. Two.", "One. Two.", False),
        ("One. Two", "One.", True),
        ("One [1]. Two", "One [1].", True),
        ("One. [1] Two", "One. [1]", True),
        ("One.[1, 2] Two", "One.[1, 2]", True),
        ("No end", "No end", False),
        ("", "", False),
        ("One. ", "One.", False),
        ("One! Two? Three", "One! Two?", True),
        ("It is 3.5 cm. Then", "It is 3.5 cm.", True),
        ('He said "one." Then', 'He said "one."', True),
        ("(One.) Two", "(One.)", True),
        ("**One.** Two", "**One.**", True),
        ("It is 3.5 cm", "It is 3.5 cm", False),
    ],
)
def test_a_text_ends_with_its_last_sentence(text, whole, cut):
    assert whole_sentences(text) == (whole, cut)


@given(messy)
def test_what_is_whole_is_a_beginning_and_stays_whole(text):
    whole, cut = whole_sentences(text)
    assert text.startswith(whole)
    assert whole_sentences(whole) == (whole, False) or not cut


@pytest.mark.parametrize(
    ("text", "about", "nearest"),
    [
        (
            "Air is seen. Fluid layers in the pleural space. Bone is white.",
            "Where does pleural fluid layer?", "Fluid layers in the pleural space.",
        ),
        ("Bones break. Bones heal.", "bones", "Bones break."),
        ("Nothing shared. At all.", "pneumothorax", "Nothing shared."),
        ("No end of pleural", "pleural", "No end of pleural"),
        ("One.\nPLEURAL\neffusion. Two.", "Pleural effusion", "PLEURAL effusion."),
        ("", "x", ""), (" \n", "x", ""), ("One.", "", "One."),
    ],
)  # fmt: skip
def test_the_nearest_sentence_shares_most_words(text, about, nearest):
    assert nearest_sentence(text, about) == nearest


@given(messy, messy)
def test_the_nearest_sentence_is_one_of_the_text(text, about):
    assert nearest_sentence(text, about) in " ".join(text.split())


# --- citations ------------------------------------------------------------------------------------


def numbered(*, known):
    """Known numbers become ten times as large."""
    return lambda number: 10 * number if number in known else None


@pytest.mark.parametrize(
    ("text", "cited", "numbers", "removed"),
    [
        ("Air [1].", "Air [10].", [10], 0),
        ("Air[1].", "Air [10].", [10], 0),
        ("Air [1, 2].", "Air [10, 20].", [10, 20], 0),
        ("Air [2,1; 2].", "Air [20, 10].", [20, 10], 0),
        ("Air [1][2].", "Air [10] [20].", [10, 20], 0),
        ("Air [ 1 ].", "Air [10].", [10], 0),
        ("Air [1-3].", "Air [10, 20, 30].", [10, 20, 30], 0),
        ("Air [1–3, 2].", "Air [10, 20, 30].", [10, 20, 30], 0),
        ("Air [3-1].", "Air [30, 10].", [30, 10], 0),
        ("Air [1 and 2].", "Air [10, 20].", [10, 20], 0),
        ("Air [Passage 1].", "Air [10].", [10], 0),
        ("Air [source 2].", "Air [20].", [20], 0),
        ("Air [^1].", "Air [10].", [10], 0),
        ("Air【1】.", "Air [10].", [10], 0),
        ("Air [12].", "Air.", [], 1),
        ("Air [0].", "Air.", [], 1),
        ("Air [99] is [1].", "Air is [10].", [10], 1),
        ("Air [1, 99].", "Air [10].", [10], 1),
        ("Air [1-999999].", "Air [10].", [10], 1),
        ("Air [123456789012].", "Air.", [], 1),
        ("Air [[99]1].", "Air [10].", [10], 1),
        ("Air [1.5] [x] [1 mm] [].", "Air [1.5] [x] [1 mm] [].", [], 0),
        ("Air.", "Air.", [], 0),
        ("", "", [], 0),
    ],
)  # fmt: skip
def test_citations_get_the_numbers_of_the_report_and_those_that_name_nothing_go(
    text, cited, numbers, removed
):
    assert cite(text, numbered(known={1, 2, 3})) == (cited, numbers, removed)


def test_a_number_of_ten_thousand_digits_names_nothing():
    assert cite(f"Air [{'9' * 10_000}].", numbered(known={1})) == ("Air.", [], 1)


@given(messy, st.sets(st.integers(0, 12)))
def test_no_unknown_number_is_left_and_every_number_left_is_said(text, known):
    cited, numbers, removed = cite(text, numbered(known=known))
    left = {
        int(each)
        for group in re.findall(r"\[(\d+(?:\s*[,;-]\s*\d+)*)\]", cited)
        for each in re.findall(r"\d+", group)
    }
    assert left == set(numbers) <= {10 * number for number in known}
    assert len(numbers) == len(set(numbers))
    assert removed >= 0


@given(messy, st.integers(1, 5), st.integers(1, 20))
def test_nothing_but_unusable_is_raised(text, most, longest):
    for parse in (
        lambda: lines_of(text, most=most, longest=longest),
        lambda: by_letter(text, "ABC"),
        lambda: for_and_against(text),
        lambda: prose(text),
        lambda: whole_sentences(text),
    ):
        assert read(parse)


@pytest.mark.parametrize(
    "piece",
    [
        "\n",
        " ",
        "*",
        "[",
        "[1",
        "[1,",
        ".",
        ". ",
        "A",
        "A:",
        "- ",
        "For ",
        "Sources",
        "#",
        "\n#",
        "(",
        "`",
        "I ",
        "[[9]",
    ],
)
def test_a_long_hostile_reply_is_read(piece):
    text = "x" + (piece * 50_000)[:50_000] + "x"
    for parse in (
        lambda: lines_of(text, most=3, longest=9),
        lambda: by_letter(text, "AB"),
        lambda: for_and_against(text),
    ):
        read(parse)
    whole_sentences(text)
    nearest_sentence(text, "x")
    cite(text, lambda _: None)
