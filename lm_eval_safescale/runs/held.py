"""What became of each draw, as far as lines say: which of several answers to it counts, and what
has none. It reads no file.

Draws stand in masks, whole numbers in which bit d is draw d: a large study has millions of them.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Collection, Iterable
from sys import intern

from lm_eval_safescale.records import Status
from lm_eval_safescale.runs.lines import Draw, Line

_FILTERED = Status.FILTERED.value


def mask_of(draws: Iterable[int]) -> int:
    """The mask of some draws."""
    mask = 0
    for draw in draws:
        mask |= 1 << draw
    return mask


def draws_in(mask: int) -> list[int]:
    """The draws of a mask, in order."""
    return [draw for draw in range(mask.bit_length()) if mask >> draw & 1]


class Held:
    """The draws that were answered or failed, by condition and item.

    Where a draw was answered twice, as by two runners, the first answer counts; and in the place of
    one that a content filter held back, a later one that it let through.
    """

    def __init__(self) -> None:
        self.answered: dict[str, dict[str, int]] = defaultdict(dict)
        """Masks by condition and item."""
        self.filtered: dict[tuple[str, str], int] = {}
        """Masks of those of them that a content filter held back."""
        self.responses: set[str] = set()
        """All that were given, each once."""
        self._failed: dict[str, dict[str, tuple[int, str]]] = {}

    def __len__(self) -> int:
        """The number of draws that were answered."""
        return sum(mask.bit_count() for items in self.answered.values() for mask in items.values())

    @property
    def conditions(self) -> list[str]:
        """Those that any line speaks of."""
        return [
            *dict.fromkeys(
                [*(name for name, items in self.answered.items() if items), *self._failed]
            )
        ]

    def of(self, condition: str, item: str) -> int:
        """The draws of an item that were answered."""
        return self.answered[condition].get(item, 0)

    def add(self, line: Line) -> int:
        """Note what a line says, and take from it the draws that do not count.

        Returns
        -------
        Draws of earlier lines that count no more: a content filter held them back, and this line
        has them.
        """
        condition, item = line.condition, line.question_id
        items, own, filtered = self.answered[condition], 0, 0
        for draw in line.draws:
            bit = 1 << draw.draw
            own |= bit
            if draw.response is not None:
                self.responses.add(draw.response)
            elif draw.status == _FILTERED:
                filtered |= bit
        there, replaced = items.get(item, 0), 0
        if own & there or own.bit_count() < len(line.draws):
            held_back = self.filtered.get((condition, item), 0)
            kept = list(_counting(line.draws, there, held_back))
            leave(line, kept)
            own, filtered = (
                mask_of(draw.draw for draw in kept),
                mask_of(draw.draw for draw in kept if draw.status == _FILTERED),
            )
            replaced = own & held_back
            if replaced:
                self.filtered[condition, item] = held_back & ~replaced
        if own:
            items[item if there else intern(item)] = _same(there | own)
        if filtered:
            self.filtered[condition, item] = self.filtered.get((condition, item), 0) | filtered
        if line.failed:
            failed = self._failed.setdefault(condition, {})
            failed[item] = (failed.get(item, (0, ""))[0] | mask_of(line.failed), line.error)
        return replaced

    def failures(
        self, conditions: Collection[str] | None = None
    ) -> dict[str, dict[str, tuple[list[int], str]]]:
        """Draws that failed and were never answered, by condition (all, or some) and item, with the
        last reason."""
        found: dict[str, dict[str, tuple[list[int], str]]] = {}
        for condition, items in self._failed.items():
            for item, (mask, error) in (
                items.items() if conditions is None or condition in conditions else ()
            ):
                if left := mask & ~self.of(condition, item):
                    found.setdefault(condition, {})[item] = (draws_in(left), error)
        return found


@functools.lru_cache(maxsize=1 << 12)
def _same(mask: int) -> int:
    """Masks that are alike once: of a large study there are many items, and few ways in which their
    draws are there."""
    return mask


def _counting(draws: Iterable[Draw], there: int, held_back: int) -> Iterable[Draw]:
    """Of the draws of a line, those that count beside those that are `there`, some of which were
    held back."""
    for draw in draws:
        bit = 1 << draw.draw
        if not there & bit or (held_back & bit and draw.status != _FILTERED):
            there, held_back = there | bit, held_back & ~bit
            yield draw


class FirstDraws:
    """Tells which draws of lines count, and takes the others from them; from earlier lines, too."""

    def __init__(self) -> None:
        self.held = Held()
        self._filtered: dict[tuple[str, str], list[Line]] = {}

    def of(self, line: Line) -> bool:
        """Take from a line the draws that do not count, and from those before it those that count
        no more; whether anything is left."""
        key = line.condition, line.question_id
        if again := self.held.add(line):
            for earlier in self._filtered[key]:
                leave(earlier, [draw for draw in earlier.draws if not again >> draw.draw & 1])
        if any(draw.status == _FILTERED for draw in line.draws):
            self._filtered.setdefault(key, []).append(line)
        return bool(line.draws or line.failed)


def leave(line: Line, draws: list[Draw]) -> None:
    """These draws of a line, and the seed of the first of them."""
    if draws and line.seed is not None:
        line.seed += draws[0].draw - line.draws[0].draw
    line.draws = draws
