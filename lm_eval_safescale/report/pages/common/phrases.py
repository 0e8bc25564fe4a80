"""Words for metrics, intervals and what a figure rests on, as findings, titles and captions of
several pages say them. It makes no table and no figure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

from lm_eval_safescale.report.pages.common.rows import Estimate, Row, bounds, models_of
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sentences import capital, change, from_to, interval, listed, percent, points
from lm_eval_safescale.words import counted


def models_said(rows: Iterable[Row]) -> str:
    """The one model by its name, or how many there are."""
    models = list(dict.fromkeys(row["model"] for row in rows))
    return models[0] if len(models) == 1 else counted(len(models), "model")


def draws_of(report: Report) -> str:
    """K = 20; K = 5 to 20 where models differ."""
    found: set[int] = set()
    for draws in report.about["draws"].values():
        found |= set(draws.values()) if isinstance(draws, Mapping) else {draws}
    found -= {0}
    if not found:
        return "no samples"
    least, most = min(found), max(found)
    space = "\N{NO-BREAK SPACE}"
    return f"K{space}={space}{least}" + ("" if least == most else f" to {most}")


def how_many(report: Report, models: Collection[str] | None = None) -> str:
    """Items, models (those that are shown, or all) and K, as a caption ends."""
    shown = models_of(report) if models is None else models
    return (
        f"{counted(report.about['items'], 'item')}, {counted(len(shown), 'model')}, "
        f"{draws_of(report)}."
    )


def rests_on(report: Report, rows: Iterable[Row], names: Iterable[str] = ()) -> str:
    """What a figure of these metrics rests on, for its caption: 34 models, 200 items, K = 20."""
    rows = list(rows)
    models = {row["model"] for row in rows} & set(models_of(report))
    items = sorted({row["n"] for row in rows if row.get("n") is not None})
    said = [counted(len(models), "model")]
    if items:
        few = "" if items[0] == items[-1] else f"{items[0]:,} to "
        said.append(f"{few}{counted(items[-1], 'item')}")
    known = report.metrics
    if any(known[name].decode != "greedy" for name in names):
        said.append(draws_of(report))
    return ", ".join(said)


def series_of(report: Report, conditions: Iterable[str]) -> dict[str, str]:
    """Conditions as the series of a figure."""
    return {condition: report.words(condition) for condition in conditions}


def under(report: Report, conditions: Sequence[str]) -> str:
    """Under closed-book and clean evidence."""
    return "under " + listed([report.words(each) for each in conditions])


def the(report: Report, metric: str) -> str:
    """A metric inside a sentence: accuracy, the unsafe answer rate."""
    return (
        f"the {words_of_rate(report, metric)}" if _is_rate(report, metric) else report.words(metric)
    )


def words_of_rate(report: Report, metric: str) -> str:
    """The same without an article: unsafe answer rate, rate of safe answers."""
    words = report.words(metric)
    if not _is_rate(report, metric):
        return words
    return f"rate of {words}" if words.endswith("s") else f"{words} rate"


def _is_rate(report: Report, metric: str) -> bool:
    known = report.metrics.get(metric)
    words = report.words(metric)
    return (
        known is not None
        and known.kind == "share"
        and (not known.higher_is_better or words.endswith("s"))
        and not words.endswith("rate")
    )


def head(report: Report, metric: str) -> str:
    """A metric at the beginning of a sentence."""
    return capital(the(report, metric))


def with_interval(value: Estimate) -> str:
    """11.7 % (10.2 to 13.1 %)."""
    bounds = interval(value[1], value[2])
    return percent(value[0]) + (f" ({bounds})" if bounds else "")


def between(value: Estimate) -> str:
    """Bounds of a difference in points: −5.2 to −1.0; empty where there are none."""
    if value[1] is None or value[2] is None:
        return ""
    return " to ".join(points(bound).split(" ")[0] for bound in value[1:])


def without_interval(difference: float) -> tuple[str, str]:
    """What a value does of whose change there is no interval, and how far."""
    if points(difference) == points(0):
        return "does not change", points(difference)
    verb = "rises" if difference > 0 else "falls"
    return verb, f"{points(difference)}, alike on every item, so without an interval"


def points_and_bounds(value: Estimate) -> str:
    """−3.1 points, −5.2 to −1.0."""
    return ", ".join(filter(None, (points(value[0]), between(value))))


def moved(before: float, after: float, difference: Row | None) -> str:
    """What a mean does between two conditions: rises or falls where the interval of the difference
    leaves out 0, else only from what to what."""
    low, high = bounds(difference, "mean") if difference else (None, None)
    if low is not None and high is not None and low <= 0 <= high:
        return f"goes {from_to(before, after)} (no clear difference)"
    return change(before, after)


def points_within(value: Estimate) -> str:
    """−3.1 points (−5.2 to −1.0)."""
    bounds = between(value)
    return points(value[0]) + (f" ({bounds})" if bounds else "")
