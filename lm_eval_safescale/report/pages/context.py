"""The page *context*: each rate by how long a context was and how much of the evidence it held.
Made from `context_axis`, and from what the runs say of their contexts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lm_eval_safescale.figures import Axis, DataColumn, DataTable, Line, Plot, Point, with_bounds
from lm_eval_safescale.report.pages.common.phrases import head, how_many, series_of, with_interval
from lm_eval_safescale.report.pages.common.rows import Row, Rows, estimate, overlap
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Page, Section
from lm_eval_safescale.sentences import capital, is_number, listed, number, percent
from lm_eval_safescale.words import counted

TABLE = "context_axis"
AXES: Mapping[str, tuple[str, str, bool]] = {
    "context_tokens": ("length", "tokens of context", False),
    "recall": ("recall", "share of the relevant passages that were found", True),
    "evidence_coverage": ("coverage of the evidence", "share of the evidence in the context", True),
}
"""In a few words, on an axis, and whether it is a share."""
UNFAIR = (
    "Bins hold different items, so an easy item with a short context looks like an effect of "
    "length: the same items under two conditions are the fairer comparison."
)


def context(report: Report) -> Page | None:
    """None where no condition of these runs shows anything above the question."""
    shown = _with_context(report)
    if not shown or not report.family.rates:
        return None
    rows = report.rows(TABLE)
    sections = [_facts(report, shown)]
    for axis in AXES:
        of_axis = [row for row in rows if row["axis"] == axis]
        if of_axis:
            sections.append(_of_axis(report, axis, of_axis))
    return Page(
        "context",
        "Context",
        _finding(report, rows),
        _recorded(shown, rows),
        tuple(sections),
    )


def _with_context(report: Report) -> list[str]:
    builders = {each.name: each.builder for each in report.family.conditions}
    there = {row["condition"] for row in report.rows(TABLE)}
    return [each for each in report.conditions if builders.get(each) is not None or each in there]


def _finding(report: Report, rows: Sequence[Row]) -> str:
    if not rows:
        return "How long contexts were, and how much of the evidence they held, was not recorded."
    bins = {axis: _bins(rows, axis, report.chosen) for axis in AXES}
    axes = [axis for axis, own in bins.items() if own]
    axis = next((each for each in reversed(axes) if _varies(bins[each], each)), axes[-1])
    return axis_title(report, axis, report.family.rates[0], bins[axis])


def _recorded(shown: Sequence[str], rows: Sequence[Row]) -> str:
    """Of how many conditions what was recorded."""
    if not rows:
        return "Our own runs record both of every item; imported answers do not have them."
    said = []
    for axis, (words, _, _) in AXES.items():
        there = {row["condition"] for row in rows if row["axis"] == axis} & set(shown)
        said.append(f"{words} under {len(there) or 'none'}")
    every = f"{counted(len(shown), 'condition')} with a context"
    return f"Of {every}, recorded are {listed(said)}."


def _varies(bins: Sequence[Row], axis: str) -> bool:
    """Whether any condition has more than one bin."""
    conditions = [row["condition"] for row in bins if row["axis"] == axis]
    return len(conditions) > len(set(conditions))


def _bins(rows: Sequence[Row], axis: str, model: str) -> list[Row]:
    """A model's bins along an axis; the first model's that has any, where it has none."""
    binned = [row for row in rows if row["axis"] == axis and row["lower"] is not None]
    models = list(dict.fromkeys(row["model"] for row in binned))
    own = model if model in models else next(iter(models), model)
    return [row for row in binned if row["model"] == own]


# --- what was shown -------------------------------------------------------------------------------


def _facts(report: Report, shown: Sequence[str]) -> Section:
    """What the runs say of the contexts of each condition."""
    rows, table = Rows(), report.rows(TABLE)
    axes = [axis for axis in AXES if any(row["axis"] == axis for row in table)]
    searched = any(row["nothing_found"] is not None for row in table)
    for condition in shown:
        means = {}
        for axis in axes:
            values = [
                row["mean"]
                for row in table
                if row["axis"] == axis
                and row["condition"] == condition
                and row["lower"] is None
                and is_number(row["mean"])
            ]
            means[axis] = (min(values), max(values)) if values else (None, None)
        found = [
            row["nothing_found"]
            for row in table
            if row["condition"] == condition
            and row["lower"] is None
            and row["nothing_found"] is not None
        ]
        rows.append(
            (
                report.words(condition),
                *_said(report, condition),
                *(bound for axis in axes for bound in means[axis]),
                *([max(found, default=None)] if searched else []),
            )
        )
    return Section(
        "What was shown",
        note="Means over the items of a model, the least and the greatest of all models; each "
        "counts tokens with its own tokenizer."
        if table
        else "",
        data=DataTable(
            (
                DataColumn("condition"),
                DataColumn("shown"),
                *(
                    DataColumn(
                        f"{axis}_{end}",
                        f"{words}, {said}",
                        "percent" if share else "number",
                    )
                    for axis in axes
                    for words, _, share in [AXES[axis]]
                    for end, said in (("least", "least"), ("most", "most"))
                ),
                *(
                    [DataColumn("nothing_found", "items without a passage, at most", "count")]
                    if searched
                    else []
                ),
            ),
            rows,
        ),
    )


def _said(report: Report, condition: str) -> tuple[str]:
    known = {each.name: each for each in report.family.conditions}.get(condition)
    return (known.description if known is not None else "",)


# --- rates over an axis ---------------------------------------------------------------------------


def _of_axis(report: Report, axis: str, rows: Sequence[Row]) -> Section:
    words = AXES[axis][0]
    if not _varies(_bins(rows, axis, report.chosen), axis):
        return Section(
            f"By {words}",
            lead=f"Under every condition all items are alike in {words}, so that no rate can be "
            "told by it.",
        )
    return Section(
        f"By {words}",
        note=UNFAIR,
        figures=tuple(
            _plot(report, axis, rate, rows)
            for rate in report.family.rates
            if any(is_number(row[rate]) for row in rows)
        ),
    )


def _plot(report: Report, axis: str, rate: str, rows: Sequence[Row]) -> Plot:
    _, label, is_share = AXES[axis]
    own = _bins(rows, axis, report.chosen)
    model = own[0]["model"] if own else report.chosen
    marks, lines, data = [], [], Rows()
    by_condition: dict[str, list[Row]] = {}
    for row in own:
        if is_number(row[rate]) and is_number(row["mean"]):
            by_condition.setdefault(row["condition"], []).append(row)
    for condition, bins in by_condition.items():
        words = report.words(condition)
        for row in bins:
            value = estimate(row, rate)
            marks.append(
                Point(
                    row["mean"],
                    row[rate],
                    condition,
                    f"{words}, {counted(row['n'], 'item')}",
                    y_low=value[1],
                    y_high=value[2],
                )
            )
        lines.append(Line([(row["mean"], row[rate]) for row in bins], condition, words))
    for row in rows:
        if row["lower"] is not None and row["axis"] == axis:
            edges = (row["lower"], row["upper"], row["mean"])
            data.append((row["model"], row["condition"], *edges, row["n"], *estimate(row, rate)))
    kind: Any = "percent" if is_share else "number"
    others = " The table has all models." if len(report.models) > 1 else ""
    return Plot(
        f"{axis} {rate}",
        axis_title(report, axis, rate, own),
        f"{capital(report.words(rate))} of the single answers of {model}: a mark is a bin of items "
        f"at their mean {AXES[axis][0]}, with its 95 % interval (Wilson).{others} "
        f"{how_many(report)}",
        Axis(
            label + ("" if is_share else ", log scale"),
            percent=is_share,
            log=not is_share and all(point.x > 0 for point in marks),
        ),
        Axis(report.words(rate), percent=True),
        DataTable(
            (
                DataColumn("model"),
                DataColumn("condition"),
                DataColumn("lower", "from", kind),
                DataColumn("upper", "to", kind),
                DataColumn("mean", f"mean {AXES[axis][0]}", kind),
                DataColumn("n", "items", "count"),
                *with_bounds(rate, report.words(rate)),
            ),
            data,
        ),
        marks,
        lines,
        series=series_of(report, by_condition),
    )


def axis_title(report: Report, axis: str, rate: str, bins: Sequence[Row]) -> str:
    """Whether the lowest and the highest bin differ beyond chance, under the condition that has
    most of them."""
    scored = [row for row in bins if is_number(row[rate])]
    words, _, is_share = AXES[axis]
    if not scored:
        return f"{head(report, rate)} is scored in no bin of {words}."
    by_condition: dict[str, list[Row]] = {}
    for row in scored:
        by_condition.setdefault(row["condition"], []).append(row)
    condition, own = max(by_condition.items(), key=lambda each: len(each[1]))
    model = own[0]["model"]
    where = f"{model} under {report.words(condition)}"
    first, last = own[0], own[-1]

    def at(row: Row) -> str:
        return percent(row["mean"], 0) if is_share else f"{number(row['mean'])} tokens"

    if first is last:
        return (
            f"All items of {where} are alike in {words}: {report.words(rate)} is "
            f"{with_interval(estimate(first, rate))}."
        )
    values = ", ".join(
        f"{with_interval(estimate(row, rate))} where it is {at(row)}" for row in (first, last)
    )
    if overlap(estimate(first, rate), estimate(last, rate)):
        return (
            f"{head(report, rate)} of {where} does not differ beyond chance by {words}: {values}."
        )
    verb = "higher" if last[rate] > first[rate] else "lower"
    more = {"context_tokens": "longest contexts"}.get(axis, f"highest {words}")
    return f"{head(report, rate)} of {where} is {verb} with the {more}: {values}."
