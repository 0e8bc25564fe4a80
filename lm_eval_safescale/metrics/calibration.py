"""How well confidence agrees with correctness: calibration error in equal-width bins (PROTOCOL §7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import fsum

BINS = 10


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    """Items whose confidence lies in [lo, hi); the last bin is closed."""

    lo: float
    hi: float
    n: int
    confidence: float | None
    """Mean confidence, in [0, 1]; None in an empty bin."""
    accuracy: float | None
    """Share correct, in [0, 1]; None in an empty bin."""


def calibration_bins(confidences: Sequence[float], correct: Sequence[bool], *, bins: int = BINS) -> list[CalibrationBin]:
    """Items by confidence.

    Parameters
    ----------
    confidences
        Values in [0, 1], shape (n,).
    correct
        Whether the majority answer is right, shape (n,).
    bins
        Number of bins of equal width, at least 1.

    Raises
    ------
    ValueError
        For inputs of different length, a confidence outside [0, 1], or no bin.
    """
    if len(confidences) != len(correct) or bins < 1 or any(not 0 <= value <= 1 for value in confidences):
        raise ValueError("expected as many confidences in [0, 1] as outcomes, and at least one bin")
    edges = [i / bins for i in range(bins + 1)]
    members: list[list[int]] = [[] for _ in range(bins)]
    for index, value in enumerate(confidences):
        place = min(int(value * bins), bins - 1)
        if value < edges[place]:  # value * bins may round up over an edge
            place -= 1
        elif place < bins - 1 and value >= edges[place + 1]:
            place += 1
        members[place].append(index)
    return [
        CalibrationBin(
            edges[place],
            edges[place + 1],
            len(inside),
            fsum(confidences[i] for i in inside) / len(inside) if inside else None,
            sum(correct[i] for i in inside) / len(inside) if inside else None,
        )
        for place, inside in enumerate(members)
    ]


def calibration_errors(bins: Sequence[CalibrationBin]) -> tuple[float, float] | None:
    """Expected and maximum calibration error: gaps between confidence and accuracy, weighted by items and at their largest.

    None where no bin has an item.
    """
    gaps = [(b.n, abs(b.confidence - b.accuracy)) for b in bins if b.confidence is not None and b.accuracy is not None]
    total = sum(n for n, _ in gaps)
    return (sum(n * gap for n, gap in gaps) / total, max(gap for _, gap in gaps)) if total else None
