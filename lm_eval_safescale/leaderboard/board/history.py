"""What is stored of a board between builds, and what has changed since the last one. Whatever of it
is not as it was written counts as not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from lm_eval_safescale.checksums import document_of, read_document
from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.inputs import read_bytes
from lm_eval_safescale.leaderboard.board.recomputing import Stored
from lm_eval_safescale.leaderboard.board.result import (
    BuildRecord,
    Change,
    Comparison,
    Entry,
)

FORMAT, MARK = 1, "safescale_board"
STATE = "state"
STATE_FILE = f"{STATE}/board.json"
MOST_STATE = 1_000_000_000
"""Bytes."""
MOST_BUILDS = 1_000
"""That the history goes back."""
SHOWN = 3

Ranks = dict[str, tuple[int | None, int | None]]
"""Interval of ranks by comparison, condition and metric, as one name."""


@dataclass(frozen=True, kw_only=True)
class Last:
    """What the last build said of a file."""

    label: str
    sha256: str
    verdict: str
    level: str | None
    rests_on: Mapping[str, Any]
    results: Mapping[str, Mapping[str, Any]]
    """Headlines by condition."""
    ranks: Ranks


@dataclass(frozen=True, kw_only=True)
class State:
    """All that is stored."""

    stored: Mapping[str, Stored] = field(default_factory=dict)
    """By the file of each."""
    last: Mapping[str, Last] = field(default_factory=dict)
    """By the file."""
    history: tuple[BuildRecord, ...] = ()


def read_state(site: Path) -> tuple[State, str]:
    """What an earlier build has stored in its site, and why it is of no use; both empty where there
    was none."""
    path = site / STATE_FILE
    if not path.exists() and not path.is_symlink():
        return State(), ""
    try:
        value, is_checked = read_document(read_bytes(path, MOST_STATE))
        if value.pop(MARK, None) != FORMAT or not is_checked:
            raise SafescaleError(f"no state of format {FORMAT} with its checksum")
        return msgspec.convert(value, State), ""
    except (ValueError, RecursionError) as error:
        return State(), f"{path}: {reason_of(error)}; everything is computed again"


def state_document(state: State) -> bytes:
    """As it stands in the site."""
    return document_of({MARK: FORMAT, **msgspec.to_builtins(state)})


def last_of(
    entries: Iterable[Entry], comparisons: Sequence[Comparison], stored: Mapping[str, Stored]
) -> dict[str, Last]:
    """What this build says of each file; `stored` by file."""
    headlines = {each.key: tuple(each.study.family.headlines) for each in comparisons}
    ranks: dict[tuple[str, str], Ranks] = {}
    for comparison in comparisons:
        for place in comparison.places:
            if place.metric in headlines[comparison.key]:
                own = ranks.setdefault((comparison.key, place.label), {})
                own[f"{place.metric}, {place.condition}"] = (place.rank_lo, place.rank_hi)
    return {
        entry.file: Last(
            label=entry.label,
            sha256=entry.sha256,
            verdict=entry.verdict.value,
            level=entry.level,
            rests_on=stored[entry.file].rests_on if entry.file in stored else {},
            results={
                row["condition"]: {name: row.get(name) for name in headlines[entry.comparison]}
                for row in entry.results
                if entry.comparison in headlines
            },
            ranks=ranks.get((entry.comparison, entry.label), {}),
        )
        for entry in entries
    }


def changes(before: Mapping[str, Last], now: Mapping[str, Last]) -> Iterator[Change]:
    """What differs between two builds, by the file of each entry."""
    others = []
    for file in sorted(before.keys() - now.keys()):
        gone = before[file]
        others.append(gone.label)
        yield Change(kind="removed", label=gone.label, said=f"{file} is no longer there")
    for file in sorted(now.keys() - before.keys()):
        new = now[file]
        others.append(new.label)
        yield Change(kind="added", label=new.label, said=f"{file}: {_standing(new)}")
    for file in sorted(now.keys() & before.keys()):
        old, new = before[file], now[file]
        if old.sha256 != new.sha256:
            others.append(new.label)
            yield Change(kind="changed", label=new.label, said=f"{file} is another archive")
        why = "; ".join(_why(old, new))
        if _standing(old) != _standing(new):
            kind = "changed" if old.verdict == new.verdict else new.verdict
            said = f"{_standing(old)} before, now {_standing(new)}"
            yield Change(kind=kind, label=new.label, said=said, why=why)
        if old.verdict == new.verdict and (moved := [*_moved(old, new)]):
            yield Change(kind="numbers", label=new.label, said=_first(moved), why=why)
    for file in sorted(now.keys() & before.keys()):
        old, new = before[file], now[file]
        moved = [
            f"{name}: {_span(old.ranks[name])} before, now {_span(new.ranks[name])}"
            for name in old.ranks
            if name in new.ranks and tuple(old.ranks[name]) != tuple(new.ranks[name])
        ]
        if moved:
            why = "; ".join(_why(old, new)) or (
                f"compared with others: {_first(others, ', ')}" if others else ""
            )
            yield Change(kind="ranks", label=new.label, said=_first(moved), why=why)


def _standing(last: Last) -> str:
    return f"verified, {last.level}" if last.level else last.verdict


def _moved(old: Last, new: Last) -> Iterator[str]:
    for condition in [*old.results, *(new.results.keys() - old.results.keys())]:
        then, now = old.results.get(condition, {}), new.results.get(condition, {})
        for name in {**then, **now}:
            if then.get(name) != now.get(name):
                yield (
                    f"{name}, {condition}: {_figure(then.get(name))} before, now "
                    f"{_figure(now.get(name))}"
                )


_REASONS = {
    "version": "another version of this software",
    "family": "another version of the benchmark",
    "data": "another data set",
    "contexts": "other contexts",
    "allow_demo": "demo data are taken, or no longer",
    "published": "another published root hash",
    "by_organiser": "the organiser's mark",
    "record": "another record of a sample that was asked again",
}


def _why(old: Last, new: Last) -> Iterator[str]:
    if old.sha256 != new.sha256:
        yield "another archive"
    for name, said in _REASONS.items():
        if old.rests_on.get(name) != new.rests_on.get(name):
            yield said


def _figure(value: Any) -> str:
    return "not scored" if value is None else f"{value:.4g}"


def _span(ranks: Sequence[int | None]) -> str:
    lo, hi = ranks
    return "no rank" if lo is None else f"rank {lo}" if lo == hi else f"ranks {lo} to {hi}"


def _first(said: Sequence[str], between: str = "; ") -> str:
    more = f"{between}and {len(said) - SHOWN} more" if len(said) > SHOWN else ""
    return between.join(said[:SHOWN]) + more
