"""Two sides compared: what flips, what is refused, and what is shown to be no worse."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from lm_eval_safescale.analysis import Study, open_runs
from lm_eval_safescale.analysis.paired_tests import paired_tests
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.gate import Outcome
from lm_eval_safescale.gate.comparison import compare
from lm_eval_safescale.gate.differing import differing
from lm_eval_safescale.gate.sides import sides_of
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.stats.paired import tango_p
from tests.gate.making import made, stored

ASKED = {"backend": "hf", "model_args": {"pretrained": "one"}, "prompt_sha256": "a" * 64}


def one(greedy, *samples, model="m", condition="clean", **settings):
    """One model under one condition."""
    return made({(model, condition): [greedy, *samples]}, settings={model: settings})


def compared(tmp_path, a, b, *margins, **more):
    sides = (str(stored(tmp_path / name, runs)) for name, runs in (("a", a), ("b", b)))
    return compare(*sides_of(*sides), margins, **more)


def flips_of(found, metric="high_risk_error"):
    return next(each for each in found.flips if each.metric == metric)


# --- differences and flips ------------------------------------------------------------------------


def test_items_that_flip_are_those_that_one_side_alone_does_harm_on(tmp_path):
    found = compared(tmp_path, one("AABBA!-B"), one("ABABBB!B"))
    flips = flips_of(found)
    assert (flips.towards, flips.away) == (["q02", "q05"], ["q03"])
    assert (flips.both, flips.n) == (2, 6)
    row = next(row for row in found.rows if row["metric"] == "high_risk_error")
    assert (row["n"], row["only_a"], row["only_b"]) == (6, 1, 2)
    assert row["delta"] == pytest.approx(row["value_b"] - row["value_a"])
    assert row["delta"] == pytest.approx(1 / 6)


def test_no_answer_is_no_harm_but_a_missing_one_is_unknown(tmp_path):
    found = compared(tmp_path, one("BB-A"), one("-!BA"))
    assert (flips_of(found).towards, flips_of(found).away) == (["q03"], ["q01"])


def test_the_differences_are_those_of_the_table_of_paired_tests(tmp_path):
    draws = ["ABABABAACA", "ABBBAAAACA", "AAABABADCA", "AAACABADCA"]
    answers = {
        ("m", "clean"): draws,
        ("m", "closed_book"): [text[::-1] for text in draws],
        ("n", "clean"): ["B" + text[1:] for text in draws],
    }
    folder = str(stored(tmp_path / "runs", made(answers)))
    table = paired_tests(Study(open_runs(folder)))
    for a, b in (("m:closed_book", "m:clean"), ("n:clean", "m:clean")):
        found = compare(*sides_of(f"{folder}:{a}", f"{folder}:{b}"))
        (left, right) = (tuple(each.split(":")) for each in (b, a))
        expected = {
            (row["metric"], row["decode"]): row
            for row in table
            if (row["left_model"], row["left_condition"]) == left
            and (row["right_model"], row["right_condition"]) == right
        }
        assert len(found.rows) > 20
        for row in found.rows:
            name = row["metric"]
            if row["decode"] == "majority":
                name = name.removeprefix("majority_")
            other = expected[name, row["decode"]]
            same = ("n", "delta", "delta_lo", "delta_hi", "p_exact", "p_mid", "p_score")
            assert [row[each] for each in same] == [other[each] for each in same], name
            assert (row["only_a"], row["only_b"]) == (other["c"], other["b"])
            if row["delta"] is not None:
                assert row["value_b"] - row["value_a"] == pytest.approx(row["delta"])


def test_two_folders_may_call_two_answers_of_one_model_by_one_name(tmp_path):
    found = compared(tmp_path, one("AB", temperature=0.5), one("BB", temperature=0.9))
    assert flips_of(found).towards == ["q01"]


# --- which sides are meant ------------------------------------------------------------------------


def test_the_folder_is_the_longest_that_there_is_and_names_may_hold_colons(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answers = {("llama3:8b", "clean"): ["AB"], ("llama3", "clean"): ["BB"]}
    windows = "C:\\runs" if os.name != "nt" else "runs"
    for folder in (windows, "runs:llama3"):
        stored(Path(folder), made(answers))
    a, b = sides_of(f"{windows}:llama3:8b", "runs:llama3:llama3:clean")
    assert (str(a.folder), *a.pair) == (windows, "llama3:8b", "clean")
    assert (str(b.folder), *b.pair) == ("runs:llama3", "llama3", "clean")


RUNS = {("big", "clean"): ["AB"], ("big", "rag"): ["AB"], ("small", "clean"): ["BB"]}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("runs", "2 models in it (big, small); name one: runs:MODEL"),
        ("runs:big", "2 conditions of big in it (clean, rag); name one: runs:big:CONDITION"),
        ("runs:bigg:clean", "no model 'bigg' in it; did you mean big?"),
        ("runs:big:clen", "no condition 'clen' of big in it; did you mean clean?"),
        ("runs:small:rag", "no condition 'rag' of small in it"),
        ("runs:clean", "clean is a condition; the model stands before it"),
        ("nowhere:big", "'nowhere:big': no such folder; expected FOLDER[:MODEL[:CONDITION]]"),
        ("", "no such folder"),
    ],
)
def test_what_names_nothing_or_more_than_one_says_what_there_is(tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    stored(Path("runs"), made(RUNS))
    with pytest.raises(SafescaleError) as error:
        sides_of(text, "runs:small")
    assert str(error.value).startswith("A: ")
    assert said in str(error.value)


def test_what_is_the_only_one_may_be_left_out(tmp_path):
    folder = stored(tmp_path / "a", made({("m", "clean"): ["AB"], ("m", "rag"): ["BB"]}))
    other = stored(tmp_path / "b", one("AB"))
    a, b = sides_of(f"{folder}::rag", str(other))
    assert (a.pair, b.pair) == (("m", "rag"), ("m", "clean"))


def test_the_same_twice_is_no_comparison(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stored(Path("runs"), one("AB"))
    with pytest.raises(SafescaleError, match="the same"):
        sides_of("runs", "./runs:m:clean")


def test_other_data_has_no_difference(tmp_path):
    other = one("AB")
    other.about["dataset"]["fingerprint"] = "e" * 64
    sides = (str(stored(tmp_path / name, each)) for name, each in (("a", one("AB")), ("b", other)))
    with pytest.raises(SafescaleError, match="A is of the data set tiny"):
        sides_of(*sides)


# --- in what they differ --------------------------------------------------------------------------


def things(tmp_path, a, b):
    sides = (str(stored(tmp_path / name, runs)) for name, runs in (("a", a), ("b", b)))
    return differing(*sides_of(*sides))


SAMPLED = ["AB"] * 3


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        ({}, {}, set()),
        ({}, {"model_args": {"pretrained": "two"}}, {"model"}),
        ({}, {"model_args": {"pretrained": "one", "revision": "v2"}}, {"model"}),
        ({}, {"model_args": {"pretrained": "one", "device": "cpu"}}, set()),
        ({}, {"model_args": "pretrained=one,batch_size=8,timeout=5"}, {"model"}),
        ({}, {"model_args": "pretrained=one,timeout=5"}, set()),
        ({}, {"backend": "vllm"}, {"model"}),
        ({"served_model": ["x-1"]}, {"served_model": ["x-2"]}, {"model"}),
        ({}, {"served_model": ["x-2"]}, set()),
        ({}, {"prompt_sha256": "b" * 64}, {"prompt"}),
        ({"chat_template": True}, {"chat_template": False}, {"prompt"}),
        ({"temperature": 0.7}, {"temperature": 1.0}, {"temperature"}),
        ({"temperature": 0.7}, {"temperature": 1.0, "accept_temperature": 1.0}, {"temperature"}),
        ({"reasoning": "on"}, {"reasoning": "off"}, {"reasoning"}),
        ({"max_answer_tokens": 10}, {"max_answer_tokens": 20}, {"limit of tokens"}),
        ({"reader_version": "4"}, {"reader_version": "5"}, {"reading of answers"}),
        ({}, {"reading": {"by": "judge"}}, {"reading of answers"}),
        ({"reader": "strict"}, {"reader": "mine"}, {"reading of answers"}),
        (
            {"reader": "strict", "reader_version": "4"},
            {"reading": {"by": "rules", "reader": "strict", "reader_version": "4", "version": "9"}},
            set(),
        ),
        (
            {"reader_version": "4"},
            {"reader_version": "4", "reading": {"by": "rules", "reader_version": "5"}},
            {"reading of answers"},
        ),
        (
            {"reading": {"by": "judge", "prompt_sha256": "a"}},
            {"reading": {"by": "judge", "prompt_sha256": "b"}},
            {"reading of answers"},
        ),
        ({"seed": 1, "version": "1"}, {"seed": 2, "version": "2"}, set()),
        ({"overconfidence_threshold": 0.8}, {"overconfidence_threshold": 0.8}, set()),
        (
            {"reasoning": "on", "temperature": 0.7},
            {"reasoning": "off", "temperature": 0.8},
            {"reasoning", "temperature"},
        ),
    ],
)
def test_what_differs_is_told_by_the_settings_of_the_runs(tmp_path, a, b, expected):
    found = things(tmp_path, one(*SAMPLED, **ASKED | a), one(*SAMPLED, **ASKED | b))
    assert set(found.things) == expected
    assert bool(found.refused) == (len(expected) > 1)


def test_a_seed_and_a_version_are_said_and_are_not_what_is_compared(tmp_path):
    found = things(
        tmp_path, one("AB", **ASKED, seed=1, version="1"), one("AB", **ASKED, seed=2, version="2")
    )
    assert found.noted == {"seed": "1 / 2", "version of lm_eval_safescale": "1 / 2"}


def test_a_chat_template_and_the_room_to_reason_belong_to_another_model(tmp_path):
    other = {"model_args": {"pretrained": "two"}, "chat_template": False, "max_answer_tokens": 4096}
    own = {"chat_template": True, "max_answer_tokens": 10}
    found = things(tmp_path, one("AB", **ASKED | own), one("AB", model="n", **ASKED | other))
    assert found.things == {"model": "m / n"}


def test_a_name_alone_is_no_other_model_and_tells_one_where_nothing_else_does(tmp_path):
    assert things(tmp_path / "1", one("AB", **ASKED), one("AB", model="n", **ASKED)).things == {}
    assert set(things(tmp_path / "2", one("AB"), one("AB", model="n")).things) == {"model"}


def test_whose_answers_were_judged_is_the_model_and_no_second_thing(tmp_path):
    def judged(model, judge, order):
        name = f"{model} (judged by {judge})"
        reading = {"by": "judge", "judge": {"model": judge}}
        settings = {"judged_model": model, "case_order": order, "reading": reading}
        return one("AB", model=name, **settings)

    m, n = judged("m", "J", ["A1", "B1"]), judged("n", "J", ["B1", "A1"])
    assert things(tmp_path / "1", m, n).things == {"model": "m / n"}
    by_another = judged("m", "K", ["A1", "B1"])
    assert set(things(tmp_path / "2", m, by_another).things) == {"reading of answers"}


def test_temperature_makes_no_greedy_answer(tmp_path):
    found = things(
        tmp_path, one("AB", **ASKED, temperature=0.5), one("AB", **ASKED, temperature=1.0)
    )
    assert found.things == {}


def shown(runs, *fingerprints):
    """The same runs, with what stood above each question."""
    import polars as pl

    column = pl.Series("context_fingerprint", fingerprints, dtype=pl.String)
    return Runs(runs.items, runs.answers.with_columns(column), runs.about)


def test_another_retriever_shows_in_what_stood_above_the_questions(tmp_path):
    a = shown(one("ABA", condition="rag", **ASKED), "x", "y", "z")
    b = shown(one("ABA", condition="rag", **ASKED), "x", "u", "v")
    assert things(tmp_path / "1", a, b).things == {
        "context": "of 2 of 3 items: the retriever, the corpus, or a setting of theirs"
    }
    assert not things(tmp_path / "2", a, shown(b, "x", "y", "z")).things
    unknown = shown(b, None, None, None)
    assert not things(tmp_path / "3", a, unknown).things


def test_another_model_with_another_retriever_is_refused(tmp_path):
    a = shown(one("ABA", condition="rag", **ASKED), "x", "y", "z")
    two = ASKED | {"model_args": {"pretrained": "two"}}
    b = shown(one("ABA", condition="rag", model="n", **two), "x", "u", "v")
    assert set(things(tmp_path, a, b).things) == {"model", "context"}


def test_contexts_made_for_a_models_window_belong_to_the_model(tmp_path):
    a = shown(one("AB", condition="max_context", **ASKED), "x", "y")
    two = ASKED | {"model_args": {"pretrained": "two"}}
    b = shown(one("AB", condition="max_context", model="n", **two), "u", "v")
    assert set(things(tmp_path, a, b).things) == {"model"}


def test_of_two_conditions_the_contexts_belong_to_the_condition(tmp_path):
    a = shown(one("AB", condition="clean", **ASKED), "x", "y")
    b = shown(one("AB", condition="rag", **ASKED), "u", "v")
    assert things(tmp_path, a, b).things == {"condition": "clean / rag"}


# --- what is refused ------------------------------------------------------------------------------


def test_what_differs_in_two_things_is_refused_and_compared_anyway_only_where_it_is_asked_for(
    tmp_path,
):
    a, b = one("AB"), one("BB", model="n", condition="rag")
    found = compared(tmp_path, a, b, "high_risk_error 90 points")
    assert found.outcome is Outcome.UNDECIDED
    assert "2 things" in found.refused[0]
    assert not found.rows
    assert found.decision is None
    anyway = compared(tmp_path, a, b, anyway=True)
    assert not anyway.refused
    assert anyway.anyway == found.refused[0]
    assert flips_of(anyway).towards == ["q01"]
    assert not compared(tmp_path, a, one("BB", model="n"), anyway=True).anyway


def test_another_k_is_refused_though_it_is_the_only_thing_and_none_at_all_is_not(tmp_path):
    a, b = one("AB", "AB", "AB"), one("AB", "AB", model="n")
    assert "K differs (2 / 1)" in compared(tmp_path, a, b).refused[0]
    greedy = compared(tmp_path, a, one("AB", model="n"))
    assert not greedy.refused
    assert "majority_accuracy" in greedy.without
    assert "B: no samples: nothing of the majority answer or of confidence" in greedy.remarks


@pytest.mark.parametrize(("a", "b"), [("!!", "AB"), ("A!", "!B"), ("A!", "AB"), ("A", "B")])
def test_no_item_or_one_tells_no_difference(tmp_path, a, b):
    found = compared(tmp_path, one(a), one(b, model="n"), anyway=True)
    assert "scored on both sides" in found.refused[0]
    assert found.outcome is Outcome.UNDECIDED


def test_missing_answers_and_unreadable_outputs_are_remarked_by_side(tmp_path):
    found = compared(tmp_path, one("AB!A"), one("----", model="n"))
    assert any(each.startswith("A: the greedy answer is missing") for each in found.remarks)
    assert any(each.startswith("B: no output could be read") for each in found.remarks)


# --- no worse -------------------------------------------------------------------------------------


def pair_of(b, c, n, missing=0):
    """A, and B that is worse on b items and better on c; then items that B has no answer to."""
    rest = "A" * (n - b - c - missing)
    gone = "A" * missing
    return one("A" * b + "B" * c + gone + rest), one(
        "B" * b + "A" * c + "!" * missing + rest, model="n"
    )


@pytest.mark.parametrize("b", [0, 3, 6, 7, 8, 12])
@pytest.mark.parametrize("c", [0, 4, 9])
def test_no_worse_is_where_tangos_one_sided_test_says_so(tmp_path, b, c):
    found = compared(tmp_path, *pair_of(b, c, 200), "high_risk_error 5 points")
    assert found.outcome is Outcome(int(tango_p(b, c, 200, 0.05) >= 0.025))
    (row,) = found.decision.rows
    assert (row.evidence.hits, row.evidence.away) == (b, c)
    assert (row.bound < 0.05) == (found.outcome is Outcome.PASSED)


def test_missing_answers_that_decide_leave_it_open(tmp_path):
    margin = "high_risk_error 5 points"
    assert compared(tmp_path / "0", *pair_of(0, 0, 200), margin).outcome is Outcome.PASSED
    few = compared(tmp_path / "1", *pair_of(0, 0, 200, 10), margin)
    assert few.outcome is Outcome.UNDECIDED
    assert not few.refused
    sure = compared(tmp_path / "2", *pair_of(30, 0, 200, 10), margin)
    assert sure.outcome is Outcome.FAILED


def test_every_margin_must_hold(tmp_path):
    found = compared(tmp_path, *pair_of(4, 4, 200), "high_risk_error 9 points", "accuracy 1 points")
    assert [row.outcome for row in found.decision.rows] == [Outcome.PASSED, Outcome.FAILED]
    assert found.outcome is Outcome.FAILED


def test_a_margin_that_so_few_items_can_never_show_is_refused_with_the_number_it_takes(tmp_path):
    found = compared(tmp_path, one("AAA"), one("AAA", model="n"), "high_risk_error 2 points")
    assert "no outcome of 3 items could pass" in found.refused[0]
    assert "it takes 4 items" in found.refused[0]


def test_percentile_presets_bear_differences_and_no_decision(tmp_path):
    a, b = pair_of(2, 1, 100)
    assert not compared(tmp_path, a, b, preset="radsafe-2026").refused
    refused = compared(tmp_path, a, b, "high_risk_error 20 points", preset="radsafe-2026").refused
    assert "percentile" in refused[0]


@pytest.mark.parametrize(
    ("margin", "said"),
    [
        ("high_risk_error < 5 %", "expected a margin"),
        ("high_risk_eror 5 points", "did you mean high_risk_error"),
        ("high_risk_error 5", "did you mean 5 points"),
        ("high_risk_error", "is no limit"),
    ],
)
def test_what_is_no_margin_of_a_metric_is_said(tmp_path, margin, said):
    with pytest.raises(SafescaleError, match=said):
        compared(tmp_path, one("AB"), one("AB", model="n"), margin)


@pytest.mark.parametrize(
    ("discordant", "margin", "normal", "power_there"),
    [(0.05, 5.2, 4.4, 0.68), (0.10, 6.7, 6.3, 0.75), (0.20, 9.2, 8.9, 0.78)],
)
def test_at_200_items_80_percent_of_equals_are_shown_to_be_by_the_margins_of_the_page(
    discordant, margin, normal, power_there
):
    """`normal` is (1.96 + 0.84) sqrt(discordant / n), which promises too much."""
    assert normal == pytest.approx(280.16 * np.sqrt(discordant / 200), abs=0.05)
    rng = np.random.default_rng(7)
    counts = rng.multinomial(200, [discordant / 2, discordant / 2, 1 - discordant], 40_000)
    b, c = counts[:, 0], counts[:, 1]

    def power(points):
        return (tango_p(b, c, 200, points / 100) < 0.025).mean()

    assert 0.795 < power(margin) < 0.835
    assert power(margin - 0.2) < 0.8
    assert power(normal) == pytest.approx(power_there, abs=0.01)


@pytest.mark.parametrize("discordant", [0.06, 0.10, 0.20])
def test_what_is_worse_by_the_margin_passes_in_2_5_of_100(discordant):
    rng = np.random.default_rng(11)
    b, c = (discordant + 0.05) / 2, (discordant - 0.05) / 2
    counts = rng.multinomial(200, [b, c, 1 - b - c], 40_000)
    passed = (tango_p(counts[:, 0], counts[:, 1], 200, 0.05) < 0.025).mean()
    assert passed < 0.032
