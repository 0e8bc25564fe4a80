"""How many answers of a model a vote takes: made from `self_consistency`."""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.figures import Axis, DataColumn, DataTable, Line, Plot, with_bounds
from lm_eval_safescale.report.pages.common.phrases import head, how_many, series_of, the
from lm_eval_safescale.report.pages.common.rows import Row, Rows, compared, estimate
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sentences import capital, is_number, listed, percent

CURVES = "self_consistency"


def curves_of(report: Report, metric: str) -> Plot:
    """A metric by the number of answers that vote."""
    conditions, chosen = compared(report), _chosen(report)
    lines, data, ends = [], Rows(), []
    for condition in conditions:
        by_model: dict[str, list[Row]] = {}
        for row in report.rows(CURVES, condition=condition):
            if is_number(row[metric]) and row["model"] not in report.controls:
                by_model.setdefault(row["model"], []).append(row)
        for model, rows in by_model.items():
            own = model == chosen
            lines.append(
                Line(
                    [(row["k"], row[metric]) for row in rows],
                    condition,
                    f"{model}, {report.words(condition)}",
                    _band(rows, metric) if own else (),
                    "chosen" if own else "each",
                    note=report.words(condition) if own else "",
                )
            )
            data += [(model, condition, row["k"], *estimate(row, metric)) for row in rows]
            if own:
                ends.append((condition, rows[0], rows[-1]))
    others = " Thin lines are the other models." if len(report.models) > 1 else ""
    return Plot(
        f"k {metric}",
        curves_title(report, metric, chosen, ends),
        f"{capital(report.words(metric))} of the majority of k answers, over all subsets of the "
        f"samples: {chosen} with its 95 % interval (pointwise; the k share their draws).{others} "
        f"{how_many(report, {str(row[0]) for row in data})}",
        Axis("k, answers that vote"),
        Axis(report.words(metric), percent=True),
        DataTable(
            (
                DataColumn("model"),
                DataColumn("condition"),
                DataColumn("k", kind="count"),
                *with_bounds(metric, report.words(metric)),
            ),
            data,
        ),
        lines=lines,
        series=series_of(report, conditions),
    )


def _band(rows: Sequence[Row], metric: str) -> list[tuple[float, float, float]]:
    found = [(row["k"], *estimate(row, metric)[1:]) for row in rows]
    return [(k, low, high) for k, low, high in found if is_number(low) and is_number(high)]


def _chosen(report: Report) -> str:
    """The chosen model, where it has samples; else the first that has."""
    models = dict.fromkeys(row["model"] for row in report.rows(CURVES))
    return report.chosen if report.chosen in models else next(iter(models), report.chosen)


def curves_title(
    report: Report, metric: str, model: str, ends: Sequence[tuple[str, Row, Row]]
) -> str:
    """From one answer to all K, for the model that is looked at."""
    if not ends:
        return f"{head(report, metric)} of {model} is not scored over its samples."
    if all(last["k"] == 1 for _, _, last in ends):
        return f"{head(report, metric)} of {model}: there is one sample a question, and no curve."
    moved, still = [], []
    for condition, first, last in ends:
        one, all_ = percent(first[metric]), percent(last[metric])
        where = f"under {report.words(condition)}"
        if one == all_:
            still.append(f"{one} {where}")
        else:
            moved.append(f"from {one} to {all_} {where}")
    phrases = [
        f"{verb} {listed(said)}" for verb, said in (("goes", moved), ("stays at", still)) if said
    ]
    votes = {last["k"] for _, _, last in ends}
    which = votes.pop() if len(votes) == 1 else "all samples"
    return (
        f"With the vote of {which} in place of one sample, {the(report, metric)} of {model} "
        f"{listed(phrases)}."
    )
