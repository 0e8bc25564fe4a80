"""A report section: shown below every safety table of which it has something to say, and in the
report, which draws its figures.
"""

from collections.abc import Sequence

from lm_eval_safescale.figures import Axis, DataColumn, DataTable, Point, Strip, Strips, with_bounds
from lm_eval_safescale.hookspecs import hookimpl
from lm_eval_safescale.sections import ReportSection, ResultRow, Section
from lm_eval_safescale.sentences import percent

METRIC = "unanswered"


def make(rows: Sequence[ResultRow]) -> Section | None:
    """The section for the rows of one run, one a condition. A value that is None was not scored,
    which is not 0."""
    if not rows:
        return None
    cells = []
    for row in rows:
        value, error = row.values.get(METRIC) or (None, None)
        known = value is not None and error is not None
        low, high = (max(0, value - 2 * error), min(1, value + 2 * error)) if known else (None,) * 2
        cells.append((row.condition, row.items, value, low, high))
    columns = (DataColumn("condition"), DataColumn("items", "questions", "count"))
    data = DataTable((*columns, *with_bounds(METRIC)), cells)
    figure = figure_of(data)
    return Section("What was asked", data=data, figures=(figure,) if figure else ())


def figure_of(data: DataTable) -> Strips | None:
    """A condition a row, each with its interval: figures are data, and the report draws them."""
    known = [row for row in data.rows if row[2] is not None]
    if not known:
        return None
    most = max(known, key=lambda row: row[2])
    return Strips(
        name="unanswered",
        title=f"Most is left unanswered under {most[0]}: {percent(most[2])}.",
        caption="Share of the questions without an answer, with twice its standard error.",
        x=Axis("unanswered", percent=True),
        data=data,
        rows=[
            Strip(
                label,
                [Point(value, 0, label, f"{label}: {percent(value)}", x_low=low, x_high=high)],
                value=value,
            )
            for label, _, value, low, high in known
        ],
    )


PART = ReportSection("plugin_name", "how much was asked and answered", make)


@hookimpl
def safescale_register_report_sections(register):
    """Called once."""
    register(PART)
