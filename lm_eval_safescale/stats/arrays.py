"""Names for the arrays that this package takes and gives, and the one check most functions
share.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.integer]
Bools = NDArray[np.bool_]


def same_shape(names: str, *arrays: ArrayLike) -> tuple[Floats, ...]:
    """The arrays as float64; ValueError naming them where their shapes differ."""
    given = tuple(np.asarray(array, dtype=np.float64) for array in arrays)
    if len({array.shape for array in given}) > 1:
        raise ValueError(
            f"expected {names} of one shape, not "
            f"{' and '.join(str(array.shape) for array in given)}"
        )
    return given


def between(name: str, value: float, low: float = 0.0, high: float = 1.0) -> float:
    """The value, or a ValueError unless it lies strictly between the two."""
    if not low < value < high:
        raise ValueError(f"{name} is {value}; expected a number between {low:g} and {high:g}")
    return float(value)
