"""The tables of a standing: its submissions, ranks by every metric, open and held-out items, with
and without disputed ones. They are made from a comparison's rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from lm_eval_safescale.analysis.disputed import said_of_disputed
from lm_eval_safescale.figures import DataColumn, DataTable, Value, with_bounds
from lm_eval_safescale.leaderboard.board.pages.standing import Standing
from lm_eval_safescale.leaderboard.board.result import Entry, Flag, Gap, Place
from lm_eval_safescale.leaderboard.verify import Level
from lm_eval_safescale.report.disputed import table_of_disputed
from lm_eval_safescale.report.pages.common.rows import of_kind
from lm_eval_safescale.sections import Section
from lm_eval_safescale.sentences import listed
from lm_eval_safescale.words import counted

SIGNS = {Level.RECOMPUTED: "○", Level.REPEATED: "◐", Level.BY_ORGANISER: "●"}
"""Of the levels: the more is filled, the more stands behind a submission."""
MOST_NAMED = 3
DEMO = "DEMO"


def tables_of(standing: Standing) -> Iterator[Section]:
    """Every table that has a row, but for that of the submissions."""
    if len(standing.metrics) > 1 and len(standing.ranked) > 1:
        yield _ranks(standing)
    yield from _held_out(standing)
    yield from _disputed(standing)


def submissions(standing: Standing) -> Section:
    """A row a submission."""
    report, first = standing.report, standing.first
    columns = (
        DataColumn("model", cases={}),
        *with_bounds("rank", kind="count"),
        DataColumn("shared", "shared with", "count"),
        *(
            column
            for name in standing.headlines
            for column in with_bounds(
                name,
                report.words(name),
                report.column_kind(name),
                cases={"condition": standing.condition, **of_kind(report, name)},
            )
        ),
        DataColumn("n", "items", "count"),
        DataColumn("level", "verified"),
        DataColumn("attempts", "attempts claimed", "count"),
        DataColumn("remarks"),
        DataColumn("made_at", "answered"),
        DataColumn("model_family", "model family"),
        DataColumn("parameters_b", "size, billions", "number"),
    )
    rows = [_row(standing, entry) for entry in standing.entries]
    return Section(
        f"Every submission, {standing.words}",
        lead=(
            f"Ranks are by {report.words(first)}. Below a value stands its 95 % interval; a name "
            "leads to the report of the model, a value to its cases."
            if first
            else ""
        ),
        data=DataTable.of(
            columns, rows, [standing.cases(entry.label) for entry in standing.entries]
        ),
        note=", ".join(f"{sign} {level.value}" for level, sign in SIGNS.items())
        + ". Shared with: how many others have the same rank.",
    )


def level_of(entry: Entry) -> str:
    """The level of verification, with its sign."""
    if entry.level is None:
        return entry.verdict.value
    return f"{SIGNS[entry.level]}\N{NO-BREAK SPACE}{entry.level.value}"


def remarks_on(entry: Entry, condition: str) -> list[str]:
    """What readers should know of an entry under a condition."""
    found = [DEMO] if entry.demo else []
    found += [_said_of(flag) for flag in entry.flags]
    if condition in entry.subsets:
        n, of = entry.subsets[condition]
        found.append(f"{n:,} of {counted(of, 'item')}")
    return found


def _said_of(flag: Flag) -> str:
    """In a few words: a cell has no room for many names."""
    if not flag.others:
        return flag.said
    n = len(flag.others)
    return f"{flag.kind} as {flag.others[0] if n == 1 else counted(n, 'other submission')}"


def _row(standing: Standing, entry: Entry) -> Mapping[str, Value]:
    first = standing.places.get((entry.label, standing.first))
    row: dict[str, Value] = {
        "model": entry.label,
        **_rank("rank", first),
        "shared": None if first is None or first.rank is None else standing.sharing(first),
        "n": None if first is None else first.n,
        "level": level_of(entry),
        "attempts": entry.attempts,
        "remarks": "; ".join(remarks_on(entry, standing.condition)) or None,
        "made_at": entry.made_at[:10] or None,
        "model_family": entry.card.get("model_family"),
        "parameters_b": entry.card.get("parameters_b"),
    }
    for name in standing.headlines:
        place = standing.places.get((entry.label, name))
        bounds = (None, None, None) if place is None else (place.value, place.lo, place.hi)
        row |= _bounded(name, *bounds)
    return row


def _bounded(name: str, value: Value, low: Value, high: Value) -> dict[str, Value]:
    return {name: value, f"{name}_lo": low, f"{name}_hi": high}


def _rank(name: str, place: Place | None) -> dict[str, Value]:
    if place is None:
        return _bounded(name, None, None, None)
    return _bounded(name, place.rank, place.rank_lo, place.rank_hi)


def _ranks(standing: Standing) -> Section:
    """Of each metric the rank with its interval."""
    words = standing.report.words
    rows = [
        {
            "model": entry.label,
            **{
                column: value
                for name in standing.metrics
                for column, value in _rank(name, standing.places.get((entry.label, name))).items()
            },
        }
        for entry in standing.entries
    ]
    return Section(
        "Ranks by every metric",
        lead="1 is the best; with 95 % probability all true ranks of a column lie within the "
        "intervals below.",
        data=DataTable.of(
            (
                DataColumn("model", cases={}),
                *(
                    column
                    for name in standing.metrics
                    for column in with_bounds(name, words(name), "count")
                ),
            ),
            rows,
            [standing.cases(entry.label) for entry in standing.entries],
        ),
        folded=True,
    )


def _held_out(standing: Standing) -> Iterator[Section]:
    """Figures on the open and on the held-out items, and the gap between them: a table a metric."""
    report = standing.report
    for metric in standing.metrics:
        gaps = [
            gap
            for gap in standing.comparison.held_out
            if gap.metric == metric and gap.condition == standing.condition
        ]
        if not gaps:
            continue
        kind = report.column_kind(metric)
        yield Section(
            f"Open and held-out items: {report.words(metric)}",
            lead=_said_of_gaps(standing.comparison.held_out_items, gaps),
            data=DataTable.of(
                (
                    DataColumn("model", cases={}),
                    *with_bounds("open", "open items", kind),
                    DataColumn("open_n", "n open", "count"),
                    *with_bounds("held_out", "held-out items", kind),
                    DataColumn("held_out_n", "n held out", "count"),
                    *with_bounds("gap", "gap", kind, ("lo", "hi")),
                    *with_bounds("excess", "beyond the others' gap", kind),
                    DataColumn("p", kind="number"),
                    DataColumn("p_holm", "p, Holm", "number"),
                    DataColumn("is_beyond_chance", "beyond chance"),
                ),
                [
                    {name: getattr(gap, name) for name in _GAP} | {"model": gap.label}
                    for gap in gaps
                ],
                [standing.cases(gap.label) for gap in gaps],
            ),
            note="A gap above 0 is a better figure on the open items. Held-out items may be harder "
            "or easier for all: what is tested is the gap beyond that of the others.",
            folded=metric != standing.first and not any(gap.is_beyond_chance for gap in gaps),
        )


_GAP = (
    "open", "open_lo", "open_hi", "open_n", "held_out", "held_out_lo", "held_out_hi", "held_out_n",
    "gap", "lo", "hi", "excess", "excess_lo", "excess_hi", "p", "p_holm", "is_beyond_chance",
)  # fmt: skip


def _said_of_gaps(items: int, gaps: Sequence[Gap]) -> str:
    found = [gap.label for gap in gaps if gap.is_beyond_chance]
    held = f"{counted(items, 'item')} held out"
    if not found:
        return f"Nobody is better on the open items than chance explains; {held}."
    return (
        f"{listed(found, MOST_NAMED)} {'is' if len(found) == 1 else 'are'} better on the "
        f"open items than chance explains, as a model that has seen them would be; {held}."
    )


def _disputed(standing: Standing) -> Iterator[Section]:
    """Every headline with and without the disputed items."""
    rows = [row for row in standing.comparison.disputed if row["condition"] == standing.condition]
    if rows:
        yield Section(
            "With and without disputed items",
            lead=" ".join(said_of_disputed(rows, standing.comparison.disputed_items)),
            data=table_of_disputed(rows),
            folded=True,
        )
