"""The headline of a standing, and what is uncertain in it. It makes no page."""

from __future__ import annotations

from collections.abc import Iterator

from lm_eval_safescale.leaderboard.board.pages.standing import Standing
from lm_eval_safescale.leaderboard.board.result import Place
from lm_eval_safescale.report.pages.common.phrases import the, words_of_rate
from lm_eval_safescale.sentences import interval, listed, number, percent
from lm_eval_safescale.words import counted

MOST_NAMED = 3


def finding_of(standing: Standing) -> str:
    """Who is best, as far as that can be told."""
    if not standing.ranked:
        return f"Nothing could be scored, {standing.words}"
    metric, best = standing.first, [place for place in standing.ranked if place.is_best]
    name, n = the(standing.report, metric), len(standing.ranked)
    where = standing.words
    if n == 1:
        (only,) = standing.ranked
        value = said_value(standing, only)
        return f"{only.label}: {standing.report.words(metric)} {value}, {where}"
    labels = [place.label for place in best]
    if len(best) == n:
        who = "either of both" if n == 2 else f"any of {n:,} submissions"
        return f"Nobody can be told apart: {who} may be the best by {name}, {where}"
    if len(best) == 1 and best[0].rank_hi == 1:
        more = "higher" if standing.report.metrics[metric].higher_is_better else "lower"
        rate = words_of_rate(standing.report, metric)
        return f"{labels[0]} has a {more} {rate} than all others, {where}"
    if len(best) == 1:
        return f"{labels[0]} alone has rank 1 of {n:,} by {name}, {where}"
    if len(best) <= MOST_NAMED:
        return f"{listed(labels)} share rank 1 of {n:,} by {name}, {where}"
    return f"{len(best):,} of {n:,} submissions share rank 1 by {name}, {where}"


def doubt_of(standing: Standing) -> str:
    """What is uncertain in that."""
    return " ".join(_doubts(standing))


def said_value(standing: Standing, place: Place) -> str:
    """A value in words."""
    if standing.report.column_kind(place.metric) == "percent":
        return percent(place.value)
    return number(place.value)


def _doubts(standing: Standing) -> Iterator[str]:
    ranked = standing.ranked
    if not ranked:
        return
    first = ranked[0]
    bounds = interval(first.lo, first.hi)
    if len(ranked) == 1:
        if bounds:
            yield f"95 % interval {bounds}, from {counted(first.n, 'item')}."
        yield "There is nothing to compare it with."
    else:
        name = standing.report.words(standing.first)
        value = said_value(standing, first)
        yield f"{first.label} has {name} {value}{f' ({bounds})' if bounds else ''}."
        if not all(place.is_best for place in ranked) and first.rank_hi and first.rank_hi > 1:
            yield f"Its true rank may be anything from {first.rank_lo} to {first.rank_hi}."
        yield (
            "Those that cannot be told apart beyond chance share a rank, and with 95 % probability "
            "all true ranks lie within their intervals."
        )
    gaps = [gap for gap in standing.comparison.held_out if gap.condition == standing.condition]
    if suspect := sorted({gap.label for gap in gaps if gap.is_beyond_chance}):
        yield (
            f"{listed(suspect, MOST_NAMED)} {'does' if len(suspect) == 1 else 'do'} "
            "better on the open items than on the held-out ones, beyond chance."
        )
    if judge := standing.comparison.judge:
        yield f"All answers were judged by {judge}; results by another have a table of their own."
    yield "Attempts, dates and sizes are claims of those who submitted."
