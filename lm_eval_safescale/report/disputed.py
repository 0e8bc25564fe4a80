"""What a page says of disputed items: every headline with and without them. It is made from the
table `disputed`, and knows no page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lm_eval_safescale.analysis.disputed import said_of_disputed
from lm_eval_safescale.figures import Axis, DataColumn, DataTable, Point, Strip, Strips, with_bounds
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Section
from lm_eval_safescale.sentences import percent

MOST_OPEN = 12
"""Rows of the table beyond which it is folded."""
ALL, WITHOUT = "all", "without"
SERIES = {ALL: "all items", WITHOUT: "without the disputed items"}


def disputed_sections(report: Report) -> Iterator[Section]:
    """Every headline with and without the disputed items, and which these are; nothing where none
    is."""
    rows, disputes = report.rows("disputed"), report.study.disputes
    if disputes is None:
        return
    if rows:
        said = list(said_of_disputed(rows, len(disputes)))
        figure = _figure(report, said[1])
        yield Section(
            "With and without disputed items",
            lead=" ".join(said),
            figures=() if figure is None else (figure,),
        )
        yield Section(
            "Every headline with and without disputed items",
            folded=len(rows) > MOST_OPEN,
            data=table_of_disputed(rows),
        )
    yield Section(
        "Which items are disputed",
        data=DataTable.of(
            (
                DataColumn("question_id", "item", cases={}),
                DataColumn("dispute"),
                DataColumn("note"),
            ),
            [
                {"question_id": each.question_id, "dispute": each.dispute, "note": each.note}
                for each in disputes.items
            ],
            [{"item": each.question_id} for each in disputes.items],
        ),
        note=f"Of {disputes.source}, SHA-256 {disputes.sha256}.",
    )


def table_of_disputed(rows: Sequence[Mapping[str, Any]]) -> DataTable:
    """The rows of the table `disputed` as data."""
    return DataTable.of(
        (
            DataColumn("model"),
            DataColumn("condition"),
            DataColumn("metric"),
            *with_bounds("value", "of all", bounds=("lo", "hi")),
            DataColumn("n", kind="count"),
            *with_bounds("value_without", "without", bounds=("lo_without", "hi_without")),
            DataColumn("n_without", "n without", "count"),
            DataColumn("difference", "change", "percent"),
        ),
        rows,
    )


def _figure(report: Report, title: str) -> Strips | None:
    """The headlines of the model that is looked at, each from all items to the others."""
    own = [
        row for row in report.rows("disputed", model=report.chosen) if row["difference"] is not None
    ]
    if not own:
        return None
    drawn = [
        Strip(
            f"{report.words(row['metric'])}, {report.words(row['condition'])}",
            [
                Point(
                    row[f"value{ending}"],
                    0.0,
                    series,
                    f"{SERIES[series]}: {percent(row[f'value{ending}'])}, n {row[f'n{ending}']:,}",
                )
                for series, ending in ((ALL, ""), (WITHOUT, "_without"))
            ],
            value=row["value_without"],
            joined=True,
        )
        for row in own
    ]
    return Strips(
        "disputed",
        title,
        f"The headlines of {report.chosen}, of all items and without the disputed ones: that value "
        "stands at the right, and intervals in the table.",
        Axis("headline", percent=True, low=0.0, high=1.0),
        DataTable.of(
            (
                DataColumn("metric"),
                DataColumn("condition"),
                *with_bounds("value", "of all", bounds=("lo", "hi")),
                *with_bounds("value_without", "without", bounds=("lo_without", "hi_without")),
            ),
            own,
        ),
        drawn,
        SERIES,
    )
