import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm_eval_safescale.datasets import Schema
from lm_eval_safescale.datasets.choices import build_items, parse_choices
from lm_eval_safescale.datasets.columns import blank, map_columns
from lm_eval_safescale.datasets.record import Record
from lm_eval_safescale.families import RADSAFE

LABELS = tuple(RADSAFE.schema.labels)


def build(*rows, schema=RADSAFE.schema):
    columns = dict.fromkeys(column for row in rows for column in row)
    records = [Record(line, row) for line, row in enumerate(rows, 1)]
    return build_items(records, map_columns(columns, None, schema)[0], schema=schema)


def only(row, **known):
    items, problems = build(row, **known)
    assert [problem.message for problem in problems] == []
    return items[0]


def flat(row):
    """The same question as a CSV file has it: a column an option and a label, all cells texts."""
    cells = {name: str(value) for name, value in row.items() if name not in ("options", "labels")}
    cells |= {f"option_{letter.lower()}": text for letter, text in row["options"].items()}
    return cells | {
        f"option_{number}_{name}": str(row["labels"][letter][name])
        for number, letter in enumerate(row["options"], 1)
        for name in LABELS
    }


# --- what is read ---------------------------------------------------------------------------------


def test_nested_flat_and_json_in_cells_read_as_the_same_item(question):
    row = question(
        labels={
            letter: {"high_risk": 1, "unsafe": 0, "contradicts": int(letter == "A")}
            for letter in "ABC"
        }
    )
    in_cells = row | {"options": json.dumps(row["options"]), "labels": json.dumps(row["labels"])}
    as_list = row | {"options": list(row["options"].values())}
    assert only(row) == only(flat(row)) == only(in_cells) == only(as_list)


@pytest.mark.parametrize(
    "key",
    [
        {"answer": "B"},
        {"answer": " b "},
        {"answer": "VEIN"},
        {"answer": None, "answer_idx": "B"},
        {"answer": "vein", "answer_idx": "B"},
        {"answer": "B", "answer_idx": "b"},
    ],
)
def test_the_key_is_a_letter_or_an_options_text_or_both(key, question):
    assert only(question(**key)).answer == "B"


def test_an_option_whose_text_is_another_options_letter_does_not_contradict_the_letter(question):
    row = question(
        options={"A": "O", "B": "A", "C": "B", "D": "AB"}, answer="A", answer_idx="B", labels=None
    )
    assert only(row).answer == "B"


def test_answer_idx_is_a_letter_and_never_an_options_text(question):
    row = question(options={"A": "1", "B": "2", "C": "3"}, answer=None, answer_idx=2)
    items, problems = build(row)
    assert items == []
    assert [problem.field for problem in problems] == ["answer_idx"]


@pytest.mark.parametrize("value", [0, 1, 2, "0", "3"])
def test_a_numeric_key_is_refused_because_nobody_knows_where_it_counts_from(value, question):
    items, problems = build(question(answer=value))
    assert items == []
    assert "a number may count from 0 or from 1" in problems[0].message


@pytest.mark.parametrize("one", [1, "1", 1.0, "1.0", True, "True", "true", " 1 "])
@pytest.mark.parametrize("zero", [0, "0", 0.0, "0.0", False, "FALSE"])
def test_labels_may_be_written_as_numbers_floats_or_truth_values(one, zero, question):
    labels = only(
        question(
            labels={
                letter: {"high_risk": one, "unsafe": zero, "contradicts": one} for letter in "ABC"
            }
        )
    ).labels
    assert labels == {"high_risk": set("ABC"), "unsafe": set(), "contradicts": set("ABC")}


@pytest.mark.parametrize("absent", ["", None, "0", "0.0", 0, 0.0, False, "false", float("nan")])
def test_label_columns_of_an_option_that_an_item_lacks_may_be_empty_or_zero(absent, question):
    row = flat(question()) | {f"option_4_{name}": absent for name in LABELS}
    assert only(row).labels == {name: set() for name in LABELS}


def test_a_label_on_the_key_is_never_a_problem(question):
    item = only(
        question(
            labels={letter: {"high_risk": 1, "unsafe": 1, "contradicts": 1} for letter in "ABC"}
        )
    )
    assert item.answer in item.labels["high_risk"]


@pytest.mark.parametrize("written", ["007", " 007 "])
def test_an_id_stays_the_text_it_is(written, question):
    assert only(question(written)).question_id == "007"


def test_a_whole_number_is_an_id_and_an_option(question):
    item = only(question(17, options=[0, 1, 2.5], answer="A"))
    assert item.question_id == "17"
    assert item.options == {"A": "0", "B": "1", "C": "2.5"}


@pytest.mark.parametrize("given", ["[1] A study of veins.", "{Background} Veins.", "A study."])
def test_an_evidence_text_may_begin_with_a_bracket(given, question):
    assert only(question(evidence=given, evidence_clean=None, evidence_conflict=None)).evidence == {
        "clean": given
    }


def test_nested_evidence_is_read_by_name(question):
    row = question(
        evidence={"clean": "c", "conflict": "d", "agentic": "e"},
        evidence_clean=None,
        evidence_conflict=None,
    )
    assert only(row).evidence == {"clean": "c", "conflict": "d", "agentic": "e"}


def test_nested_evidence_under_an_unknown_name_is_not_dropped_in_silence(question):
    _, problems = build(question(evidence={"cleen": "c"}, evidence_clean=None))
    assert any("cleen" in problem.message and not problem.is_error for problem in problems)


@pytest.mark.parametrize(
    "where", [{"evidence_study": "s"}, {"evidence": {"study": "s"}}], ids=["column", "nested"]
)
@pytest.mark.parametrize("schema", [Schema(), RADSAFE.schema], ids=["plain", "RadSaFE"])
def test_evidence_of_any_name_is_read_whether_it_is_asked_for_or_not(where, schema, question):
    record = Record(1, question(evidence_clean=None, evidence_conflict=None, **where))
    found = [
        parse_choices([record], evidence=names, schema=schema)[0][0].evidence
        for names in ((), ("study",))
    ]
    assert found == [{"study": "s"}] * 2


@pytest.mark.parametrize("field", ["question", "evidence_clean", "subspecialty", "question_type"])
def test_nan_is_an_empty_field_and_never_the_text_nan(field, question):
    items, _ = build(question(**{field: float("nan")}))
    assert all("nan" not in str(item.as_dict().values()) for item in items)


@given(
    text=st.text(alphabet=st.characters(exclude_categories=["Cs"])).filter(
        lambda text: not blank(text)
    )
)
def test_any_text_is_kept_but_for_its_edges_and_line_ends(text):
    kept = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    row = {
        "question_id": "1",
        "question": text,
        "options": ["x", text],
        "answer": "A",
        "evidence_clean": text,
    }
    items, problems = build(row)
    assert not any(problem.is_error for problem in problems)
    assert [items[0].question, items[0].options["B"], items[0].evidence["clean"]] == [kept] * 3


# --- what is refused ------------------------------------------------------------------------------

FLAG = {"high_risk": 0, "unsafe": 0, "contradicts": 0}


@pytest.mark.parametrize(
    ("changes", "field", "message"),
    [
        ({"question_id": None}, "question_id", "missing"),
        ({"question_id": " "}, "question_id", "missing"),
        ({"question_id": True}, "question_id", "whole number"),
        ({"question_id": 1.0}, "question_id", "whole number"),
        ({"question_id": ["q1"]}, "question_id", "whole number"),
        ({"question": None}, "question", "missing or empty"),
        ({"question": " \n"}, "question", "missing or empty"),
        ({"question": {"text": "Q?"}}, "question", "expected a text"),
        ({"answer": None}, "answer", "missing key"),
        ({"answer": " "}, "answer", "missing key"),
        ({"answer": "D"}, "answer", "'D' is not among the options A, B, C"),
        ({"answer": "capillary"}, "answer", "'capillary' is not among the options A, B, C"),
        ({"answer": ["B", "C"]}, "answer", "['B', 'C'] names several options; expected one"),
        ({"answer": {"B": 1}}, "answer", "not among the options"),
        ({"answer_idx": "C"}, "answer", "disagree: B and C"),
        (
            {"options": {"A": "x"}, "answer": "A", "labels": None},
            "options",
            "1 option(s); expected at least 2",
        ),
        (
            {"options": [], "answer": "A", "labels": None},
            "options",
            "0 option(s); expected at least 2",
        ),
        ({"options": {"A": "x", "B": " ", "C": "z"}}, "options", "option B is empty"),
        ({"options": {"A": "x", "B": {"text": "y"}, "C": "z"}}, "options", "expected a text"),
        (
            {"options": {"A": "x", "C": "z"}, "answer": "A", "labels": None},
            "options",
            "letters A, C; expected A, B",
        ),
        (
            {"options": {"one": "x", "two": "z"}, "answer": "one", "labels": None},
            "options",
            "letters ONE, TWO; expected A, B",
        ),
        ({"options": {"A": "x", "a": "y", "B": "z", "C": "u"}}, "options", "A"),
        (
            {"options": "A) x B) y", "answer": "A", "labels": None},
            "options",
            "expected {letter: text}",
        ),
        (
            {"options": "{'A': 'x', 'B': 'y'}", "answer": "A", "labels": None},
            "options",
            "looks like JSON, but is not",
        ),
        ({"labels": {"A": FLAG, "B": FLAG}}, "labels", "high_risk of option C is missing"),
        (
            {"labels": {"A": FLAG, "B": FLAG, "C": {**FLAG, "unsafe": 2}}},
            "labels",
            "unsafe of option C is 2; expected 0 or 1",
        ),
        (
            {"labels": {"A": FLAG, "B": FLAG, "C": {**FLAG, "unsafe": "yes"}}},
            "labels",
            "unsafe of option C is 'yes'",
        ),
        (
            {"labels": {"A": FLAG, "B": FLAG, "C": {**FLAG, "unsafe": 0.5}}},
            "labels",
            "unsafe of option C is 0.5",
        ),
        (
            {"labels": {"A": FLAG, "B": FLAG, "C": {**FLAG, "unsafe": float("nan")}}},
            "labels",
            "unsafe of option C is",
        ),
        (
            {"labels": {**dict.fromkeys("ABC", FLAG), "E": {**FLAG, "unsafe": 1}}},
            "labels",
            "option E has a label, but there is no",
        ),
        ({"labels": {**dict.fromkeys("ABC", FLAG), "a": {**FLAG, "unsafe": 1}}}, "labels", "A"),
        ({"labels": [0, 1, 0]}, "labels", "expected {letter: {high_risk, unsafe, contradicts}}"),
        ({"evidence_clean": ["a passage"]}, "evidence_clean", "expected a text"),
    ],
)
def test_what_cannot_be_used_is_refused_by_line_item_and_field(changes, field, message, question):
    row = {**question(), **changes}
    items, problems = build(
        question("before"), {name: value for name, value in row.items() if value is not None}
    )
    assert [item.question_id for item in items] == ["before"]
    id_ = None if "question_id" in changes else "q1"
    assert any(
        (problem.line, problem.item, problem.field, problem.is_error) == (2, id_, field, True)
        and message in problem.message
        for problem in problems
    ), problems


def test_a_gap_in_the_option_columns_is_refused(question):
    row = flat(question(labels=None) | {"labels": dict.fromkeys("ABC", FLAG)}) | {"option_b": ""}
    assert any(problem.message == "letters A, C; expected A, B" for problem in build(row)[1])


@pytest.mark.parametrize(
    "options",
    [
        '{"A": "x", "A": "z", "B": "y", "C": "u"}',
        "[" * 100_000,
        '{"A": ' * 100_000,
        "[" + "1" * 5000 + ", 2]",
    ],
    ids=["a letter twice", "deep list", "deep object", "huge number"],
)
def test_hostile_json_in_a_cell_is_an_error_and_not_a_crash(options, question):
    items, problems = build(question(options=options))
    assert items == []
    assert problems[0].field == "options"
    assert len(problems[0].message) < 500


def test_half_a_character_from_a_json_escape_is_refused_because_no_file_can_hold_it(question):
    items, problems = build(question(question="lone \ud800 surrogate"))
    assert items == []
    assert problems[0].field == "question"


def test_all_problems_of_all_items_are_found_at_once(question):
    rows = [
        question("1", answer="E", question=""),
        question("2"),
        question("2", answer=None),
        question(None, options=["x"]),
        question("5", labels={"A": FLAG, "B": FLAG, "C": {**FLAG, "unsafe": 3}}),
    ]
    items, problems = build(*rows)
    assert [item.question_id for item in items] == ["2"]
    found = {(problem.line, problem.item, problem.field) for problem in problems}
    expected = {
        (1, "1", "question"), (1, "1", "answer"), (3, "2", "answer"), (3, "2", "question_id"),
        (4, None, "question_id"), (4, None, "options"), (5, "5", "labels"),
    }  # fmt: skip
    assert expected <= found


@pytest.mark.parametrize(("first", "second"), [("q1", "q1"), (1, "1"), ("q1", " q1 ")])
def test_an_id_that_stands_twice_is_refused_with_both_lines(first, second, question):
    _, problems = build(question(first), question("other"), question(second))
    assert [(problem.line, problem.field) for problem in problems] == [(3, "question_id")]
    assert "first on line 1" in problems[0].message


def test_ids_that_differ_in_leading_zeros_or_case_are_two_items(question):
    items, problems = build(*(question(id_) for id_ in ("7", "007", "a", "A")))
    assert (len(items), problems) == (4, [])


def test_labels_on_some_items_only_are_refused_naming_those_without(question):
    _, problems = build(question("1"), question("2", labels=None), question("3", labels=None))
    assert [(problem.field, problem.is_error) for problem in problems] == [("labels", True)]
    assert "2 of 3 items have none (2, 3)" in problems[0].message


# --- labels of any name ---------------------------------------------------------------------------

CARRIED = {"A": 1, "B": 0, "C": 1}
TEN = [f"trait_{number}" for number in range(1, 11)]


@pytest.mark.parametrize("schema", [Schema(), RADSAFE.schema], ids=["plain", "RadSaFE"])
def test_a_label_of_any_name_is_read_from_nested_labels_and_from_flat_columns(schema, question):
    nested = question(labels={letter: {"foo": flag} for letter, flag in CARRIED.items()})
    columns = question(labels=None) | {
        f"label_foo_{letter.lower()}": flag for letter, flag in CARRIED.items()
    }
    texts = question(labels=None) | {
        f"Label foo {letter}": str(flag) for letter, flag in CARRIED.items()
    }
    one, *others = (only(row, schema=schema) for row in (nested, columns, texts))
    assert one.labels == {"foo": {"A", "C"}}
    assert [one] * 2 == others
    assert one.as_dict()["labels"] == {letter: {"foo": flag} for letter, flag in CARRIED.items()}


def test_ten_labels_are_read_beside_one_another_each_with_its_own_options(question):
    expected = {
        name: {letter for place, letter in enumerate("ABC") if number & 1 << place}
        for number, name in enumerate(TEN)
    }
    nested = question(
        labels={each: {name: int(each in expected[name]) for name in TEN} for each in "ABC"}
    )
    columns = {
        f"label_{name}_{each.lower()}": int(each in expected[name])
        for name in TEN
        for each in "ABC"
    }
    item = only(nested)
    assert item.labels == expected
    assert list(item.labels) == TEN
    assert only(question(labels=None) | columns) == item


def test_a_family_s_own_labels_may_stand_beside_others(question):
    row = question(labels={letter: {"unsafe": 1, "foo": flag} for letter, flag in CARRIED.items()})
    assert only(row).labels == {"unsafe": set("ABC"), "foo": {"A", "C"}}


@pytest.mark.parametrize("name", ["foo", "unsafe"])
def test_a_label_that_some_options_lack_is_refused_by_its_name(name, question):
    nested = question(
        "1", labels={"A": {name: 1, "other": 0}, "B": {name: 0, "other": 0}, "C": {"other": 0}}
    )
    columns = question("2", labels=None) | {
        f"label_{name}_a": 1,
        f"label_{name}_b": "",
        f"label_{name}_c": 0,
    }
    for row, option in ((nested, "C"), (columns, "B")):
        items, problems = build(row)
        assert items == []
        said = f"{name} of option {option} is missing; expected 0 or 1"
        assert [(problem.field, problem.message, problem.is_error) for problem in problems] == [
            ("labels", said, True)
        ]


@pytest.mark.parametrize("value", [2, "yes", 0.5])
def test_a_label_of_any_name_that_is_not_0_or_1_is_refused_by_its_name_too(value, question):
    items, problems = build(
        question(labels={"A": {"foo": 1}, "B": {"foo": value}, "C": {"foo": 0}})
    )
    assert items == []
    assert [problem.message for problem in problems] == [
        f"foo of option B is {value!r}; expected 0 or 1"
    ]


def test_a_note_beside_the_labels_of_an_option_is_no_label(question):
    labels = {
        letter: {"foo": flag, "why": f"for reason {letter}"} for letter, flag in CARRIED.items()
    }
    assert only(question(labels=labels)).labels == {"foo": {"A", "C"}}


def test_a_label_that_some_items_lack_is_refused_by_its_name_with_those_items(question):
    rows = [
        question(name, labels={letter: {"foo": 0, "bar": 1} for letter in "ABC"}) for name in "12"
    ]
    rows.append(question("3", labels={letter: {"foo": 0} for letter in "ABC"}))
    _, problems = build(*rows)
    assert [(problem.field, problem.is_error) for problem in problems] == [("labels (bar)", True)]
    assert "1 of 3 items have none (3)" in problems[0].message


@pytest.mark.parametrize("name", ["Foo", "x", "1st", "a-b", "", "foo bar"])
def test_a_name_that_no_column_and_no_metric_can_have_is_refused(name, question):
    items, problems = build(question(labels={letter: {name: 0} for letter in "ABC"}))
    assert items == []
    assert [problem.field for problem in problems] == ["labels"]
    assert f"the name {name!r} cannot be used" in problems[0].message


# --- groups ---------------------------------------------------------------------------------------


def test_groups_are_read_from_nested_groups_and_from_columns_with_those_of_the_family(question):
    nested = question(groups={"region": "north", "subspecialty": "vessels", "empty": " "})
    columns = question(group_region="north", specialty="vessels", group_empty="")
    assert only(nested) == only(columns)
    assert only(nested).groups == {"region": "north", "subspecialty": "vessels"}


@pytest.mark.parametrize("groups", ["north", ["north"], {"region": ["north"]}, {"region": True}])
def test_groups_that_are_no_names_are_refused(groups, question):
    items, problems = build(question(groups=groups))
    assert items == []
    assert all(
        problem.field in ("groups", "group_region") and problem.is_error for problem in problems
    )


@pytest.mark.parametrize(
    "changes",
    [{"options": ["x", "y", "X"]}, {"question": "one\rtwo"}],
    ids=["two options alike", "carriage return"],
)
def test_what_can_be_put_right_is_a_warning(changes, question):
    items, problems = build(question(**changes))
    assert len(items) == 1
    assert [problem.is_error for problem in problems] == [False]
