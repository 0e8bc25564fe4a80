"""How the items of a study were drawn, and so how they are resampled: which belong to one unit, and
in which strata. It knows numbers of units and strata, and no values.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.stats.arrays import Floats, Ints
from lm_eval_safescale.stats.bootstrap import (
    SEED,
    B,
    leave_out,
    protocol_indices,
    stratified_indices,
    times_drawn,
)
from lm_eval_safescale.stats.units import Effect, design_effect, design_effect_at


@dataclass(frozen=True, slots=True)
class Design:
    """A sample of items.

    Parameters
    ----------
    n
        Number of items.
    units
        Number of the unit of each item, from 0 in the order of first appearance; empty where each
        item is its own.
    strata
        Stratum of each item (`stats.strata_of`), within which units are drawn; empty for none. A
        unit is of the stratum of its first item.
    seed
        Of the resamples. Another one is for the items of another data set, which have nothing to do
        with these.
    """

    n: int
    units: tuple[int, ...] = ()
    strata: tuple[int, ...] = ()
    seed: int = SEED

    @classmethod
    def of(cls, n: int, units: Sequence[str] = (), strata: tuple[int, ...] = ()) -> Design:
        """The design of n items with these units by name; names that all differ are none."""
        place = {name: number for number, name in enumerate(dict.fromkeys(units))}
        return cls(
            n, tuple(place[name] for name in units) if len(place) < len(units) else (), strata
        )

    @property
    def numbers(self) -> Ints | None:
        """The unit of each item as an array; None where each is its own."""
        return np.array(self.units) if self.units else None

    @property
    def unit_of(self) -> Ints:
        """The unit of each item, shape (n,)."""
        return np.array(self.units) if self.units else np.arange(self.n)

    @property
    def n_units(self) -> int:
        """Number of units."""
        return max(self.units) + 1 if self.units else self.n

    def count(self, items: NDArray[np.bool_]) -> int:
        """Of how many units some of the items are, shape (n,)."""
        return len(np.unique(np.array(self.units)[items])) if self.units else int(items.sum())

    def of_one_size(self, items: NDArray[np.bool_]) -> int:
        """How many units of one size tell as much as those of some of the items, shape (n,):
        (sum m)^2 / sum m^2, of m items a unit. Many small units beside a few large ones tell
        little."""
        sizes = np.bincount(self.unit_of[items], minlength=1)
        return int(sizes.sum()) ** 2 // max(1, int((sizes**2).sum()))

    @property
    def weights(self) -> Floats:
        """How often each item is drawn in 1,000 seeded resamples, shape (n, 1000): units are drawn
        whole. With one item a unit those of PROTOCOL §8."""
        return _weights(self)

    def drawn(self, resamples: int) -> Floats:
        """`weights` of so many resamples, shape (n, resamples), made at each call."""
        strata = self.strata
        if self.units and strata:
            first = np.unique(self.unit_of, return_index=True)[1]
            strata = tuple(strata[place] for place in first)
        indices = (
            stratified_indices(strata, resamples, self.seed)
            if strata
            else protocol_indices(self.n_units, resamples, self.seed)
        )
        return self._of_items(times_drawn(indices, self.n_units))

    @property
    def left_out(self) -> Floats:
        """`stats.leave_out` of the units, shape (n, groups)."""
        return self._of_items(leave_out(self.n_units))

    def _of_items(self, by_unit: Floats) -> Floats:
        """What holds of each unit, for each of its items."""
        return np.asarray(by_unit[self.unit_of]) if self.units else by_unit

    def effect(self, values: Floats) -> Effect | None:
        """The design effect of each column, shape (n, M); None where each item is its own unit."""
        return design_effect(values, np.array(self.units)) if self.units else None

    def effect_at(self, column: Ints, item: Ints, value: Floats, columns: int) -> Effect | None:
        """`effect` of values given one by one: the column, the item and the value of each."""
        if not self.units:
            return None
        return design_effect_at(column, np.array(self.units)[item], value, columns)


@functools.lru_cache(maxsize=64)
def _weights(design: Design) -> Floats:
    weights = design.drawn(B)
    weights.flags.writeable = False
    return weights
