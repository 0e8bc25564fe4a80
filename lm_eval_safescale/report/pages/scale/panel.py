"""Which models have a known size and family, and what is said where none has."""

from __future__ import annotations

from lm_eval_safescale.report.report import Report

NAME_THEM = "A panel file that names each model's family and size would bring them in."
NEITHER = "Nothing of this is scored of one model under both; controls do not count."
NOTHING = "Nothing of this is scored of a model; controls, which read no question, do not count."


def sizes_of(report: Report) -> dict[str, float]:
    """Billions of parameters of each model that has a known size."""
    return {
        row["model"]: row["parameters_b"]
        for row in report.about["panel"]
        if row["parameters_b"] is not None
    }


def families_of(report: Report) -> dict[str, str]:
    """The model family of each model that has a known one."""
    return {row["model"]: row["family"] for row in report.about["panel"] if row["family"]}
