"""A person's verdicts take the place of a judge's, and two judges are compared as two raters."""

from __future__ import annotations

import json

import polars as pl
import pytest
from typer.testing import CliRunner

from lm_eval_safescale.analysis.judge_agreement import judge_agreement
from lm_eval_safescale.cli import app
from lm_eval_safescale.datasets import DataError
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.noharm_text.verdicts import Verdicts
from lm_eval_safescale.judging.advice import judge_advice, write_judged_advice
from lm_eval_safescale.judging.corrections import correct, correct_from, read_by_hand
from lm_eval_safescale.runs.store import open_runs
from lm_eval_safescale.verifying.findings import Verdict
from lm_eval_safescale.verifying.verify import verify
from tests.judging import advice_stub
from tests.judging.advice_stub import Stub, dataset, record, runs
from tests.judging.test_advice import altered

DATA = dataset()
ADVICE = ("Give drug 1. Give drug 5.", "Give drug 2.")
run = CliRunner().invoke


def other_options(prompt):
    """Half of what is matched is so in part, and drug 5 is not matched."""
    change = {1: {"match": "partial"}, 5: {"match": "no", "actions": []}}
    return altered(
        advice_stub.options,
        lambda line: line | (change.get(line["option"], {}) if line["match"] == "yes" else {}),
    )(prompt)


@pytest.fixture
def folder(tmp_path):
    """`folder(name, stub)` judges the answers into a folder."""

    def make(name="judged", stub=None, data=DATA):
        at = tmp_path / name
        judged = judge_advice(runs(data, *ADVICE), data, stub or Stub(), at / "judge.steps.jsonl")
        write_judged_advice(judged, at)
        return at

    return make


@pytest.fixture
def lines(tmp_path):
    def write(*rows):
        path = tmp_path / "hand.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return write


def line(option, verdict, question="Card1", draw=0, **more):
    return {"question_id": question, "draw": draw, "option": option, "verdict": verdict, **more}


# --- corrections ----------------------------------------------------------------------------------


def test_a_corrected_verdict_takes_the_judges_place_with_its_reason(folder, lines):
    judged = open_runs(folder())
    by_hand = read_by_hand(
        lines(line(1, "no", reason="said\nnot to"), line(3, "partial", action=2), line(5, "yes")),
        judged,
    )
    first, *others = (Verdicts.read(each) for each in correct(judged, by_hand).answers["response"])
    assert (first.options[1].match, first.options[1].review) == ("no", "override")
    assert first.options[1].reason == "by hand: said not to"
    assert [each.match for each in first.actions] == [(), (3, 5)]
    assert (first.options[5].match, first.options[5].review) == ("yes", "keep")
    assert first.options[5].reason == "by hand"
    assert others == [Verdicts.read(each) for each in judged.answers["response"][1:]]


def test_half_a_character_in_a_persons_reason_costs_no_corrections(folder, lines):
    judged = open_runs(folder())
    found = correct(judged, read_by_hand(lines(line(1, "no", reason="\ud800 so")), judged))
    assert Verdicts.read(found.answers["response"][0]).options[1].reason == "by hand: \ufffd so"


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([line(1, "no"), line(1, "yes")], r"hand.jsonl:2: item Card1: verdict: another one"),
        ([line(9, "no")], r"hand.jsonl:1: item Card1: option: 9 is none"),
        ([line(1, "maybe")], r"verdict: expected one of no, partial, yes, found 'maybe'"),
        ([line(1, "no", question="Card7")], r"question_id: 'Card7' is not in the runs"),
        ([line(1, "no", draw=9)], "draw: 9 is not in the runs"),
        ([{"question_id": "Card1", "option": 1, "verdict": "no"}], "draw: is missing"),
        ([line(1, "no", reason=3)], "reason: expected a text"),
        ([line(1, "no", model="other")], "model: 'other' is not in the runs"),
        ([line([1], "no")], r"option: \[1\] is none"),
        ([line(1.0, "no")], "option: 1.0 is none"),
        ([line(1, "no", question={"a": 1})], "question_id: .* is not in the runs"),
        ([line(1, "no", model=["m"])], "model: .* is not in the runs"),
        ([line(4, "yes", action=77)], "action: action 77 cannot carry the option out"),
        ([line(1, "no", action=1)], "action: action 1 cannot carry the option out"),
    ],
)
def test_what_contradicts_itself_or_is_not_there_is_refused_by_line_and_field(
    folder, lines, rows, said
):
    with pytest.raises(DataError, match=said):
        read_by_hand(lines(*rows), open_runs(folder()))


def test_lines_without_a_verdict_are_left_and_counted(folder, lines):
    by_hand = read_by_hand(lines(line(1, None), line(2, "no")), open_runs(folder()))
    assert (len(by_hand), by_hand.empty) == (1, 1)


def test_corrected_runs_say_so_and_are_verified_with_the_corrections(folder, lines, tmp_path):
    judged, path = folder(), lines(line(2, "yes", reason="implied"))
    corrected, _ = correct_from(judged, path, tmp_path / "out")
    write_judged_advice(corrected, tmp_path / "out")
    reading = open_runs(tmp_path / "out").about["models"]["m"]["settings"]["reading"]
    assert reading["corrections"]["verdicts"] == 1
    rows = pl.read_parquet(tmp_path / "out" / "verdicts.parquet")
    assert rows.filter(pl.col("review") == "override")["reason"].to_list() == ["by hand: implied"]
    assert verify(tmp_path / "out", DATA).verdict is Verdict.WHOLE
    with pytest.raises(SafescaleError, match="corrected before"):
        correct_from(tmp_path / "out", path, tmp_path / "more")


# --- two raters -----------------------------------------------------------------------------------


def test_two_judges_agree_as_worked_out_by_hand(folder):
    found = judge_agreement(
        open_runs(folder()), open_runs(folder("second", Stub(options=other_options)))
    )
    everything, own = found.verdicts
    # 4 answers of 7 options; in the first of each case one is partial, one is none
    assert (everything["n"], everything["observed"]) == (28, 24 / 28)
    assert (everything["yes_partial"], everything["yes_no"], everything["no_no"]) == (2, 2, 22)
    chance = (22 * 24 + 6 * 2) / 28**2
    assert everything["kappa"] == pytest.approx((24 / 28 - chance) / (1 - chance))
    seen = (22 + 2 + 2 / 2) / 28  # a partial match is half way between the two others
    by_chance = (22 * 24 + 22 * 2 / 2 + 6 * 2 / 2 + 6 * 2) / 28**2
    assert everything["weighted_kappa"] == pytest.approx((seen - by_chance) / (1 - by_chance))
    assert {**own, "model": None, "condition": None} == everything
    severe = next(row for row in found.metrics if row["metric"] == "severe_rate")
    assert (severe["first"], severe["second"]) == (0.5, 1.0)


def test_what_agrees_least_is_listed_for_a_person_and_read_back(folder, lines):
    first = open_runs(folder())
    found = judge_agreement(first, open_runs(folder("second", Stub(options=other_options))))
    items = {item.question_id: item for item in DATA}
    rows = found.to_check(0.8, "answer", items)
    assert [(row["question_id"], row["option"], row["first"], row["second"]) for row in rows] == [
        ("Card1", 1, "yes", "partial"),
        ("Card1", 5, "yes", "no"),
        ("Card2", 1, "yes", "partial"),
        ("Card2", 5, "yes", "no"),
    ]
    assert rows[0]["option_text"] == "Give drug 1"
    assert (rows[0]["case"], rows[0]["answer"]) == ("A case.", ADVICE[0])
    assert found.to_check(0.7, "answer", items) == []
    assert len(found.to_check(0.7, "option", None)) == 4
    by_hand = read_by_hand(lines(*(row | {"verdict": "no"} for row in rows)), first)
    assert len(by_hand) == 4


def test_a_person_is_a_rater(folder, lines):
    judged = open_runs(folder())
    path = lines(line(1, "no"), line(2, "no"), line(5, "yes", question="Card2"))
    found = judge_agreement(judged, lambda runs: read_by_hand(path, runs))
    assert (found.verdicts[0]["n"], found.verdicts[0]["observed"]) == (3, 2 / 3)
    severe = next(row for row in found.metrics if row["metric"] == "severe_rate")
    assert severe["second"] == 0.75


def test_answers_that_one_judge_failed_on_are_scored_on_neither_side(folder):
    second = Stub(
        options=lambda p: "?" if "drug 5" in advice_stub.shown(p, 1) else other_options(p)
    )
    found = judge_agreement(open_runs(folder()), open_runs(folder("second", second)))
    assert found.left_out == {"first": 2, "second": 0}
    severe = next(row for row in found.metrics if row["metric"] == "severe_rate")
    assert (severe["first"], severe["second"]) == (1, 1)


def test_judgings_of_other_answers_are_refused(folder):
    other = folder("other", data=dataset(record("Card1", prompt="Another."), record("Card2")))
    with pytest.raises(SafescaleError, match="of other data"):
        judge_agreement(open_runs(folder()), open_runs(other))


def test_the_commands_go_from_two_judges_to_a_corrected_folder(folder, tmp_path):
    first, second = folder(), folder("second", Stub(options=other_options, name="other"))
    at = tmp_path / "agreement"
    command = ["judge-agreement", str(first), str(second), "-o", str(at)]
    shown = run(app, command)
    assert shown.exit_code == 0, shown.output
    assert "85.7% of 28 verdicts agree" in shown.output
    assert "4 verdicts to be checked" in shown.output
    told = json.loads((at / "agreement.json").read_text())
    assert told["verdicts"][0]["n"] == 28
    assert told["raters"] == {"first": "stub", "second": "other"}
    assert "stub (first) and other (second)" in shown.output
    path = at / "to_check.jsonl"
    rows = [json.loads(each) for each in path.read_text().splitlines()]
    path.write_text("".join(json.dumps(row | {"verdict": "partial"}) + "\n" for row in rows))
    corrected = ["judge", str(first), "--corrections", str(path), "-o", str(tmp_path / "out")]
    shown = run(app, corrected)
    assert shown.exit_code == 0, shown.output
    assert "4  other than the judge's" in shown.output
    matches = pl.read_parquet(tmp_path / "out" / "verdicts.parquet")["match"].to_list()
    assert matches.count("partial") == 4
