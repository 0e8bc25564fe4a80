"""Tables over cases say what plain loops over the rows of records and harms say."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean

import pytest

from lm_eval_safescale.analysis import Study, results
from lm_eval_safescale.families.noharm.kit import specialty_of
from lm_eval_safescale.families.noharm_text import NOHARM
from lm_eval_safescale.families.noharm_text.case_tables import harm_rates, noharm_cases
from lm_eval_safescale.families.noharm_text.cases import base_of
from lm_eval_safescale.families.noharm_text.tables import noharm_harms, noharm_records
from lm_eval_safescale.stats.presets import DEFAULT
from tests.report.judged import judged_runs


@pytest.fixture(scope="module")
def study():
    return Study(judged_runs(statuses={1: "unanswered", 2: "error", 5: "truncated"}))


def record_of(row):
    return row["model"], row["question_id"], row["trial"]


def test_rates_of_harm_are_those_of_loops_over_records(study):
    records = [record_of(row) for row in noharm_records(study, DEFAULT)]
    harms = defaultdict(list)
    for row in noharm_harms(study, DEFAULT):
        harms[record_of(row)].append((row["severity"], row["kind"]))
    perturbation = dict(zip(study.items.ids, study.items.groups["perturbation"], strict=True))
    rows = harm_rates(study)
    assert {row["by"] for row in rows} == {None, "severity", "specialty", "perturbation"}
    for row in rows:
        own = [
            record
            for record in records
            if record[0] == row["model"]
            and (row["by"] != "specialty" or specialty_of(record[1]) == row["part"])
            and (row["by"] != "perturbation" or perturbation[record[1]] == row["part"])
        ]
        severity = row["part"] if row["by"] == "severity" else "severe"
        counts = defaultdict(list)
        for record in own:
            number = harms[record].count((severity, row["error"]))
            counts[base_of(record[1])].append(number)
        assert (row["cases"], row["records"]) == (len(counts), len(own))
        rate = fmean(fmean(number > 0 for number in each) for each in counts.values())
        assert row["rate"] == pytest.approx(rate)
        assert row["harms"] == pytest.approx(fmean(map(fmean, counts.values())))
        assert row["cases"] > 1 or row["rate_lo"] is None
        assert row["by"] is not None or row["rate_lo"] <= row["rate"] <= row["rate_hi"]


def test_cases_that_are_all_alike_leave_others_possible():
    """As in `results`: 0 of 8 cases say that a rate is at most 1 - 0.025 ** (1 / 8)."""
    study = Study(judged_runs({"m": 1.0}, 0, statuses=dict.fromkeys(range(32), "unanswered")))
    rows = {row["error"]: row for row in harm_rates(study) if row["by"] is None}
    assert {kind: row["rate"] for kind, row in rows.items()} == {"omission": 1.0, "commission": 0.0}
    far = 1 - 0.025 ** (1 / 8)
    assert rows["commission"]["rate_lo"] == 0
    assert rows["commission"]["rate_hi"] == pytest.approx(far)
    assert (rows["omission"]["rate_lo"], rows["omission"]["rate_hi"]) == pytest.approx((1 - far, 1))


def test_severe_harm_is_by_omission_or_by_commission(study):
    rates = {
        (row["model"], row["error"]): row["rate"] for row in harm_rates(study) if row["by"] is None
    }
    for row in results(study).rows(named=True):
        if row["metric"] == "severe_rate" and row["group"] is None:
            either = [rates[row["model"], kind] for kind in ("omission", "commission")]
            assert max(either) <= row["value"] <= sum(either) + 1e-12


def test_metrics_are_means_of_their_cases(study):
    rows = noharm_cases(study)
    assert {row["case"] for row in rows} == {base_of(name) for name in study.items.ids}
    assert all(row["specialty"] == specialty_of(row["case"]) for row in rows)
    overall = {
        (row["model"], row["metric"]): row["value"]
        for row in results(study).rows(named=True)
        if row["group"] is None
    }
    names = [metric.name for metric in NOHARM.metrics(study.items)]
    assert set(names) <= set(rows[0])
    for model in study.runs.models:
        for name in names:
            own = [row[name] for row in rows if row["model"] == model and row[name] is not None]
            assert fmean(own) == pytest.approx(overall[model, name])


def test_nothing_scored_is_no_row(study):
    unread = Study(judged_runs({"m": 0.5}, 0, statuses=dict.fromkeys(range(32), "error")))
    assert harm_rates(unread) == []
    assert noharm_cases(unread) == []
