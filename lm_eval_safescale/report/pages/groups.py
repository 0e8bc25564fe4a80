"""The page *groups*: each headline metric by each grouping of the items, compared with all other
items.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from lm_eval_safescale.figures import Axis, DataColumn, DataTable, Point, Strip, Strips, with_bounds
from lm_eval_safescale.report.pages.common.rows import Row, direction, estimate, of_kind
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Page, Section
from lm_eval_safescale.sentences import capital, listed, percent, points
from lm_eval_safescale.words import counted

MOST_DRAWN = 24
"""Groups of a grouping beyond which there is a table alone."""


def groups(report: Report) -> Page | None:
    """None where the items have no groups, or nothing of them is scored."""
    rows = report.rows("group_means")
    if not rows:
        return None
    finding, doubt = _finding(report, rows)
    names = list(dict.fromkeys(row["group_name"] for row in rows))
    sections = [each for name in names for each in _sections(report, name)]
    return Page("groups", "Groups", finding, doubt, tuple(sections))


def _finding(report: Report, rows: Sequence[Row]) -> tuple[str, str]:
    """Which group stands out most, of the first metric that counts harm under the first
    condition."""
    first = [row for row in rows if row["condition"] == report.conditions[0]] or list(rows)
    metrics = list(dict.fromkeys(row["metric"] for row in first))
    metric = next(
        (each for each in metrics if not report.metrics[each].higher_is_better), metrics[0]
    )
    own = [row for row in first if row["metric"] == metric]
    under = report.words(own[0]["condition"])
    clear = [row for row in own if _is_clear(row)]
    name = report.words(metric)
    if clear:
        most = max(clear, key=lambda row: abs(row["difference"]))
        verb = "higher" if most["difference"] > 0 else "lower"
        finding = (
            f"{capital(name)} is {verb} in {most['group']} ({percent(most['mean'])} of "
            f"{counted(most['n'], 'item')}, {under}): {points(most['difference'])} against all "
            "other items"
        )
    else:
        finding = f"No group stands out in {name}, {under}"
    by_chance = 0.05 * len(own)
    verb = "differs" if len(clear) == 1 else "differ"
    doubt = (
        f"{len(clear)} of {counted(len(own), 'group')} {verb}"
        f" from the other items by the 95 % interval; about {by_chance:.1f} would by chance alone, "
        "since each interval is of its own group."
    )
    small = [row["group"] for row in own if row["n"] < 20]
    if small:
        doubt += f" Fewer than 20 items: {listed(list(dict.fromkeys(small)), 6)}."
    return finding, doubt


def _is_clear(row: Row) -> bool:
    """Whether a group differs by its interval; one whose items are all alike has none of its
    own, and is never clear."""
    return row["mean_lo"] is not None and direction(estimate(row, "difference")) != 0


def _sections(report: Report, group_name: str) -> Iterator[Section]:
    """A figure for each headline metric, and one table of all of them."""
    own = report.rows("group_means", group_name=group_name)
    words = group_name.replace("_", " ")
    many = len({row["group"] for row in own}) > MOST_DRAWN
    for metric in () if many else dict.fromkeys(row["metric"] for row in own):
        yield Section(
            f"{capital(report.words(metric))} by {words}",
            figures=(_strips(report, group_name, metric),),
        )
    columns = [
        DataColumn("metric"),
        DataColumn("condition"),
        DataColumn("group", words),
        DataColumn("n", "items", "count"),
        *([DataColumn("n_models", "models", "count")] if len(report.models) > 1 else []),
        *with_bounds("mean", "mean" if len(report.models) > 1 else "value", cases={}),
        *with_bounds("difference", "less all other items, points"),
        DataColumn("clear", "beyond its interval"),
    ]
    rows = [
        {
            **row,
            "metric": report.words(row["metric"]),
            "condition": report.words(row["condition"]),
            "clear": ("higher" if row["difference"] > 0 else "lower") if _is_clear(row) else "no",
        }
        for row in own
    ]
    yield Section(
        f"All figures by {words}",
        lead="95 % intervals below, over items, for these models; of each group alone.",
        data=DataTable.of(columns, rows, [_cases(report, row) for row in own]),
        folded=not many,
    )


def _cases(report: Report, row: Row) -> dict[str, str]:
    return {
        "condition": row["condition"],
        "group": f"{row['group_name']}:{row['group']}",
        **of_kind(report, row["metric"]),
    }


def _strips(report: Report, group_name: str, metric: str) -> Strips:
    """A row a group, its marks the conditions; the whole above them."""
    own = report.rows("group_means", group_name=group_name, metric=metric)
    conditions = [
        each for each in report.conditions if any(row["condition"] == each for row in own)
    ]
    chosen = _drawn_conditions(report, conditions)
    overall = {
        row["condition"]: row
        for row in report.rows("model_means", metric=metric, family="all")
        if row["condition"] in chosen
    }
    strips = (
        [
            Strip(
                "all items",
                [
                    _point(report, condition, row["mean"], row["mean_lo"], row["mean_hi"])
                    for condition, row in overall.items()
                ],
            )
        ]
        if overall
        else []
    )
    for group in dict.fromkeys(row["group"] for row in own):
        found = [row for row in own if row["group"] == group and row["condition"] in chosen]
        strips.append(
            Strip(
                f"{group} ({found[0]['n']})" if found else group,
                [
                    _point(report, row["condition"], row["mean"], row["mean_lo"], row["mean_hi"])
                    for row in found
                ],
            )
        )
    low = min((row for row in own if row["condition"] == chosen[0]), key=lambda row: row["mean"])
    high = max((row for row in own if row["condition"] == chosen[0]), key=lambda row: row["mean"])
    who = (
        f"the mean of {counted(high['n_models'], 'model')}"
        if len(report.models) > 1
        else report.chosen
    )
    left = len(conditions) - len(chosen)
    return Strips(
        f"{group_name}-{metric}",
        f"{capital(report.words(metric))}, {report.words(chosen[0])}: {percent(low['mean'])} in "
        "every group"
        if percent(low["mean"]) == percent(high["mean"])
        else f"{capital(report.words(metric))}, {report.words(chosen[0])}: from "
        f"{percent(low['mean'])} ({low['group']}) to {percent(high['mean'])} ({high['group']})",
        f"A mark is {who} under a condition, bars 95 % intervals over items, none where all items "
        "are alike; in brackets the number of items."
        + (f" {capital(counted(left, 'further condition'))} in the table." if left else ""),
        Axis(report.words(metric), percent=report.metrics[metric].is_fraction),
        DataTable.of(
            [
                DataColumn("group"),
                DataColumn("condition"),
                DataColumn("n", "items", "count"),
                *with_bounds("mean", report.words(metric), report.column_kind(metric), cases={}),
            ],
            [{**row, "condition": report.words(row["condition"])} for row in own],
            [_cases(report, row) for row in own],
        ),
        strips,
        {each: report.words(each) for each in chosen},
    )


def _drawn_conditions(report: Report, conditions: Sequence[str]) -> list[str]:
    """Two at most: those that the family compares first, else the first and the last."""
    pair = report.family.change
    if pair and all(each in conditions for each in pair):
        return [pair[1], pair[0]]
    return list(dict.fromkeys((conditions[0], conditions[-1])))


def _point(
    report: Report, condition: str, value: float, low: float | None, high: float | None
) -> Point:
    return Point(value, 0, condition, report.words(condition), x_low=low, x_high=high)
