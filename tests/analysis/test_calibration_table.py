"""Table `calibration_bins`: ten bins of confidence for each model and condition, as a loop bins
them.
"""

from __future__ import annotations

import pytest
from scipy.stats import binomtest

from lm_eval_safescale.analysis import PRESETS, TABLES, Study
from tests import second_implementation as second
from tests.analysis.making import item, one_cell, random_plain


def rows(plain, preset="default"):
    return TABLES["calibration_bins"](Study(plain.runs()), PRESETS[preset])


@pytest.mark.parametrize("failures", [0.0, 0.1])
def test_the_bins_are_those_of_a_loop(failures):
    plain = random_plain(3, n=60, failures=failures)
    found = rows(plain)
    for (model, condition), _ in plain.answered.items():
        values = second.item_values(plain, model, condition, 7)
        held: list[list[tuple[float, float]]] = [[] for _ in range(10)]
        for confidence, right in zip(
            values["confidence"], values["majority_accuracy"], strict=True
        ):
            if confidence is not None:
                held[min(9, int(round(confidence, 10) * 10))].append((confidence, right))
        own = [row for row in found if (row["model"], row["condition"]) == (model, condition)]
        assert [row["bin"] for row in own] == list(range(1, 11))
        for place, (row, inside) in enumerate(zip(own, held, strict=True)):
            assert (row["bin_lo"], row["bin_hi"], row["n"]) == (
                place / 10,
                (place + 1) / 10,
                len(inside),
            )
            assert row["confidence"] == pytest.approx(
                second.mean([confidence for confidence, _ in inside])
            )
            assert row["accuracy"] == pytest.approx(second.mean([right for _, right in inside]))
            if inside:
                interval = binomtest(
                    round(sum(right for _, right in inside)), len(inside)
                ).proportion_ci(method="wilson")
                assert (row["accuracy_lo"], row["accuracy_hi"]) == (
                    pytest.approx(interval.low),
                    pytest.approx(interval.high),
                )
            else:
                assert row["accuracy_lo"] is row["accuracy_hi"] is None


def test_certainty_stands_in_the_last_bin_and_an_edge_in_the_upper_one():
    # 1, and 1 - ln 2 / ln 4
    plain = one_cell({"1": item(letters="ABC"), "2": item(letters="ABC")}, "AA", ["AAAA", "BBCC"])
    assert {row["bin"]: row["n"] for row in rows(plain) if row["n"]} == {6: 1, 10: 1}


def test_the_expected_calibration_error_of_the_profile_is_that_of_the_bins():
    plain = random_plain(5, n=50)
    bins = rows(plain)
    for row in TABLES["profile"](Study(plain.runs()), PRESETS["default"]):
        own = [
            each
            for each in bins
            if (each["model"], each["condition"]) == (row["model"], row["condition"]) and each["n"]
        ]
        gaps = [(each["n"], abs(each["confidence"] - each["accuracy"])) for each in own]
        assert row["ece"] == pytest.approx(
            sum(n * gap for n, gap in gaps) / sum(n for n, _ in gaps)
        )
        assert row["mce"] == pytest.approx(max(gap for _, gap in gaps))


def test_who_has_no_samples_has_no_bins():
    assert rows(random_plain(1, k=0)) == []
    assert rows(one_cell({"1": item()}, "A", ["A!"])) == []


def test_both_presets_bin_alike():
    assert rows(random_plain(1)) == rows(random_plain(1), "radsafe-2026")
