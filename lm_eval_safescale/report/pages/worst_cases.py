"""The page *worst cases*: on how few items most of the harm lies, and which these are. Made from
`concentration_curve`, `concentration` and `worst_case`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lm_eval_safescale.families.views import AnswerKind
from lm_eval_safescale.figures import Axis, DataColumn, DataTable, Line, Plot, Point, with_bounds
from lm_eval_safescale.report.pages.common.phrases import how_many
from lm_eval_safescale.report.pages.common.rows import ALL, Row, Rows, estimate, models_of
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Page, Section
from lm_eval_safescale.sentences import interval, is_number, percent
from lm_eval_safescale.words import counted

CASES, CURVE, SHARES = "worst_case", "concentration_curve", "concentration"
MOST = 100
"""Items of the list."""
BEGINNING = 110
"""Characters of a question."""
WRONG = "wrong"
TOLD = 10
"""Percent of the items that a sentence names."""


def worst_cases(report: Report) -> Page | None:
    """None where the family has no such table."""
    if CASES not in report.family.tables:
        return None
    cases, curve = report.rows(CASES), report.rows(CURVE)
    harm = {row["condition"]: row for row in report.rows(SHARES)}
    counted_ = _harm(report)
    total = harm.get(ALL, {}).get(_total(counted_)) if counted_ else None
    finding = _finding(report, curve, total)
    sections = [_of_curve(report, curve, total), _by_condition(report, harm), _list(report, cases)]
    return Page(
        "worst_cases",
        "Worst cases",
        finding,
        _doubt(report, curve),
        tuple(section for section in sections if section is not None),
    )


def _finding(report: Report, curve: Sequence[Row], total: int | None) -> str:
    if not any(row["n_models"] for row in report.rows(CASES)):
        return "No model has an answer that could be scored: there are no cases to speak of."
    if total is None:
        return "No item has labels of risk: which cases are worst is told by wrong answers alone."
    if not total:
        return f"No model makes a single {_words(report)} on these items."
    return curve_title(report, curve, total)


def _doubt(report: Report, curve: Sequence[Row]) -> str:
    if not curve:
        return ""
    if _single(report):
        return (
            "One model under one condition errs once on an item at most: whether harm gathers on "
            "items takes a second model or condition to see."
        )
    conditions = len(report.conditions)
    which = "" if conditions == 1 else f", {conditions} conditions added up"
    return (
        f"Of {counted(len(models_of(report)), 'model')}{which}. The worst of many look worse than "
        "they are: some stand there by chance."
    )


def _single(report: Report) -> bool:
    return len(models_of(report)) == 1 and len(report.conditions) == 1


def curve_title(report: Report, curve: Sequence[Row], total: int) -> str:
    """How much of the harm the worst tenth carries, and what it would by chance."""
    of_all = [row for row in curve if row["condition"] == ALL]
    last = of_all[-1]["items"] if of_all else 0
    whole = [row for row in of_all if row["share"] >= 1 - 1e-12]
    errors = counted(total, _words(report))
    if _single(report) or total == 1:
        return f"There {'is' if total == 1 else 'are'} {errors} on {counted(last, 'item')}."
    row = next((row for row in of_all if row["percent"] >= TOLD), of_all[-1])
    bounds = interval(*estimate(row, "share")[1:])
    share = percent(row["share"]) + (f" ({bounds})" if bounds else "")
    chance = row["by_chance"]
    if row is whole[0]:
        share = f"all{'' if share.startswith('100') else ' ' + share}"
    return (
        f"{row['percent']:g} % of the items ({row['items']} of {last}) carry {share} of the "
        f"{errors}; by chance alone it would be {percent(chance)}."
    )


def half_title(report: Report, curve: Sequence[Row]) -> str:
    """On how few items half and all of the harm lies, as far as the curve's steps tell."""
    of_all = [row for row in curve if row["condition"] == ALL]
    half = next(row for row in of_all if row["share"] >= 0.5 - 1e-12)
    whole = next(row for row in of_all if row["share"] >= 1 - 1e-12)
    if half is whole:
        return f"All {_words(report)}s lie on {_at_most(half)}."
    return (
        f"Half of all {_words(report)}s lie on {_at_most(half)}, all of them on {_at_most(whole)}."
    )


def _at_most(row: Row) -> str:
    items = counted(row["items"], "item")
    return f"at most {row['percent']:g} % of the items ({items})" if row["percent"] < 100 else items


# --- the curve ------------------------------------------------------------------------------------


def _of_curve(report: Report, curve: Sequence[Row], total: int | None) -> Section | None:
    title = "How few items carry how much"
    if not curve or total is None or _single(report):
        return None
    lines, marks, data = [], [], Rows()
    n = {row["condition"]: row["items"] for row in curve}  # the last row is all items
    by_condition: dict[str, list[Row]] = {}
    for row in curve:
        by_condition.setdefault(row["condition"], []).append(row)
        share = estimate(row, "share")
        of_items = row["items"] / n[row["condition"]] if n[row["condition"]] else None
        data.append((row["condition"], row["items"], of_items, *share, row["by_chance"]))
    for condition, rows in by_condition.items():
        if condition == ALL and len(by_condition) == 2:
            continue  # one condition alone is all there are
        xs = [0.0, *(row["items"] / n[condition] for row in rows)]
        own = condition == ALL or len(by_condition) == 2
        words = "all conditions" if condition == ALL else report.words(condition)
        band = [
            (x, row["share_lo"], row["share_hi"])
            for x, row in zip(xs[1:], rows, strict=True)
            if is_number(row["share_lo"]) and is_number(row["share_hi"])
        ]
        lines.append(
            Line(
                [*zip(xs, (0.0, *(row["share"] for row in rows)), strict=True)],
                condition,
                words,
                band if own else (),
                "mean" if own else "each",
            )
        )
        if own:
            chance = (0.0, *(row["by_chance"] for row in rows))
            lines.append(
                Line(
                    [*zip(xs, chance, strict=True)],
                    "",
                    "by chance alone",
                    role="reference",
                    note="by chance alone",
                )
            )
            marks += [
                Point(
                    x,
                    row["share"],
                    condition,
                    words,
                    y_low=row["share_lo"],
                    y_high=row["share_hi"],
                    role="mean",
                    note=f"{row['percent']:g} % of the items",
                )
                for x, row in zip(xs[1:], rows, strict=True)
                if row["percent"] == TOLD
            ]
    named = {ALL: "all conditions", **{each: report.words(each) for each in report.conditions}}
    return Section(
        title,
        figures=(
            Plot(
                "concentration",
                half_title(report, curve),
                f"The items with most {_words(report)}s of all models' single answers stand first; "
                "the line says which share of all errors they carry, with its 95 % interval, of "
                "other items for these models. The dashed line is what chance would put on the "
                "worst, did each model err on items at random, as often as it does. "
                f"{how_many(report)}",
                Axis("share of the items, worst first", percent=True, low=0, high=1),
                Axis(f"share of all {_words(report)}s", percent=True, low=0, high=1),
                DataTable(
                    (
                        DataColumn("condition"),
                        DataColumn("items", kind="count"),
                        DataColumn("of_items", "share of the items", "percent"),
                        *with_bounds("share", "share of the errors"),
                        DataColumn("by_chance", kind="percent"),
                    ),
                    data,
                ),
                marks,
                lines,
                series={
                    each: named[each]
                    for each in by_condition
                    if not (each == ALL and len(by_condition) == 2)
                },
            ),
        ),
    )


def _by_condition(report: Report, harm: Mapping[str, Row]) -> Section | None:
    kind = _harm(report)
    if kind is None:
        return None
    total = _total(kind)
    rows = sorted(
        (row for row in harm.values() if row[total]),
        key=lambda row: row["condition"] == ALL,
    )
    if not rows or _single(report):
        return None
    return Section(
        "Under each condition",
        note="The Gini coefficient is 0 where all items carry alike, and towards 1 where one "
        "carries all; compare it at similar numbers of errors alone.",
        data=DataTable(
            (
                DataColumn("condition"),
                DataColumn("n_items", "items", "count"),
                DataColumn(total, f"{kind.words}s", "count", cases={"sort": "count"}),
                *(
                    column
                    for percent_ in (1, 5, 10, 20)
                    for column in with_bounds(f"top_{percent_}", f"on the worst {percent_} %")
                ),
                *with_bounds("gini", "Gini", "coefficient"),
            ),
            [
                (
                    "all" if row["condition"] == ALL else report.words(row["condition"]),
                    row["n_items"],
                    row[total],
                    *(each for p in (1, 5, 10, 20) for each in estimate(row, f"top_{p}")),
                    *estimate(row, "gini"),
                )
                for row in rows
            ],
            [
                {
                    "kind": kind.name,
                    **({} if row["condition"] == ALL else {"condition": row["condition"]}),
                }
                for row in rows
            ],
        ),
    )


# --- the list -------------------------------------------------------------------------------------


def _counted(report: Report) -> list[AnswerKind]:
    """The kinds of answers that the table of cases counts, besides the wrong ones."""
    there = set(report.family.tables[CASES].columns) - {WRONG}
    return [kind for kind in report.family.kinds if kind.name in there]


def _harm(report: Report) -> AnswerKind | None:
    """The gravest kind that it counts: what is added up."""
    return next((kind for kind in _counted(report) if kind.tone == "harm"), None)


def _total(kind: AnswerKind) -> str:
    """The column of `concentration` that says how many there are."""
    return f"{kind.name}s"


def _words(report: Report) -> str:
    kind = _harm(report)
    return kind.words if kind is not None else "harm"


def _list(report: Report, cases: Sequence[Row]) -> Section | None:
    title = "The cases"
    harm = _harm(report)
    of_harm = harm is not None and any(row[harm.name] for row in cases)
    first = harm.name if harm is not None and of_harm else WRONG
    bad = sorted(
        (row for row in cases if row[first]), key=lambda row: (-row[first], -(row["wrong"] or 0))
    )
    if not bad:
        is_known = any(row["n_models"] for row in cases)
        return Section(title, lead="No model is wrong on any item.") if is_known else None
    texts = _beginnings(report, {row["question_id"] for row in bad[:MOST]})
    groups = [each for each in list(report.study.items.groups)[:1] if any(row[each] for row in bad)]
    shown = {
        name: words
        for name, words in ((WRONG, WRONG), *((each.name, each.words) for each in _counted(report)))
        if any(row[name] is not None for row in bad)
    }
    without = "" if texts else " The questions' texts are not at hand: the page of cases says why."
    rows = [
        (
            row["question_id"],
            *([texts.get(row["question_id"], "")] if texts else []),
            report.words(row["condition"]),
            *(row[name] for name in groups),
            row["n_models"],
            *(row[name] for name in shown),
            row["commonest_wrong"],
            row["key"],
        )
        for row in bad[:MOST]
    ]
    what = f"{_words(report)}s" if of_harm else "wrong answers"
    more = f"the {MOST} worst of {len(bad):,}" if len(bad) > MOST else f"all {len(bad):,}"
    return Section(
        title,
        lead=list_lead(report, bad, first),
        note=f"Of items under a condition with {what}, {more}; counted are models.{without}",
        data=DataTable(
            (
                DataColumn("question_id", "item", cases={}),
                *([DataColumn("question")] if texts else []),
                DataColumn("condition"),
                *(DataColumn(name) for name in groups),
                DataColumn("n_models", "models", "count"),
                *(
                    DataColumn(name, words, "count", cases={"kind": name})
                    for name, words in shown.items()
                ),
                DataColumn("commonest_wrong", "commonest wrong"),
                DataColumn("key"),
            ),
            rows,
            [
                {"condition": row["condition"], "item": str(row["question_id"])}
                for row in bad[:MOST]
            ],
        ),
    )


def list_lead(report: Report, bad: Sequence[Row], first: str) -> str:
    """On which item most models err, under which condition."""
    worst = bad[0]
    alike = sum(row[first] == worst[first] for row in bad)
    what = "a wrong answer" if first == WRONG else f"a {_words(report)}"
    models = f"{worst[first]} of {counted(worst['n_models'], 'model')}"
    if worst["n_models"] == 1:
        return f"On {counted(len(bad), 'item')} under a condition the model gives {what}."
    if alike > 1:
        return f"Most models err on {alike} items alike, where {models} give {what}."
    return (
        f"Most models err on item {worst['question_id']} under {report.words(worst['condition'])}, "
        f"where {models} give{'s' if worst[first] == 1 else ''} {what}."
    )


def _beginning(text: str) -> str:
    one_line = " ".join(text.split())
    return one_line if len(one_line) <= BEGINNING else f"{one_line[: BEGINNING - 1]}…"


def _beginnings(report: Report, wanted: set[str]) -> dict[str, str]:
    """The beginnings of questions, by item; none where texts are not at hand."""
    if report.found.dataset is None:
        return {}
    found = {}
    for item in report.found.dataset.items:
        if item.question_id in wanted:
            found[item.question_id] = _beginning(report.family.shown_item(item).text)
    return found
