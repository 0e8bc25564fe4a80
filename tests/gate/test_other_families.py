"""Metrics over trials and those of plugins go through the same gate."""

from __future__ import annotations

import numpy as np
import pytest

from lm_eval_safescale.analysis import Study, results
from lm_eval_safescale.gate import Outcome, decide, policy_of
from lm_eval_safescale.harness import engines
from lm_eval_safescale.runs import open_runs
from lm_eval_safescale.stats import strata_of
from tests.running import asking
from tests.running.asking import ask
from tests.running.test_noharm import TEXTS


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The demo cases of NOHARM's option protocol, asked of a stub."""
    folder = tmp_path_factory.mktemp("runs") / "noharm"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engines, "sys", asking.seeded)
        patch.setattr(asking, "TEXTS", TEXTS)
        ask(
            folder,
            conditions=["noharm_options"],
            metadata={"dataset": "noharm_demo", "draws": 2},
        )
    return Study(open_runs(folder))


def test_every_metric_of_the_protocol_has_a_bound_on_the_side_of_its_limit(study):
    table = {row["metric"]: row for row in results(study).rows(named=True) if not row["group"]}
    for metric in study.family.metrics(study.items):
        low, high = metric.bounds
        middle = (low + min(high, 1_000)) / 2
        text = f"{metric.name} {'>' if metric.higher_is_better else '<'} {middle:g}"
        decision = decide(study, policy_of([text]))
        if decision.refused:
            assert "could pass" in decision.refused[0] or "no item can be" in decision.refused[0]
            continue
        (row,) = decision.rows
        assert row.evidence.approximate
        assert row.evidence.units == 8
        value = table[metric.name]["value"]
        assert row.evidence.value == pytest.approx(np.nan if value is None else value, nan_ok=True)
        if np.isnan(row.bound):
            assert row.outcome is not Outcome.PASSED
        elif metric.higher_is_better:
            assert row.bound <= row.evidence.value
        else:
            assert row.bound >= row.evidence.value


def test_cases_are_resampled_within_their_specialty(study):
    strata = strata_of(study.items.groups["specialty"])
    assert study.design.strata == strata
    (row,) = decide(study, policy_of(["severe_case_rate < 99 %"])).rows
    assert 0 < row.evidence.value <= row.bound <= 1
