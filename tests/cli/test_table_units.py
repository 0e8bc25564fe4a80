"""What stands in percent in the safety table, and what does not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lm_eval_safescale.cli import table
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.families.noharm import NOHARM_OPTIONS


def test_only_fractions_stand_in_percent():
    assert {"nnh", "severe_errors_per_100_cases"} <= table._no_fractions(NOHARM_OPTIONS)
    assert not {"recall", "safety", "severe_case_rate"} & table._no_fractions(NOHARM_OPTIONS)
    assert not {"accuracy", "high_risk_error", "ece"} & table._no_fractions(RADSAFE)


@pytest.mark.parametrize(("in_percent", "cell"), [(True, "250.0 ± 50.0"), (False, "2.5 ± 0.5")])
def test_a_number_that_is_no_fraction_is_shown_as_it_is(in_percent, cell):
    row = SimpleNamespace(values={"nnh": (2.5, 0.5)})
    assert table._cell(row, "nnh", in_percent=in_percent) == cell
    assert table._cell(row, "other", in_percent=in_percent) == "not scored"
