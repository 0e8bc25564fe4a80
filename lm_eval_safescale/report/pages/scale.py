"""The page *scale*: what size, model family and condition have to do with each metric. Made from
`scaling`, `variance`, `model_means`, `profile` and `paired_tests`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import log10

from lm_eval_safescale.figures import (
    Axis,
    DataColumn,
    DataTable,
    Heat,
    Line,
    Plot,
    Point,
    Strip,
    Strips,
    with_bounds,
)
from lm_eval_safescale.report.pages.common.phrases import (
    head,
    how_many,
    points_and_bounds,
    points_within,
    series_of,
    the,
    under,
    with_interval,
)
from lm_eval_safescale.report.pages.common.rows import (
    ALL,
    Cases,
    Row,
    Rows,
    cell,
    compared,
    direction,
    estimate,
    kind_of_cases,
    main_metrics,
    models_of,
    overlap,
    profiles,
)
from lm_eval_safescale.report.pages.common.tables import section
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Page, Section
from lm_eval_safescale.sentences import capital, is_number, listed, percent, points
from lm_eval_safescale.words import counted

NAME_THEM = "A panel file that names each model's family and size would bring them in."
NOTHING = "Nothing of this is scored of a model; controls, which read no question, do not count."
PARTS = {
    "condition": "condition",
    "family": "model family",
    "interaction": "both together",
    "residual": "models of one family",
}
"""Parts of the variance, by the beginning of their column."""


def scale(report: Report) -> Page | None:
    """None where the family has nothing studied over size."""
    metrics = main_metrics(report, report.family.studied)
    if not report.family.studied:
        return None
    if not metrics:
        return Page(
            "scale", "Scale", "Nothing of what is studied over size is scored in these runs."
        )
    sized, known = _sizes(report), _families(report)
    sections = [_changes(report, metrics)]
    if len(models_of(report)) > 1:
        sections = [
            _over_size(report, metrics, sized),
            _variance(report, metrics),
            _heats(report, metrics, known),
            _spread(report, metrics, known),
            *sections,
        ]
    return Page(
        "scale",
        "Scale",
        _finding(report, metrics, sized),
        _doubt(report, sized, known),
        tuple(section for section in sections if section is not None),
    )


def _sizes(report: Report) -> dict[str, float]:
    """Billions of parameters of each model that has a known size."""
    return {
        row["model"]: row["parameters_b"]
        for row in report.about["panel"]
        if row["parameters_b"] is not None
    }


def _families(report: Report) -> dict[str, str]:
    return {row["model"]: row["family"] for row in report.about["panel"] if row["family"]}


def _finding(report: Report, metrics: Sequence[str], sized: dict[str, float]) -> str:
    if len(models_of(report)) == 1:
        return "One model alone tells nothing of size and family."
    if not sized:
        return f"What size has to do with {listed([the(report, m) for m in metrics])} is not known."
    return slope_title(report, metrics[min(1, len(metrics) - 1)])


def _doubt(report: Report, sized: dict[str, float], known: dict[str, str]) -> str:
    models = len(models_of(report))
    if models == 1:
        return "A report of the runs of several models compares them."
    unsized, without = models - len(sized), models - len(known)
    if not unsized and not without:
        families = len(set(known.values()))
        if families == 1:
            return f"{capital(counted(models, 'model'))} of one family: nothing is known of others."
        return (
            f"{capital(counted(models, 'model'))} of {families} families: an interval of a slope "
            "over all heeds that models of one family are alike, and rests on as few as there are "
            "families."
        )
    if unsized == models:
        return f"The size of none of the {models} models is known. {NAME_THEM}"
    lacking = [
        said
        for number, said in (
            (unsized, f"of {unsized} the size is not known"),
            (without, f"of {without} the family is not known"),
        )
        if number
    ]
    return f"Of {counted(models, 'model')}, {listed(lacking)}. {NAME_THEM}"


# --- over size ------------------------------------------------------------------------------------


def _over_size(report: Report, metrics: Sequence[str], sized: dict[str, float]) -> Section:
    title = "Over the number of parameters"
    if not sized:
        return Section(title, lead=f"No model of these runs has a known size. {NAME_THEM}")
    if len(set(sized.values())) < 2:
        (only, *_) = sized.values()
        return Section(
            title,
            lead=f"All models of known size have {only:g} billion parameters: there is no line to "
            "draw.",
        )
    return Section(
        title,
        figures=tuple(_size_plot(report, metric, sized) for metric in metrics),
        data=_slopes(report, metrics),
    )


def slope_title(report: Report, metric: str) -> str:
    """What a metric does when models grow, under the two conditions that are looked at."""
    said: dict[int | None, list[str]] = defaultdict(list)
    for condition in compared(report):
        for row in report.rows("scaling", metric=metric, condition=condition, family=ALL):
            slope = estimate(row, "slope")
            if slope[0] is None or slope[1] is None:
                said[None].append(report.words(condition))
                continue
            value = points_and_bounds(slope)
            if not any(said[key] for key in (1, -1, 0)):  # once is enough
                value = value.replace(",", " for ten times the parameters,", 1)
            said[direction(slope)].append(f"{report.words(condition)} ({value})")
    phrases = [
        f"{words} under {listed(said[key])}"
        for key, words in (
            (1, "rises with size"),
            (-1, "falls with size"),
            (0, "shows no change with size beyond chance"),
            (None, "has too few sizes for a line with an interval"),
        )
        if said[key]
    ]
    if not phrases:
        return f"{head(report, metric)} is scored of no model of known size."
    return f"{head(report, metric)} {listed(phrases)}."


def _size_plot(report: Report, metric: str, sized: dict[str, float]) -> Plot:
    found, known, conditions = profiles(report), _families(report), compared(report)
    marks, lines, data = [], [], Rows()
    cases = Cases()
    for condition in conditions:
        by_family: dict[str, list[tuple[float, float]]] = defaultdict(list)
        for model in report.models:
            row = found.get((model, condition))
            if row is None or model not in sized or not is_number(row[metric]):
                continue
            value = estimate(row, metric)
            size, family = sized[model], known.get(model)
            marks.append(Point(size, value[0], condition, model, y_low=value[1], y_high=value[2]))
            data.append((model, family, size, condition, *value, row[f"{metric}_n"]))
            cases.append(cell(model, condition))
            if family:
                by_family[family].append((size, value[0]))
        for family, places in by_family.items():
            if len({size for size, _ in places}) > 1:
                note = family if condition == conditions[-1] else ""
                words = f"{family}, {report.words(condition)}"
                lines.append(Line(sorted(places), condition, words, note=note))
        for row in report.rows("scaling", metric=metric, condition=condition, family=ALL):
            if row["slope"] is None:
                continue
            ends = [
                (size, row["intercept"] + row["slope"] * log10(size))
                for size in (row["parameters_min_b"], row["parameters_max_b"])
            ]
            words = f"least-squares line of all, {report.words(condition)}"
            lines.append(Line(ends, condition, words, role="mean"))
            data += [
                ("(line of all)", None, *end_, None, None, None)
                for end_ in ((size, condition, value) for size, value in ends)
            ]
            cases += [{"condition": condition}] * 2
    return Plot(
        f"size {metric}",
        slope_title(report, metric),
        "A mark is a model with its 95 % interval, thin lines join models of one family in the "
        "order of their size, the bold line is the least-squares line over all models of known "
        f"size. It describes these models and does not predict others. {how_many(report)}",
        Axis("parameters in billions, log scale", log=True),
        Axis(report.words(metric), percent=True),
        DataTable(
            (
                DataColumn("model"),
                DataColumn("family"),
                DataColumn("parameters_b", "parameters, billions", "number"),
                DataColumn("condition"),
                *with_bounds(metric, report.words(metric), cases=kind_of_cases(report, metric)),
                DataColumn("n", "items", "count"),
            ),
            data,
            cases,
        ),
        marks,
        lines,
        series=series_of(report, conditions),
    )


def _slopes(report: Report, metrics: Sequence[str]) -> DataTable:
    shown = ("n_models", "parameters_min_b", "parameters_max_b")
    after = ("r_squared", "p", "df")
    looked_at = {*compared(report), " - ".join(report.family.change or ())}
    rows = [
        (
            report.words(row["metric"]),
            " − ".join(report.words(each) for each in row["condition"].split(" - ")),
            row["family"],
            *(row[name] for name in shown),
            *estimate(row, "slope"),
            *(row[name] for name in after),
        )
        for row in report.rows("scaling")
        if row["metric"] in metrics and row["condition"] in looked_at and row["slope"] is not None
    ]
    return DataTable(
        (
            DataColumn("metric"),
            DataColumn("condition"),
            DataColumn("family"),
            DataColumn("n_models", "models", "count"),
            DataColumn("parameters_min_b", "from, billions", "number"),
            DataColumn("parameters_max_b", "to, billions", "number"),
            *with_bounds("slope", "per tenfold size"),
            *(DataColumn(name, kind="number") for name in after),
        ),
        rows,
    )


# --- shares of variance ---------------------------------------------------------------------------


def _variance(report: Report, metrics: Sequence[str]) -> Section:
    title = "What explains the differences"
    rows = {row["metric"]: row for row in report.rows("variance") if row["metric"] in metrics}
    shown = {
        name: row
        for name, row in rows.items()
        if row["n_models"] > 1
        and (row["condition_share"] is not None or row["family_share"] is not None)
    }
    if not shown:
        lacks = []
        if len(report.conditions) < 2:
            lacks.append("a second condition")
        if len(set(_families(report).values())) < 2:
            lacks.append("models of a second known family")
        why = f": that takes {listed(lacks)}" if lacks else ""
        return Section(title, lead=f"Shares of variance cannot be told{why}.")
    return Section(title, figures=tuple(_shares(report, name, row) for name, row in shown.items()))


def variance_title(report: Report, metric: str, row: Row) -> str:
    """Which of condition and family explains more, as far as the intervals tell."""
    condition, family = estimate(row, "condition_share"), estimate(row, "family_share")
    what = f"of the differences in {the(report, metric)}"
    if condition[0] is None or family[0] is None:
        name, share = (
            ("The condition", condition) if family[0] is None else ("Model family", family)
        )
        return f"{name} explains {with_interval(share)} {what}."
    first, other = (
        (("the condition", condition), ("model family", family))
        if condition[0] >= family[0]
        else (("model family", family), ("the condition", condition))
    )
    values = f"{with_interval(first[1])} and {with_interval(other[1])}"
    if overlap(condition, family):
        return f"Which of {first[0]} and {other[0]} explains more {what} cannot be told: {values}."
    return f"{capital(first[0])} explains more {what} than {other[0]}: {values}."


def _shares(report: Report, metric: str, row: Row) -> Strips:
    strips, data = [], Rows()
    families = "1 family" if row["n_families"] == 1 else f"{row['n_families']} families"
    for part, words in PARTS.items():
        share = estimate(row, f"{part}_share")
        data.append((words, *share))
        if share[0] is not None:
            point = Point(share[0], 0, "", words, x_low=share[1], x_high=share[2], role="mean")
            strips.append(Strip(words, (point,), share[0]))
    return Strips(
        f"variance {metric}",
        variance_title(report, metric, row),
        "Shares of the sum of squares over models and conditions (type II), with 95 % intervals "
        "of other items for these models; they allow for what chance in the items adds, and may "
        f"lie aside of their own share. {counted(row['n'], 'value')} of "
        f"{counted(row['n_models'], 'model')} in {families} under "
        f"{counted(row['n_conditions'], 'condition')}. {how_many(report)}",
        Axis(f"share of the variance of {the(report, metric)}", percent=True, low=0),
        DataTable((DataColumn("part"), *with_bounds("share")), data),
        strips,
    )


# --- families by condition ------------------------------------------------------------------------


def _heats(report: Report, metrics: Sequence[str], known: dict[str, str]) -> Section:
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
        if overlap(estimate(highest, "mean"), estimate(lowest, "mean"))
        else ""
    )
    return f"{head(report, metric)} is highest in {where(highest)}; lowest in {where(lowest)}{end}."


# --- within a family ------------------------------------------------------------------------------


def _spread(report: Report, metrics: Sequence[str], known: dict[str, str]) -> Section | None:
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
                cases.append({"condition": condition})
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


# --- between conditions ---------------------------------------------------------------------------


def _changes(report: Report, metrics: Sequence[str]) -> Section | None:
    if report.family.change is None:
        return None
    after, before = report.family.change
    title = f"From {report.words(before)} to {report.words(after)}"
    if after not in report.conditions or before not in report.conditions:
        lacks = [each for each in (before, after) if each not in report.conditions]
        return Section(title, lead=f"No model was asked {under(report, lacks)}.")
    return section(title, (_change_strips(report, metric) for metric in metrics), NOTHING)


def _change_strips(report: Report, metric: str) -> Strips:
    after, before = report.family.change or ("", "")
    pair, known = f"{after} - {before}", _families(report)
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
