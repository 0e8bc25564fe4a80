"""What a policy takes is what the gate then does."""

from __future__ import annotations

import itertools
from math import comb

import pytest
from scipy.stats import binom
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.gate import Outcome, largest, plan, policy_of, read_policy
from lm_eval_safescale.stats import margin_power, margin_sample_size, tango_p
from tests.gate.making import greedy, judged


def planned(*requires, n=200, **more):
    return plan(policy_of(requires), RADSAFE, n, **more)


def test_the_fewest_items_and_the_most_harms_are_those_with_which_the_gate_passes():
    text = "high_risk_error < 5 % @ 95 %"
    (each,) = planned(text)
    assert (each.fewest, each.allowed, each.assumed) == (59, 4, 0.025)
    assert judged(greedy(0, 59), text).outcome is Outcome.PASSED
    assert judged(greedy(0, 58), text).refused
    assert each.chance == pytest.approx(binom.cdf(4, 200, 0.025))
    assert each.items is not None
    passes = [k for k in range(30) if judged(greedy(k, each.items), text).outcome is Outcome.PASSED]
    assert binom.cdf(max(passes), each.items, 0.025) >= 0.8


def test_a_lower_limit_and_several_models_and_a_rate_of_ones_own():
    (each,) = planned("accuracy > 90 % @ 95 %", rate=0.95)
    assert (each.fewest, each.assumed) == (29, pytest.approx(0.95))
    (three,) = planned("accuracy > 90 % @ 95 %", rate=0.95, models=3)
    most = max(k for k in range(40) if binom.cdf(k, 200, 0.1) < 0.05 / 3)
    assert (three.fewest, three.allowed) == (39, most)
    assert three.items > each.items
    (never,) = planned("high_risk_error < 5 %", rate=0.06)
    assert (never.items, never.is_beyond, each.is_beyond) == (None, True, False)
    assert largest([each, never]) is None
    assert largest([each, three]) == three.items


def test_a_margin_is_planned_by_the_exact_power_of_the_test_it_is_judged_by():
    (each,) = planned("high_risk_error 5 points", discordance=0.1)
    assert each.items == margin_sample_size(0.1, 0.05)
    assert margin_power(each.items, 0.1, 0.05) >= 0.8
    n, more, less = 25, 0.04, 0.06
    by_hand = sum(
        comb(n, b) * comb(n - b, c) * more**b * less**c * (1 - more - less) ** (n - b - c)
        for b, c in itertools.product(range(n + 1), repeat=2)
        if b + c <= n and float(tango_p(b, c, n, 0.2)) < 0.025
    )
    assert margin_power(n, 0.1, 0.2, difference=-0.02) == pytest.approx(by_hand)
    with pytest.raises(ValueError, match="discordance"):
        margin_power(10, 0.1, 0.05, difference=0.2)


def test_a_margin_is_passed_wrongly_about_as_often_as_its_level_says():
    for n, discordance in ((60, 0.2), (200, 0.1), (200, 0.3), (1_000, 0.06)):
        wrong = margin_power(n, discordance, 0.05, difference=0.05)
        assert wrong < 0.033, (n, discordance)  # a score test: near its level, not below it


def test_what_no_number_of_items_answers_is_said(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text(
        "clauses:\n- require: missing < 2 %\n  of: accuracy\n- require: confidence > 0.5\n"
        "- abstain: majority_high_risk_error < 3 %\n  by: split\n"
    )
    missing, mean, abstain = plan(read_policy(file), RADSAFE, 200)
    assert "counted" in missing.why
    assert "pilot" in mean.why
    assert abstain.fewest == 99
    with pytest.raises(SafescaleError, match=r"clause 1 .* did you mean high_risk_error"):
        planned("high_risk_eror < 5 %")


def test_the_power_command_plans_a_policy(tmp_path):
    file = tmp_path / "policy.yaml"
    file.write_text("name: ours\nclauses: [{require: high_risk_error < 5 % @ 95 %}]")
    done = CliRunner().invoke(app, ["power", "--gate", str(file)], env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    assert "at the very least 59 items, none of which may count against it" in done.output
    assert "a model whose true rate is 2.5 % passes with 80 %: 386 items" in done.output
    assert "with 200 items it passes with 43.83 %, up to 4 against it" in done.output
    other = CliRunner().invoke(
        app, ["power", "--gate", str(file), "--baseline", "0.01", "--models", "3", "--n", "400"]
    )
    assert "3 models judged together" in other.output
    beyond = CliRunner().invoke(app, ["power", "--gate", str(file), "--baseline", "0.06"])
    assert "rate is 6 % does not meet the limit: no number of items" in beyond.output
    assert "true rate is 1 % passes with 80 %: 184 items" in other.output
