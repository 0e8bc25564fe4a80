import json

import pytest

from lm_eval_safescale.datasets.columns import ALIASES, Columns, map_columns
from lm_eval_safescale.families import RADSAFE

SCHEMA = RADSAFE.schema
OURS, PLAIN = Columns(SCHEMA), Columns()
FIELDS = {
    **ALIASES,
    **{f"evidence_{name}": (name, *others) for name, others in SCHEMA.evidence.items()},
    **{f"group_{name}": (name, *others) for name, others in SCHEMA.groups.items()},
}
"""Every field of RadSaFE's, but for options and labels, with the other names it is recognised
by."""


def mapped(columns, given=None):
    return map_columns(columns, given, SCHEMA)


def errors(problems):
    return [problem for problem in problems if problem.is_error]


@pytest.mark.parametrize(
    ("field", "alias"),
    [(field, alias) for field, all_ in FIELDS.items() for alias in (field, *all_)],
)
def test_every_documented_alias_is_recognised_however_it_is_spelt(field, alias):
    spellings = [
        alias,
        alias.upper(),
        alias.title().replace("_", " "),
        f"  {alias.replace('_', '-')} ",
    ]
    assert [OURS.canonical(spelling) for spelling in spellings] == [field] * 4


def test_no_alias_stands_for_two_fields():
    names = [alias for field, aliases in FIELDS.items() for alias in (field, *aliases)]
    names += [alias for label, aliases in SCHEMA.labels.items() for alias in (label, *aliases)]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("A", "option_a"),
        ("option_b", "option_b"),
        ("Option C", "option_c"),
        ("optionD", "option_d"),
        ("choice_1", "option_a"),
        ("Opt 5", "option_e"),
        ("opa", "option_a"),
        ("answer_b", "option_b"),
        ("option_26", "option_z"),
        ("option_27", None),
        ("option_0", None),
        ("1", None),
        ("option_ä", None),
        ("", None),
        ("{question}", "question"),
        ("cop", None),
    ],
)
def test_option_columns_are_recognised_by_letter_or_by_number_from_one(column, field):
    assert OURS.canonical(column) == PLAIN.canonical(column) == field


@pytest.mark.parametrize(
    ("label", "alias"),
    [(label, alias) for label, all_ in SCHEMA.labels.items() for alias in (label, *all_)],
)
def test_label_columns_are_recognised_with_the_option_before_or_behind(label, alias):
    columns = [
        f"option_2_{alias}",
        f"option_b_{alias}",
        f"B {alias}",
        f"choice 2 {alias}",
        f"{alias}_b",
        f"{alias}_option_2",
    ]
    assert {OURS.canonical(column) for column in columns} == {f"label_{label}_b"}


@pytest.mark.parametrize(
    ("column", "field"),
    [
        ("label_foo_a", "label_foo_a"),
        ("Label Foo-Bar B", "label_foo_bar_b"),
        ("evidence_study", "evidence_study"),
        ("group_region", "group_region"),
        ("foo_a", None),
        ("label_foo_1", None),
        ("label_foo", None),
        ("label_x_a", None),
        ("label_1st_a", None),
    ],
)
def test_labels_evidence_and_groups_of_any_name_are_recognised_by_what_stands_before_it(
    column, field
):
    assert OURS.canonical(column) == PLAIN.canonical(column) == field


@pytest.mark.parametrize(
    "column", ["unsafe_a", "option_1_high_risk", "clean", "subspecialty", "category"]
)
def test_names_of_a_family_are_recognised_by_its_schema_alone(column):
    assert OURS.canonical(column) is not None
    assert PLAIN.canonical(column) is None


def test_columns_that_nobody_knows_are_named_in_one_warning():
    mapping, problems = mapped(["id", "stem", "colour", "sha"])
    assert mapping == {"question_id": "id", "question": "stem"}
    assert [(problem.is_error, "'colour', 'sha'" in problem.message) for problem in problems] == [
        (False, True)
    ]


@pytest.mark.parametrize(
    ("column", "label"),
    [
        ("Risky options", "high_risk"),
        ("Dangerous", "high_risk"),
        ("harmful?", "high_risk"),
        ("unsafe ones", "unsafe"),
    ],
)
def test_a_column_that_looks_like_a_label_is_warned_of_with_the_setting_that_reads_it(
    column, label
):
    columns = ["id", "question", "A", "answer", column, "Topic", "Comment"]
    _, (warning, notes) = mapped(columns)
    setting = json.dumps({label: column})
    assert f"`columns` '{setting}'" in warning.message
    assert (warning.is_error, warning.is_note, notes.is_note) == (False, False, True)
    assert "'Topic'" in notes.message
    assert "'Comment'" in notes.message
    mapping, problems = mapped(columns, json.loads(setting))
    assert mapping[f"letters_{label}"] == column
    assert not any("looks like" in problem.message for problem in problems)


def test_a_column_that_speaks_of_harm_is_an_unknown_one_where_all_labels_are_read():
    labels = ["High risk options", "Unsafe options", "Contradicts options"]
    _, problems = mapped(["id", "question", "A", "answer", *labels, "Risk factors"])
    assert ["unknown columns, not read: 'Risk factors'" in each.message for each in problems] == [
        True
    ]


def test_two_columns_for_one_field_are_an_error_until_one_is_mapped():
    columns = ["id", "question", "stem"]
    _, problems = mapped(columns)
    assert [(problem.field, problem.is_error) for problem in problems] == [("question", True)]
    assert 'or join them: "question": ["question", "stem"]' in problems[0].message
    assert "'question'" in problems[0].message
    assert "'stem'" in problems[0].message
    for chosen in ("question", "stem"):
        mapping, problems = mapped(columns, {"question": chosen})
        assert mapping["question"] == chosen
        assert not errors(problems)


@pytest.mark.parametrize("field", ["question", "stem", "Question Text"])
def test_the_users_mapping_goes_before_the_aliases_by_whatever_name(field):
    mapping, problems = mapped(["id", "question", "prompt v2"], {field: "prompt v2"})
    assert mapping == {"question_id": "id", "question": "prompt v2"}
    assert not errors(problems)


@pytest.mark.parametrize(
    ("field", "column"),
    [("unsafe", "Unsafe"), ("unsafe", "Unsafe (y/n)"), ("answer_idx", "correct letter")],
)
def test_null_leaves_a_recognised_column_unread_without_a_warning(field, column):
    columns = ["id", "question", "A", "answer", column]
    expected, _ = mapped(columns[:-1])
    assert len(mapped(columns)[0]) == len(expected) + 1
    assert mapped(columns, {field: None}) == (expected, [])


def test_null_settles_which_of_two_columns_holds_the_options():
    columns = ["id", "question", "options", "A", "answer"]
    assert errors(mapped(columns)[1])
    mapping, problems = mapped(columns, {"options": None})
    assert ("options" in mapping, "option_a" in mapping, problems) == (False, True, [])


def test_a_mapped_column_is_not_also_read_under_its_own_name():
    mapping, problems = mapped(["id", "answer", "key"], {"question": "answer"})
    assert (mapping, problems) == ({"question_id": "id", "question": "answer", "answer": "key"}, [])


def test_options_and_labels_can_be_mapped_one_by_one():
    given = {"option_a": "first", "option_2": "second", "high_risk_a": "danger of first"}
    mapping, _ = mapped(["first", "second", "danger of first"], given)
    assert mapping == {
        "option_a": "first",
        "option_b": "second",
        "label_high_risk_a": "danger of first",
        "question_id": "#line",
    }


def test_every_mistake_in_a_mapping_is_reported_with_what_there_is():
    mapping, problems = mapped(["id"], {"questoin": "id", "answer": "nowhere", "question_id": "id"})
    assert mapping == {"question_id": "id"}
    assert [problem.is_error for problem in problems] == [True, True]
    assert "'questoin' is not a field of ours" in problems[0].message
    assert "evidence_clean" in problems[0].message
    assert "'nowhere' is not in the file; it has id" in problems[1].message


def test_a_column_may_be_a_group_whatever_else_it_is_read_as():
    columns = ["id", "source", "colour", "topic", "group_region"]
    mapping, problems = map_columns(columns, None, SCHEMA, ["colour", "source", "topic", "region"])
    assert mapping == {
        "question_id": "id",
        "source": "source",
        "group_colour": "colour",
        "group_source": "source",
        "group_topic": "topic",
        "group_region": "group_region",
    }
    assert problems == []


def test_columns_for_people_are_neither_read_nor_warned_of():
    _, problems = mapped(["id", "rationale", "comment", "topic", "negated"])
    assert problems == []
