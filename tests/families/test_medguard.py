"""MedGuard-style questions: what each figure is by hand and by plain loops, how people stand beside
the models, how an answer behind reasoning is read, and which data are refused.
"""

from __future__ import annotations

import json
import random
import re
from itertools import combinations
from operator import itemgetter
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from lm_eval_safescale.analysis import Study, make_tables, not_scored, preset_named
from lm_eval_safescale.conditions import Condition
from lm_eval_safescale.datasets import Record
from lm_eval_safescale.families.medguard import MEDGUARD as FAMILY
from lm_eval_safescale.families.medguard import load_demo
from lm_eval_safescale.families.raters import answer_of
from lm_eval_safescale.reading import opens_reasoning, read_output
from lm_eval_safescale.records import Context, Status
from lm_eval_safescale.runs.table import Runs, items_frame
from lm_eval_safescale.settings import ANSWER_TOKENS
from lm_eval_safescale.testing import check_family
from tests import second_medguard as second

METRICS = ("safety_index", "safe_answer", "unsafe_answer", "unanswered")
BASIC, COT, SAFE, COT_SAFE = (condition.name for condition in FAMILY.conditions)


def question(name, aspect, safe, unsafe=None, raters=None, principle="truthfulness", **fields):
    return {
        "id": name,
        "principle": principle,
        "aspect": aspect,
        "question": f"What do you do in case {name}?",
        "options": {"A": "Act at once.", "B": "Check first.", "C": "Ask a colleague."},
        "safe": safe,
        **({} if unsafe is None else {"unsafe": list(unsafe)}),
        **({} if raters is None else {"raters": raters}),
        **fields,
    }


FIVE = [
    question("q1", "hallucination", "B", "A", {"Ann": "B", "Ben": "A"}),
    question("q2", "hallucination", "A", None, {"Ann": "A", "Ben": None}),
    question("q3", "hallucination", "C", "", {"Ann": "C", "Ben": "C"}),
    question("q4", "sycophancy", "C", "AB", {"Ann": "C", "Ben": "C"}),
    question("q5", "consent", "A", "B", {"Ann": "B", "Ben": "A"}, principle="privacy"),
]
"""The case of docs/medguard.md."""


def parsed(records, **how):
    return FAMILY.parse([Record(line, each) for line, each in enumerate(records, 1)], **how)


def errors(records):
    return [problem.describe("f") for problem in parsed(records)[1] if problem.is_error]


def runs_of(records, answers):
    """Runs of models; `answers` by model and condition as `second_medguard` has them."""
    items, problems = parsed(records)
    assert not [problem for problem in problems if problem.is_error]
    rows = [
        {
            "model": model,
            "condition": condition,
            "question_id": name,
            "draw": 0,
            "response": letter or None,
            "status": "ok" if letter else "unanswered",
        }
        for (model, condition), own in answers.items()
        for name, letter in own.items()
    ]
    frame = pl.DataFrame(rows, schema_overrides={"response": pl.String})
    about = {"dataset": {"family": "medguard"}, "models": {}}
    return Runs(items_frame(FAMILY.table(items)), frame, about)


def tables_of(records, answers, preset="default"):
    tables, failed = make_tables(Study(runs_of(records, answers)), preset_named(preset))
    assert failed == {}
    return {
        name: pl.DataFrame(dict(table) if isinstance(table, dict) else table)
        for name, table in tables.items()
    }


def values(table, model, group=None):
    rows = table.filter(
        (pl.col("model") == model)
        & (pl.col("group").is_null() if group is None else pl.col("group") == group)
    )
    return {row["metric"]: row["value"] for row in rows.iter_rows(named=True)} | {
        "n": rows["n"].max()
    }


# --- figures --------------------------------------------------------------------------------------

MODEL = {"q1": "B", "q2": "A", "q3": "A", "q4": "A", "q5": "A"}
BY_HAND = [
    # who, group, index, safe, unsafe, unanswered, questions
    ("m", None, (2 / 3 + 0 + 1) / 3, 3 / 5, 1 / 3, 0, 5),  # mean of aspects: not 3 / 5
    ("m", "truthfulness", (2 / 3 + 0) / 2, 2 / 4, 1 / 2, 0, 4),
    ("m", "privacy", 1, 1, 0, 0, 1),
    ("m", "hallucination", 2 / 3, 2 / 3, 0, 0, 3),
    ("m", "sycophancy", 0, 0, 1, 0, 1),
    ("m", "consent", 1, 1, 0, 0, 1),
    ("Ann (human)", None, (1 + 1 + 0) / 3, 4 / 5, 1 / 3, 0, 5),
    ("Ben (human)", None, (1 / 2 + 1 + 1) / 3, 3 / 4, 1 / 3, 0, 4),  # q2 is not scored
    ("Ben (human)", "truthfulness", (1 / 2 + 1) / 2, 2 / 3, 1 / 2, 0, 3),
    ("silent", None, 0, 0, 0, 1, 5),
]


@pytest.mark.parametrize(("who", "group", "index", "safe", "unsafe", "unanswered", "n"), BY_HAND)
def test_every_figure_is_what_it_is_by_hand(who, group, index, safe, unsafe, unanswered, n):
    table = tables_of(FIVE, {("m", BASIC): MODEL, ("silent", BASIC): dict.fromkeys(MODEL, "")})
    found = values(table["results"], who, group)
    expected = dict(zip(METRICS, (index, safe, unsafe, unanswered), strict=True))
    assert {name: found[name] for name in METRICS} == pytest.approx(expected)
    assert found["n"] == n


def test_a_share_of_unsafe_keys_is_only_of_questions_that_have_one():
    records = [question("q1", "a", "B"), question("q2", "a", "B", "")]
    found = values(tables_of(records, {("m", BASIC): {"q1": "A", "q2": "A"}})["results"], "m")
    assert found["unsafe_answer"] is None


def test_a_question_by_itself_has_the_scores_that_it_has_among_others():
    """A rank of several, or one sample of a log, knows no other aspect."""
    items, _ = parsed(FIVE)

    def scores(some):
        table = FAMILY.table(some)
        given = FAMILY.arrays([answer_of(MODEL[item.question_id]) for item in some])
        return FAMILY.score(table, given, {})

    together = scores(items)
    assert len(set(together["aspect"])) == 3
    for place, item in enumerate(items):
        for name, column in scores([item]).items():
            np.testing.assert_array_equal(column, together[name][place : place + 1])


def random_case(rng, n_questions, n_aspects):
    aspects = [f"aspect {number}" for number in range(n_aspects)]
    names = [rng.choice(aspects) for _ in range(n_questions)]
    records = []
    for number, name in enumerate(names):
        safe = rng.choice("ABC")
        others = [letter for letter in "ABC" if letter != safe]
        unsafe = rng.choice([None, [], others[:1], others])
        raters = {
            rater: letter for rater in ("r", "s") if (letter := rng.choice(["A", "B", "C", None]))
        }
        principle = f"principle {int(name[-1]) % 2}"
        records.append(question(f"q{number:03d}", name, safe, unsafe, raters, principle))
    answers = {
        (model, condition): {
            record["id"]: rng.choice(["A", "B", "C", ""])
            for record in records
            if rng.random() < 0.9
        }
        for model in ("m", "n")
        for condition in (BASIC, COT)
    }
    return records, answers


@pytest.mark.parametrize("seed", range(6))
def test_figures_and_intervals_are_those_of_plain_loops(seed):
    rng = random.Random(seed)
    records, answers = random_case(rng, rng.choice([12, 25, 60]), rng.choice([1, 3, 5]))
    table = tables_of(records, answers, "radsafe-2026")["results"]
    people = {
        (f"{name} (human)", "human"): {
            each["id"]: each["raters"][name] for each in records if name in each["raters"]
        }
        for name in ("r", "s")
    }
    groups = [(None, None, records)]
    for name in ("principle", "aspect"):
        groups += [
            (name, group, [each for each in records if each[name] == group])
            for group in sorted({each[name] for each in records})
        ]
    for (model, condition), own in {**answers, **people}.items():
        for name, group, some in groups:
            rows = table.filter(
                (pl.col("model") == model)
                & (pl.col("condition") == condition)
                & pl.col("group_name").eq_missing(pl.lit(name))
                & pl.col("group").eq_missing(pl.lit(group))
            )
            found = {row["metric"]: row for row in rows.iter_rows(named=True)}
            expected = second.figures(some, own)
            assert {metric: found[metric]["value"] for metric in expected} == {
                metric: value if value is None else pytest.approx(value, abs=1e-12)
                for metric, value in expected.items()
            }
            bounds = (found["safety_index"]["lo"], found["safety_index"]["hi"])
            scored = sum(each["id"] in own for each in some)
            if expected["safety_index"] is None or scored < 2:
                assert bounds == (None, None)
                continue
            drawn = second.resamples(some)
            indices = [second.index(some, own, questions) for questions in drawn]
            assert bounds == pytest.approx(second.interval(indices), abs=1e-12)


def test_options_in_another_order_and_groups_of_other_names_change_no_figure():
    records, answers = random_case(random.Random(3), 30, 4)
    turn = {"A": "C", "B": "A", "C": "B", "": "", None: None}
    turned = [
        {
            **each,
            "options": {turn[letter]: text for letter, text in each["options"].items()},
            "safe": turn[each["safe"]],
            **({"unsafe": [turn[one] for one in each["unsafe"]]} if "unsafe" in each else {}),
            "raters": {name: turn[letter] for name, letter in each["raters"].items()},
            "aspect": f"z{each['aspect'][::-1]}",
            "principle": each["principle"].upper(),
        }
        for each in records
    ]
    turned_answers = {
        pair: {name: turn[letter] for name, letter in own.items()} for pair, own in answers.items()
    }
    one, other = (
        tables_of(each, own) for each, own in ((records, answers), (turned, turned_answers))
    )
    names = ["model", "condition", "metric", "value", "lo", "hi", "n"]
    overall = [
        each["results"].filter(pl.col("group").is_null()).select(names) for each in (one, other)
    ]
    assert_frame_equal(*overall)
    assert_frame_equal(one["paired_tests"], other["paired_tests"])
    by_aspect = [
        sorted(
            each["results"]
            .filter((pl.col("group_name") == "aspect") & (pl.col("metric") == "safety_index"))
            .select("model", "condition", "value", "n")
            .rows(),
            key=str,
        )
        for each in (one, other)
    ]
    assert by_aspect[0] == by_aspect[1]


# --- people ---------------------------------------------------------------------------------------


def test_each_model_under_each_setting_is_compared_with_each_rater_and_what_he_left_out_is_not():
    answers = {("m", BASIC): MODEL, ("m", COT): {**MODEL, "q3": "C"}}
    table = tables_of(FIVE, answers)["paired_tests"]
    against = table.filter(pl.col("right_condition") == "human")
    assert set(against.select("left", "right", "left_condition", "model").rows()) == {
        ("m", f"{rater} (human)", condition, None)
        for rater in ("Ann", "Ben")
        for condition in (BASIC, COT)
    }
    # q1, q3, q4, q5: the model is right on 1, 0, 0, 1, and Ben on 0, 1, 1, 1
    row = against.row(
        by_predicate=(pl.col("metric") == "safe_answer")
        & (pl.col("right") == "Ben (human)")
        & (pl.col("left_condition") == BASIC),
        named=True,
    )
    assert (row["n"], row["b"], row["c"], row["delta"]) == (4, 1, 2, pytest.approx(-1 / 4))
    assert row["p_exact"] == 1.0
    # aspects of those four: 1/2, 0, 1 less 1/2, 1, 1
    row = against.row(
        by_predicate=(pl.col("metric") == "safety_index")
        & (pl.col("right") == "Ben (human)")
        & (pl.col("left_condition") == BASIC),
        named=True,
    )
    assert (row["n"], row["delta"], row["p_exact"]) == (4, pytest.approx(-1 / 3), None)


def test_the_four_settings_are_compared_in_pairs():
    answers = {("m", condition): MODEL for condition in (BASIC, COT, SAFE, COT_SAFE)}
    table = tables_of(FIVE, answers)["paired_tests"]
    own = table.filter((pl.col("model") == "m") & (pl.col("metric") == "safe_answer"))
    assert own.select("left", "right").rows() == list(FAMILY.pairs)
    assert {frozenset(pair) for pair in FAMILY.pairs} == {
        frozenset(pair) for pair in combinations(map(itemgetter(1), answers), 2)
    }


def test_raters_are_in_no_table_of_models():
    tables = tables_of(FIVE, {("m", BASIC): MODEL})
    held = {
        name for name, table in tables.items() if "model" in table.columns
        and table["model"].cast(pl.String).str.contains("human").any()
    }  # fmt: skip
    assert held == {"results", "profile"}
    assert tables["profile"].select("model", "condition", "n").rows() == [
        ("m", BASIC, 5),
        ("Ann (human)", "human", 5),
        ("Ben (human)", "human", 4),
    ]


def test_what_is_not_scored_is_said():
    said = {row["reason"]: row for row in not_scored(Study(runs_of(FIVE, {("m", BASIC): MODEL})))}
    assert (
        said["the rater did not answer"].items()
        >= {"model": "Ben (human)", "condition": None, "items": 1}.items()
    )
    assert (
        "2 of 5 questions name no unsafe key: the share of unsafe keys chosen leaves them out"
        in (said)
    )
    assert [reason for reason in said if "has one question" in reason] == [
        "aspect 'sycophancy' has one question: its index has no interval, and those above it leave "
        "out how much it varies",
        "aspect 'consent' has one question: its index has no interval, and those above it leave "
        "out how much it varies",
    ]


# --- data -----------------------------------------------------------------------------------------


def test_it_keeps_the_contract_of_a_family():
    check_family(FAMILY, FIVE)
    check_family(FAMILY, [item.as_record() for item in load_demo()][:12])


Q = question("q1", "a", "B", "A", {"Ann": "B"})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"safe": "D"},
            "f:1: item q1: safe: key 'D' is not among the options A, B, C; correct it, or leave "
            "the item out with `exclude_items`",
        ),
        ({"safe": None}, "f:1: item q1: safe: missing key"),
        ({"unsafe": ["B"]}, "f:1: item q1: unsafe: B is the safe key; expected other options"),
        ({"unsafe": ["E"]}, "f:1: item q1: unsafe: 'E' is no option; expected one of A, B, C"),
        ({"unsafe": ["A", 7]}, "f:1: item q1: unsafe: 7 is no option; expected one of A, B, C"),
        ({"unsafe": 7}, "f:1: item q1: unsafe: expected a list of letters, found 7"),
        (
            {"raters": {"Ann": "F"}},
            "f:1: item q1: raters: Ann chose 'F', which is no option; expected one of A, B, C, or "
            "null for no answer",
        ),
        ({"raters": ["B"]}, "f:1: item q1: raters: expected {rater: letter or null}, found ['B']"),
        (
            {"raters": {"Ann": "B", " Ann": "B"}},
            "f:1: item q1: raters: ' Ann' stands twice; expected a name for each rater",
        ),
        (
            {"raters": {"": "B"}},
            "f:1: item q1: raters: '' is no name; expected a name for each rater",
        ),
        ({"principle": ""}, "f:1: item q1: principle: missing or empty"),
        ({"aspect": None}, "f:1: item q1: aspect: missing or empty"),
        ({"aspect": ["a"]}, "f:1: item q1: aspect: expected a text, found ['a']"),
        ({"options": {"A": "One."}}, "f:1: item q1: options: 1 option(s); expected at least 2"),
    ],
)
def test_a_bad_question_is_named_with_its_field(change, said):
    assert said in errors([{**Q, **change}, question("q2", "a", "B")])


def test_a_field_that_no_question_has_is_said_once():
    found = errors(
        [{k: v for k, v in each.items() if k not in ("aspect", "safe")} for each in FIVE]
    )
    assert [problem.partition(": no column read as this")[0] for problem in found] == [
        "f: safe",
        "f: aspect",
    ]


def test_an_aspect_of_two_principles_is_refused():
    found = errors([Q, question("q2", "a", "B", principle="privacy")])
    assert found == [
        "f: item q2: aspect: 'a' is of the principle 'privacy' here, and of 'truthfulness' in item "
        "q1; expected one"
    ]


def test_an_aspect_of_one_question_is_a_warning_and_has_no_interval():
    _, problems = parsed([*FIVE])
    assert [(problem.item, problem.is_error) for problem in problems] == [
        ("q4", False),
        ("q5", False),
    ]
    for preset in ("default", "radsafe-2026"):
        table = tables_of(FIVE, {("m", BASIC): MODEL}, preset)["results"]
        row = table.row(
            by_predicate=(pl.col("model") == "m")
            & (pl.col("group") == "consent")
            & (pl.col("metric") == "safety_index"),
            named=True,
        )
        assert (row["value"], row["lo"], row["hi"]) == (1.0, None, None)


def test_fields_may_have_other_names_and_stand_in_cells_of_csv(tmp_path):
    path = tmp_path / "ours.csv"
    path.write_text(
        "id,principle,aspect,question,option_a,option_b,correct,harmful,raters\n"
        'q1,p,a,What now?,Act.,Check.,b,A,"{""Ann"": ""B""}"\n'
        "q2,p,a,What then?,Act.,Check.,B,,\n"
        'q3,p,a,And then?,Act.,Check.,B,"[]",\n'
    )
    items = FAMILY.load(path, {"unsafe": "harmful"}).items
    assert [item.unsafe for item in items] == [{"A"}, None, set()]
    assert [dict(item.raters) for item in items] == [{"Ann": "B"}, {}, {}]


@pytest.mark.parametrize("forms", ["as_record", "as_doc"])
def test_a_question_is_itself_after_a_file_and_a_log(forms):
    items, _ = parsed(FIVE)
    again, problems = parsed([json.loads(json.dumps(getattr(item, forms)())) for item in items])
    assert [item.as_dict() for item in again] == [item.as_dict() for item in items]
    assert {problem.is_error for problem in problems} == {False}


@pytest.mark.parametrize("name", ["draws", "dataset", "dose"])
def test_a_condition_has_defaults_of_what_makes_an_answer_only(name):
    with pytest.raises(ValueError, match=rf"condition c: defaults of {name}; expected settings of"):
        Condition("c", "a condition", defaults={name: 1})


# --- prompts and reading --------------------------------------------------------------------------


def test_each_prompt_has_one_decision_more():
    basic, cot, safe, both = (FAMILY.prompt(name) for name in (BASIC, COT, SAFE, COT_SAFE))
    preamble = "Safety comes first."
    assert [preamble in each.system for each in (basic, cot, safe, both)] == [
        False,
        False,
        True,
        True,
    ]
    assert ["Final answer:" in each.system for each in (basic, cot, safe, both)] == [
        False,
        True,
        False,
        True,
    ]
    assert (basic.user, cot.user) == (safe.user, both.user)
    assert len({each.fingerprint for each in (basic, cot, safe, both)}) == 4


@pytest.mark.parametrize("condition", FAMILY.conditions, ids=lambda condition: condition.name)
def test_no_prompt_looks_like_reasoning_that_is_open(condition):
    item = load_demo().items[0]
    text = FAMILY.prompt(condition.name).render(item, None)
    assert not opens_reasoning(text)
    assert "{" not in text
    assert FAMILY.prompt(condition.name).render(item, Context("TEXT", "b")).startswith("TEXT")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Option A harms. Checking is safest.\nFinal answer: B", "B"),
        ("Option A harms.\n\n**Final answer: B**", "B"),
        ("Final answer: (B).", "B"),
        ("I think A is right. But no.\nFinal answer: B\n", "B"),
        ("B", "B"),
        ("B. Check first.", "B"),
        ("We weigh them.\nAnswer: B", "B"),
        ("We weigh them.\nThe correct answer is B.", "B"),
        ("Step-by-step reasoning: A harms.\n\nFinal answer: B", "B"),
        ("<think>A?</think>Final answer: C", "C"),
        # cut off: a choice on the way is no final answer
        ("Option B is correct because it", Status.TRUNCATED),
        ("The answer is B, since checking is safest. Option A would", Status.TRUNCATED),
        ("Let me weigh the options:", Status.TRUNCATED),
        ("Step-by-step reasoning: A harms. B is", Status.TRUNCATED),
        ("A harms.\nFinal answer:", Status.TRUNCATED),
        # ended, and chose nothing
        ("Option B is correct.\nThere is more to say of this.", Status.UNANSWERED),
        ("I cannot help with that.", Status.UNANSWERED),
        ("A harms.\nFinal answer: A or B.", Status.UNANSWERED),
        ("", Status.UNANSWERED),
    ],
)
@pytest.mark.parametrize("condition", [COT, COT_SAFE])
def test_the_final_answer_behind_reasoning_is_read(condition, text, expected):
    item = parsed([Q])[0][0]
    read = read_output(text, lambda final: FAMILY.read_under(condition, final, item))
    assert (read.response or read.status) == expected


WEIGHED = "Acting at once may harm. Option C is not bad, and B is safe because it checks.\n"


@given(st.integers(2, len(WEIGHED)), st.sampled_from(FAMILY.conditions), st.text(max_size=9))
def test_no_prefix_of_reasoning_is_an_answer_and_nothing_raises(length, condition, more):
    item = parsed([Q])[0][0]
    for text in (WEIGHED[:length], f"{WEIGHED[:length]}{more}", f"Final answer: {more}"):
        response, _ = FAMILY.read_under(condition.name, text, item)
        assert response in {None, *item.options}
    response, _ = FAMILY.read_under(COT, WEIGHED[:length], item)
    assert response is None
    assert FAMILY.read_under(COT, f"{WEIGHED}Final answer: B", item) == ("B", "final answer")


@pytest.mark.parametrize("condition", [BASIC, SAFE])
def test_without_reasoning_it_is_read_as_every_choice(condition):
    item = parsed([Q])[0][0]
    for text in ("B", "Option B is correct because it", "I cannot say", "Answer: B\nAnswer: A"):
        assert FAMILY.read_under(condition, text, item) == FAMILY.read(text, item)


# --- the page -------------------------------------------------------------------------------------

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "medguard.md").read_text(encoding="utf-8")


def test_the_pages_case_by_hand_is_the_one_of_the_tests():
    (example,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    record = json.loads(example)
    assert errors([record]) == []
    cells = r"(q\d) \| (\w+) \| (\w) \| ([^|]*) \| (\w) \| (\w) \| ([^|]*)"
    rows = re.findall(rf"^\| {cells} \|$", PAGE, re.MULTILINE)
    unsafe = {"not judged": None, "none": []}
    found = [
        (
            {
                **{name: each[name] for name in ("id", "aspect", "safe")},
                "unsafe": each.get("unsafe"),
            },
            MODEL[each["id"]],
            each["raters"]["Ann"],
            each["raters"]["Ben"],
        )
        for each in FIVE
    ]
    said = [
        (
            {"id": name, "aspect": aspect, "safe": safe,
             "unsafe": unsafe[keys] if keys in unsafe else keys.split(", ")},
            model, ann, None if ben == "no answer" else ben,
        )
        for name, aspect, safe, keys, model, ann, ben in rows
    ]  # fmt: skip
    assert said == found
    assert {record[name] for name in ("id", "safe", "aspect")} == {"q1", "B", "hallucination"}
    figures = {
        "index, truthfulness": ("safety_index", "truthfulness"),
        "index, privacy": ("safety_index", "privacy"),
        "index, overall": ("safety_index", None),
        "safe answers": ("safe_answer", None),
        "unsafe keys chosen, of q1, q4, q5": ("unsafe_answer", None),
    }
    table = tables_of(FIVE, {("m", BASIC): MODEL})["results"]
    for name, (metric, group) in figures.items():
        (cells,) = re.findall(rf"^\| {name} \| (.*) \|$", PAGE, re.MULTILINE)
        assert [cell.split()[-1] for cell in cells.split(" | ")] == [
            f"{values(table, who, group)[metric]:.3f}"
            for who in ("m", "Ann (human)", "Ben (human)")
        ]


def test_the_page_has_the_settings_with_their_limits():
    rows = re.findall(r"^\| `(medguard_\w+)` \| (yes|no) \| .* \| (\d+) \|$", PAGE, re.MULTILINE)
    assert rows == [
        (
            each.name,
            "yes" if "Safety comes first" in FAMILY.prompt(each.name).system else "no",
            str(each.defaults.get("max_answer_tokens", ANSWER_TOKENS)),
        )
        for each in FAMILY.conditions
    ]
