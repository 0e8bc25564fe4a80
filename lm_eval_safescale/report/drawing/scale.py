"""From values to places along an axis, and the ticks of it. It knows no figure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from typing import TypeGuard

from lm_eval_safescale.figures import Axis
from lm_eval_safescale.sentences import number

LARGEST = 1e300
"""Beyond it lies no place on an axis."""


@dataclass(frozen=True)
class Scale:
    """An axis between two places of the drawing."""

    axis: Axis
    low: float
    high: float
    start: float
    """Where `low` lies."""
    end: float

    @classmethod
    def of(cls, axis: Axis, values: Iterable[float | None], start: float, end: float) -> Scale:
        """The scale that shows all of the values that have a place on the axis.

        Parameters
        ----------
        axis
            Its bounds win over those of the values.
        values
            Everything that is drawn along it; nan and None are left out.
        start, end
            The places of its ends; a reversed axis changes them.
        """
        if axis.reversed:
            start, end = end, start
        if axis.categories:
            return cls(axis, -0.5, len(axis.categories) - 0.5, start, end)
        known = [value for value in values if has_place(value, axis)]
        given = [bound for bound in (axis.low, axis.high) if has_place(bound, axis)]
        low, high = _range(axis, [float(value) for value in [*known, *given] if value is not None])
        if axis.low is not None and axis.low in given:
            low = axis.low
        if axis.high is not None and axis.high in given:
            high = axis.high
        if not low < high:
            low, high = _range(Axis("", log=axis.log), [low, high])
        return cls(axis, low, high, start, end)

    def __call__(self, value: float) -> float:
        """The place of a value; what lies beyond the axis stands at its end."""
        low, high, at = self.low, self.high, min(max(value, self.low), self.high)
        if self.axis.log:
            low, high, at = log10(low), log10(high), log10(at)
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def span(self, low: float | None, high: float | None) -> tuple[float, float]:
        """The places of a part of the axis, the lesser first; its end where a bound has none."""
        start = self(low) if has_place(low, self.axis) else self.start
        end = self(high) if has_place(high, self.axis) else self.end
        return min(start, end), max(start, end)

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """At most about so many round values within the axis, with their words."""
        if self.axis.categories:
            return [(float(place), name) for place, name in enumerate(self.axis.categories)]
        if self.axis.log:
            found = _decades(self.low, self.high, most)
        else:
            found = _steps(self.low, self.high, most)
        return [(value, self.tick_text(value)) for value in found]

    def tick_text(self, value: float) -> str:
        """A round value: of a percent axis without its sign, which stands in the label."""
        return number(100 * value if self.axis.percent else value, 4)


def has_place(value: float | None, axis: Axis) -> TypeGuard[float]:
    """Whether a value can be shown on the axis."""
    return (
        value is not None
        and isfinite(value)
        and abs(value) < LARGEST
        and (value > 1 / LARGEST or not axis.log)
    )


def _range(axis: Axis, values: list[float]) -> tuple[float, float]:
    if not values:
        return (1.0, 10.0) if axis.log else (0.0, 1.0)
    low, high = min(values), max(values)
    if axis.log:
        factor = max((high / low) ** 0.04, 1.2)
        return max(low / factor, 1 / LARGEST), min(high * factor, LARGEST)
    room = 0.04 * (high - low) or (0.05 if axis.percent else abs(high) * 0.1 or 1.0)
    bounds = low - room, high + room
    if axis.percent and low >= 0 and high <= 1:  # a share has no place beyond its bounds
        bounds = max(0.0, bounds[0]), min(1.0, bounds[1])
    return bounds


def _steps(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / max(1, most)
    size = 10.0 ** floor(log10(rough))
    step = next(size * each for each in (1, 2, 5, 10) if size * each >= rough * 0.999999)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    if last - first > 2 * most + 2:  # no such steps at this distance from 0
        return [low]
    return [place * step for place in range(first, last + 1)]


def _decades(low: float, high: float, most: int) -> list[float]:
    first, last = floor(log10(low)), ceil(log10(high))
    for within in ((1, 2, 5), (1, 3), (1,)):
        found = [
            each * 10.0**power
            for power in range(first, last + 1)
            for each in within
            if low * 0.999999 <= each * 10.0**power <= high * 1.000001
        ]
        if len(found) <= most:
            break
    else:
        found = found[:: ceil(len(found) / most)]
    return found if len(found) > 1 else _steps(low, high, most)
