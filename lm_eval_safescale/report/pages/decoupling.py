"""The page *decoupling*: whether models that are right more often do less harm (PROTOCOL §9)."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.figures import Axis, Line, Plot, Point, Region
from lm_eval_safescale.report.pages.common.phrases import (
    models_said,
    points_within,
    rests_on,
    series_of,
)
from lm_eval_safescale.report.pages.common.rows import (
    Row,
    bounds,
    conditions_of,
    estimate,
    mean_of,
    pairs_of,
    results,
    risks,
)
from lm_eval_safescale.report.pages.common.tables import table_of_results
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Page, Section
from lm_eval_safescale.sentences import (
    capital,
    change,
    counted,
    is_number,
    listed,
    number,
    of_all,
    percent,
    points,
    range_of,
)
from lm_eval_safescale.stats.presets import ALPHA

LATENCY = "latency_s"


def decoupling(report: Report) -> Page | None:
    """None for a family without an index or a risk, and where nothing is scored."""
    index, harms = report.family.index, risks(report)
    if index not in report.metrics or not harms or not results(report, index, harms[0]):
        return None
    sections = [
        *(
            Section(f"{_head(report, index)} and {report.words(risk)}", figures=(found,))
            for risk in harms
            if (found := against(report, index, risk)) is not None
        ),
        *_moves(report, index, harms[0]),
        *_parallel(report, index),
        *_latency(report, index),
    ]
    return Page(
        "decoupling",
        "Decoupling",
        _finding(report, index, harms[0]),
        _doubt(report, index, harms[0]),
        tuple(sections),
    )


def against(report: Report, index: str, risk: str) -> Plot | None:
    """The index against a risk: a mark for each model and condition; None without any."""
    rows = results(report, index, risk)
    if not rows:
        return None
    conditions = conditions_of(report, rows)
    means = [
        (condition, one, other)
        for condition in conditions
        if (one := mean_of(report, index, condition))
        and (other := mean_of(report, risk, condition))
    ]
    alone = len({row["model"] for row in rows}) == 1
    marks = [] if alone else [_point(report, row, index, risk) for row in rows]
    marks += [_mean(report, *mean, models_said(rows)) for mean in means]
    region, reach = _region(report, index, risk)
    return Plot(
        f"{index}-{risk}",
        _title(report, rows, means, index, risk),
        ("" if alone else "A mark is a model under a condition, the shape says which. ")
        + _marks(rows)
        + ("" if alone else f"A diamond is {report.chosen}; its intervals are in the table. ")
        + ("Shaded: " + reach + ". " if reach else "")
        + f"The upper right is safest. {rests_on(report, rows, (index, risk))}.",
        _axis(report, index),
        Axis(f"{report.words(risk)}, % (0 on top)", percent=True, reversed=True, low=0.0),
        table_of_results(report, rows, (index, risk)),
        marks,
        regions=region,
        series=series_of(report, conditions),
    )


def _marks(rows: Sequence[Row]) -> str:
    who = models_said(rows)
    star = f"the mean of {who}" if len({row["model"] for row in rows}) > 1 else who
    return f"A star is {star}, with its 95 % intervals. "


def _axis(report: Report, metric: str) -> Axis:
    return Axis(report.words(metric), percent=True)


def _head(report: Report, metric: str) -> str:
    return capital(report.words(metric))


def _point(report: Report, row: Row, index: str, risk: str) -> Point:
    return Point(
        row[index],
        row[risk],
        row["condition"],
        f"{row['model']}, {report.words(row['condition'])}",
        role="chosen" if row["model"] == report.chosen else "each",
    )


def _mean(
    report: Report, condition: str, one: Row, other: Row, who: str, *, note: bool = True
) -> Point:
    words = report.words(condition)
    return Point(
        one["mean"],
        other["mean"],
        condition,
        f"{who if one['n_models'] == 1 else 'mean'}, {words}",
        *bounds(one, "mean"),
        *bounds(other, "mean"),
        role="mean",
        note=words if note else "",
    )


def _region(report: Report, index: str, risk: str) -> tuple[list[Region], str]:
    """The region to deploy in, where the family has one of both metrics, and its words."""
    wanted = report.family.deployable
    if index not in wanted or risk not in wanted:
        return [], ""
    said = (
        f"at least {percent(wanted[index], 0)} {report.words(index)} and at most "
        f"{percent(wanted[risk], 0)} {report.words(risk)}"
    )
    return [Region(said, x_low=wanted[index], y_high=wanted[risk])], said


def _title(
    report: Report,
    rows: Sequence[Row],
    means: Sequence[tuple[str, Row, Row]],
    index: str,
    risk: str,
) -> str:
    region, reach = _region(report, index, risk)
    who, models = models_said(rows), {row["model"] for row in rows}
    if region:
        inside = [row for row in rows if _is_inside(report, row[index], row[risk], index, risk)]
        places = (
            conditions_of(report, inside)
            if len(models) == 1
            else [
                condition
                for condition, one, other in means
                if _is_inside(report, one["mean"], other["mean"], index, risk)
            ]
        )
        subject = who if len(models) == 1 else f"The mean of {who}"
        said = _reaches(report, subject, reach, places, conditions_of(report, rows))
        if len(models) == 1:
            return f"{said}."
        verb = "does" if len(inside) == 1 else "do"
        return f"{said}; {len(inside):,} of {counted(len(rows), 'result')} of single models {verb}."
    if len(means) == 1:
        condition, one, other = means[0]
        of = who if len(models) == 1 else f"the mean of {who}"
        return (
            f"Under {report.words(condition)} {of} has {percent(one['mean'])} "
            f"{report.words(index)} and {percent(other['mean'])} {report.words(risk)}."
        )
    spread = [range_of([one["mean"] for _, one, _ in means])]
    spread.append(range_of([other["mean"] for *_, other in means]))
    return (
        f"Between conditions {'' if len(models) == 1 else 'mean '}{report.words(index)} "
        f"{_range(spread[0])}, {report.words(risk)} {_range(spread[1])}."
    )


def _range(words: str) -> str:
    return f"ranges {words}" if words.startswith("from") else f"is {words} under all"


def _reaches(
    report: Report, subject: str, reach: str, places: Sequence[str], conditions: Sequence[str]
) -> str:
    if places:
        return f"{subject} reaches {reach} under {listed([report.words(p) for p in places], 3)}"
    if len(conditions) == 1:
        return f"{subject} does not reach {reach} under {report.words(conditions[0])}"
    return f"{subject} reaches {reach} under none of {len(conditions)} conditions"


def _is_inside(report: Report, one: float, other: float, index: str, risk: str) -> bool:
    wanted = report.family.deployable
    return one >= wanted[index] and other <= wanted[risk]


def _moves(report: Report, index: str, risk: str) -> list[Section]:
    """An arrow a model, for each move from a condition to another."""
    figures = [
        found
        for before, after in pairs_of(report)
        if (found := _move(report, index, risk, before, after)) is not None
    ]
    if not figures:
        return []
    return [Section("From one condition to another", figures=tuple(figures))]


def _move(report: Report, index: str, risk: str, before: str, after: str) -> Plot | None:
    rows = results(report, index, risk)
    by_model = {
        condition: {row["model"]: row for row in rows if row["condition"] == condition}
        for condition in (before, after)
    }
    both = [model for model in report.models if all(model in own for own in by_model.values())]
    if not both:
        return None
    pairs = [(by_model[before][model], by_model[after][model]) for model in both]
    ends = [
        (condition, one, other)
        for condition in (before, after)
        if (one := mean_of(report, index, condition))
        and (other := mean_of(report, risk, condition))
    ]
    arrows = [
        Line(
            [(start[index], start[risk]), (end[index], end[risk])],
            after,
            f"{model}: {report.words(index)} {change(start[index], end[index])}, "
            f"{report.words(risk)} {change(start[risk], end[risk])}",
            role="chosen" if model == report.chosen and len(both) > 1 else "each",
            arrow=True,
        )
        for model, (start, end) in zip(both, pairs, strict=True)
    ]
    chosen = (
        f"The dark arrow is {report.chosen}. " if len(both) > 1 and report.chosen in both else ""
    )
    shown = [row for pair in zip(*pairs, strict=True) for row in pair]
    return Plot(
        f"{before}-{after}",
        _move_title(report, pairs, index, risk, before, after),
        f"An arrow is {'a model' if len(both) > 1 else both[0]}, from {report.words(before)} to "
        f"{report.words(after)}. {chosen}"
        f"{_marks(shown)}Up and to the right is safer and more often right. "
        f"{rests_on(report, shown, (index, risk))}.",
        _axis(report, index),
        Axis(f"{report.words(risk)}, % (0 on top)", percent=True, reversed=True, low=0.0),
        table_of_results(report, shown, (index, risk)),
        [_mean(report, *end, both[0]) for end in ends],
        arrows,
        series=series_of(report, (before, after)),
    )


def _move_title(
    report: Report,
    pairs: Sequence[tuple[Row, Row]],
    index: str,
    risk: str,
    before: str,
    after: str,
) -> str:
    way = f"From {report.words(before)} to {report.words(after)}"
    if len(pairs) == 1:
        ((start, end),) = pairs
        return (
            f"{way} {start['model']}'s {report.words(index)} {change(start[index], end[index])} "
            f"and its {report.words(risk)} {change(start[risk], end[risk])}."
        )
    up = sum(end[index] > start[index] for start, end in pairs)
    down = sum(end[risk] < start[risk] for start, end in pairs)
    both = sum(end[index] > start[index] and end[risk] >= start[risk] for start, end in pairs)
    means = [mean_of(report, name, f"{after} - {before}") for name in (index, risk)]
    on_average = (
        f"; on average they change by {points(means[0]['mean'])} and {points(means[1]['mean'])}"
        if means[0] and means[1]
        else ""
    )
    rises = of_all(up, len(pairs), "model")
    falls = {0: "none", len(pairs): "all"}.get(down, f"{down:,}")
    return (
        f"{way} {report.words(index)} rises in {rises} and {report.words(risk)} falls in "
        f"{falls}{_no_safer(up, both)}{on_average}."
    )


def _no_safer(better: int, of_them: int) -> str:
    """How many of those that are right more often do no less harm; empty for none."""
    if not of_them:
        return ""
    if better == 1:
        return " (the one that is right more often does no less harm)"
    some = "none does" if of_them == better else f"{of_them:,} {'do' if of_them > 1 else 'does'} no"
    return f" (of the {better:,} that are right more often {some} less harm)"


def _parallel(report: Report, index: str) -> list[Section]:
    """The index and 100 % less each rate, side by side."""
    known = report.metrics
    names = [
        name
        for name in dict.fromkeys((index, *report.family.rates, *risks(report)))
        if name in known and known[name].is_fraction and results(report, name)
    ]
    if len(names) < 2:
        return []
    rows = results(report, *names)
    if not rows:
        return []

    def good(name: str, value: float) -> float:
        return value if known[name].higher_is_better else 1 - value

    conditions, alone = conditions_of(report, rows), len({row["model"] for row in rows}) == 1
    each = [
        Line(
            [(place, good(name, row[name])) for place, name in enumerate(names)],
            row["condition"],
            f"{row['model']}, {report.words(row['condition'])}",
        )
        for row in rows
        if not alone
    ]
    marks, means, spread = [], [], []
    for condition in conditions:
        found = [mean_of(report, name, condition) for name in names]
        spots = [
            (place, good(name, row["mean"]), row)
            for place, (name, row) in enumerate(zip(names, found, strict=True))
            if row
        ]
        words = report.words(condition)
        means.append(Line([(x, y) for x, y, _ in spots], condition, f"mean, {words}", role="mean"))
        for place, y, row in spots:
            ends = [good(names[place], bound) for bound in bounds(row, "mean") if bound is not None]
            low, high = (min(ends), max(ends)) if ends else (None, None)
            marks.append(Point(place, y, condition, f"mean, {words}", y_low=low, y_high=high))
    for name in names:
        of_conditions = [mean_of(report, name, condition) for condition in conditions]
        values = [mean["mean"] for mean in of_conditions if mean]
        if values:
            spread.append((max(values) - min(values), name, values[0]))
    heads = [
        report.words(name) if known[name].higher_is_better else f"100 % less {report.words(name)}"
        for name in names
    ]
    plot = Plot(
        "parallel",
        _parallel_title(report, spread, conditions, models_said(rows)),
        "Higher is better on every axis. "
        + (
            ""
            if alone
            else "A thin line is a model under a condition, a thick one the mean of the "
        )
        + ("A line is a condition, " if alone else "models under it, ")
        + f"with 95 % intervals. {rests_on(report, rows, names)}.",
        Axis("", categories=heads),
        Axis("", percent=True),
        table_of_results(report, rows, names),
        marks,
        [*each, *means],
        series=series_of(report, conditions),
    )
    return [Section("All rates", figures=(plot,))]


def _parallel_title(
    report: Report,
    spread: Sequence[tuple[float, str, float]],
    conditions: Sequence[str],
    who: str,
) -> str:
    if len(conditions) == 1 or len(spread) < 2:
        told = [f"{percent(value)} {report.words(name)}" for _, name, value in spread]
        return f"Under {report.words(conditions[0])}: {listed(told)} ({who})."
    most, least = max(spread), min(spread)
    if points(most[0]) == points(least[0]):
        return f"Conditions differ by {_far(most[0])} in every rate ({who})."
    words = f"Of {who}" if who[:1].isdigit() else f"For {who}"
    return (
        f"{words}, conditions differ most in {report.words(most[1])} (by "
        f"{_far(most[0])}) and least in {report.words(least[1])} "
        f"({_far(least[0])})."
    )


def _far(distance: float) -> str:
    return points(distance).lstrip("+")


def _latency(report: Report, index: str) -> list[Section]:
    """Seconds of a request against the index."""
    rows = [row for row in results(report, index, LATENCY) if row[LATENCY] > 0]
    if not rows:
        return []
    conditions, alone = conditions_of(report, rows), len({row["model"] for row in rows}) == 1
    means = {
        condition: (one, other)
        for condition in conditions
        if (one := mean_of(report, LATENCY, condition))
        and (other := mean_of(report, index, condition))
    }
    marks = [] if alone else [_point(report, row, LATENCY, index) for row in rows]
    marks += [
        _mean(report, condition, one, other, models_said(rows))
        for condition, (one, other) in means.items()
    ]
    if len(means) > 1:
        slow = max(means, key=lambda name: means[name][0]["mean"])
        fast = min(means, key=lambda name: means[name][0]["mean"])
        best = max(means, key=lambda name: means[name][1]["mean"])
        title = (
            f"A greedy answer takes from {number(means[fast][0]['mean'])} s "
            f"({report.words(fast)}) to {number(means[slow][0]['mean'])} s ({report.words(slow)}); "
            f"{report.words(index)} is highest with {report.words(best)}, at "
            f"{number(means[best][0]['mean'])} s."
        )
    else:
        seconds = [row[LATENCY] for row in rows]
        low, high = number(min(seconds)), number(max(seconds))
        span = f"{low} s" if low == high else f"from {low} to {high} s"
        title = f"Under {report.words(conditions[0])} a greedy answer takes {span}."
    plot = Plot(
        "latency",
        title,
        "Mean seconds of the greedy request, as served when it was asked, on a log axis. "
        f"{_marks(rows)}{rests_on(report, rows)}.",
        Axis("latency, s (log)", log=True),
        _axis(report, index),
        table_of_results(report, rows, (LATENCY, index), {LATENCY: "number"}),
        marks,
        series=series_of(report, conditions),
    )
    return [Section(f"Latency and {report.words(index)}", figures=(plot,))]


def _finding(report: Report, index: str, risk: str) -> str:
    for before, after in pairs_of(report):
        ends = {
            name: [mean_of(report, name, condition) for condition in (before, after)]
            for name in (index, risk)
        }
        if all(row for rows in ends.values() for row in rows):
            said = [
                f"{report.words(name)} {change(rows[0]['mean'], rows[1]['mean'])}"
                for name, rows in ends.items()
                if rows[0] and rows[1]
            ]
            return f"From {report.words(before)} to {report.words(after)}, {listed(said)}."
    plot = against(report, index, risk)
    return plot.title if plot else ""


def _doubt(report: Report, index: str, risk: str) -> str:
    """The intervals of the change, and how many models show it by themselves."""
    for before, after in pairs_of(report):
        rows = [mean_of(report, name, f"{after} - {before}") for name in (index, risk)]
        if not all(rows):
            continue
        said = [
            f"{report.words(name)} {points_within(estimate(row, 'mean'))}"
            for name, row in zip((index, risk), rows, strict=True)
            if row
        ]
        tests = [
            row
            for row in report.rows("paired_tests", metric=risk, left=after, right=before)
            if row["decode"] == report.metrics[risk].decode
            and row["model"] is not None
            and is_number(row["p_holm"])
        ]
        shown = sum(row["p_holm"] < ALPHA and row["delta"] < 0 for row in tests)
        alone = (
            f" Taken by itself, {report.words(risk)} falls beyond doubt (p < {ALPHA}, Holm) in "
            f"{of_all(shown, len(tests), 'model')}."
            if len(tests) > 1
            else ""
        )
        return f"Differences and their 95 % intervals over items: {listed(said)}.{alone}"
    return ""
