"""Table `profile`: every rate of a model under a condition, each with its interval. It knows item values, and no file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.analysis.presets import DEFAULT, LEVEL, Floats, Preset, indices, weights
from lm_eval_safescale.analysis.rows import Row, means, rows_of
from lm_eval_safescale.analysis.scores import Cell, Cells, column
from lm_eval_safescale.stats.bootstrap import percentile_bootstrap
from lm_eval_safescale.stats.calibration import calibration_table, resampled_errors

RATES = {
    "accuracy": "correct",
    "majority_accuracy": "majority_correct",
    "high_risk_error": "high_risk_error",
    "unsafe_answer": "unsafe_answer",
    "contradiction": "contradiction",
    "majority_high_risk_error": "majority_high_risk_error",
    "majority_unsafe_answer": "majority_unsafe_answer",
    "majority_contradiction": "majority_contradiction",
    "unanswered": "unanswered",
    "dangerous_overconfidence": "dangerous_overconfidence",
    "null_majority": "null_majority",
    "synchronised_failure": "synchronised_failure",
}
"""Shares of items: column to item value."""
MEANS = ("confidence", "agreement", "sample_null", "robustness")
"""Means of item values between 0 and 1."""
CONFIDENCE_OF = {
    "confidence_correct": ("majority_correct", 1),
    "confidence_incorrect": ("majority_correct", 0),
    "confidence_high_risk_error": ("majority_high_risk_error", 1),
    "confidence_unsafe_answer": ("majority_unsafe_answer", 1),
}
"""Mean confidence over the items with an outcome: column to item value and outcome."""
RESAMPLED = ("accuracy", "majority_accuracy")
"""Those whose bootstrap mean and standard deviation are told."""
ORDER = (
    "accuracy",
    "majority_accuracy",
    "high_risk_error",
    "unsafe_answer",
    "contradiction",
    "majority_high_risk_error",
    "majority_unsafe_answer",
    "majority_contradiction",
    "unanswered",
    "dangerous_overconfidence",
    "confidence",
    *CONFIDENCE_OF,
    "agreement",
    "null_majority",
    "sample_null",
    "ece",
    "mce",
    "robustness",
    "synchronised_failure",
    "latency_s",
)
PARTS = ("mean", "std", "lo", "hi")


def profile(scores: Cells, preset: Preset = DEFAULT) -> list[Row]:
    """Rates, confidence, calibration and latency: a row for each model and condition, all as fractions (PROTOCOL §6-§8).

    `n` counts the items with a greedy answer; None is *not scored*.
    """
    if not scores:
        return []
    cells = list(scores.values())
    values = {name: column(cells, source) for name, source in RATES.items()} | {name: column(cells, name) for name in MEANS}
    outcomes = {source: column(cells, source) for source in {source for source, _ in CONFIDENCE_OF.values()}}
    for name, (source, outcome) in CONFIDENCE_OF.items():
        values[name] = np.where(outcomes[source] == outcome, values["confidence"], np.nan)
    told = _with_intervals(values, preset) | _of_calibration(values, preset) | _of_latency(cells)
    columns: dict[str, Any] = {
        "model": [cell.model for cell in cells],
        "condition": [cell.condition for cell in cells],
        "n": (~np.isnan(values["accuracy"])).sum(axis=0),
    }
    for name in ORDER:
        columns[name] = told[name]
        columns |= {f"{name}_{part}": told[f"{name}_{part}"] for part in PARTS if f"{name}_{part}" in told}
    return rows_of(columns)


def _with_intervals(values: dict[str, Floats], preset: Preset) -> dict[str, Floats]:
    """Each mean with its bounds, and what the resamples say of accuracy; all columns of one kind are resampled together."""
    told: dict[str, Floats] = {name: means(array) for name, array in values.items()}
    for names, interval in (
        (list(RATES), preset.rate_interval),
        ([name for name in values if name not in RATES], preset.mean_interval),
    ):
        low, high = interval(np.concatenate([values[name] for name in names], axis=1))
        told |= _split(names, "lo", low) | _split(names, "hi", high)
    together = np.concatenate([values[name] for name in RESAMPLED], axis=1)
    resampled = percentile_bootstrap(together, indices(len(together)), level=LEVEL)
    told |= _split(RESAMPLED, "mean", resampled.mean) | _split(RESAMPLED, "std", resampled.std)
    return told | {"confidence_std": deviation_of(values["confidence"], 1)}


def _split(names: Any, part: str, array: Floats) -> dict[str, Floats]:
    return {f"{name}_{part}": each for name, each in zip(names, np.split(array, len(names)), strict=True)}


def _of_calibration(values: dict[str, Floats], preset: Preset) -> dict[str, Floats]:
    pair = values["confidence"], values["majority_accuracy"]
    table = calibration_table(*pair)
    told = {"ece": table.ece, "mce": table.mce}
    for name, resampled in zip(("ece", "mce"), resampled_errors(*pair, weights(len(pair[0]))), strict=True):
        low, high = preset.figure_interval(told[name], resampled)
        told |= {f"{name}_lo": np.clip(low, 0, 1), f"{name}_hi": np.clip(high, 0, 1)}
    return told


def _of_latency(cells: Sequence[Cell]) -> dict[str, Floats]:
    latency = column(cells, "latency_s")
    return {"latency_s": means(latency), "latency_s_std": deviation_of(latency, 0)}


def deviation_of(values: Floats, ddof: int) -> Floats:
    """Standard deviation of each column over its scored items; nan for no more than `ddof`."""
    n = (~np.isnan(values)).sum(axis=0)
    squares: NDArray[np.float64] = np.nansum((values - means(values)) ** 2, axis=0)
    return np.asarray(np.sqrt(np.divide(squares, n - ddof, out=np.full(n.shape, np.nan), where=n > ddof)))
