"""The shapes of marks, and how dots in a row are stacked so that none hides another. It knows no
figure.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, pi, sin, sqrt

OPEN = {"ring": "circle", "box": "square"}
"""Shapes that are drawn by their edge, with the shape of it."""
BARE = {"cross", "plus"}
"""Shapes that are lines alone."""
_ANGLES = {
    "triangle": (3, -90.0, 1.25),
    "down": (3, 90.0, 1.25),
    "right": (3, 0.0, 1.25),
    "left": (3, 180.0, 1.25),
    "diamond": (4, -90.0, 1.3),
    "square": (4, 45.0, 1.25),
    "hexagon": (6, 0.0, 1.12),
}


ROUND = {"circle", "ring", "hexagon"}


def apart(shape: str, r: float) -> float:
    """How far centres of two such marks must be from each other so that neither hides the
    other."""
    return 2 * r + 0.6 if shape in ROUND else 2.35 * r


def mark(shape: str, x: float, y: float, r: float, classes: str, title: str = "") -> str:
    """A mark about a place.

    Parameters
    ----------
    shape
        One of `palette.SHAPES`, or `star`, `diamond`.
    x, y, r
        Its centre and the radius of a circle as large.
    classes
        Those of its series and role.
    title
        Said where it is pointed at, escaped.
    """
    own = " open" if shape in OPEN else " bare" if shape in BARE else ""
    given = f'class="{classes}{own}"'
    shape = OPEN.get(shape, shape)
    if shape == "circle":
        body = f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}" {given}'
    else:
        body = f'<path d="{_outline(shape, x, y, r)}" {given}'
    return f"{body}><title>{title}</title></{body[1:].split()[0]}>" if title else f"{body}/>"


def _outline(shape: str, x: float, y: float, r: float) -> str:
    if shape in BARE:
        d = r if shape == "plus" else r * 0.75
        a, b = ((d, 0.0), (0.0, d)) if shape == "plus" else ((d, d), (d, -d))
        return "".join(f"M{x - dx:.1f} {y - dy:.1f}L{x + dx:.1f} {y + dy:.1f}" for dx, dy in (a, b))
    if shape == "star":
        spots = [
            _at(x, y, r * (1.6 if place % 2 == 0 else 0.68), -90 + 36 * place)
            for place in range(10)
        ]
    else:
        corners, turned, grown = _ANGLES[shape]
        spots = [_at(x, y, r * grown, turned + 360 * place / corners) for place in range(corners)]
    return "M" + "L".join(spots) + "Z"


def _at(x: float, y: float, r: float, degrees: float) -> str:
    return f"{x + r * cos(degrees * pi / 180):.1f} {y + r * sin(degrees * pi / 180):.1f}"


def swarm(places: Sequence[float], least: float) -> list[float]:
    """How far each dot of a row is moved across it, so that no two are nearer than `least`: never
    by chance, and the least that is needed, from the smallest place on.

    Parameters
    ----------
    places
        Along the row.
    least
        Least distance of two dots' centres.
    """
    offsets = [0.0] * len(places)
    placed: list[tuple[float, float]] = []
    for index in sorted(range(len(places)), key=lambda each: (places[each], each)):
        near = [
            (offset, sqrt(least**2 - (places[index] - place) ** 2))
            for place, offset in placed
            if places[index] - place < least
        ]
        candidates = [0.0, *(offset + sign * gap for offset, gap in near for sign in (-1, 1))]
        offsets[index] = next(
            candidate
            for candidate in sorted(candidates, key=lambda each: (round(abs(each), 6), each))
            if all(abs(candidate - offset) >= gap - 1e-6 for offset, gap in near)
        )
        placed.append((places[index], offsets[index]))
        placed = [each for each in placed if places[index] - each[0] < least]
    return offsets


def lanes(spans: Sequence[tuple[float, float]], gap: float) -> list[int]:
    """For each span, in order, the first lane in which it meets none that is already there."""
    taken: list[list[tuple[float, float]]] = []
    found = []
    for low, high in spans:
        lane = next(
            (
                number
                for number, others in enumerate(taken)
                if all(high + gap <= a or b + gap <= low for a, b in others)
            ),
            len(taken),
        )
        if lane == len(taken):
            taken.append([])
        taken[lane].append((low, high))
        found.append(lane)
    return found
