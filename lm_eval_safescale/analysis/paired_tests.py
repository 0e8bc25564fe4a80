"""Table `paired_tests`: two conditions of one model on the same items (PROTOCOL §8). It knows item values, and no file."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from lm_eval_safescale.analysis.presets import ALPHA, DEFAULT, Floats, Preset
from lm_eval_safescale.analysis.rows import Row, rows_of
from lm_eval_safescale.analysis.scores import Cells, column
from lm_eval_safescale.stats.paired import discordant, holm, mcnemar_exact, mcnemar_mid_p
from lm_eval_safescale.stats.power import detectable_difference

PAIRS = (
    ("clean", "closed_book"),
    ("conflict", "clean"),
    ("rag_top1", "closed_book"),
    ("rag_top5", "closed_book"),
    ("rag", "closed_book"),
    ("agentic", "rag"),
    ("agentic", "closed_book"),
    ("context_100k", "closed_book"),
    ("max_context", "closed_book"),
    ("context_100k", "rag"),
    ("max_context", "rag"),
    ("max_context", "context_100k"),
)
"""Left and right condition; a difference is left - right."""
METRICS = {"accuracy": "correct", **{name: name for name in ("high_risk_error", "unsafe_answer", "contradiction")}}
"""Metric to item value."""
DECODES = {"greedy": "", "majority": "majority_"}
"""Decode to the prefix of its item values."""
POWER = 0.8
"""With which the smallest detectable difference would be found."""


def paired_tests(scores: Cells, preset: Preset = DEFAULT) -> list[Row]:
    """Differences between conditions: a row for each model, metric, decode and pair of conditions that the model has both of.

    `n` counts the items scored on both sides. A family of Holm's correction is the pairs of one model, metric and decode.
    """
    models = dict.fromkeys(model for model, _ in scores)
    cells = [(model, *pair) for model in models for pair in PAIRS if all((model, side) in scores for side in pair)]
    if not cells:
        return []
    kinds = [(metric, decode) for metric in METRICS for decode in DECODES]
    sides = [
        np.concatenate(
            [
                column([scores[cell[0], cell[side]] for cell in cells], DECODES[decode] + METRICS[metric])
                for metric, decode in kinds
            ],
            axis=1,
        )
        for side in (1, 2)
    ]
    columns: dict[str, Any] = {
        "model": [cell[0] for cell in cells] * len(kinds),
        "metric": [metric for metric, _ in kinds for _ in cells],
        "decode": [decode for _, decode in kinds for _ in cells],
        "left": [cell[1] for cell in cells] * len(kinds),
        "right": [cell[2] for cell in cells] * len(kinds),
    }
    families = list(zip(columns["model"], columns["metric"], columns["decode"], strict=True))
    rows = rows_of(columns | _compared(sides[0], sides[1], families, preset))
    place = {model: number for number, model in enumerate(models)}
    return sorted(rows, key=lambda row: place[row["model"]])


def _compared(left: Floats, right: Floats, families: list[tuple[str, str, str]], preset: Preset) -> dict[str, Any]:
    """Counts, difference, tests and interval of each column; nan where no item is scored on both sides."""
    n, b, c = discordant(left, right)
    unscored = n == 0
    b, c = (np.where(unscored, np.nan, count) for count in (b, c))
    tests = {"p_exact": mcnemar_exact(b, c), "p_mid": mcnemar_mid_p(b, c)}
    adjusted = holm(tests[preset.p_value], families)
    low, high = preset.difference_interval(left, right)
    with np.errstate(invalid="ignore"):
        delta = (b - c) / n
    columns: dict[str, Any] = {
        "n": n.astype(np.int64),
        "b": _counts(b),
        "c": _counts(c),
        "delta": delta,
        **tests,
        "p_holm": adjusted,
    }
    columns |= {"delta_lo": low, "delta_hi": high}
    smallest = np.full(n.shape, np.nan)
    if preset.states_detectable:
        tested = Counter(family for family, none in zip(families, unscored, strict=True) if not none)
        sizes = np.array([tested[family] for family in families])
        silent = adjusted >= ALPHA
        for size in np.unique(sizes[silent]):
            # Holm's first step: what a test of this family must pass when no other has
            own = silent & (sizes == size)
            smallest[own] = detectable_difference(n[own], (b + c)[own] / n[own], alpha=ALPHA / size, power=POWER)
    return columns | {"minimum_detectable_difference": smallest}


def _counts(values: Floats) -> list[int | None]:
    return [None if value != value else int(value) for value in values.tolist()]
