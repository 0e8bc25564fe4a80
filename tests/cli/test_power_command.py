"""`safescale power` answers with the numbers of the statistics, and refuses what cannot be
asked.
"""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from lm_eval_safescale.cli import app
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.stats import (
    detectable_difference,
    detectable_from,
    independent_discordance,
    paired_sample_size,
    rate_sample_size,
)


def ask(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["power", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_question_of_the_guide_is_answered_with_the_numbers_of_the_statistics():
    said = ask("--n", "200", "--baseline", "0.12", "--detect", "0.04")
    differ = independent_discordance(0.12, 0.16)
    least, its = detectable_from(200, 0.12)
    assert "independent of each other" in said
    assert (
        f"200 items: {round(100 * least, 2):g} points (12 % and {round(100 * (0.12 + least), 2):g} "
        "%; the two differ on "
    ) in said
    assert (
        f"{round(100 * its, 2):g} % of the items) is the smallest difference found with that power"
        in said
    )
    assert (
        f"4 points (12 % and 16 %; the two differ on {round(100 * differ, 2):g} % of the items): "
        f"{paired_sample_size(0.04, differ):,} items"
    ) in said
    assert f"at the very least {paired_sample_size(0.04, 0.04):,} items" in said
    assert (
        f"no further than 4 points to either side: {rate_sample_size(0.12, 0.04):,} items" in said
    )


@pytest.mark.parametrize("baseline", [0.0, 0.026, 0.12, 0.5, 0.9])
def test_the_smallest_difference_is_found_with_the_stated_power_when_it_is_asked_for_itself(
    baseline,
):
    least, its = detectable_from(200, baseline)
    said = ask("--baseline", str(baseline), "--detect", str(least))
    chance = float(re.search(r"found with probability ([\d.]+) %", said)[1])
    assert chance == pytest.approx(80, abs=0.1)
    assert its == pytest.approx(
        max(
            least,
            independent_discordance(baseline, baseline + (least if baseline <= 0.5 else -least)),
        )
    )


def test_a_discordance_known_is_used():
    said = ask("--detect", "0.04", "--discordance", "0.1", "--test", "exact", "--power", "0.9")
    assert "the two differ in the outcome on 10 % of the items" in said
    assert (
        f"{round(100 * float(detectable_difference(200, 0.1, power=0.9, test='exact')), 2):g} "
        "points (12 %"
    ) in said
    assert (
        f"(12 % and 16 %): {paired_sample_size(0.04, 0.1, power=0.9, test='exact'):,} items" in said
    )
    assert "exact McNemar test at 0.05, power 90 %" in said


def test_a_rate_above_a_half_is_taken_to_fall():
    assert "(94 % and 90 %;" in ask("--baseline", "0.94", "--detect", "0.04")


@pytest.mark.parametrize("baseline", ["0", "1"])
def test_a_rate_at_its_end_can_be_asked_for(baseline):
    assert "10 points" in ask("--baseline", baseline, "--detect", "0.1")


def test_a_rate_may_go_from_one_end_to_the_other():
    assert "100 points (100 % and 0 %; the two differ on 100 % of the items): 5 items" in ask(
        "--baseline", "1", "--detect", "1"
    )


def test_too_few_items_are_said_to_be_too_few():
    assert "4 items: too few to find any" in ask("--n", "4")


def test_too_many_items_are_not_counted():
    assert re.search(
        r"0\.01 points \(12 % and 12\.01 %; .*\): more than 1,000,000 items",
        ask("--detect", "0.0001"),
    )


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--baseline", "12"], "--baseline is 12"),
        (["--detect", "0"], "--detect is 0"),
        (["--detect", "0.9"], "--detect is 0.9"),
        (["--detect", "0.04", "--discordance", "0.01"], "--discordance is 0.01"),
        (["--discordance", "1.5"], "--discordance is 1.5"),
        (["--alpha", "0.9"], "--alpha is 0.9"),
        (["--alpha", "1e-300"], "--alpha is 1e-300"),
        (["--power", "80"], "--power 80"),
    ],
)
def test_what_cannot_be_asked_is_named(arguments, named):
    with pytest.raises(SafescaleError, match=re.escape(named)):
        ask(*arguments)
