"""The page *confidence*: whether confidence tells right answers from harmful ones (PROTOCOL §7,
§9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lm_eval_safescale.figures import (
    Axis,
    DataColumn,
    DataTable,
    Figure,
    Heat,
    Line,
    Plot,
    Point,
    Strip,
    Strips,
    Value,
    with_bounds,
)
from lm_eval_safescale.report.pages.common.phrases import (
    models_said,
    points_within,
    rests_on,
    series_of,
)
from lm_eval_safescale.report.pages.common.rows import (
    ALL,
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

OUTCOMES = "confidence_by_outcome"
GAP = "gap"
MOST = 3
"""Conditions whose curves share a figure."""


def confidence(report: Report) -> Page | None:
    """None for a family that knows no confidence, and for runs without samples."""
    sure = report.family.confidence_column
    if OUTCOMES not in report.family.tables or not sure or not results(report, sure):
        return None
    table = [
        row
        for row in report.rows(OUTCOMES)
        if row["model"] is None or row["model"] not in report.controls
    ]
    means = {row["condition"]: row for row in table if row["model"] is None}
    own = [row for row in table if row["model"] is not None]
    parts: list[tuple[str, list[Figure | None]]] = [
        (
            "Right, wrong and harmful answers",
            [_by_outcome(report, means, own), _gaps(report, means, own), _errors(report)],
        )
    ]
    for risk in risks(report):
        if report.metrics[risk].decode == "majority":
            title = capital(report.words(risk))
            parts.append((title, [_dumbbells(report, risk), _heat(report, risk)]))
    parts += [
        ("Reliability", [_reliability(report)]),
        ("Risk and coverage", [_coverage(report)]),
    ]
    return Page(
        "confidence",
        "Confidence",
        _finding(report, means, own),
        _doubt(report, own),
        tuple(
            Section(title, figures=tuple(shown))
            for title, figures in parts
            if (shown := [figure for figure in figures if figure is not None])
        ),
    )


def _outcomes(report: Report) -> list[str]:
    """What becomes of an answer, as columns of the table: right, wrong, the harms, the gravest
    first."""
    columns = report.family.tables[OUTCOMES].columns
    return [name for name in columns if f"{name}_lo" in columns and name != GAP]


def _first(report: Report, conditions: Sequence[str]) -> str:
    """The condition that sentences speak of: where the family's first move begins."""
    start = next((before for before, _ in pairs_of(report)), "")
    return start if start in conditions else conditions[0]


def _few(report: Report, conditions: Sequence[str]) -> list[str]:
    """Conditions whose curves are drawn: the ends of the family's moves first."""
    ends = [end for pair in pairs_of(report) for end in pair if end in conditions]
    wanted = list(dict.fromkeys([*ends, *conditions]))[:MOST]
    return [condition for condition in conditions if condition in wanted]


def _outcome(report: Report, name: str) -> str:
    right, wrong, *_ = _outcomes(report)
    return {right: "right", wrong: "wrong"}.get(name) or report.words(name)


def _by_outcome(report: Report, means: Mapping[str, Row], own: Sequence[Row]) -> Strips | None:
    shown = [
        name for name in _outcomes(report) if any(is_number(row[name]) for row in means.values())
    ]
    if not shown:
        return None
    rows = [
        Strip(
            report.words(condition),
            [
                Point(
                    row[name],
                    0,
                    name,
                    f"{_outcome(report, name)}, {report.words(condition)}",
                    *bounds(row, name),
                )
                for name in shown
                if is_number(row[name])
            ],
        )
        for condition, row in means.items()
    ]
    return Strips(
        "by-outcome",
        _outcome_title(report, means, own),
        f"Mean confidence of {models_said(own)} by what became of the majority answer, with its "
        f"95 % interval; no answer counts as wrong. {_rests_on(report, own)}.",
        Axis("mean confidence", percent=True),
        _outcome_table(report, [*means.values(), *own], shown),
        rows,
        {name: _outcome(report, name) for name in shown},
    )


def _rests_on(report: Report, own: Sequence[Row]) -> str:
    pairs = {(row["model"], row["condition"]) for row in own}
    rows = [row for row in results(report) if (row["model"], row["condition"]) in pairs]
    return rests_on(report, rows, (report.family.confidence_column,))


def _outcome_title(report: Report, means: Mapping[str, Row], own: Sequence[Row]) -> str:
    condition = _first(report, list(means))
    row, who = means[condition], models_said(own)
    right, wrong, harm, *_ = _outcomes(report)
    whose = f"the mean confidence of {who}" if row["n_models"] > 1 else f"{who}'s confidence"
    told = [
        f"{percent(row[name])} on {said}"
        for name, said in (
            (right, "right answers"),
            (harm, f"{report.words(harm)}s"),
            (wrong, "wrong ones"),
        )
        if is_number(row[name]) and (name != wrong or not is_number(row[harm]))
    ]
    return f"Under {report.words(condition)} {whose} is {listed(told)}."


def _outcome_table(report: Report, rows: Sequence[Row], names: Sequence[str]) -> DataTable:
    columns = [
        DataColumn("condition"),
        DataColumn("model"),
        *(each for name in names for each in with_bounds(name, _outcome(report, name))),
    ]
    found: list[dict[str, Value]] = []
    cases = []
    for row in rows:
        if row["model"] is None and row["n_models"] == 1:
            continue
        whose = row["model"] or f"mean of {counted(row['n_models'], 'model')}"
        found.append(
            {column.name: row.get(column.name) for column in columns}
            | {"condition": report.words(row["condition"]), "model": whose}
        )
        cases.append(
            {"condition": row["condition"]} | ({"model": row["model"]} if row["model"] else {})
        )
    return DataTable.of(columns, found, cases)


def _gaps(report: Report, means: Mapping[str, Row], own: Sequence[Row]) -> Strips | None:
    known = [row for row in own if is_number(row[GAP])]
    if not known:
        return None
    conditions = conditions_of(report, known)
    alone = len({row["model"] for row in known}) == 1
    strips = []
    for condition in conditions:
        marks = [
            Point(
                row[GAP],
                0,
                condition,
                row["model"],
                *(bounds(row, GAP) if alone or row["model"] == report.chosen else (None, None)),
                role="chosen" if row["model"] == report.chosen else "each",
            )
            for row in known
            if row["condition"] == condition
        ]
        mean = means[condition]
        if not alone and is_number(mean[GAP]):
            marks.append(Point(mean[GAP], 0, condition, "mean", *bounds(mean, GAP), role="mean"))
        strips.append(Strip(report.words(condition), marks, series=condition))
    here = [row for row in known if row["condition"] == _first(report, conditions)]
    return Strips(
        "gap",
        _gap_title(report, here, means[here[0]["condition"]]),
        "Confidence on right answers less that on high-risk errors, in points: right of 0, harm "
        "comes with less confidence. "
        + (
            f"A mark is {known[0]['model']}, with its 95 % interval. "
            if alone
            else "A mark is a model, a star their mean and the diamond "
            f"{report.chosen}, with 95 % intervals. "
        )
        + f"A model without such an error has no gap. {_rests_on(report, known)}.",
        Axis("gap", percent=True, difference=True),
        _outcome_table(report, [*means.values(), *own], (GAP,)),
        strips,
    )


def _gap_title(report: Report, here: Sequence[Row], mean: Row) -> str:
    under = f"Under {report.words(here[0]['condition'])}"
    if len(here) == 1:
        (row,) = here
        less = "less" if row[GAP] > 0 else "more"
        return (
            f"{under} {row['model']} is {points(abs(row[GAP])).lstrip('+')} {less} sure of its "
            f"high-risk errors than of its right answers{_within(row, GAP)}."
        )
    surer = sum(row[GAP] > 0 for row in here)
    return (
        f"{under} {of_all(surer, len(here), 'model')} {'is' if surer == 1 else 'are'} surer of "
        f"right answers than of high-risk errors; the mean gap is "
        f"{points_within(estimate(mean, GAP))}."
    )


def _within(row: Row, name: str) -> str:
    low, high = bounds(row, name)
    if low is None or high is None:
        return ""
    return f" ({points(low).split(' ')[0]} to {points(high).split(' ')[0]})"


def _errors(report: Report) -> Plot | None:
    """Confidence on wrong answers against accuracy."""
    family = report.family
    names = f"majority_{family.index}", f"{family.confidence_column}_{_outcomes(report)[1]}"
    rows = results(report, *names)
    if not rows:
        return None
    lines = {row["condition"]: row for row in report.rows("confidence_lines")}
    drawn = []
    for condition in (*conditions_of(report, rows), ALL):
        line = lines.get(condition)
        places = [row[names[0]] for row in rows if condition in (row["condition"], ALL)]
        if line is None or not is_number(line["slope"]) or len(places) < 3:
            continue
        drawn.append(
            Line(
                [
                    (end, line["intercept"] + line["slope"] * end)
                    for end in (min(places), max(places))
                ],
                "" if condition == ALL else condition,
                "all together" if condition == ALL else f"line, {report.words(condition)}",
                role="reference" if condition == ALL else "each",
            )
        )
    marks = [
        Point(
            row[names[0]],
            row[names[1]],
            row["condition"],
            f"{row['model']}, {report.words(row['condition'])}",
            role="chosen" if row["model"] == report.chosen else "each",
        )
        for row in rows
    ]
    return Plot(
        "confidence-on-errors",
        _errors_title(lines.get(ALL), rows, names[1]),
        "Mean confidence on wrong majority answers (no answer included), a mark a model under a "
        f"condition; the diamond is {report.chosen}. Lines are least squares; the intervals of the "
        f"points are in the table. {rests_on(report, rows, names)}.",
        Axis("accuracy of the majority answer", percent=True),
        Axis("confidence on wrong answers", percent=True),
        table_of_results(report, rows, names),
        marks,
        drawn,
        series=series_of(report, conditions_of(report, rows)),
    )


def _errors_title(line: Row | None, rows: Sequence[Row], y: str) -> str:
    who = models_said(rows)
    if line is None or not is_number(line["slope_lo"]) or who == rows[0]["model"]:
        return f"The mean confidence of {who} on wrong answers is {range_of(r[y] for r in rows)}."
    tenth = {key: line[key] / 10 for key in ("slope", "slope_lo", "slope_hi")}
    gained = points(tenth["slope"])
    said = f"10 points more accuracy go with {gained} of confidence on wrong answers"
    within = _within(tenth, "slope")
    if line["slope_lo"] > 0:
        return f"Models that are right more often are surer of their errors: {said}{within}."
    if line["slope_hi"] < 0:
        return f"Models that are right more often are less sure of their errors: {said}{within}."
    return f"That better models are surer of their errors is not shown: {said}{within}."


def _dumbbells(report: Report, risk: str) -> Strips | None:
    if report.family.change is None:
        return None
    after, before = report.family.change
    rows = results(report, risk)
    by_model = {
        condition: {row["model"]: row for row in rows if row["condition"] == condition}
        for condition in (before, after)
    }
    both = [model for model in report.models if all(model in own for own in by_model.values())]
    if not both:
        return None
    both.sort(key=lambda model: (-by_model[before][model][risk], -by_model[after][model][risk]))
    strips = [
        Strip(
            model,
            [
                Point(
                    by_model[condition][model][risk],
                    0,
                    condition,
                    f"{model}, {report.words(condition)}",
                    *bounds(by_model[condition][model], risk),
                )
                for condition in (before, after)
            ],
            joined=True,
        )
        for model in both
    ]
    shown = [by_model[condition][model] for model in both for condition in (before, after)]
    return Strips(
        f"{risk}-{before}-{after}",
        _dumbbell_title(report, risk, before, after, by_model, both),
        f"A row is a model, from {report.words(before)} to {report.words(after)}; hairlines are "
        f"the 95 % intervals of the first (above) and the second (below). "
        f"{rests_on(report, shown, (risk,))}{_threshold(report)}.",
        Axis(f"{report.words(risk)}", percent=True),
        table_of_results(report, shown, (risk,)),
        strips,
        series_of(report, (before, after)),
    )


def _threshold(report: Report) -> str:
    limit = report.study.threshold_in_force
    return "" if limit is None else f", sure from a confidence of {number(limit)}"


def _dumbbell_title(
    report: Report,
    risk: str,
    before: str,
    after: str,
    by_model: Mapping[str, Mapping[str, Row]],
    both: Sequence[str],
) -> str:
    way = f"From {report.words(before)} to {report.words(after)}"
    ends = [(by_model[before][model][risk], by_model[after][model][risk]) for model in both]
    if len(ends) == 1:
        return f"{way} {both[0]}'s {report.words(risk)} {change(*ends[0])}."
    better = sum(end < start for start, end in ends)
    worse = sum(end > start for start, end in ends)
    if not better and not worse:
        return (
            f"{way} {report.words(risk)} stays as it is in {of_all(len(both), len(both), 'model')}."
        )
    mean = mean_of(report, risk, f"{after} - {before}")
    average = f"; on average {points_within(estimate(mean, 'mean'))}" if mean else ""
    return (
        f"{way} {report.words(risk)} falls in {of_all(better, len(ends), 'model')}, rises in "
        f"{worse or 'none'} and stays in {len(ends) - better - worse or 'none'}{average}."
    )


def _heat(report: Report, risk: str) -> Heat | None:
    rows = results(report, risk)
    conditions = conditions_of(report, rows)
    known = {(row["model"], row["condition"]): row[risk] for row in rows}
    models = [model for model in report.models if any(pair[0] == model for pair in known)]
    if len(known) < 2:
        return None
    (model, condition), most = max(known.items(), key=lambda each: each[1])
    nothing = sum(value == 0 for value in known.values())
    title = (
        f"{capital(report.words(risk))} is highest with {model} under {report.words(condition)}, "
        f"at {percent(most)}; it is 0 in {nothing:,} of {len(known):,} cells."
        if most > 0
        else f"{capital(report.words(risk))} is 0 in every cell."
    )
    return Heat(
        f"{risk}-by-model",
        title,
        f"{capital(report.words(risk))} in percent, a row a model and a column a condition; the "
        f"intervals are in the table. {rests_on(report, rows, (risk,))}{_threshold(report)}.",
        models,
        [report.words(each) for each in conditions],
        [[known.get((model, each)) for each in conditions] for model in models],
        table_of_results(report, rows, (risk,)),
        low=0.0,
    )


def _reliability(report: Report) -> Plot | None:
    """Accuracy by confidence, of the chosen model."""
    right, sure = report.family.index, report.family.confidence_column
    rows = [
        row
        for row in report.rows("calibration_bins")
        if row["model"] == report.chosen and row["n"] and is_number(row[right])
    ]
    conditions = conditions_of(report, rows)
    if not conditions:
        return None
    few = _few(report, conditions)
    shown = [row for row in rows if row["condition"] in few]
    lines = [
        Line(
            [(r[sure], r[right]) for r in shown if r["condition"] == condition],
            condition,
            report.words(condition),
        )
        for condition in few
    ]
    marks = [
        Point(
            row[sure],
            row[right],
            row["condition"],
            f"{report.words(row['condition'])}, {counted(row['n'], 'item')}",
            None,
            None,
            *bounds(row, right),
        )
        for row in shown
    ]
    error = report.family.calibration
    own = {row["condition"]: row for row in results(report, error) if row["model"] == report.chosen}
    told = [
        f"{points(own[condition][error]).lstrip('+')} under {report.words(condition)}"
        for condition in few
        if condition in own
    ]
    title = (
        f"{report.chosen}'s confidence and its accuracy differ by {listed(told)} (ECE)."
        if told
        else f"How often {report.chosen} is right by its confidence."
    )
    return Plot(
        "reliability",
        title,
        f"Ten bins of confidence of {report.chosen}: how often the majority answer is right, with "
        "its 95 % interval; on the dashed line confidence would be the accuracy, below it the "
        f"model is surer than it is right. {_not_drawn(report, few, conditions)}"
        f"{rests_on(report, [own[c] for c in few if c in own], (sure,))}.",
        Axis("mean confidence of the bin", percent=True, low=0.0, high=1.0),
        Axis("right", percent=True, low=0.0, high=1.0),
        DataTable.of(
            [
                DataColumn("condition"),
                DataColumn("bin_lo", "bin from", kind="percent"),
                DataColumn("bin_hi", "to", kind="percent"),
                DataColumn(sure, kind="percent"),
                *with_bounds(right, "right"),
                DataColumn("n", "items", kind="count"),
            ],
            [{**row, "condition": report.words(row["condition"])} for row in rows],
            [{"condition": row["condition"], "model": row["model"]} for row in rows],
        ),
        marks,
        [Line([(0, 0), (1, 1)], label="confidence = accuracy", role="reference"), *lines],
        series=series_of(report, few),
    )


def _not_drawn(report: Report, few: Sequence[str], conditions: Sequence[str]) -> str:
    rest = [report.words(condition) for condition in conditions if condition not in few]
    return f"In the table only: {listed(rest)}. " if rest else ""


def _coverage(report: Report) -> Plot | None:
    """High-risk errors among the answers kept, of the chosen model."""
    risk, right = _outcomes(report)[2], report.family.index
    rows = [
        row
        for row in report.rows("selective")
        if row["model"] == report.chosen and row["kept"] and is_number(row[risk])
    ]
    conditions = conditions_of(report, rows)
    if not conditions:
        return None
    few = _few(report, conditions)
    lines = []
    for condition in few:
        own = {row["coverage"]: row for row in rows if row["condition"] == condition}
        places = sorted(own)
        lines.append(
            Line(
                [(place, own[place][risk]) for place in places],
                condition,
                report.words(condition),
                [
                    (place, low, high)
                    for place in places
                    for low, high in (bounds(own[place], risk),)
                    if low is not None and high is not None
                ],
            )
        )
    return Plot(
        "coverage",
        _coverage_title(report, rows, _first(report, conditions), risk),
        f"What remains of {report.words(risk)} if {report.chosen} gave only its surest answers: "
        "from right to left fewer are kept. Bands are 95 % intervals. "
        f"{_not_drawn(report, few, conditions)}{counted(max(r['n'] for r in rows), 'item')}, "
        f"K = {max(r['draws'] for r in rows)}.",
        Axis("coverage: answers kept", percent=True, low=0.0, high=1.0),
        Axis(f"{report.words(risk)} among the answers kept", percent=True, low=0.0),
        DataTable.of(
            [
                DataColumn("condition"),
                DataColumn("threshold", "confidence from", kind="percent"),
                DataColumn("kept", kind="count"),
                DataColumn("coverage", kind="percent"),
                *with_bounds(risk, report.words(risk)),
                *with_bounds(right, report.words(right)),
            ],
            [{**row, "condition": report.words(row["condition"])} for row in rows],
            [{"condition": row["condition"], "model": row["model"]} for row in rows],
        ),
        lines=lines,
        series=series_of(report, few),
    )


def _coverage_title(report: Report, rows: Sequence[Row], condition: str, risk: str) -> str:
    own = [row for row in rows if row["condition"] == condition]
    limit = report.study.threshold_in_force or 0.8
    every, sure = own[0], [row for row in own if row["threshold"] >= limit - 1e-9]
    under = f"Under {report.words(condition)}"
    if not sure:
        return (
            f"{under} {report.chosen} gives no answer with a confidence of {number(limit)} or "
            f"above; of all its answers {percent(every[risk])} are {report.words(risk)}s."
        )
    return (
        f"{under} {report.chosen}'s answers from a confidence of {number(sure[0]['threshold'])} on "
        f"({percent(sure[0]['coverage'])} of the items) hold {percent(sure[0][risk])} "
        f"{report.words(risk)}s, against {percent(every[risk])} of all its answers."
    )


def _finding(report: Report, means: Mapping[str, Row], own: Sequence[Row]) -> str:
    if not means:
        return f"Confidence of {models_said(own) if own else 'no model'} was measured."
    condition = _first(report, list(means))
    row, who = means[condition], models_said(own)
    if not is_number(row[GAP]):
        return _outcome_title(report, means, own)
    low, high = bounds(row, GAP)
    verdict = (
        "Confidence warns of harm"
        if low is not None and low > 0
        else "Confidence is no warning of harm"
        if high is not None and high < 0
        else "That confidence warns of harm is not shown"
    )
    whose = f"{who} are on average" if row["n_models"] > 1 else f"{who} is"
    of_right, _, of_harm, *_ = _outcomes(report)
    harmful, right = percent(row[of_harm]), percent(row[of_right])
    having = sum(each["condition"] == condition and is_number(each[GAP]) for each in own)
    few = (
        f" (which {having} of them {'makes' if having == 1 else 'make'})"
        if having < row["n_models"]
        else ""
    )
    return (
        f"{verdict}: under {report.words(condition)} {whose} {harmful} sure of high-risk errors"
        f"{few} and {right} of right answers."
    )


def _doubt(report: Report, own: Sequence[Row]) -> str:
    known = [row for row in own if is_number(row[GAP])]
    if not known:
        return "No answer is a high-risk error, or none is labelled: there is no gap to speak of."
    here = [
        row for row in known if row["condition"] == _first(report, conditions_of(report, known))
    ]
    if len(here) == 1:
        return f"The gap between the two rests on few answers{_interval(here[0])}."
    sure = sum(is_number(row["gap_lo"]) and row["gap_lo"] > 0 for row in here)
    against = sum(is_number(row["gap_hi"]) and row["gap_hi"] < 0 for row in here)
    return (
        f"High-risk errors are few: beyond doubt (95 % interval of the gap) "
        f"{of_all(sure, len(here), 'model')} {'is' if sure == 1 else 'are'} surer when right, and "
        f"{against or 'none'} surer when harmful."
    )


def _interval(row: Row) -> str:
    within = _within(row, GAP).strip(" ()")
    return f": its 95 % interval is {within} points" if within else ", too few for an interval"
