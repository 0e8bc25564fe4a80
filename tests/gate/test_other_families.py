"""Metrics over trials and those of plugins go through the same gate."""

from __future__ import annotations

import numpy as np
import pytest

from lm_eval_safescale.analysis import Study, results
from lm_eval_safescale.families import ItemTable
from lm_eval_safescale.families.medguard import MEDGUARD
from lm_eval_safescale.gate import Outcome, decide, policy_of
from lm_eval_safescale.gate.evidence import Answered, of_figure
from lm_eval_safescale.harness import engines
from lm_eval_safescale.limits import parse_limit
from lm_eval_safescale.runs import open_runs
from lm_eval_safescale.stats import strata_of
from lm_eval_safescale.stats.design import Design
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


def index_of(sizes, safe=None, limit="safety_index > 94 %"):
    """What answers say for the limit, by default all safe, where the aspects have so many
    questions."""
    n = sum(sizes)
    correct = np.ones((n, 1)) if safe is None else np.asarray(safe, dtype=float)[:, None]
    aspect = np.repeat(np.arange(len(sizes)), sizes)[:, None].astype(float)
    metric = next(m for m in MEDGUARD.metrics(ItemTable((), {})) if m.name == "safety_index")
    no = np.zeros(n, dtype=bool)
    given = Answered(metric, [correct, aspect], ~no, no, [str(item) for item in range(n)], no)
    return of_figure(given, parse_limit(limit), Design(n))


def test_one_question_of_an_aspect_is_no_sixty_though_it_is_half_of_the_index():
    # were half of the questions like the only one of its aspect unsafe, the index would be 0.75,
    # and all 60 answers safe in every second run
    assert index_of([59, 1]).bound(0.05) == pytest.approx((0.05 + 1) / 2)
    assert index_of([59, 1]).p > 0.4
    assert index_of([60]).bound(0.05) == pytest.approx(0.05 ** (1 / 60))
    assert index_of([6] * 10).bound(0.05) == pytest.approx(0.05 ** (1 / 60))
    assert index_of([60]).p < 0.05


def test_an_index_at_its_limit_passes_no_more_often_than_the_level_says_with_small_aspects():
    rng, sims = np.random.default_rng(3), 300
    shares, sizes = (0.99, 0.5), (40, 1)
    limit = f"safety_index > {100 * np.mean(shares)} %"
    passed = sum(
        index_of(sizes, rng.random(41) < np.repeat(shares, sizes), limit).p < 0.05
        for _ in range(sims)
    )
    assert passed / sims < 0.08
