"""The measured coverage of intervals: a small part of it again, and the page has what was
measured.
"""

from __future__ import annotations

import importlib.util
from math import sqrt
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def benchmark():
    spec = importlib.util.spec_from_file_location("coverage_of", ROOT / "benchmarks/coverage.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


COVERAGE = benchmark()
MEASURED = {(row["figure"], row["interval"], row["n"], row["rate"]): row for row in COVERAGE.read()}
TIMES = 300


@pytest.mark.parametrize(
    ("name", "n", "rate"),
    [
        ("share", 60, 0.01),
        ("share", 200, 0.1),
        ("difference", 60, 0.05),
        ("difference", 200, 0.02),
        ("samples", 60, 0.2),
        ("mean", 60, 0.05),
        ("units", 60, 0.1),
        ("units", 200, 0.02),
        ("trials", 60, 0.2),
        ("slope", None, None),
    ],
)
def test_a_small_part_comes_out_as_measured(name, n, rate):
    rows = COVERAGE.simulate(name, n, rate, TIMES)
    assert rows
    for row in rows:
        known = MEASURED[
            row["figure"], row["interval"], str(row["n"]), "" if rate is None else f"{rate:.4g}"
        ]
        share = float(known["coverage"])
        times = row["simulations"] * (1 - row["without"])
        error = sqrt(max(share * (1 - share), 0.01) * (1 / times + 1 / int(known["simulations"])))
        assert abs(row["coverage"] - share) < 4 * error, row


def test_the_page_has_what_was_measured():
    page = (ROOT / "docs" / "statistics.md").read_text(encoding="utf-8")
    assert "\n".join(COVERAGE.summary(COVERAGE.read())) in page


def test_the_default_intervals_hold_what_they_say():
    """But for those that the page names."""
    rare = {"0.005", "0.01"}  # where a bootstrap sees too few items that differ
    for (figure, interval, n, rate), row in MEASURED.items():
        if interval in ("wilson", "tango", "clopper-pearson", "wilson of n / deff", "cr2"):
            assert float(row["coverage"]) > 0.88, (figure, interval, n, rate)
        if interval == "tango of n / deff" and rate not in rare:
            assert float(row["coverage"]) > 0.9, (figure, n, rate)
