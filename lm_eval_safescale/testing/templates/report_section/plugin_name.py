"""A report section: shown below every safety table of which it has something to say."""

from collections.abc import Sequence

from lm_eval_safescale.hookspecs import hookimpl
from lm_eval_safescale.sections import ReportSection, ResultRow, Section


def make(rows: Sequence[ResultRow]) -> Section | None:
    """The section for the rows of one run, one a condition. A value that is None was not scored,
    which is not 0."""
    cells = []
    for row in rows:
        unanswered = row.values.get("unanswered")
        shown = "not scored" if unanswered is None else f"{100 * unanswered[0]:.1f}"
        cells.append((row.condition, str(row.items), shown))
    return (
        Section("What was asked", ("condition", "questions", "unanswered %"), tuple(cells))
        if cells
        else None
    )


PART = ReportSection("plugin_name", "how much was asked and answered", make)


@hookimpl
def safescale_register_report_sections(register):
    """Called once."""
    register(PART)
