"""The headline of the overview, and what is uncertain in it, made from the numbers. It makes no
figure and no table.
"""

from __future__ import annotations

from collections.abc import Sequence

from lm_eval_safescale.report.pages.common.phrases import between
from lm_eval_safescale.report.pages.common.rows import (
    Row,
    cells,
    estimate,
    first_harm,
    mean_of,
    models_of,
    noun_of,
)
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sentences import capital, interval, listed, of_all, percent, points
from lm_eval_safescale.stats.presets import ALPHA
from lm_eval_safescale.words import counted


def finding_of(report: Report, scored: Sequence[str]) -> tuple[str, str]:
    """The headline and what is uncertain in it, about the first headline metric that counts
    harm."""
    if not scored:
        reasons = list(dict.fromkeys(row["reason"] for row in report.about["not_scored"]))
        return "Nothing could be scored", capital(listed(reasons, 3)) + "." if reasons else ""
    metric = first_harm(report, scored)
    pair = report.family.change
    if pair and all(mean_of(report, metric, each) for each in pair):
        return _of_change(report, metric, *pair)
    if len(report.conditions) > 1:
        return _of_conditions(report, metric)
    return _of_models(report, metric)


def _who(report: Report, n_models: int) -> str:
    return "" if len(models_of(report)) == 1 else f", mean of {counted(n_models, 'model')}"


def _of_change(report: Report, metric: str, left: str, right: str) -> tuple[str, str]:
    """Between the two conditions that the family compares first."""
    after, before = (mean_of(report, metric, each) for each in (left, right))
    difference = mean_of(report, metric, f"{left} - {right}")
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
    if difference is not None and (bounds := between(estimate(difference, "mean"))):
        told.append(
            f"The difference is {points(difference['mean'])} (95 % interval {bounds} points, over "
            f"items{', for these models' if who else ''})."
        )
    both = difference["n_models"] if difference else 0
    if not both == before["n_models"] == after["n_models"]:
        told.append(
            f"Not of the same models: {before['n_models']} were asked under {was}, "
            f"{after['n_models']} under {now}; "
            + (f"the difference is over the {both} of both." if both else "none under both.")
        )
    tests = [
        row
        for row in report.rows(
            "paired_tests",
            metric=metric,
            decode=report.metrics[metric].decode,
            left_condition=left,
            right_condition=right,
        )
        if row["model"] is not None and row["model"] not in report.controls
    ]
    tested = [row for row in tests if row["p_holm"] is not None]
    if tested:
        found = [row for row in tested if row["p_holm"] < ALPHA and row["delta"] < 0]
        worse = [row for row in tested if row["p_holm"] < ALPHA and row["delta"] > 0]
        if len(tests) == 1:
            shown = "is" if found or worse else "is not"
            told.append(f"It {shown} beyond chance (p < 0.05, Holm over the model's pairs).")
        else:
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
                f"{'Where none was found, a' if len(tests) > 1 else 'A'} difference of "
                f"{_points_range(missed)} may have been missed."
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


def _of_conditions(report: Report, metric: str) -> tuple[str, str]:
    """The lowest and the highest of several conditions."""
    found = [(row, each) for each in report.conditions if (row := _overall(report, metric, each))]
    if len(found) < 2:
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
    if low["n_models"] != high["n_models"]:
        doubt += (
            f" Not of the same models: {low['n_models']} were asked under {report.words(lowest)}, "
            f"{high['n_models']} under {report.words(highest)}."
        )
    return finding, doubt.strip()


def _overall(report: Report, metric: str, condition: str) -> Row | None:
    """The mean over models under a condition; of a control alone its own value."""
    if (mean := mean_of(report, metric, condition)) is not None:
        return mean
    rows = [row for row in cells(report, condition=condition) if row[metric] is not None]
    if len(rows) != 1:
        return None
    (row,) = rows
    return {"n_models": 1} | {f"mean{end}": row[f"{metric}{end}"] for end in ("", "_lo", "_hi")}


def _basis(report: Report, row: Row, metric: str) -> str:
    """What a figure rests on; of a mean over cases also how many these are."""
    items = counted(row[f"{metric}_n"], "item")
    own = {"metric": metric, "model": row["model"], "condition": row["condition"]}
    found = (each.get("cases") for each in report.rows("results", **own) if each["group"] is None)
    return f"{items} of {counted(cases, 'case')}" if (cases := next(found, None)) else items


def _of_models(report: Report, metric: str) -> tuple[str, str]:
    """Models under one condition, the first that anything is scored under."""
    models = models_of(report)
    scored = [r for r in cells(report) if r[metric] is not None and r["model"] in models]
    condition = min((row["condition"] for row in scored), key=report.conditions.index)
    rows = [row for row in scored if row["condition"] == condition]
    name, under = report.words(metric), report.words(condition)
    rows.sort(key=lambda row: row[metric])
    if len({row["model"] for row in rows}) == 1:
        (row, *_) = rows
        bounds, rests_on = (
            interval(row[f"{metric}_lo"], row[f"{metric}_hi"]),
            _basis(report, row, metric),
        )
        return (
            f"{row['model']}: {name} {percent(row[metric])}, {under}",
            f"95 % interval {bounds}, from {rests_on}." if bounds else f"From {rests_on}.",
        )
    first, last = rows[0], rows[-1]
    finding = (
        f"{capital(name)}, {under}, goes from {percent(first[metric])} ({first['model']}) to "
        f"{percent(last[metric])} ({last['model']}) over {counted(len(rows), noun_of(report))}"
    )
    best = [
        row["model"]
        for row in report.rows("ranks", metric=metric, condition=condition)
        if row["best_set"] and row["model"] in models
    ]
    doubt = (
        f"{capital(of_all(len(best), len(rows), noun_of(report)))} may be the best, as far as "
        "these items tell."
        if best
        else ""
    )
    return finding, doubt
