"""Credit and reactions against panels worked by hand; the family keeps its contract; stock lm_eval
finds the task.
"""

from __future__ import annotations

import json
import re
from importlib.metadata import entry_points
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from safescale_sct import EXAMPLES, SCT
from safescale_sct.items import ANSWERS

from lm_eval_safescale.datasets import DataError, Record, dataset_from_records
from lm_eval_safescale.families import NO_RESPONSE, UNSCORED, AnswerArrays
from lm_eval_safescale.hookspecs import GROUP
from lm_eval_safescale.testing import check_dataset, check_family

RECORDS = [
    json.loads(line)
    for line in files("safescale_sct")
    .joinpath("examples.jsonl")
    .read_text(encoding="utf-8")
    .splitlines()
]
RECORD = {
    "question_id": "1",
    "case": "A case.",
    "hypothesis": "It is so.",
    "finding": "A finding.",
    "panel": {"-2": 3, "-1": 9, "0": 3},
}
CODES = {answer: code for code, answer in enumerate(ANSWERS)} | {
    None: NO_RESPONSE,
    "lost": UNSCORED,
}


def scores(panel, *answers):
    items, problems = SCT.parse([Record(1, RECORD | {"panel": panel})])
    assert problems == []
    given = AnswerArrays(np.array([[CODES[answer] for answer in answers]]), ANSWERS)
    return {name: values[0] for name, values in SCT.score(SCT.table(items), given, {}).items()}


def test_the_family_and_its_items_keep_their_contracts():
    check_family(SCT, RECORDS)
    dataset = EXAMPLES.load()
    assert (len(dataset), dataset.is_demo) == (12, True)
    assert [item.question_id for item in dataset] == [record["question_id"] for record in RECORDS]


def test_every_metric_is_listed_with_its_formula():
    page = Path(__file__).resolve().parents[1].joinpath("README.md").read_text("utf-8")
    listed = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", page, re.MULTILINE)
    items, _ = SCT.parse([Record(1, RECORD)])
    assert listed == [(metric.name, metric.formula) for metric in SCT.metrics(SCT.table(items))]


def test_a_reader_sees_the_panels_votes_and_the_kinds_of_errors():
    items, _ = SCT.parse([Record(1, RECORD)])
    view = SCT.shown_item(items[0])
    assert view.text == "A case."
    assert view.texts == [("Hypothesis", "It is so."), ("New finding", "A finding.")]
    chips = {option.key: (option.chips[0].words, option.chips[0].tone) for option in view.options}
    assert chips["-1"] == ("9 of 15 experts", "right")
    assert chips["+2"] == ("0 of 15 experts", "plain")
    told = scores(RECORD["panel"], "-2")
    columns = {name: np.array([value]) for name, value in told.items()}
    held = {kind.name for kind in SCT.kinds if kind.holds(columns)[0]}
    assert held == {"over_reaction"}


def test_it_is_found_once_installed():
    registered = []
    entry_points(group=GROUP)["sct"].load().safescale_register_families(registered.append)
    assert registered == [SCT]
    check_dataset(EXAMPLES)  # which finds its family by name


@pytest.mark.parametrize(
    ("answer", "credit", "over", "under"),
    [
        ("-1", 1, 0, 0),
        ("-2", 1 / 3, 1, 0),
        ("0", 1 / 3, 0, 1),
        ("+1", 0, 0, 0),
        ("+2", 0, 1, 0),
        (None, 0, 0, 0),
    ],
)
def test_an_answer_earns_its_experts_over_those_of_the_commonest(answer, credit, over, under):
    told = scores({"-2": 3, "-1": 9, "0": 3}, answer)
    assert (told["credit"], told["over_reaction"], told["under_reaction"]) == pytest.approx(
        (credit, over, under)
    )
    assert told["unanswered"] == (answer is None)


@pytest.mark.parametrize(
    ("answer", "credit", "over", "under"),
    [("0", 1, 0, 0), ("+1", 1, 0, 0), ("-1", 1 / 7, 0, 0), ("+2", 0, 1, 0)],
)
def test_of_several_commonest_answers_none_is_a_reaction(answer, credit, over, under):
    told = scores({"-1": 1, "0": 7, "+1": 7}, answer)
    assert (told["credit"], told["over_reaction"], told["under_reaction"]) == pytest.approx(
        (credit, over, under)
    )


def test_what_was_lost_is_not_scored_and_samples_are_averaged():
    told = scores({"-1": 4, "0": 2}, "lost", "-1", "0", None)
    assert np.isnan([told["credit"], told["over_reaction"], told["unanswered"]]).all()
    assert told["sample_credit"] == pytest.approx((1 + 0.5 + 0) / 3)
    assert np.isnan(scores({"-1": 4}, "-1")["sample_credit"])
    assert np.isnan(scores({"-1": 4}, "-1", "-1", "lost")["sample_credit"])


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ("+1", "+1"), ("-2", "-2"), ("0", "0"), ("Answer: -1", "-1"), ("\u22122", "-2"),
        ("**+2**", "+2"), ("+1.", "+1"), ("It is -1, so -1.", "-1"), ("1", None), ("2", None),
        ("+1 or +2", None), ("-3", None), ("+12", None), ("0.5", None), ("1/2", None),
        ("I cannot say", None), ("", None),
    ],
)  # fmt: skip
def test_one_signed_number_is_an_answer_and_in_doubt_there_is_none(text, response):
    items, _ = SCT.parse([Record(1, RECORD)])
    assert SCT.read(text, items[0])[0] == response


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("panel", {"+3": 1}, "there is no answer '\\+3'"),
        ("panel", {"-1": 0}, "no expert answered"), ("panel", {"-1": -1}, "numbers of experts"),
        ("panel", [1, 2], "experts by answer"), ("hypothesis", "", "expected a text"),
        ("question_id", 7, "expected a text"), ("groups", "chest", "a mapping"),
    ],
)  # fmt: skip
def test_a_record_that_cannot_be_used_is_named_with_its_field(field, value, said):
    with pytest.raises(DataError, match=rf"name:1: .*{field}: .*{said}"):
        dataset_from_records([RECORD | {field: value}], name="name", parse=SCT.parse)


def test_two_items_of_one_id_are_refused():
    with pytest.raises(DataError, match="item 1: question_id: stands twice"):
        dataset_from_records([RECORD, RECORD], name="name", parse=SCT.parse)


class View:
    """A report of two models."""

    chosen = "b"

    def rows(self, table, **where):
        assert (table, where) == ("profile", {})

        def row(model, credit, over, under):
            values = {"credit": credit, "over_reaction": over, "under_reaction": under}
            bounds = {
                f"{name}{end}": None if value is None else value + step
                for name, value in values.items()
                for end, step in (("_lo", -0.1), ("_hi", 0.1))
            }
            counts = {f"{name}_n": 12 for name in values}
            return {"model": model, "condition": "sct", **values, **bounds, **counts}

        return [row("a", 0.5, 0.25, 0.25), row("b", 0.75, 0.3, 0.1), row("c", None, None, None)]

    def words(self, name):
        return name.replace("_", "-")


def test_its_page_says_who_earns_most_and_which_way_it_errs():
    (page,) = SCT.pages(View())
    assert page.finding == (
        "b earns 75.0\N{NO-BREAK SPACE}% of the panel's credit, the most of 2 models, and reacts "
        "too much more often than too little."
    )
    assert "65.0 to 85.0" in page.doubt
    (section,) = page.sections
    assert [figure.name for figure in section.figures] == [
        "credit", "over-reaction", "under-reaction"
    ]  # fmt: skip
    assert [row.label for row in section.figures[0].rows] == ["b", "a"]
    assert list(section.figures[0].data.rows[0]) == pytest.approx(["b", 0.75, 0.65, 0.85, 12])
