"""The page *principles*: safety by principle and aspect, prompt settings compared, people beside
models, and how far they agree. It is made from tables, and knows no question.
"""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.families.medguard.conditions import PAIRS
from lm_eval_safescale.families.medguard.questions import ASPECT, PRINCIPLE
from lm_eval_safescale.families.raters import HUMAN
from lm_eval_safescale.families.showing import (
    Shown,
    TableRow,
    mean_of,
    models_said,
    of_models,
    strip,
    strips,
    with_controls,
)
from lm_eval_safescale.figures import (
    Axis,
    DataColumn,
    DataTable,
    Point,
    Strip,
    Strips,
    with_bounds,
)
from lm_eval_safescale.sections import Page, ReportView, Section
from lm_eval_safescale.sentences import capital, percent, points
from lm_eval_safescale.words import counted

INDEX = "safety_index"
VALUE = Shown("value", "lo", "hi")
CHANGE = Shown("delta", "delta_lo", "delta_hi", "points")
PERSON = "human"
MOST_OPEN = 12
"""Rows of the table of agreement beyond which it is folded."""
MOST_APART = 6
"""Groups beyond which all settings share a row."""
STYLE = "MedGuard-style: not the authors' code, questions and prompts are ours or the data file's."


def pages(report: ReportView) -> list[Page]:
    """None where the index is nowhere scored."""
    rows = [
        row
        for row in report.rows("results", metric=INDEX)
        if row["condition"] != HUMAN and row["value"] is not None
    ]
    if not rows:
        return []
    found = (
        _by(report, rows, PRINCIPLE, "Safety by principle", "the mean of its aspects"),
        _by(report, rows, ASPECT, "Safety by aspect", "the share of safe answers"),
        _settings(report),
        _people(report, rows),
        *_agreement(report),
    )
    finding, doubt = _said(report, rows)
    return [
        Page(
            "principles",
            "Principles and people",
            finding,
            doubt,
            tuple(section for section in found if section is not None),
        )
    ]


def _of_models(report: ReportView, rows: Sequence[TableRow]) -> list[TableRow]:
    """Without those of controls, which are in no mean over models; all, where there are no
    others."""
    return of_models(report, rows) or list(rows)


def _means(rows: Sequence[TableRow], column: str) -> dict[str, float]:
    """By the values of a column, in order: the mean of the index."""
    found = {
        each: mean_of([row for row in rows if row[column] == each], "value")
        for each in dict.fromkeys(row[column] for row in rows)
    }
    return {each: mean for each, mean in found.items() if mean is not None}


def _said(report: ReportView, rows: Sequence[TableRow]) -> tuple[str, str]:
    """The headline, and what is uncertain in it."""
    rows = _of_models(report, rows)
    overall = [row for row in rows if row["group"] is None]
    index = mean_of(overall, "value")
    by = _means([row for row in rows if row["group_name"] == PRINCIPLE], "group")
    parts = ""
    if len(by) > 1:
        best, worst = (pick(by, key=lambda name: by[name]) for pick in (max, min))
        parts = (
            f", from {percent(by[worst])} in {worst} to {percent(by[best])} in {best}"
            if by[worst] != by[best]
            else f", alike in all {len(by)} principles"
        )
    people = _of_people(report)
    beside = mean_of(people, "value")
    person = "" if beside is None else f"; {counted(len(people), 'human rater')} {percent(beside)}"
    alone = len(overall) == 1
    who = overall[0]["model"] if alone else f"{counted(len({r['model'] for r in rows}), 'model')}"
    doubt = (
        f"95 % interval of the index: {VALUE.words(overall[0])}. "
        if alone
        else f"Means over {models_said(report, rows)} and "
        f"{counted(len(report.conditions), 'setting')}. "
    )
    verb = "has" if alone else "have"
    return (
        f"{who} {verb} a safety index of {percent(index)}{parts}{person}.",
        f"{doubt}{STYLE}",
    )


def _data(rows: Sequence[TableRow], grouped: str) -> DataTable:
    return DataTable.of(
        (
            DataColumn("model"),
            DataColumn("condition", "setting"),
            *([DataColumn("group", grouped)] if grouped else []),
            *with_bounds("value", "safety index", bounds=("lo", "hi")),
            DataColumn("n", "questions", "count"),
        ),
        rows,
        [
            {
                "model": row["model"],
                "condition": row["condition"],
                **({"group": f"{grouped}:{row['group']}"} if grouped else {}),
            }
            for row in rows
        ],
    )


def _by(
    report: ReportView, rows: Sequence[TableRow], grouping: str, title: str, said: str
) -> Section | None:
    """A row a principle or aspect and setting, and a dot a model."""
    own = [row for row in rows if row["group_name"] == grouping]
    means = _means(_of_models(report, own), "group")
    if not means:
        return None
    several = len({row["condition"] for row in own}) > 1
    in_order = sorted(means, key=lambda name: means[name])
    if several and len(means) > MOST_APART:
        drawn = [_of_all(report, group, own, means[group]) for group in in_order]
    else:
        drawn = strips(
            strip(
                f"{group}, {report.words(condition)}" if several else str(group),
                [row for row in own if (row["group"], row["condition"]) == (group, condition)],
                VALUE,
                report,
                series=condition if several else None,
            )
            for group in in_order
            for condition in report.conditions
        )
    lowest = min(means, key=lambda name: means[name])
    return Section(
        title,
        figures=(
            Strips(
                f"index-by-{grouping}",
                f"Least safe: {lowest}, {percent(means[lowest])} on average."
                if len(means) > 1
                else f"{lowest}: {percent(means[lowest])} on average.",
                f"Safety index of each {grouping}, {said}; the lowest first. A dot is one of "
                f"{models_said(report, own)}{_marks(report, drawn)}. At the right stands the mean.",
                Axis("safety index", percent=True, low=0.0, high=1.0),
                _data(own, grouping),
                drawn,
                {each: report.words(each) for each in report.conditions}
                if several
                else with_controls(report, [row["model"] for row in own]),
            ),
        ),
    )


def _marks(report: ReportView, drawn: Sequence[Strip]) -> str:
    """What the filled mark is, where there is one."""
    is_there = any(point.role == "chosen" for row in drawn for point in row.points)
    return f"; the filled mark is {report.chosen} with its 95 % interval" if is_there else ""


def _of_all(report: ReportView, group: str, rows: Sequence[TableRow], mean: float) -> Strip:
    """One row for all settings: a dot a model and setting."""
    dots = [
        Point(
            row["value"],
            0.0,
            row["condition"],
            f"{row['model']}, {report.words(row['condition'])}: {VALUE.words(row)}",
        )
        for row in rows
        if row["group"] == group
    ]
    return Strip(
        group, [*dots, Point(mean, 0.0, "", f"mean: {percent(mean)}", role="mean")], value=mean
    )


def _settings(report: ReportView) -> Section | None:
    """What prompting changes: a row a pair of settings, and a dot a model."""
    rows = [
        row
        for row in report.rows("paired_tests", metric=INDEX)
        if row["model"] is not None and row["delta"] is not None
    ]
    drawn, changes = [], {}
    for left, right in PAIRS:
        own = [
            row for row in rows if (row["left_condition"], row["right_condition"]) == (left, right)
        ]
        label = f"{report.words(left)} against {report.words(right)}"
        made = strip(label, own, CHANGE, report)
        if made is not None:
            drawn.append(made)
            changes[label] = mean_of(_of_models(report, own), "delta") or 0.0
    if not drawn:
        return None
    most = max(changes, key=lambda label: abs(changes[label]))
    own = _of_models(report, rows)
    clear = [row for row in own if (row["delta_lo"] or 0) > 0 or (row["delta_hi"] or 0) < 0]
    figure = Strips(
        "settings",
        f"Largest change of the index: {points(changes[most])} on average, {most}."
        if changes[most]
        else "No setting changes the index on average.",
        f"Difference of the safety index between two prompt settings on the same questions: above "
        f"0 the first is safer. A dot is one of {models_said(report, rows)}; the filled mark is "
        f"{report.chosen} with its 95 % interval. In {len(clear):,} of "
        f"{counted(len(own), 'comparison')} of a model the interval leaves out 0 (each by itself).",
        Axis("difference of the index", percent=True),
        DataTable.of(
            (
                DataColumn("model"),
                DataColumn("left_condition", "setting"),
                DataColumn("right_condition", "against"),
                *with_bounds("delta", "difference"),
                DataColumn("n", "questions", "count"),
            ),
            rows,
            [{"model": row["model"], "condition": row["left_condition"]} for row in rows],
        ),
        drawn,
        with_controls(report, [row["model"] for row in rows]),
    )
    return Section("Prompt settings compared", figures=(figure,))


def _of_people(report: ReportView) -> list[TableRow]:
    return [
        row
        for row in report.rows("results", metric=INDEX, condition=HUMAN)
        if row["group"] is None and row["value"] is not None
    ]


def _people(report: ReportView, rows: Sequence[TableRow]) -> Section | None:
    """People who answered the same questions, above the models."""
    people = _of_people(report)
    if not people:
        return None
    overall = [row for row in rows if row["group"] is None]
    several = len({row["condition"] for row in overall}) > 1
    drawn = [
        Strip(
            str(row["model"]),
            [Point(row["value"], 0.0, PERSON, f"{row['model']}: {VALUE.words(row)}",
                   row["lo"], row["hi"])],
            value=row["value"],
            series=PERSON,
        )
        for row in people
    ]  # fmt: skip
    drawn += [
        Strip(
            f"{row['model']}, {report.words(row['condition'])}" if several else str(row["model"]),
            [
                Point(
                    row["value"],
                    0.0,
                    row["condition"],
                    f"{row['model']}: {VALUE.words(row)}",
                    row["lo"],
                    row["hi"],
                    role="chosen" if row["model"] == report.chosen else "each",
                )
            ],
            value=row["value"],
            series=row["condition"],
        )
        for row in sorted(overall, key=lambda row: -row["value"])
    ]
    least = min(row["value"] for row in people)
    models = _of_models(report, overall)
    above = sum(row["value"] >= least for row in models)
    return Section(
        "People who answered the same questions",
        figures=(
            Strips(
                "people",
                f"{above:,} of {counted(len(models), 'row')} of models "
                f"{'is' if above == 1 else 'are'} at least as safe as the least safe human rater.",
                f"Safety index with its 95 % interval of {counted(len(people), 'human rater')} "
                "and of each model; what a rater did not answer is not scored.",
                Axis("safety index", percent=True, low=0.0, high=1.0),
                _data([*people, *overall], ""),
                drawn,
                {PERSON: "human rater", **{each: report.words(each) for each in report.conditions}},
            ),
        ),
    )


def _agreement(report: ReportView) -> list[Section]:
    """Of raters with one another; then of models with them, folded where there are many."""
    rows = report.rows("agreement")
    people = [row for row in rows if row["model"] is None]
    models = [row for row in rows if row["model"] is not None]
    of_all = [
        row for row in people if row["coefficient"] == "fleiss_kappa" and row["value"] is not None
    ]
    lead = "; ".join(
        f"{'by the letter' if row['categories'] == 'letter' else 'by whether it is safe'} Fleiss' "
        f"kappa of all raters is {row['value']:.2f}"
        + ("" if row["lo"] is None else f" ({row['lo']:.2f} to {row['hi']:.2f})")
        for row in of_all
    )
    note = "1 is agreement in all questions, 0 what chance alone gives."
    found = []
    if people:
        found.append(
            Section(
                "How far raters agree",
                lead=f"{capital(lead)}." if lead else "",
                data=DataTable.of(_columns_of_agreement(()), people),
                note=note,
            )
        )
    if models:
        who = (DataColumn("model"), DataColumn("condition", "setting"))
        found.append(
            Section(
                "How far models agree with raters",
                folded=len(models) > MOST_OPEN,
                data=DataTable.of(_columns_of_agreement(who), models),
                note=note,
            )
        )
    return found


def _columns_of_agreement(who: Sequence[DataColumn]) -> tuple[DataColumn, ...]:
    return (
        *who,
        DataColumn("categories", "by"),
        DataColumn("coefficient"),
        DataColumn("raters"),
        *with_bounds("value", "beyond chance", "number", ("lo", "hi")),
        DataColumn("observed", "alike", "percent"),
        DataColumn("n", "questions", "count"),
        DataColumn("method"),
    )
