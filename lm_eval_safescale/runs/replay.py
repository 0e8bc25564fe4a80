"""The lines of a run read back from its folder as they are needed: in the order in which they were
written, or in that of the tables.

No line is held: texts of a large study would fill the memory.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.runs.held import FirstDraws, Held
from lm_eval_safescale.runs.lines import Known, Line, Shard, decoded, lines_in, shards_of

PIECE_BYTES, PIECE_DRAWS = 1 << 22, 1 << 12
"""Of lines that are in memory together; all of one item are."""


class Replay:
    """The whole lines of a run.

    Parameters
    ----------
    folder
        Of the run.
    known
        What its lines may speak of; others are damaged. None: not looked at.
    identity
        Whose answers they must be; None for anyone's.

    Attributes
    ----------
    held
        What the lines say became of each draw; complete once they were all read, which may be once.
    damaged
        The number of lines that do not count; likewise.
    """

    def __init__(
        self, folder: Path, known: Known | None = None, identity: Mapping[str, Any] | None = None
    ) -> None:
        self._folder, self._known, self._identity = folder, known, identity
        self.held, self.damaged = Held(), 0

    def __iter__(self) -> Iterator[Line]:
        """The lines as they were written, with the draws that count beside those before; one that a
        later line replaces is there still.

        Raises
        ------
        SafescaleError
            If a file cannot be read, or says that it is of another run than it must be.
        """
        for path in shards_of(self._folder):
            for line, _, _ in self._of(path):
                yield line

    def read(self) -> Held:
        """What the lines say became of each draw, once they were all read; SafescaleError as for
        the lines in order."""
        deque(self, maxlen=0)
        return self.held

    def pieces(self, place: Callable[[Line], int]) -> Iterator[list[Line]]:
        """The lines in the order of their places, each draw once: a few at a time, all of one place
        together.

        Parameters
        ----------
        place
            Of an item under a condition, a whole number from 0.

        Raises
        ------
        SafescaleError
            As for the lines in order; or if they change meanwhile.
        """
        paths = shards_of(self._folder)
        shards, starts, lengths, places, draws = (
            array("i"),
            array("q"),
            array("q"),
            array("q"),
            array("i"),
        )
        for number, path in enumerate(paths):
            for line, start, length in self._of(path):
                shards.append(number)
                starts.append(start)
                lengths.append(length)
                places.append(place(line))
                draws.append(len(line.draws) + len(line.failed))
        index = [np.asarray(each) for each in (shards, starts, lengths)]
        return self._read(paths, index, *_cut(*map(np.asarray, (places, lengths, draws))))

    def _of(self, path: Path) -> Iterator[tuple[Line, int, int]]:
        shard, seen = Shard(path), 0
        for line, start, length in lines_in(shard, self._known):
            if len(shard.headers) > seen:
                seen = self._check(shard)
            self.held.add(line)
            if line.draws or line.failed:
                yield line, start, length
        self._check(shard)
        self.damaged += len(shard.damaged)

    def _check(self, shard: Shard) -> int:
        if self._identity is not None and any(
            header["identity"] != self._identity for header in shard.headers
        ):
            raise SafescaleError(
                f"{shard.path}: answers of another run than the one of this folder; take the file "
                "away"
            )
        return len(shard.headers)

    def _read(
        self,
        paths: Sequence[Path],
        index: Sequence[NDArray[Any]],
        order: NDArray[np.int64],
        ends: Sequence[int],
    ) -> Iterator[list[Line]]:
        shards, starts, lengths = index
        begin = 0
        for end in ends:
            wanted = order[begin:end]
            found: dict[int, bytes] = {}
            for number in np.unique(shards[wanted]):
                try:
                    with paths[number].open("rb") as file:
                        for each in np.sort(wanted[shards[wanted] == number]):
                            file.seek(starts[each])
                            found[each] = file.read(lengths[each])
                except OSError as error:
                    raise SafescaleError(
                        f"{paths[number]}: cannot be read ({error.strerror})"
                    ) from None
            first = FirstDraws()
            lines = [line for each in wanted if first.of(line := decoded(found.pop(each)))]
            # a later one may take all draws of one
            yield [line for line in lines if line.draws or line.failed]
            begin = end


def _cut(
    places: NDArray[np.int64], lengths: NDArray[np.int64], draws: NDArray[np.int32]
) -> tuple[NDArray[np.int64], list[int]]:
    """The order of lines by place, and where in it pieces end."""
    order = np.argsort(places, kind="stable")
    places = places[order]
    size = np.maximum(
        np.cumsum(lengths[order]) / PIECE_BYTES, np.cumsum(draws[order]) / PIECE_DRAWS
    )
    ends, before = [], 0.0
    # of each place
    for last in np.flatnonzero(np.append(places[1:] != places[:-1], True)[: len(order)]):
        if size[last] - before >= 1 or last == len(order) - 1:
            ends.append(int(last) + 1)
            before = size[last]
    return order, ends
