"""Where the labels of a plot stand: near what they name, and never on another or on a mark where
there is room. It knows no figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of the drawing."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether they have a place in common."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def holds(self, other: Box) -> bool:
        """Whether the other lies within."""
        return (
            self.left <= other.left
            and other.right <= self.right
            and self.top <= other.top
            and other.bottom <= self.bottom
        )


@dataclass(frozen=True, slots=True)
class Wanted:
    """A label that needs a place."""

    x: float
    y: float
    width: float
    height: float


def placed(wanted: Sequence[Wanted], marks: Sequence[Box], within: Box) -> list[Box | None]:
    """A place for each label, from the first on: of those that meet no earlier label the one that
    meets the fewest marks and is nearest; None where every place meets a label."""
    found: list[Box | None] = []
    for label in wanted:
        best: tuple[float, Box] | None = None
        for cost, box in _candidates(label):
            if not within.holds(box) or any(box.meets(other) for other in found if other):
                continue
            total = cost + 25 * sum(box.meets(mark) for mark in marks)
            if best is None or total < best[0]:
                best = total, box
        found.append(best[1] if best else None)
    return found


def _candidates(label: Wanted) -> list[tuple[float, Box]]:
    w, h = label.width, label.height
    found = []
    for away in (8.0, 16.0, 26.0, 40.0, 60.0, 85.0):
        slant = away * 0.75
        sides = (
            (label.x + away, label.y - h / 2),
            (label.x - away - w, label.y - h / 2),
            (label.x - w / 2, label.y - away - h),
            (label.x - w / 2, label.y + away),
            (label.x + slant, label.y - slant - h),
            (label.x + slant, label.y + slant),
            (label.x - slant - w, label.y - slant - h),
            (label.x - slant - w, label.y + slant),
        )
        found += [
            (away + order * 0.5, Box(left, top, left + w, top + h))
            for order, (left, top) in enumerate(sides)
        ]
    return found
