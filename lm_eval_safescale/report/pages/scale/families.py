"""Model families under each condition, and models within a family: made from `model_means` and
`profile`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from lm_eval_safescale.figures import (
    Axis,
    DataColumn,
    DataTable,
    Heat,
    Point,
    Strip,
    Strips,
    with_bounds,
)
from lm_eval_safescale.report.pages.common.phrases import (
    head,
    how_many,
    series_of,
    the,
    with_interval,
)
from lm_eval_safescale.report.pages.common.rows import (
    ALL,
    Cases,
    Row,
    Rows,
    bounds,
    cell,
    compared,
    estimate,
    kind_of_cases,
    overlap,
    profiles,
)
from lm_eval_safescale.report.pages.common.tables import section
from lm_eval_safescale.report.pages.scale.panel import NAME_THEM, NOTHING
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Section
from lm_eval_safescale.sentences import is_number, percent, points


def of_families(report: Report, metrics: Sequence[str], known: dict[str, str]) -> Section:
    """The section."""
    title = "Model families under each condition"
    if not known:
        return Section(title, lead=f"No model of these runs is of a known family. {NAME_THEM}")
    return section(title, (_heat(report, metric) for metric in metrics), NOTHING)


def _heat(report: Report, metric: str) -> Heat:
    rows = {
        (row["family"], row["condition"]): row
        for row in report.rows("model_means", metric=metric)
        if row["condition"] in report.conditions
    }
    families = sorted({family for family, _ in rows} - {ALL})
    if len(families) > 1 or any(
        rows[ALL, each]["n_models"] > row["n_models"] for (_, each), row in rows.items()
    ):
        families.append(ALL)
    values = [
        [
            rows[family, each]["mean"] if (family, each) in rows else None
            for each in report.conditions
        ]
        for family in families
    ]
    most = {
        family: max(r["n_models"] for (f, _), r in rows.items() if f == family)
        for family in families
    }
    return Heat(
        f"families {metric}",
        heat_title(report, metric, [rows[key] for key in rows if key[0] != ALL]),
        "A cell is the mean over the models of a family, in brackets how many they are at most; "
        "all models include those of no known family. The table has each mean's 95 % interval, of "
        f"other items for these models. {how_many(report)}",
        [f"{'all models' if family == ALL else family} ({most[family]})" for family in families],
        [report.words(condition) for condition in report.conditions],
        values,
        DataTable(
            (
                DataColumn("family"),
                DataColumn("condition"),
                DataColumn("n_models", "models", "count"),
                *with_bounds("mean", report.words(metric)),
            ),
            [
                (family, condition, row["n_models"], *estimate(row, "mean"))
                for family in families
                for condition in report.conditions
                if (row := rows.get((family, condition))) is not None
            ],
            [],
        ),
    )


def heat_title(report: Report, metric: str, rows: Sequence[Row]) -> str:
    """Where a metric is highest and where it is lowest, of families under conditions."""
    scored = [row for row in rows if is_number(row["mean"])]
    if not scored:
        return f"{head(report, metric)} is scored of no model of a known family."
    highest = max(scored, key=lambda row: row["mean"])
    lowest = min(scored, key=lambda row: row["mean"])

    def where(row: Row) -> str:
        return (
            f"{row['family']} under {report.words(row['condition'])}: "
            f"{with_interval(estimate(row, 'mean'))}"
        )

    if len(scored) == 1:
        return f"{head(report, metric)} of {where(highest)}."
    if percent(highest["mean"]) == percent(lowest["mean"]):
        return (
            f"{head(report, metric)} is {percent(highest['mean'])} in every family and condition."
        )
    end = (
        ", and these intervals overlap"
        if None not in (*bounds(highest, "mean"), *bounds(lowest, "mean"))
        and overlap(estimate(highest, "mean"), estimate(lowest, "mean"))
        else ""
    )
    return f"{head(report, metric)} is highest in {where(highest)}; lowest in {where(lowest)}{end}."


def within_families(
    report: Report, metrics: Sequence[str], known: dict[str, str]
) -> Section | None:
    """The section; None where no family is known."""
    title = "Within a family"
    if not known:
        return None
    members = defaultdict(list)
    for model, family in known.items():
        members[family].append(model)
    many = {family: models for family, models in sorted(members.items()) if len(models) > 1}
    if not many:
        return Section(
            title, lead="No family has a second model in these runs: nothing spreads within one."
        )
    return section(title, (_spread_strips(report, metric, many) for metric in metrics), NOTHING)


def _spread_strips(report: Report, metric: str, many: dict[str, list[str]]) -> Strips:
    found, strips, data, rows = profiles(report), [], Rows(), []
    cases = Cases()
    for family in many:
        for condition in compared(report):
            for row in report.rows(
                "model_means", metric=metric, condition=condition, family=family
            ):
                if row["n_models"] < 2:
                    continue
                rows.append(row)
                mean = estimate(row, "mean")
                marks = [Point(mean[0], 0, condition, "mean", mean[1], mean[2], role="mean")]
                data.append((family, condition, f"mean of {row['n_models']}", *mean))
                cases.append(None)
                for model in many[family]:
                    own = found.get((model, condition))
                    if own is not None and is_number(own[metric]):
                        marks.append(Point(own[metric], 0, condition, model))
                        data.append((family, condition, model, *estimate(own, metric)))
                        cases.append(cell(model, condition))
                strips.append(
                    Strip(f"{family}, {report.words(condition)}", marks, mean[0], condition)
                )
    return Strips(
        f"spread {metric}",
        spread_title(report, metric, rows),
        "A dot is a model, the star the mean of its family with its 95 % interval, of other items "
        "for these models (the number at the right). Chance in the items is part of how far "
        f"models lie apart: the table has each model's own interval. {how_many(report)}",
        Axis(report.words(metric), percent=True),
        DataTable(
            (
                DataColumn("family"),
                DataColumn("condition"),
                DataColumn("model"),
                *with_bounds(metric, report.words(metric), cases=kind_of_cases(report, metric)),
            ),
            data,
            cases,
        ),
        strips,
        series_of(report, compared(report)),
    )


def spread_title(report: Report, metric: str, rows: Sequence[Row]) -> str:
    """How far models of one family lie apart at most."""
    if not rows:
        return f"{head(report, metric)} is scored of no two models of one family."
    widest = max(rows, key=lambda row: row["most"] - row["least"])
    span = points(widest["most"] - widest["least"]).removeprefix("+")
    if span.startswith("0.0"):
        return f"Models of one family do not differ in {the(report, metric)}."
    return (
        f"Models of one family lie up to {span} apart in {the(report, metric)}: "
        f"{widest['n_models']} {widest['family']} models under "
        f"{report.words(widest['condition'])}, from {percent(widest['least'])} to "
        f"{percent(widest['most'])}."
    )
