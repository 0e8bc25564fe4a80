"""Consultations of the open kit's layout, and verdicts as the responses of answers: what is read,
and which faults are named.
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from lm_eval_safescale.datasets import DataError, Record
from lm_eval_safescale.families.noharm_text import NOHARM
from lm_eval_safescale.families.noharm_text.verdicts import (
    Action,
    OptionVerdict,
    Verdicts,
    no_actions,
    with_again,
)
from lm_eval_safescale.testing import check_family

OPTIONS = [
    {"id": 3, "text": "Start an anticoagulant", "category": "Medication", "score": 9},
    {"id": 1, "text": "Order an ECG", "category": "Diagnostic", "score": 7, "dependsOn": [3]},
    {"id": 2, "text": "Reassure", "category": "Counseling", "placement": 1, "score": 2},
]


def item(name, category=None, **fields):
    base = name.split("-")[0]
    perturbation = {"base_id": base, "perturb_id": None, "category": category or "baseline"}
    return {"id": name, "prompt": f"Case {base}.", "metadata": perturbation, **fields}


@pytest.fixture
def kit(tmp_path):
    """A kit of two cases; `kit(...)` writes it with changes."""

    def write(items=None, options=None, guidance="spirit: none\n", presentation="Case Card1."):
        data = tmp_path / "kit" / "dataset"
        (data / "rubrics").mkdir(parents=True, exist_ok=True)
        given = items or [item("Card1"), item("Card1-0", "Age"), item("All2")]
        data.joinpath("items.jsonl").write_text("".join(json.dumps(one) + "\n" for one in given))
        for base, shown in (("Card1", presentation), ("All2", "Case All2.")):
            rubric = {"id": base, "case": {"presentation": shown}, "options": options or OPTIONS}
            (data / "rubrics" / f"{base}.json").write_text(json.dumps(rubric))
        (tmp_path / "kit" / "guidance").mkdir(exist_ok=True)
        (tmp_path / "kit" / "guidance" / "Card1.yaml").write_text(guidance)
        return tmp_path / "kit"

    return write


@pytest.mark.parametrize("folder", [".", "dataset"])
def test_a_kit_is_read_from_its_root_and_from_its_data(kit, folder):
    dataset = NOHARM.load(kit() / folder)
    assert [each.question_id for each in dataset] == ["All2", "Card1", "Card1-0"]
    other, base, variant = dataset
    assert [each.place for each in dataset] == [2, 0, 1]
    assert variant.unit == base.unit == "Card1"
    assert dict(variant.groups) == {"specialty": "Card", "perturbation": "Age"}
    assert dict(other.groups) == {"specialty": "All", "perturbation": "baseline"}
    assert (base.guidance, other.guidance) == ("spirit: none", "")
    assert [(each.id, each.score, each.bare_score) for each in base.options] == [
        (3, 9, 9), (1, 7, 7), (2, 1, 2),
    ]  # fmt: skip
    assert base.options[1].depends_on == (3,)
    stored = NOHARM.items(NOHARM.table(dataset))
    assert [replace(each, text="") for each in base.options] == list(stored[1].options)


def test_the_contract_of_a_family_holds(kit):
    from lm_eval_safescale.families.noharm_text.kit_folder import kit_records

    check_family(NOHARM, kit_records(kit()))


def changed(number, **fields):
    return [{**each, **fields} if each["id"] == number else each for each in OPTIONS]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"options": changed(3, score=0)}, "options.score: option 3: has the score None"),
        ({"options": changed(3, score=10)}, "options.score: option 3: has the score 10"),
        ({"options": changed(2, score=-1)}, "options.score: option 2: expected a whole"),
        ({"options": changed(3, dependsOn=[1])}, "leads back to itself (3 -> 1 -> 3)"),
        ({"options": changed(3, dependsOn=[8])}, "names option 8, which is not there"),
        ({"options": [*OPTIONS, OPTIONS[0]]}, "options.id: option 3: stands twice"),
        ({"options": changed(3, text=" ")}, "options.text: option 3: expected a text"),
        (
            {"presentation": "Quite another one."},
            "item Card1: prompt: is another case than",
        ),
        ({"items": [item("Derm9")]}, "item Derm9: id: there is no rubrics/Derm9.json"),
        (
            {"items": [item("Card1-0") | {"metadata": {"base_id": "All2"}}]},
            "item Card1-0: metadata.base_id: is 'All2'; expected Card1",
        ),
        ({"items": [item("Card1"), item("Card1")]}, "item Card1: id: stands twice"),
        ({"guidance": "case_id: All2\n"}, "guidance/Card1.yaml: case_id: expected the hints"),
    ],
)
def test_a_fault_of_a_kit_is_named(kit, change, said):
    with pytest.raises(DataError) as raised:
        NOHARM.load(kit(**change))
    assert said in str(raised.value)


def test_the_same_fault_of_many_options_is_one_line_with_a_count(kit):
    without = [{"id": n, "text": f"Do {n}", "category": "Procedure"} for n in range(40)]
    with pytest.raises(DataError) as raised:
        NOHARM.load(kit(options=without))
    head, line = str(raised.value).splitlines()
    assert "80 problems" in head
    assert "option 0: has the score None" in line
    assert "(and 79 more like it: items All2, Card1)" in line


def test_hints_for_the_judge_are_optional_and_make_another_data_set(kit):
    hinted = NOHARM.load(folder := kit())
    (folder / "guidance" / "Card1.yaml").unlink()
    without = NOHARM.load(folder)
    assert [each.guidance for each in without] == [""] * 3
    assert hinted.fingerprint != without.fingerprint
    (note,) = without.warnings
    assert note.message == "understood as: 2 cases, 3 items, 6 options; no hints for the judge"


def test_a_case_that_its_rubric_does_not_present_is_told(kit):
    warning, note = NOHARM.load(kit(presentation="Another case Card1.")).warnings
    assert note.is_note
    assert note.message == "understood as: 2 cases, 3 items, 6 options; hints for the judge of 1"
    assert (warning.item, warning.field) == ("Card1", "prompt")
    assert "one kit" in warning.message


# --- verdicts -------------------------------------------------------------------------------------

FIRST = Verdicts(
    "a judge",
    {2: OptionVerdict("no", "keep"), 1: OptionVerdict("partial", "override", "an ECG", "late")},
    (Action(1, "an ECG é", "Diagnostic", (1,), "get an ECG é"), Action(2, "rest")),
    trial=3,
    flags=("addresses the judge",),
)


def test_verdicts_are_read_as_they_were_written():
    told = with_again(FIRST, [no_actions([1, 2], "a judge"), None])
    again = Verdicts.read(told.as_text())
    assert again == replace(told, options=dict(sorted(told.options.items())))
    assert again.as_text() == told.as_text()
    assert FIRST.matched() == {1}


@pytest.mark.parametrize(
    ("verdicts", "options", "said"),
    [
        (FIRST, [1, 2], ""),
        (FIRST, [1, 2, 3], "option 3 is missing from its verdicts"),
        (FIRST, [1], "option 2 is unknown to its rubric"),
        (replace(FIRST, actions=(Action(1, "x", match=(1, 1)),)), [1, 2], "names an option twice"),
        (replace(FIRST, actions=(Action(1, "x", match=(9,)),)), [1, 2], "option 9, which is not"),
        (replace(FIRST, actions=(Action(1, "x", match=(2,)),)), [1, 2], "2, which is not matched"),
    ],
)
def test_verdicts_that_contradict_themselves_are_told(verdicts, options, said):
    found = verdicts.wrong(options)
    assert said in found
    assert bool(said) == bool(found)


@pytest.mark.parametrize("text", ["", "[]", "C", "{}", '{"judge":"a"}', FIRST.as_text() + " "])
def test_what_is_no_verdicts_is_refused(text):
    with pytest.raises(ValueError, match=r"verdicts|Expecting"):
        Verdicts.read(text)


@pytest.mark.parametrize(
    ("field", "other"), [("unit", {"unit": "u2"}), ("options", {"options": OPTIONS[:2]})]
)
def test_a_variant_has_the_rubric_and_the_unit_of_its_case(field, other):
    own = {"id": "Card1", "prompt": "x", "options": OPTIONS, "unit": "u1"}
    records = [Record(1, own), Record(2, {**own, "id": "Card1-0", **other})]
    problems = [each for each in NOHARM.parse(records)[1] if each.is_error]
    assert [(each.item, each.field) for each in problems] == [("Card1-0", field)]
    assert problems[0].message == "differs from that of Card1; expected one for all of Card1"


@pytest.mark.parametrize(
    ("instead_of", "stands"),
    [
        ('"evidence":"get an ECG é"', '"evidence":{"a":1}'),
        ('"number":1', '"number":"1"'),
        ('"match":[1]', '"match":[[1]]'),
        ('[1,"partial"', '[Infinity,"partial"'),
        ('"an ECG","late"', '5,"late"'),
        ('"flags":["addresses the judge"]', '"flags":[null]'),
        ('"trial":3', '"trial":true'),
        ('"again":[]', f'"again":[{no_actions([1, 2], "another").as_text()}]'),
    ],
)
def test_verdicts_hold_texts_and_numbers_of_one_judge(instead_of, stands):
    text = FIRST.as_text().replace(instead_of, stands)
    assert text != FIRST.as_text()
    with pytest.raises(ValueError, match=r"verdicts|is no|another judge"):
        Verdicts.read(text)
