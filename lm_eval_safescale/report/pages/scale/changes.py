"""What changes between the two conditions that the family compares: made from `model_means` and
`paired_tests`.
"""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.figures import Axis, DataColumn, DataTable, Point, Strip, Strips, with_bounds
from lm_eval_safescale.report.pages.common.phrases import (
    head,
    how_many,
    points_within,
    under,
    without_interval,
)
from lm_eval_safescale.report.pages.common.rows import (
    ALL,
    Row,
    Rows,
    direction,
    estimate,
    models_of,
)
from lm_eval_safescale.report.pages.common.tables import section
from lm_eval_safescale.report.pages.scale.panel import NEITHER, families_of
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Section
from lm_eval_safescale.sentences import capital


def of_changes(report: Report, metrics: Sequence[str]) -> Section | None:
    """The section; None where the family compares no two conditions."""
    if report.family.change is None:
        return None
    after, before = report.family.change
    title = f"From {report.words(before)} to {report.words(after)}"
    if after not in report.conditions or before not in report.conditions:
        lacks = [each for each in (before, after) if each not in report.conditions]
        return Section(title, lead=f"No model was asked {under(report, lacks)}.")
    return section(title, (_change_strips(report, metric) for metric in metrics), NEITHER)


def _change_strips(report: Report, metric: str) -> Strips:
    after, before = report.family.change or ("", "")
    pair, known = f"{after} - {before}", families_of(report)
    decode = report.metrics[metric].decode
    own = {
        row["model"]: estimate(row, "delta")
        for row in report.rows("paired_tests", metric=metric, left=after, right=before)
        if row["model"] is not None and row["decode"] == decode
    }
    strips, data, shown = [], Rows(), []
    for row in report.rows("model_means", metric=metric, condition=pair):
        if not row["n_models"]:
            continue
        family, mean = row["family"], estimate(row, "mean")
        words = "all models" if family == ALL else family
        shown.append(row)
        marks = [Point(mean[0], 0, "", "mean", mean[1], mean[2], role="mean")]
        data.append((words, f"mean of {row['n_models']}", *mean))
        for model in models_of(report):
            delta = own.get(model, (None, None, None))
            if (family == ALL or known.get(model) == family) and delta[0] is not None:
                marks.append(Point(delta[0], 0, "", model))
                data.append((words, model, *delta))
        strips.append(Strip(f"{words} ({row['n_models']})", marks, mean[0]))
    return Strips(
        f"change {metric}",
        change_title(report, metric, shown),
        f"{capital(report.words(after))} less {report.words(before)}, on the same items: a dot is "
        "a model, the star the mean of the family with its 95 % interval, of other items for these "
        f"models (the number at the right). {how_many(report)}",
        Axis(f"change in {report.words(metric)}, points", percent=True, difference=True),
        DataTable((DataColumn("family"), DataColumn("model"), *with_bounds("change")), data),
        strips,
    )


def change_title(report: Report, metric: str, rows: Sequence[Row]) -> str:
    """In how many families a metric changes between the two conditions beyond chance."""
    after, before = report.family.change or ("", "")
    of_all = next((row for row in rows if row["family"] == ALL), None)
    if of_all is None:
        return f"{head(report, metric)} is scored of no model under both conditions."
    mean = estimate(of_all, "mean")
    what = f"from {report.words(before)} to {report.words(after)}"
    if mean[1] is None:
        verb, far = without_interval(mean[0])
        return f"{head(report, metric)} {verb} {what}: {far}."
    turned = direction(mean)
    verb = {1: "rises", -1: "falls", 0: "does not change beyond chance"}[turned]
    said = f"{head(report, metric)} {verb} {what}: {points_within(mean)}"
    if of_all["n_models"] == 1:
        return f"{said}."
    said += " on average"
    families = [row for row in rows if row["family"] != ALL]
    alike = sum(direction(estimate(row, "mean")) == turned for row in families)
    if not families:
        return f"{said} of {of_all['n_models']} models."
    where = "beyond chance " if turned else "no change beyond chance "
    tail = (
        f"{where}in {alike} of {len(families)} families"
        if len(families) > 1
        else f"{where if alike else 'not beyond chance '}in {families[0]['family']}"
    )
    return f"{said}, {tail}."
