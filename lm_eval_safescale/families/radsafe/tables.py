"""RadSaFE's own tables (PROTOCOL §7, §9), with their columns."""

from __future__ import annotations

from lm_eval_safescale.families.choice.tables.calibration_bins import calibration_bins
from lm_eval_safescale.families.choice.tables.confidence import (
    GAP,
    OUTCOMES,
    confidence_by_outcome,
    confidence_lines,
)
from lm_eval_safescale.families.choice.tables.ensembles import ensembles
from lm_eval_safescale.families.choice.tables.selective import selective
from lm_eval_safescale.families.choice.tables.self_consistency import self_consistency
from lm_eval_safescale.families.choice.tables.single_to_majority import single_to_majority
from lm_eval_safescale.families.choice.tables.worst_case import (
    concentration,
    concentration_curve,
    worst_case,
)
from lm_eval_safescale.families.family import TableOf
from lm_eval_safescale.families.radsafe.metrics import ERRORS
from lm_eval_safescale.families.rows import bounded

RISKS = tuple(name for name, _ in ERRORS.values())
RATES = ("accuracy", *RISKS, "unanswered")

TABLES = {
    "ensembles": TableOf(
        ensembles,
        (
            *("ensemble", "members", "condition", "n", *bounded("accuracy"), "accuracy_std"),
            *bounded(*RISKS, "ensemble_overconfidence"),
            "ensemble_overconfidence_n",
            *bounded("synchronised_failure", "best_member_accuracy"),
            *("best_member", *bounded("less_best_member")),
        ),
    ),
    "worst_case": TableOf(
        worst_case,
        (
            *("question_id", "condition", "subspecialty", "question_type", "key", "n_models"),
            *("unanswered", "truncated", "filtered", "wrong", *RISKS, "commonest_wrong"),
        ),
    ),
    "concentration": TableOf(
        concentration,
        (
            *("condition", "n_items", "n_models", "high_risk_errors"),
            *bounded("top_1", "top_5", "top_10", "top_20", "gini"),
        ),
    ),
    "concentration_curve": TableOf(
        concentration_curve,
        ("condition", "percent", "items", *bounded("share"), "by_chance"),
    ),
    "calibration_bins": TableOf(
        calibration_bins,
        ("model", "condition", "bin", "bin_lo", "bin_hi", "n", "confidence", *bounded("accuracy")),
    ),
    "confidence_by_outcome": TableOf(
        confidence_by_outcome, ("model", "condition", "n_models", *bounded(*OUTCOMES, GAP))
    ),
    "confidence_lines": TableOf(
        confidence_lines,
        ("condition", "n", *bounded("slope"), "intercept", "r_squared", "p"),
    ),
    "self_consistency": TableOf(
        self_consistency,
        (
            "model",
            "condition",
            "k",
            "draws",
            "n",
            *bounded(*RATES, *(f"greedy_{name}" for name in RATES)),
        ),
    ),
    "single_to_majority": TableOf(
        single_to_majority,
        (
            *("model", "condition", "metric", "draws", "n_models", "n"),
            *bounded("single", "majority", "change"),
        ),
    ),
    "selective": TableOf(
        selective,
        (
            *("model", "condition", "draws", "threshold", "n", "kept", "coverage"),
            *bounded("high_risk_error", "accuracy", "area"),
        ),
    ),
}
