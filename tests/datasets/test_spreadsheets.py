"""Sheets as people keep them: each is asked as it is, and what is wrong in one is a line a column
and kind.
"""

import datetime
import io
import json
import sys

import openpyxl
import pytest

from lm_eval_safescale.assembly import load_dataset
from lm_eval_safescale.datasets import DataError
from lm_eval_safescale.datasets.problems import summarized
from lm_eval_safescale.settings import load_settings
from tests.datasets.layouts import LETTERS, PLAIN, as_csv

LABELS = {
    "high_risk": [set(), {"B", "C"}, {"A"}, set()],
    "unsafe": [{"A"}, {"B", "C"}, {"A"}, {"C"}],
}


def load(path, **given):
    return load_dataset(load_settings({"dataset_path": str(path), **given}, environ={}))


def said(dataset):
    return " ".join(line for _, line in summarized(dataset.warnings, dataset.name))


def workbook(rows, *others):
    """An Excel file: rows of its first sheet, and of others."""
    book = openpyxl.Workbook()
    for number, each in enumerate([rows, *others]):
        sheet = book.worksheets[0] if number == 0 else book.create_sheet(f"Sheet {number}")
        for row in each:
            sheet.append(row)
    book.save(out := io.BytesIO())
    return out.getvalue()


def plain(number):
    """Question, options and key of a row."""
    _, question, options, key = PLAIN[number]
    return [question, *options, LETTERS[key]]


def in_list(number, label):
    return ", ".join(sorted(LABELS[label][number]))


def flags(number, yes, no):
    """A cell for each option and label."""
    return [
        yes if letter in LABELS[label][number] else no for label in LABELS for letter in LETTERS
    ]


FLAGS = [f"{label} {letter}" for label in ("High risk", "Unsafe") for letter in LETTERS]
ASKED = ["Question", *LETTERS, "Correct answer"]
ROWS = range(len(PLAIN))
SHEETS = {
    "lists of letters, semicolons": (
        "fragen.csv",
        as_csv(
            [
                ["Nr", *ASKED, "High risk options", "Unsafe options", "Fachgebiet"],
                *(
                    [n + 1, *plain(n), in_list(n, "high_risk"), in_list(n, "unsafe"), "Thorax"]
                    for n in ROWS
                ),
            ],
            ";",
        ),
        "high_risk are the letters in High risk options, none in 2 empty cells",
    ),
    "yes and no, tabs": (
        "cases.tsv",
        as_csv(
            [["Case", *ASKED, *FLAGS], *([n + 1, *plain(n), *flags(n, "Yes", "no")] for n in ROWS)],
            "\t",
        ),
        "ids from Case",
    ),
    "crosses, a title, Excel": (
        "sheet.xlsx",
        workbook(
            [
                ["Reviewed in spring"],
                [],
                ["#", *ASKED, *FLAGS, "Reviewed on"],
                *(
                    [n + 1, *plain(n), *flags(n, "x", None), datetime.date(2026, 3, 5)]
                    for n in ROWS
                ),
                [None, "  "],
            ],
            [["Legend"], ["x", "yes"]],
        ),
        "high_risk is marked by crosses, and an empty cell is none",
    ),
    "as Excel writes CSV": (
        "export.csv",
        "\ufeffsep=;\r\n"
        + as_csv(
            [
                ["No.", *ASKED, *FLAGS, ""],
                *([n + 1, *plain(n), *flags(n, "1", "0"), ""] for n in ROWS),
            ],
            ";",
        ).replace("\n", "\r\n"),
        "ids from No.",
    ),
    "labels by their bare names": (
        "bare.csv",
        as_csv(
            [
                ["Sample ID", *ASKED, "High-risk", "Unsafe"],
                *(
                    [n + 1, *plain(n), in_list(n, "high_risk") or "none", in_list(n, "unsafe")]
                    for n in ROWS
                ),
            ]
        ),
        "unsafe are the letters in Unsafe",
    ),
    "numbers in Excel": (
        "numbers.xlsx",
        workbook(
            [
                ["Number", *ASKED[:-1], "Key", *FLAGS],
                *([n + 1.0, *plain(n)[:-1], float(PLAIN[n][3] + 1), *flags(n, 1, 0)] for n in ROWS),
            ]
        ),
        "ids from Number",
    ),
}


@pytest.mark.parametrize("name", SHEETS)
def test_a_sheet_is_asked_as_it_is_and_what_was_understood_is_said(name, write):
    file, content, understood = SHEETS[name]
    given = {"first_index": 1} if name == "numbers in Excel" else {}
    dataset = load(write(content, file), **given)
    assert [
        (item.question_id, item.question, list(item.options.values()), item.answer)
        for item in dataset
    ] == [
        (str(number), stem, options, LETTERS[key])
        for number, (_, stem, options, key) in enumerate(PLAIN, 1)
    ]
    for label, carried in LABELS.items():
        assert [item.labels[label] for item in dataset] == carried
    assert understood in said(dataset)


MESSY = [
    ["Questions, third version", *[""] * 14],
    ["", "Case", "", "Answer options", "", "", "Key", "Safety review", *[""] * 7],
    [
        "Case No.",
        "Vignette",
        "Question stem",
        *(f"Option {letter}" for letter in LETTERS),
        "Correct",
        "High risk options (letters)",
        *(f"{letter} unsafe? (y/n)" for letter in LETTERS),
        "Initials",
    ],
]


def messy(number):
    """The cells of a question, with what people leave in sheets."""
    stem, *options, answer = plain(number)
    keys = [
        f"{answer})",
        options[LETTERS.index(answer)],
        f"Option {answer}",
        f"\u200b{answer.lower()}",
    ]
    return [
        *(min(number, 2) + 1, "A patient of 60.", stem, f"\u200b{options[0]}\ufeff", *options[1:]),
        *(keys[number], ["-", "A and C", "A; C", ""][number], *flags(number, "Y", "n")[3:], "AB"),
    ]


@pytest.mark.parametrize("name", ["messy.xlsx", "messy.csv"])
def test_a_messy_sheet_takes_one_setting_and_says_all_that_it_left_out(name, write):
    first, *others = map(messy, ROWS)
    rows = [*MESSY, first, ["Chest and abdomen"], MESSY[-1], *others, [], ["In all: 4 questions"]]
    path = write(workbook(rows) if name == "messy.xlsx" else "\ufeff" + as_csv(rows, ";"), name)
    with pytest.raises(DataError) as caught:
        load(path)
    _, both, twice = str(caught.value).split("\n")
    assert 'or join them: "question": ["Vignette", "Question stem"]' in both
    assert "'3' stands twice" in twice
    dataset = load(
        path, columns={"question": ["Vignette", "Question stem"], "question_id": "#line"}
    )
    assert [(item.question, item.answer) for item in dataset] == [
        (f"A patient of 60.\n{stem}", LETTERS[key]) for _, stem, _, key in PLAIN
    ]
    assert [item.labels["high_risk"] for item in dataset] == [set(), {"A", "C"}, {"A", "C"}, set()]
    assert [item.labels["unsafe"] for item in dataset] == LABELS["unsafe"]
    for expected in (
        "2 rows above the names of the columns, not read",
        "3 rows with a remark or the header again, not read",
        "unknown columns, not read: 'Case No.', 'Initials'",
        "labels from A unsafe? (y/n), B unsafe? (y/n), C unsafe? (y/n)",
        "high_risk are the letters in High risk options (letters)",
    ):
        assert expected in said(dataset), said(dataset)


@pytest.mark.parametrize(
    ("header", "cells", "understood"),
    [
        (
            ["Nr", "Question", "Answer 1", "Answer 2", "Key (A-C)"],
            ["x", "y", "B"],
            "options from Answer 1",
        ),
        (
            ["Nr", "Question", "Choices", "Answer"],
            ["A. x\nB. a C. b\n", "B"],
            "each on a line behind",
        ),
    ],
)
def test_options_are_read_as_people_write_them(header, cells, understood, write):
    dataset = load(write(as_csv([header, [1, "Which?", *cells], [2, "What?", *cells]]), "a.csv"))
    assert [(len(item.options), item.answer) for item in dataset] == [(2, "B")] * 2
    assert understood in said(dataset)


@pytest.mark.parametrize("last", [["61"], ["", "Is it so?"], ["61", "Is it so?"]])
def test_a_question_that_was_begun_at_the_end_is_no_footer(last, write):
    rows = [[n + 1, *plain(n)] for n in ROWS]
    row = [*last, *[""] * (6 - len(last))]
    with pytest.raises(DataError, match=r"a\.csv:6"):
        load(write(as_csv([["Nr", *ASKED], *rows, row]), "a.csv"))
    with pytest.raises(DataError, match=r"b\.csv:6"):
        load(write(as_csv([ASKED, *map(plain, ROWS), ["Is it so?", *[""] * 4]]), "b.csv"))
    cut = as_csv([["Nr", *ASKED], *rows]) + "case 61"
    with pytest.raises(DataError, match=r"c\.csv:6: half-written last line"):
        load(write(cut, "c.csv"))


@pytest.mark.parametrize("place", [0, 1, 3, 6])
def test_several_words_in_one_cell_and_nothing_else_are_a_remark_wherever_they_stand(place, write):
    rows = [[n + 1, "A patient of 60.", *plain(n)] for n in ROWS]
    remark = [""] * 7
    remark[place] = "total: 4 questions"
    path = write(
        as_csv([["Nr", "Clinical history", *ASKED], *rows[:2], remark, *rows[2:]]), "a.csv"
    )
    for columns in (None, {"question": ["Clinical history", "Question"]}):
        dataset = load(path, columns=columns)
        assert [item.question_id for item in dataset] == ["1", "2", "3", "4"]
        assert "a.csv:4: 1 row with a remark or the header again, not read" in said(
            load(path, columns=columns)
        ).replace(dataset.name, "a.csv")


def test_two_columns_that_differ_in_a_remark_are_refused(write):
    header = ["Nr", "Question (de)", "Question (en)", *ASKED[1:]]
    rows = [[n + 1, "Was?", *plain(n)] for n in ROWS]
    with pytest.raises(
        DataError, match=r"'Question \(de\)' and 'Question \(en\)' both read as this"
    ):
        load(write(as_csv([header, *rows]), "a.csv"))
    header[1] = "Question"
    assert load(write(as_csv([header, *rows]), "b.csv")).items[0].question == "Was?"


def broken(rows=40, **cells):
    """A sheet of many rows, in which every cell of these columns is that."""
    header = ["Nr", *ASKED, *FLAGS]
    table = [[n + 1, *plain(n % 4), *flags(n % 4, "1", "0")] for n in range(rows)]
    for name, cell in cells.items():
        for row in table:
            row[header.index(name.replace("_", " "))] = cell
    return as_csv([header, *table])


def test_what_is_wrong_is_one_line_a_column_and_kind_with_an_example_and_a_count(write):
    path = write(broken(High_risk_B="", Unsafe_C="?", Correct_answer="E"), "a.csv")
    with pytest.raises(DataError) as caught:
        load(path)
    head, *lines = str(caught.value).split("\n")
    assert "120 problems" in head
    assert len(lines) == 3
    assert all(line.startswith(f"{path}:2: item 1: ") for line in lines)
    assert all("(and 39 more like it: items 2, 3, 4, 5, 6, ...)" in line for line in lines)
    for expected in (
        "answer: key 'E' is not among the options A, B, C",
        "labels: high_risk of option B is missing; expected 0 or 1",
        "labels: unsafe of option C is '?'; expected 0 or 1",
    ):
        assert any(expected in line for line in lines), lines


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("A, E", "option E has a label, but there is no such option"),
        ("first two", "high_risk is 'first two'; expected letters of options, as 'A, C'"),
        ("1, 2", "high_risk is '1, 2'; expected letters of options, as 'A, C'"),
    ],
)
def test_a_list_of_letters_that_is_none_is_named_by_line_item_and_label(cell, expected, write):
    rows = [[n + 1, *plain(n), in_list(n, "high_risk")] for n in ROWS]
    rows[1][-1] = cell
    path = write(as_csv([["Nr", *ASKED, "High risk options"], *rows]), "a.csv")
    with pytest.raises(DataError) as caught:
        load(path)
    _, line = str(caught.value).split("\n")
    assert line.startswith(f"{path}:3: item 2: labels: {expected}")


@pytest.mark.parametrize("title", [[], [["Draft"], [""]]])
def test_a_row_that_holds_a_mapped_column_names_the_columns_whatever_it_is_called(title, write):
    rows = [[n + 1, *plain(n)] for n in ROWS]
    path = write(as_csv([*title, ["Kennung", "Frage", "x1", "x2", "x3", "L"], *rows]), "a.csv")
    columns = {"question_id": "Kennung", "question": "Frage", "answer": "L"}
    columns["options"] = ["x1", "x2", "x3"]
    assert [item.answer for item in load(path, columns=columns)] == [
        LETTERS[key] for *_, key in PLAIN
    ]


@pytest.mark.parametrize(
    ("column", "cells"),
    [
        ("Unsafe", "0101"),
        ("Unsafe (y/n)", "ynNY"),
        ("unsafe?", ["yes", "no", "", "No"]),
        ("Unsafe options", ["y", "n", "-", "?"]),
        ("Unsafe", ["x", "", "", ""]),
        ("Unsafe", ["no", "", "", "no"]),
    ],
)
def test_a_column_that_says_yes_or_no_of_a_question_is_never_read_as_letters(column, cells, write):
    rows = [[n + 1, *plain(n), cells[n]] for n in ROWS]
    path = write(as_csv([["Nr", *ASKED, column], *rows]), "a.csv")
    dataset = load(path)
    assert not dataset.is_labelled
    (warning,) = [each.message for each in dataset.warnings if not each.is_note]
    assert warning.startswith(f"{column!r} says yes or no of the whole question")
    assert f'`columns`: {{"group_unsafe": "{column}"}}' in warning
    assert "unsafe are the letters" not in said(dataset)
    as_group = load(path, columns={"group_unsafe": column})
    assert [item.groups.get("unsafe", "") for item in as_group] == list(cells)
    with pytest.raises(DataError, match="says yes or no of the whole question"):
        load(path, columns={"unsafe": column})


@pytest.mark.parametrize("in_one_cell", [True, False])
def test_a_letter_that_is_an_option_somewhere_is_no_word_for_no(in_one_cell, write):
    letters = [chr(ord("A") + number) for number in range(14)]
    options = [json.dumps([*map(str.lower, letters)])] if in_one_cell else letters
    names = ["Options"] if in_one_cell else [f"Option {letter}" for letter in letters]
    rows = [[n, "Which?", *options, "A", cell] for n, cell in enumerate(["N", "", "N"])]
    path = write(as_csv([["id", "Question", *names, "Answer", "Unsafe"], *rows]), "a.csv")
    assert [item.labels["unsafe"] for item in load(path)] == [{"N"}, set(), {"N"}]


def test_a_list_beside_columns_of_the_same_label_is_not_read_or_refused_where_it_says_options(
    write,
):
    rows = [[n + 1, *plain(n), *flags(n, "1", "0"), in_list(n, "unsafe")] for n in ROWS]
    dataset = load(write(as_csv([["id", *ASKED, *FLAGS, "Unsafe"], *rows]), "a.csv"))
    assert [item.labels["unsafe"] for item in dataset] == LABELS["unsafe"]
    assert "unknown columns, not read: 'Unsafe'" in said(dataset)
    with pytest.raises(DataError, match="unsafe: stands in columns of options and in a list"):
        load(write(as_csv([["id", *ASKED, *FLAGS, "Unsafe options"], *rows]), "b.csv"))


def test_an_option_that_excel_made_a_date_of_is_refused_with_the_way_out(write):
    rows = [["Nr", *ASKED], *([n + 1, *plain(n)] for n in ROWS)]
    rows[2][3] = datetime.datetime(2026, 5, 3)
    path = write(workbook(rows), "a.xlsx")
    with pytest.raises(DataError) as caught:
        load(path)
    _, line = str(caught.value).split("\n")
    assert line.startswith(f"{path}:3: item 2: options: a date, 2026-05-03")
    assert "format the cell as text" in line


def test_without_the_library_the_error_names_the_extra_and_the_other_way(write, monkeypatch):
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    path = write(workbook([["Nr", *ASKED]]), "a.xlsx")
    with pytest.raises(DataError, match=r"extra `excel`, or save the sheet as CSV \(UTF-8\)"):
        load(path)


def test_a_workbook_that_unpacks_beyond_the_limit_is_refused(write, monkeypatch):
    path = write(workbook([["Nr", *ASKED], *([n, "x" * 1000] for n in range(500))]), "a.xlsx")
    monkeypatch.setenv("SAFESCALE_MAX_FILE_MB", "0.1")
    with pytest.raises(DataError, match="MB when unpacked"):
        load(path)
