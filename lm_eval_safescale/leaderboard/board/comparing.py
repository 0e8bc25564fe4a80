"""Verified submissions of one family and data set compared: ranks, fronts, open and held-out items,
disputed items. It opens no submission, and knows metrics as a family names them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from numpy.typing import NDArray

from lm_eval_safescale.analysis import Disputes, Preset, Study
from lm_eval_safescale.analysis.disputed import disputed
from lm_eval_safescale.analysis.figures import Figures, Places, figures_of, taken
from lm_eval_safescale.analysis.profile_columns import MEASURES
from lm_eval_safescale.analysis.ranks import ranks
from lm_eval_safescale.errors import FAILURES, SafescaleError, reason_of
from lm_eval_safescale.families.rows import Row, number
from lm_eval_safescale.inputs import InputError, read_bytes
from lm_eval_safescale.json_text import decode_json
from lm_eval_safescale.leaderboard.board.folder import looks
from lm_eval_safescale.leaderboard.board.recomputing import Stored
from lm_eval_safescale.leaderboard.board.result import (
    Comparison,
    Entry,
    Flag,
    Front,
    Gap,
    Place,
    Point,
)
from lm_eval_safescale.leaderboard.pack import study_of
from lm_eval_safescale.metrics import Metric, scored
from lm_eval_safescale.report.site import slug
from lm_eval_safescale.runs import Runs, provenance
from lm_eval_safescale.runs.store import merge_runs
from lm_eval_safescale.sentences import listed
from lm_eval_safescale.stats import holm
from lm_eval_safescale.stats.design import Design
from lm_eval_safescale.stats.gaps import gaps
from lm_eval_safescale.stats.presets import Floats
from lm_eval_safescale.words import counted, meant

MOST_HELD_OUT = 50_000_000
"""Bytes of a list of items."""
ROOT_DIGITS = 8
MOST_NAMED = 3
"""Of the others in what a flag says: it may be one of thousands."""
SIGNIFICANT = 0.025
"""One-sided, adjusted: as the interval of 95 % has it on that side."""
OF_JUDGE = ("judge", "prompt_sha256")
"""Of what is said of a judging: in which two that compare do not differ."""
ERRORS = ("omission", "commission")


@dataclass(frozen=True)
class HeldOut:
    """Items that nobody could train on, as the organiser names them."""

    ids: frozenset[str]
    source: str
    """The file's name."""


def read_held_out(path: Path) -> HeldOut:
    """The ids of items in a file: a JSON list, or a line each.

    Raises
    ------
    SafescaleError
        If it cannot be read, is something else, or names an item twice, or none.
    """
    content = read_bytes(path, MOST_HELD_OUT)
    try:
        if content.lstrip()[:1] == b"[":
            names = msgspec.convert(decode_json(content), list[str])
        else:
            names = [line.strip() for line in content.decode("utf-8-sig").splitlines()]
            names = [name for name in names if name]
    except ValueError as error:
        raise InputError(
            path, f"{reason_of(error)}; expected a JSON list of ids of items, or a line each"
        ) from None
    if not names or len(set(names)) < len(names):
        what = "an item stands twice" if names else "it names no item"
        raise InputError(path, f"{what}; expected ids of items, each once")
    return HeldOut(frozenset(names), path.name)


def compare(
    entries: Sequence[tuple[Stored, Runs]],
    preset: Preset,
    held_out: HeldOut | None = None,
    disputes: Disputes | None = None,
) -> tuple[list[Comparison], dict[str, Entry]]:
    """Comparisons of verified submissions, and their entries with label, flags and comparison, by
    the file of each.

    Raises
    ------
    SafescaleError
        If held-out or disputed items are of no data set here.
    """
    groups: dict[str, list[tuple[Stored, Runs]]] = {}
    for stored, runs in entries:
        groups.setdefault(_subject(stored.entry, runs), []).append((stored, runs))
    taken_names: set[str] = set()
    keyed = []
    for group in groups.values():
        first = group[0][0].entry.dataset
        key = slug(f"{first['family']}-{first['name']}", taken_names)
        keyed.append((key, _labelled(key, group)))
    known = [str(name) for _, group in keyed for name in group[0][2].items["question_id"]]
    if keyed:
        _refuse_unknown(held_out, disputes, known)
    found, named = [], {}
    for key, labelled in keyed:
        comparison, left_out = _compared(key, labelled, preset, held_out, disputes)
        found.append(comparison)
        for entry, stored, _ in labelled:
            flags = entry.flags
            if entry.label in left_out:
                flags = (*flags, Flag(kind="not compared", others=(), said=left_out[entry.label]))
            named[stored.entry.file] = replace(entry, flags=flags)
    return found, named


def _refuse_unknown(
    held_out: HeldOut | None, disputes: Disputes | None, known: Sequence[str]
) -> None:
    if disputes is not None:
        disputes.refuse_unknown(known)
    if held_out is None:
        return
    if odd := sorted(held_out.ids - set(known)):
        more = f" (and {counted(len(odd) - 1, 'more item')})" if len(odd) > 1 else ""
        raise SafescaleError(
            f"{held_out.source}: {odd[0]!r:.80} is no item of this board{more}"
            f"{meant(odd[0][:80], known)}. Expected items of its data sets"
        )


def _subject(entry: Entry, runs: Runs) -> str:
    """What entries must share to be compared: data, the settings they are weighed by, and who
    judged them, where a judge does."""
    family = runs.family
    weighed = {
        name: value for name, value in study_of(runs).scoring.items() if name != family.threshold
    }
    readings = [
        provenance.setting_of(runs, *pair, provenance.READING) or {}
        for pair in (runs.draws if family.judged else ())
    ]
    judged = {
        msgspec.json.encode([each.get(name) for name in OF_JUDGE], order="deterministic").decode()
        for each in readings
    }
    subject = [
        *(family.name, family.version, entry.dataset["fingerprint"], entry.demo, weighed),
        sorted(judged),
    ]
    return msgspec.json.encode(subject, order="deterministic").decode()


# --- who is who -----------------------------------------------------------------------------------

Labelled = tuple[Entry, Stored, Runs]


def _labelled(key: str, group: Sequence[tuple[Stored, Runs]]) -> list[Labelled]:
    """The entries by labels that nobody takes for one another, with what readers should know."""
    labels, alike = _labels([stored.entry for stored, _ in group])
    found = []
    for stored, runs in group:
        others = [other for other, _ in group if other is not stored]
        flags = tuple(_flags(stored, others, labels, alike))
        entry = replace(stored.entry, label=labels[stored.entry.file], comparison=key, flags=flags)
        found.append((entry, stored, runs))
    return sorted(found, key=lambda each: (each[0].label.casefold(), each[0].root))


def _labels(entries: Sequence[Entry]) -> tuple[dict[str, str], set[tuple[str, str]]]:
    """A label for each file, and the pairs of files that would look alike. A name may be another's
    with the digits that this one gets: those that still look alike get more."""
    labels = {entry.file: entry.label for entry in entries}
    pairs: set[tuple[str, str]] = set()
    digits = dict.fromkeys(labels, ROOT_DIGITS)
    while True:
        files: dict[str, list[str]] = {}
        for file, label in labels.items():
            files.setdefault(looks(label), []).append(file)
        again = {file: same for same in files.values() if len(same) > 1 for file in same}
        if not again:
            return labels, pairs
        for entry in entries:
            if own := again.get(entry.file):
                pairs |= {(entry.file, other) for other in own}
                labels[entry.file] = f"{entry.label} · {entry.root[: digits[entry.file]]}"
                digits[entry.file] *= 2


def _flags(
    own: Stored,
    others: Sequence[Stored],
    labels: Mapping[str, str],
    alike: Collection[tuple[str, str]],
) -> Iterator[Flag]:
    def of(kind: str, said: str, same: Iterable[Stored]) -> Iterator[Flag]:
        names = tuple(sorted(labels[each.entry.file] for each in same))
        if names:
            yield Flag(kind=kind, others=names, said=said.format(listed(names, MOST_NAMED)))

    yield from of(
        "same name",
        "another submission goes by the same name, or one that looks like it: {}",
        (each for each in others if (own.entry.file, each.entry.file) in alike),
    )
    yield from of(
        "same answers",
        "every answer under a condition is that of another submission: {}",
        (each for each in others if own.answers.items() & each.answers.items()),
    )
    yield from of(
        "same weights",
        "by what is claimed, its weights are those of another submission: {}",
        (each for each in others if own.weights and own.weights == each.weights),
    )


# --- together -------------------------------------------------------------------------------------


def _compared(
    key: str,
    group: Sequence[Labelled],
    preset: Preset,
    held_out: HeldOut | None,
    disputes: Disputes | None,
) -> tuple[Comparison, dict[str, str]]:
    """The comparison, and why entries are not in it."""
    runs, left_out = _together({entry.label: _renamed(own, entry) for entry, _, own in group})
    entries = {entry.label: entry for entry, *_ in group if entry.label not in left_out}
    ids = {str(name) for name in runs.items["question_id"]}
    own_disputes = _part_of(disputes, ids)
    study = replace(study_of(runs), disputes=own_disputes)
    complaints = [f"{label}: {why}" for label, why in left_out.items()]

    def tried(what: str, make: Any, *given: Any) -> Any:
        try:
            return make(study, *given)
        except FAILURES as error:
            complaints.append(f"{what} could not be computed: {reason_of(error)}")
            return ()

    out = None if held_out is None else held_out.ids & ids
    ranked = _ranked(study)
    return Comparison(
        key=key,
        family=study.family.name,
        label=study.family.label,
        dataset=next(iter(entries.values())).dataset,
        judge=next(iter(entries.values())).judge,
        entries=tuple(entries),
        conditions=tuple(study.conditions),
        metrics=tuple(metric.name for metric in ranked),
        places=tried("ranks", _places, entries, ranked, preset),
        fronts=tried("fronts", _fronts, ranked, preset),
        held_out=tried("held-out items", _gaps, out, preset) if out else (),
        held_out_items=len(out or ()),
        disputed=tuple(tried("disputed items", disputed, preset)),
        disputed_items=0 if own_disputes is None else len(own_disputes),
        complaints=tuple(complaints),
        study=study,
    ), left_out


def _part_of(disputes: Disputes | None, ids: set[str]) -> Disputes | None:
    """The disputes of some of these items; None where none is disputed, or every one."""
    if disputes is None:
        return None
    own = tuple(each for each in disputes.items if each.question_id in ids)
    return replace(disputes, items=own) if 0 < len(own) < len(ids) else None


def _together(runs: Mapping[str, Runs]) -> tuple[Runs, dict[str, str]]:
    """Runs as one, without those that do not go with the first of them, and why these do not."""
    try:
        return merge_runs(runs), {}
    except FAILURES:
        label, first = next(iter(runs.items()))
    fit, left_out = {label: first}, dict[str, str]()
    for name, own in list(runs.items())[1:]:
        try:
            merge_runs({label: first, name: own})
            fit[name] = own
        except FAILURES as error:
            left_out[name] = reason_of(error)
    return merge_runs(fit), left_out


def _renamed(runs: Runs, entry: Entry) -> Runs:
    """The runs of an entry, the model being called by its label."""
    ((_, known),) = runs.about["models"].items()
    answers = runs.answers.with_columns(pl.lit(entry.label).alias("model"))
    about = {
        **runs.about,
        "models": {entry.label: known},
        "left_out": [
            {**each, "model": each.get("model") and entry.label}
            for each in runs.about.get("left_out", ())
        ],
    }
    return Runs(runs.items, answers, about)


def _ranked(study: Study) -> list[Metric]:
    """What entries are ranked by, the headlines first."""
    names = list(study.family.headlines)
    own = [metric for metric in study.metrics if metric.in_table and metric.name not in MEASURES]
    return sorted(
        own, key=lambda each: names.index(each.name) if each.name in names else len(names)
    )


def _places(
    study: Study, entries: Mapping[str, Entry], ranked: Sequence[Metric], preset: Preset
) -> tuple[Place, ...]:
    """Values are those that verifying computed; intervals and ranks are of all together."""
    own = {
        (label, row["condition"]): row for label, entry in entries.items() for row in entry.results
    }
    ranks_of = {
        (row["model"], row["condition"], row["metric"]): row for row in ranks(study, preset)
    }
    figures = study.figures(preset)
    found = []
    for place, (label, condition) in enumerate(study.scores):
        for metric in ranked:
            each = figures[metric.name]
            value = own[label, condition].get(metric.name, number(each.value[place]))
            rank = ranks_of.get((label, condition, metric.name), {})
            if not rank and value is not None:  # alone under this condition
                rank = {"rank_lo": 1, "rank_hi": 1, "best_set": True}
            found.append(
                Place(
                    label=label,
                    condition=condition,
                    metric=metric.name,
                    value=value,
                    lo=number(each.lo[place]),
                    hi=number(each.hi[place]),
                    n=int(each.n[place]),
                    rank=rank.get("rank_lo"),
                    rank_lo=rank.get("rank_lo"),
                    rank_hi=rank.get("rank_hi"),
                    is_best=rank.get("best_set", False),
                )
            )
    return tuple(found)


# --- fronts ---------------------------------------------------------------------------------------


def _fronts(study: Study, ranked: Sequence[Metric], preset: Preset) -> tuple[Front, ...]:
    """The index against each risk among the headlines, of all metrics where these have none; and
    errors of omission against those of commission."""
    index = next((each for each in ranked if each.name == study.family.index), ranked[0])
    risks = [each for each in ranked if not each.higher_is_better and each.name != index.name]
    risks = [each for each in risks if each.name in study.family.headlines] or risks
    figures, cells = study.figures(preset), list(study.scores)
    found = []
    for condition in study.conditions:
        places = [place for place, (_, name) in enumerate(cells) if name == condition]
        for risk in risks:
            points = {
                cells[place][0]: (
                    number(figures[index.name].value[place]),
                    number(figures[risk.name].value[place]),
                )
                for place in places
            }
            directions = index.higher_is_better, risk.higher_is_better
            found.append(front_of(condition, (index.name, risk.name), directions, points))
    if study.family.errors:
        rows = study.family.tables[study.family.errors].make(study, preset)
        for condition in study.conditions:
            rates = {
                (row["model"], row["error"]): row["rate"]
                for row in rows
                if row["by"] is None and row["condition"] == condition
            }
            points = {
                label: (rates.get((label, ERRORS[0])), rates.get((label, ERRORS[1])))
                for label, name in cells
                if name == condition
            }
            found.append(front_of(condition, ERRORS, (False, False), points))
    return tuple(each for each in found if each.points)


def front_of(
    condition: str,
    names: tuple[str, str],
    higher_is_better: tuple[bool, bool],
    points: Mapping[str, tuple[float | None, float | None]],
) -> Front:
    """A plane of two metrics, with which points no other is better than (Pareto's front)."""
    known = {label: (x, y) for label, (x, y) in points.items() if x is not None and y is not None}
    signs = [1 if higher else -1 for higher in higher_is_better]
    values = np.array([*known.values()], dtype=np.float64).reshape(-1, 2) * signs
    on_front = [
        not ((values >= own).all(axis=1) & (values > own).any(axis=1)).any() for own in values
    ]
    return Front(
        condition=condition,
        x=names[0],
        y=names[1],
        higher_is_better=higher_is_better,
        points=tuple(
            Point(label=label, x=x, y=y, is_on_front=best)
            for (label, (x, y)), best in zip(known.items(), on_front, strict=True)
        ),
    )


# --- open and held-out items ----------------------------------------------------------------------


def _gaps(study: Study, held_out: frozenset[str], preset: Preset) -> tuple[Gap, ...]:
    ids = list(study.items.ids)
    parts = [
        np.array([n for n, name in enumerate(ids) if (name in held_out) == wanted])
        for wanted in (False, True)
    ]
    _refuse_split(study, parts)
    first, second = map(study.design_of, parts)
    designs = first, replace(second, seed=second.seed + 1)  # items apart from the others
    columns = [taken(study.column, part) for part in parts]
    metrics = [each for each in study.metrics if each.name in study.family.headlines]
    figures = [
        figures_of(metrics, column, preset, design)
        for column, design in zip(columns, designs, strict=True)
    ]
    cells = list(study.scores)
    found = []
    for metric in metrics:
        sides = [
            _Side(
                own[metric.name],
                metric.value([column(name) for name in metric.sources], design.weights),
                scored([column(name) for name in metric.sources]),
                design,
            )
            for own, column, design in zip(figures, columns, designs, strict=True)
        ]
        sign = 1.0 if metric.higher_is_better else -1.0
        for condition in study.conditions:
            places = [place for place, (_, name) in enumerate(cells) if name == condition]
            found += [
                Gap(label=cells[place][0], condition=condition, metric=metric.name, **row)
                for place, row in zip(places, _gaps_of(sides, places, sign), strict=False)
            ]
    return tuple(found)


def _refuse_split(study: Study, parts: Sequence[Places]) -> None:
    """SafescaleError where all is held out, or a unit is in both parts."""
    if not len(parts[0]):
        raise SafescaleError("every item is held out: there is nothing to compare with")
    if study.items.units:
        first, second = ({study.items.units[place] for place in part} for part in parts)
        if both := first & second:  # which ones would tell of items that are held out
            raise SafescaleError(
                f"items of {counted(len(both), 'unit')} are open and held out; expected units whole"
            )


@dataclass(frozen=True)
class _Side:
    """A metric of all cells over the open items, or over the held-out ones."""

    figures: Figures
    resampled: Floats
    scored: NDArray[np.bool_]
    design: Design

    def bounded(self, places: Sequence[int], sign: float) -> tuple[Floats, Floats, Floats]:
        """Value and bounds of some cells, larger being better."""
        value, lo, hi = (
            sign * getattr(self.figures, name)[places] for name in ("value", "lo", "hi")
        )
        return (value, lo, hi) if sign > 0 else (value, hi, lo)

    def units(self, places: Sequence[int]) -> int:
        """Of how many units some of the cells have a value."""
        return self.design.count(np.asarray(self.scored[:, places].any(axis=1)))


def _gaps_of(sides: Sequence[_Side], places: Sequence[int], sign: float) -> Iterator[Row]:
    """All but the names of the gaps of some cells; none where a side has no value."""
    n = sides[0].units(places), sides[1].units(places)
    if not all(n):
        return
    values = [side.bounded(places, sign) for side in sides]
    drawn = [sign * side.resampled[places] for side in sides]
    both = gaps(values[0], values[1], (drawn[0], drawn[1]), n)
    adjusted = holm(both.p)
    for row, place in enumerate(places):
        yield {
            **{
                f"{name}{ending}": number(getattr(side.figures, of)[place])
                for name, side in zip(("open", "held_out"), sides, strict=True)
                for ending, of in (("", "value"), ("_lo", "lo"), ("_hi", "hi"))
            },
            "open_n": int(sides[0].figures.n[place]),
            "held_out_n": int(sides[1].figures.n[place]),
            **{each.name: number(getattr(both, each.name)[row]) for each in fields(both)},
            "p_holm": number(adjusted[row]),
            "is_beyond_chance": bool(adjusted[row] < SIGNIFICANT),
        }
