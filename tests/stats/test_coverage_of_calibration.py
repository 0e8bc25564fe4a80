"""How often intervals of calibration errors hold the truth, as the page says: simulated votes of
200 items.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from lm_eval_safescale import stats

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "statistics.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| (ECE|MCE) \| (0\.\d+|0) \| ([\d.]+) \| (\d+) \| (\d+) \| (\d+) \|$", PAGE, re.MULTILINE
)
N, WORLDS = 200, 400
POWERS = (1.0, 0.7, 0.4)
"""A majority answer of confidence c is right with probability c to this power: 1 is calibrated to
perfection."""


def confidences(rng: np.random.Generator, size: int) -> np.ndarray:
    """Of 20 samples of 4 options and "no answer", from items on which models are mostly sure."""
    shape = rng.choice([0.1, 0.4, 1.5], size=size, p=[0.6, 0.25, 0.15])
    chances = rng.gamma(shape[:, None], size=(size, 5)) + 1e-12
    return stats.confidence(rng.multinomial(20, chances / chances.sum(axis=1, keepdims=True)), 4)


def simulated(power: float) -> dict[str, list[str]]:
    rng = np.random.default_rng(3)
    many = confidences(rng, 200_000)
    place = np.minimum((many * 10).astype(int), 9)
    count = np.bincount(place, minlength=10)
    gaps = np.abs(np.bincount(place, many - many**power, minlength=10))
    truth = {"ECE": gaps.sum() / len(many), "MCE": (gaps / count).max()}
    sure = confidences(rng, N * WORLDS).reshape(N, WORLDS)
    right = (rng.random(sure.shape) < sure**power).astype(float)
    table = stats.calibration_table(sure, right)
    drawn = stats.resampled_errors(sure, right, stats.times_drawn(stats.protocol_indices(N), N))
    without = stats.resampled_errors(sure, right, stats.leave_out(N))
    found = {}
    for name, estimate, own, jackknife in zip(
        truth, (table.ece, table.mce), drawn, without, strict=True
    ):
        numbers = [f"{truth[name]:.2f}" if truth[name] > 1e-9 else "0", f"{estimate.mean():.2f}"]
        for method in ("percentile", "bca", "basic"):
            low, high = stats.interval_of(estimate, own, jackknife, method=method)
            held = (np.clip(low, 0, 1) <= truth[name] + 1e-12) & (truth[name] <= high + 1e-12)
            numbers.append(f"{100 * held.mean():.0f}")
        found[name] = numbers
    return found


@pytest.mark.parametrize("place", range(len(POWERS)))
def test_the_intervals_hold_the_truth_as_often_as_stated(place):
    found = simulated(POWERS[place])
    for name in ("ECE", "MCE"):
        row = [each for each in ROWS if each[0] == name][place]
        assert found[name] == list(row[1:])


def test_the_default_interval_is_the_one_that_holds_it_most():
    for _, _, _, percentile, _, basic in ROWS[:2]:
        assert int(basic) > int(percentile)
