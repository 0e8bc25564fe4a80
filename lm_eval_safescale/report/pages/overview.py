"""The page *overview*: every headline metric of every model under every condition, each with its
interval.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lm_eval_safescale.analysis.scaling import ALL
from lm_eval_safescale.command_line import said
from lm_eval_safescale.families.raters import HUMAN
from lm_eval_safescale.figures import (
    Axis,
    DataColumn,
    DataTable,
    Point,
    Strip,
    Strips,
    with_bounds,
)
from lm_eval_safescale.report.disputed import disputed_sections
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Page, Section
from lm_eval_safescale.sentences import (
    capital,
    counted,
    interval,
    listed,
    of_all,
    percent,
    points,
    range_of,
)

FEW = 4
"""Models of which each has its own interval in a figure."""
MOST_OPEN = 12
"""Rows of a table of ranks beyond which it is folded."""
ALPHA = 0.05
Row = Mapping[str, Any]


def overview(report: Report) -> Page:
    """What one sees first."""
    scored = [
        name
        for name in report.family.headlines
        if any(row[name] is not None for row in _cells(report))
    ]
    finding, doubt = _finding(report, scored)
    sections = [
        *_figures(report, scored),
        *_tables(report, scored),
        *_ranks(report, scored),
        *_published(report),
        *_raters(report, scored),
        *disputed_sections(report),
        *_reasons(report),
    ]
    return Page("overview", "Overview", finding, doubt, tuple(sections))


def _cells(report: Report, **where: Any) -> list[Row]:
    """Rows of `profile` of models."""
    return [row for row in report.rows("profile", **where) if row["condition"] != HUMAN]


def _mean(report: Report, metric: str, condition: str) -> Row | None:
    """The mean over models, with its interval; None where there is none."""
    found = report.rows("model_means", metric=metric, condition=condition, family=ALL)
    return found[0] if found and found[0]["mean"] is not None else None


# --- what one sees -------------------------------------------------------------------------------


def _finding(report: Report, scored: Sequence[str]) -> tuple[str, str]:
    """The headline and what is uncertain in it, about the first headline metric that counts
    harm."""
    if not scored:
        reasons = list(dict.fromkeys(row["reason"] for row in report.about["not_scored"]))
        return "Nothing could be scored", capital(listed(reasons, 3)) + "." if reasons else ""
    metric = _first_harm(report, scored)
    pair = report.family.change
    if pair and all(_mean(report, metric, each) for each in pair):
        return _of_change(report, metric, *pair)
    if len(report.conditions) > 1:
        return _of_conditions(report, metric)
    return _of_models(report, metric)


def _first_harm(report: Report, scored: Sequence[str]) -> str:
    """The first headline metric that counts harm, else the first of all."""
    return next((name for name in scored if not report.metric(name).higher_is_better), scored[0])


def _who(report: Report, n_models: int) -> str:
    return "" if len(report.models) == 1 else f", mean of {counted(n_models, 'model')}"


def _of_change(report: Report, metric: str, left: str, right: str) -> tuple[str, str]:
    """Between the two conditions that the family compares first."""
    after, before = (_mean(report, metric, each) for each in (left, right))
    difference = _mean(report, metric, f"{left} - {right}")
    if after is None or before is None:
        return _of_conditions(report, metric)
    name, was, now = report.words(metric), report.words(right), report.words(left)
    low, high = (difference[f"mean_{end}"] if difference else None for end in ("lo", "hi"))
    who = _who(report, after["n_models"])
    if low is not None and high is not None and low <= 0 <= high:
        finding = (
            f"{capital(name)} is {percent(before['mean'])} ({was}) and {percent(after['mean'])} "
            f"({now}){who}: no clear difference"
        )
    else:
        finding = f"{capital(name)} {_from_to(before['mean'], was, after['mean'], now)}{who}"
    told = []
    if difference is not None and (bounds := _bounds(difference, "mean")):
        told.append(
            f"The difference is {points(difference['mean'])} (95 % interval {bounds}, over "
            "items, for these models)."
        )
    tests = [
        row
        for row in report.rows(
            "paired_tests",
            metric=metric,
            decode=report.metric(metric).decode,
            left_condition=left,
            right_condition=right,
        )
        if row["model"] is not None and row["model"] not in report.controls
    ]
    tested = [row for row in tests if row["p_holm"] is not None]
    if tested:
        found = [row for row in tested if row["p_holm"] < ALPHA and row["delta"] < 0]
        worse = [row for row in tested if row["p_holm"] < ALPHA and row["delta"] > 0]
        told.append(
            f"Beyond chance (p < 0.05, Holm over the pairs of each model) it is lower in "
            f"{of_all(len(found), len(tested), 'model')}"
            + (f", higher in {len(worse)}" if worse else "")
            + "."
        )
        missed = [
            row["minimum_detectable_difference"]
            for row in tested
            if row["p_holm"] >= ALPHA and row["minimum_detectable_difference"] is not None
        ]
        if missed:
            told.append(
                f"Where none was found, a difference of {_points_range(missed)} may have been "
                "missed."
            )
    return finding, " ".join(told)


def _from_to(before: float, was: str, after: float, now: str) -> str:
    """What a rate does between two conditions."""
    if percent(before) == percent(after):
        return f"stays at {percent(after)}, {was} and {now} alike"
    verb = "rises" if after > before else "falls"
    return f"{verb} from {percent(before)} ({was}) to {percent(after)} ({now})"


def _points_range(differences: Sequence[float]) -> str:
    least, most = (f"{100 * each:.0f}" for each in (min(differences), max(differences)))
    return f"{least} points" if least == most else f"{least} to {most} points"


def _bounds(row: Row, name: str) -> str:
    """Bounds of a difference in points; empty where there are none."""
    low, high = row[f"{name}_lo"], row[f"{name}_hi"]
    if low is None or high is None:
        return ""
    return f"{points(low).partition(' ')[0]} to {points(high)}"


def _of_conditions(report: Report, metric: str) -> tuple[str, str]:
    """The lowest and the highest of several conditions."""
    found = [(row, each) for each in report.conditions if (row := _mean(report, metric, each))]
    if not found:
        return _of_models(report, metric)
    found.sort(key=lambda pair: pair[0]["mean"])
    (low, lowest), (high, highest) = found[0], found[-1]
    name = capital(report.words(metric))
    who = _who(report, low["n_models"])
    if percent(low["mean"]) == percent(high["mean"]):
        finding = f"{name} is {percent(low['mean'])} under every condition{who}"
    else:
        finding = (
            f"{name} is lowest with {report.words(lowest)} ({percent(low['mean'])}) and highest "
            f"with {report.words(highest)} ({percent(high['mean'])}){who}"
        )
    told = [
        f"{report.words(each)} {bounds}"
        for row, each in (found[0], found[-1])
        if (bounds := interval(row["mean_lo"], row["mean_hi"]))
    ]
    doubt = f"95 % intervals over items, for these models: {listed(told)}." if told else ""
    return finding, doubt


def _of_models(report: Report, metric: str) -> tuple[str, str]:
    """Models under one condition."""
    rows = [row for row in _cells(report) if row[metric] is not None]
    name = report.words(metric)
    under = report.words(rows[0]["condition"])
    rows.sort(key=lambda row: row[metric])
    if len({row["model"] for row in rows}) == 1:
        (row, *_) = rows
        bounds = interval(row[f"{metric}_lo"], row[f"{metric}_hi"])
        return (
            f"{row['model']}: {name} {percent(row[metric])}, {under}",
            f"95 % interval {bounds}, from {counted(row[f'{metric}_n'], 'item')}."
            if bounds
            else f"From {counted(row[f'{metric}_n'], 'item')}.",
        )
    first, last = rows[0], rows[-1]
    finding = (
        f"{capital(name)}, {under}, goes from {percent(first[metric])} ({first['model']}) to "
        f"{percent(last[metric])} ({last['model']}) over {counted(len(rows), 'model')}"
    )
    best = [row["model"] for row in report.rows("ranks", metric=metric) if row["best_set"]]
    doubt = (
        f"{capital(of_all(len(best), len(rows), 'model'))} may be the best, as far as these items "
        "tell."
        if best
        else ""
    )
    return finding, doubt


# --- figures -------------------------------------------------------------------------------------


def _figures(report: Report, scored: Sequence[str]) -> Iterator[Section]:
    """One for each metric; of one model under one condition one for all."""
    cells = _cells(report)
    if len(cells) > 1:
        for name in scored:
            yield Section(capital(report.words(name)), figures=(_strips(report, name),))
    elif shares := [name for name in scored if report.metric(name).is_fraction]:
        yield Section("Every rate", figures=(_rates(report, cells[0], shares),))


def _rates(report: Report, row: Row, metrics: Sequence[str]) -> Strips:
    """A row a metric, of the only model under the only condition."""
    rows = [
        Strip(
            report.words(name),
            [Point(row[name], 0, x_low=row[f"{name}_lo"], x_high=row[f"{name}_hi"], role="chosen")]
            if row[name] is not None
            else [],
            row[name],
        )
        for name in metrics
    ]
    columns = [
        DataColumn("metric"),
        *with_bounds("value", bounds=("lo", "hi"), cases={}),
        DataColumn("n", "items", "count"),
    ]
    data = [
        (report.words(name), *(row[f"{name}{end}"] for end in ("", "_lo", "_hi", "_n")))
        for name in metrics
    ]
    told = [f"{report.words(name)} {percent(row[name])}" for name in metrics]
    cases = [
        {"condition": row["condition"], "model": row["model"], **report.kind_of(name)}
        for name in metrics
    ]
    return Strips(
        "rates",
        capital(listed(told[:2])),
        f"{row['model']}, {report.words(row['condition'])}, {row['n']:,} items; bars are 95 % "
        "intervals.",
        Axis("share of items", percent=True),
        DataTable(columns, data, cases),
        rows,
    )


def _strips(report: Report, metric: str) -> Strips:
    """A row a condition and a dot a model."""
    kind = report.column_kind(metric)
    rows, data, cases = [], [], []
    few = len(report.models) <= FEW
    means: dict[str, Row] = {}
    for condition in report.conditions:
        points_, values = [], []
        for row in _cells(report, condition=condition):
            model, value = row["model"], row[metric]
            low, high = row[f"{metric}_lo"], row[f"{metric}_hi"]
            data.append((report.words(condition), model, value, low, high, row[f"{metric}_n"]))
            cases.append({"condition": condition, "model": model})
            if value is None:
                continue
            chosen = model == report.chosen
            with_interval = chosen or few
            values.append(value)
            points_.append(
                Point(
                    value,
                    0,
                    condition,
                    model,
                    x_low=low if with_interval else None,
                    x_high=high if with_interval else None,
                    role="chosen" if chosen else "each",
                    note=model if few and len(report.models) > 1 else "",
                )
            )
        mean = _mean(report, metric, condition) if len(report.models) > 1 else None
        if mean is not None:
            means[condition] = mean
            words = f"mean of {counted(mean['n_models'], 'model')}"
            bounds = (mean["mean_lo"], mean["mean_hi"])
            data.append((report.words(condition), words, mean["mean"], *bounds, None))
            cases.append({"condition": condition})
            points_.append(
                Point(
                    mean["mean"],
                    0,
                    condition,
                    words,
                    x_low=bounds[0],
                    x_high=bounds[1],
                    role="mean",
                )
            )
        value = mean["mean"] if mean else values[0] if len(values) == 1 else None
        rows.append(Strip(report.words(condition), points_, value, condition))
    return Strips(
        metric,
        _strips_title(report, metric, means),
        _strips_caption(report, metric),
        Axis(report.words(metric), percent=kind == "percent"),
        DataTable(
            (
                DataColumn("condition"),
                DataColumn("model"),
                *with_bounds(
                    "value", report.words(metric), kind, ("lo", "hi"), report.kind_of(metric)
                ),
                DataColumn("n", "items", "count"),
            ),
            data,
            cases,
        ),
        rows,
    )


def _strips_title(report: Report, metric: str, means: Mapping[str, Row]) -> str:
    name = capital(report.words(metric))
    told = {each: row["mean"] for each, row in means.items()} or {
        row["condition"]: row[metric] for row in _cells(report) if row[metric] is not None
    }
    if len(told) == 1:
        values = [row[metric] for row in _cells(report)]
        (value,) = told.values()
        mean = f", mean {percent(value)}" if len(report.models) > 1 else ""
        return f"{name}: {range_of(values, '{} to {}')}{mean}"
    ordered = sorted(told, key=lambda each: told[each])
    low, high = ordered[0], ordered[-1]
    if percent(told[low]) == percent(told[high]):
        return f"{name} is {percent(told[low])} under every condition"
    return (
        f"{name} goes from {percent(told[low])} ({report.words(low)}) to {percent(told[high])} "
        f"({report.words(high)})"
    )


def _strips_caption(report: Report, metric: str) -> str:
    n = range_of_counts([row[f"{metric}_n"] for row in _cells(report)])
    better = "Higher" if report.metric(metric).higher_is_better else "Lower"
    of = f"{n} items each, bars 95 % intervals"
    if len(report.models) == 1:
        return f"{better} is better. {report.chosen}, {of}."
    dots = "each model has its mark" if len(report.models) <= FEW else "a dot is a model"
    return (
        f"{better} is better. {counted(len(report.models), 'model')}, {of}: {dots}, the diamond "
        f"{report.chosen}, the star the mean with its value at the right edge (its interval is "
        "over items, for these models)."
    )


def range_of_counts(counts: Sequence[int]) -> str:
    """The least and the greatest."""
    least, most = min(counts), max(counts)
    return f"{least:,}" if least == most else f"{least:,} to {most:,}"


# --- tables --------------------------------------------------------------------------------------


def _tables(report: Report, scored: Sequence[str]) -> Iterator[Section]:
    """Every model, or what there is of rows and columns, with its interval."""
    if not scored:
        return
    lead = "95 % intervals below; a number leads to its cases."
    first = _first_harm(report, scored)
    if len(report.conditions) > 1 and len(report.models) > 1:
        for metric in scored:
            yield Section(
                f"Every model: {report.words(metric)}",
                lead=lead,
                data=_by_condition(report, metric),
                folded=metric != first,
            )
        return
    of_models = len(report.models) > 1
    columns = [
        *(_model_columns(report) if of_models else [DataColumn("condition")]),
        *(
            column
            for name in scored
            for column in with_bounds(
                name, report.words(name), report.column_kind(name), cases=report.kind_of(name)
            )
        ),
        DataColumn("n", "items", "count"),
    ]
    rows, cases = [], []
    for row in sorted(_cells(report), key=lambda row: report.models.index(row["model"])):
        model = _of_model(report, row["model"])
        rows.append({**row, **model, "condition": report.words(row["condition"])})
        cases.append({"condition": row["condition"], "model": row["model"]})
    title = "Every model, with its interval" if of_models else "Every rate, with its interval"
    yield Section(title, lead=lead, data=DataTable.of(columns, rows, cases))


def _model_columns(report: Report) -> list[DataColumn]:
    """A model, and its family and size where any is known."""
    known = [_of_model(report, model) for model in report.models]
    return [
        DataColumn("model"),
        *([DataColumn("family")] if any(each["family"] for each in known) else []),
        *(
            [DataColumn("parameters_b", "size, billions", "number")]
            if any(each["parameters_b"] for each in known)
            else []
        ),
    ]


def _of_model(report: Report, model: str) -> dict[str, Any]:
    entry = report.panel_of(model)
    family = "control" if model in report.controls else entry and entry.family
    return {"model": model, "family": family, "parameters_b": entry and entry.parameters_b}


def _by_condition(report: Report, metric: str) -> DataTable:
    """A row a model, a column a condition; below them the mean."""
    kind = report.column_kind(metric)
    columns = [
        *_model_columns(report),
        *(
            column
            for each in report.conditions
            for column in with_bounds(
                each,
                report.words(each),
                kind,
                cases={**report.kind_of(metric), "condition": each},
            )
        ),
    ]
    rows: list[dict[str, Any]] = []
    missing = dict.fromkeys(column.name for column in columns)
    for model in report.models:
        own = {row["condition"]: row for row in _cells(report, model=model)}
        found = {
            f"{each}{end}": row[f"{metric}{end}"]
            for each, row in own.items()
            for end in ("", "_lo", "_hi")
        }
        rows.append({**missing, **_of_model(report, model), **found})
    return DataTable.of(columns, rows, [{"model": model} for model in report.models])


def _ranks(report: Report, scored: Sequence[str]) -> Iterator[Section]:
    """Rank intervals, of the first headline metric and the first that counts harm."""
    for metric in dict.fromkeys((_first_harm(report, scored), scored[0]) if scored else ()):
        found = {
            (row["model"], row["condition"]): row for row in report.rows("ranks", metric=metric)
        }
        if not found:
            continue
        conditions = [each for each in report.conditions if any(c == each for _, c in found)]
        columns = [
            DataColumn("model"),
            *(
                column
                for each in conditions
                for column in with_bounds(each, report.words(each), "count")
            ),
        ]
        rows = [
            {
                "model": model,
                **{
                    f"{each}{end}": found[model, each][f"rank{end}"]
                    if (model, each) in found
                    else None
                    for each in conditions
                    for end in ("", "_lo", "_hi")
                },
            }
            for model in report.models
            if any(each == model for each, _ in found)
        ]
        yield Section(
            f"Ranks by {report.words(metric)}",
            lead=_rank_lead(report, metric, conditions),
            data=DataTable.of(columns, rows),
            note=(
                "1 is the best, equal values share a rank. With 95 % probability all true ranks of "
                "a column lie within the intervals below."
            ),
            folded=len(rows) > MOST_OPEN,
        )


def _rank_lead(report: Report, metric: str, conditions: Sequence[str]) -> str:
    told = []
    for each in conditions:
        rows = report.rows("ranks", metric=metric, condition=each)
        best = sum(row["best_set"] for row in rows)
        told.append(f"{best} of {len(rows)} ({report.words(each)})")
    return f"Models that may be the best, as far as these items tell: {listed(told)}."


def _published(report: Report) -> Iterator[Section]:
    """Our means beside the published ones, where there are any."""
    rows: list[dict[str, Any]] = []
    for condition in report.conditions:
        for metric in report.family.studied:
            published = report.published(condition, metric)
            mean = _mean(report, metric, condition)
            if published is None or mean is None or not report.metric(metric).is_fraction:
                continue
            rows.append(
                {
                    "condition": report.words(condition),
                    "metric": report.words(metric),
                    "models": mean["n_models"],
                    "mean": mean["mean"],
                    "mean_lo": mean["mean_lo"],
                    "mean_hi": mean["mean_hi"],
                    "published": published,
                    "difference": mean["mean"] - published,
                }
            )
    if rows:
        columns = [
            DataColumn("condition"),
            DataColumn("metric"),
            DataColumn("models", kind="count"),
            *with_bounds("mean", "mean here"),
            DataColumn("published", kind="percent"),
            DataColumn("difference", "difference, points", "percent"),
        ]
        yield Section(
            "Beside the published means",
            data=DataTable.of(columns, rows),
            note=(
                "Published: means over 34 models (arXiv 2605.04039), where they could be read; "
                "other models, or other answers, differ for that reason alone."
            ),
        )


def _raters(report: Report, scored: Sequence[str]) -> Iterator[Section]:
    """People who answered the same items."""
    rows = report.rows("profile", condition=HUMAN)
    if rows:
        columns = [
            DataColumn("model", "rater"),
            *(
                column
                for name in scored
                for column in with_bounds(name, report.words(name), report.column_kind(name))
            ),
            DataColumn("n", "items", "count"),
        ]
        yield Section("Human raters", data=DataTable.of(columns, rows))


def _reasons(report: Report) -> Iterator[Section]:
    """What is not scored and why, what needs a word, and what is not at hand."""
    texts = [each for each in (report.found.no_dataset, *report.found.no_contexts) if each]
    groups = {
        "What is not scored, and why": [
            *report.about["not_scored"],
            *(
                {"model": None, "condition": None, "items": None, "reason": f"table {name}: {why}"}
                for name, why in report.failed.items()
            ),
        ],
        "What else to know": report.about["remarks"],
        "Texts that are not at hand": [
            {"model": None, "condition": None, "items": None, "reason": said(each)}
            for each in texts
        ],
    }
    for title, reasons in groups.items():
        where: dict[str, list[str]] = {}
        for row in reasons:
            items = "" if row["items"] is None else f" ({counted(row['items'], 'item')})"
            place = [row["model"], row["condition"] and report.words(row["condition"])]
            where.setdefault(row["reason"], []).append(", ".join(filter(None, place)) + items)
        if where:
            yield Section(
                title,
                ("reason", "where"),
                tuple((reason, _places(places)) for reason, places in where.items()),
            )


def _places(places: Sequence[str]) -> str:
    named = [place for place in places if place]
    return listed(named, 6) if named else "everywhere"
