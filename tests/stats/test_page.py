"""The numbers on the page about statistics are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom
from typer.testing import CliRunner

from lm_eval_safescale import stats
from lm_eval_safescale.cli import app

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "statistics.md").read_text(encoding="utf-8")
ROWS = re.findall(
    r"^\| (0\.\d+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", PAGE, re.MULTILINE
)
N = 200


def coverage(rate: float) -> list[str]:
    counts = np.arange(N + 1)
    chances = binom.pmf(counts, N, rate)
    bounds = [interval(counts, N) for interval in (stats.wilson, stats.clopper_pearson)]
    exact = [chances @ ((low <= rate) & (rate <= high)) for low, high in bounds]
    worlds = (np.random.default_rng(7).random((N, 2000)) < rate).astype(float)
    indices = stats.protocol_indices(N)
    simulated = [
        stats.bca(worlds, indices, bounds=(0, 1)),
        stats.percentile_bootstrap(worlds, indices),
    ]
    return [
        f"{100 * share:.1f}"
        for share in (*exact, *(((s.lo <= rate) & (rate <= s.hi)).mean() for s in simulated))
    ]


def test_the_table_of_coverage_has_all_its_rows():
    assert [rate for rate, *_ in ROWS] == ["0.01", "0.02", "0.05", "0.1", "0.2", "0.5"]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_the_intervals_cover_as_often_as_stated(row):
    assert coverage(float(row[0])) == list(row[1:])


def test_the_example_of_the_power_command_is_what_it_prints():
    command, printed = re.findall(r"```\n(.*?)```", PAGE, re.DOTALL)
    result = CliRunner().invoke(app, command.split()[1:], catch_exceptions=False)
    assert result.output == printed


def test_every_function_is_named_on_the_page():
    single = {
        "agreement",
        "confidence",
        "fails_in_unison",
        "majority",
        "margin",
        "no_answer_share",
        "valid_correct_share",
    }
    parts = {
        "discordant",
        "independent_discordance",
        "majority_probabilities",
        "resampled_means",
        "vote_counts",
        "wilson_interval",
    }
    functions = {name for name in stats.__all__ if name.islower()}
    assert functions - single - parts == {name for name in functions if f"`{name}`" in PAGE}
