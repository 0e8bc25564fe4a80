"""Table `calibration_bins`: confidence against majority correctness (PROTOCOL §7). It knows item
values, and no file.
"""

from __future__ import annotations

import numpy as np

from lm_eval_safescale.families.cells import column
from lm_eval_safescale.families.family import StudyView
from lm_eval_safescale.families.rows import Row, rows_of
from lm_eval_safescale.stats.calibration import calibration_table
from lm_eval_safescale.stats.presets import DEFAULT, LEVEL, Preset
from lm_eval_safescale.stats.units import share_interval


# both presets bin alike
def calibration_bins(study: StudyView, preset: Preset = DEFAULT) -> list[Row]:  # noqa: ARG001
    """Ten rows for each model and condition with samples, one a bin of confidence: [bin_lo,
    bin_hi), the last closed.

    Accuracy is that of the majority answer, with its Wilson interval; an empty bin has None.
    """
    cells = [cell for cell in study.scores.values() if not np.isnan(cell["confidence"]).all()]
    if not cells:
        return []
    confidence, right = column(cells, "confidence"), column(cells, "majority_correct")
    table = calibration_table(confidence, right)
    bins, n = len(table.n), table.n.T.ravel()
    accuracy = table.accuracy.T.ravel()
    hits = np.round(np.nan_to_num(accuracy * n))
    item, cell = np.nonzero(~np.isnan(confidence))
    place = np.searchsorted(table.edges[1:-1], confidence[item, cell], side="right")
    effect = study.design.effect_at(cell * bins + place, item, right[item, cell], len(n))
    low, high = share_interval(hits, n, effect, level=LEVEL)
    return rows_of(
        {
            "model": [cell.model for cell in cells for _ in range(bins)],
            "condition": [cell.condition for cell in cells for _ in range(bins)],
            "bin": list(range(1, bins + 1)) * len(cells),
            "bin_lo": np.tile(table.edges[:-1], len(cells)),
            "bin_hi": np.tile(table.edges[1:], len(cells)),
            "n": n.astype(np.int64),
            "confidence": table.confidence.T.ravel(),
            "accuracy": accuracy,
            "accuracy_lo": low,
            "accuracy_hi": high,
        }
    )
