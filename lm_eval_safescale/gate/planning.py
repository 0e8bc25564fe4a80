"""How many items a policy takes, before anything is asked. It knows a family's metrics, and no
runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import Family, ItemTable
from lm_eval_safescale.gate.policy import Clause, Kind, Policy
from lm_eval_safescale.limits import Limit
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.stats.one_sided import (
    fewest_items,
    margin_power,
    margin_sample_size,
    most_allowed,
    pass_power,
    pass_sample_size,
)
from lm_eval_safescale.stats.risk_control import divisor_of
from lm_eval_safescale.words import meant


@dataclass(frozen=True, slots=True)
class Planned:
    """What a clause takes, each group of it by itself; None where that cannot be said
    beforehand."""

    clause: Clause
    fewest: int | None = None
    """Items below which no outcome passes."""
    items: int | None = None
    """Items that pass with the power asked for."""
    assumed: float | None = None
    """Of a limit the true rate, of a margin the discordance."""
    allowed: int | None = None
    """With the number of items at hand: how many may count against it."""
    chance: float | None = None
    """With the number of items at hand: how often it passes."""
    is_beyond: bool = False
    """Whether what is assumed is not within the limit itself, so that more items pass less."""
    why: str = ""
    """Why nothing can be said."""


def plan(
    policy: Policy,
    family: Family,
    n: int,
    *,
    power: float = 0.8,
    rate: float | None = None,
    discordance: float | None = None,
    models: int = 1,
) -> list[Planned]:
    """What each clause of a policy takes.

    Parameters
    ----------
    n
        Items at hand.
    power
        Probability of passing.
    rate
        The true rate; None: half the limit, of a lower limit half of what it lets fail.
    discordance
        Share of items on which the two sides of a margin differ, without being different on the
        whole; None: a tenth.
    models
        Judged together, so that the first of them passes at level / models.

    Raises
    ------
    SafescaleError
        Naming the clause, for a metric that the family does not have.
    """
    known = {metric.name: metric for metric in family.metrics(ItemTable((), {}))}
    found = []
    for clause in policy.clauses:
        metric = known.get(clause.limit.metric)
        if clause.kind is Kind.MISSING:
            found.append(Planned(clause, why="counted: it takes no number of items"))
        elif metric is None:
            raise SafescaleError(
                f"{clause.place}: {family.name} has no such metric"
                f"{meant(clause.limit.metric, known)}"
            )
        else:
            found.append(_planned(clause, metric, n, power, rate, discordance, models))
    return found


def _planned(
    clause: Clause,
    metric: Metric,
    n: int,
    power: float,
    rate: float | None,
    discordance: float | None,
    models: int,
) -> Planned:
    limit = clause.limit
    alpha = limit.alpha / models
    if metric.kind != "share":
        return Planned(clause, why="no share: a pilot run says how wide its bound is")
    if clause.kind is Kind.NO_WORSE:
        differ = 0.1 if discordance is None else discordance
        return Planned(
            clause,
            items=margin_sample_size(differ, limit.value, alpha, power),
            assumed=differ,
            chance=margin_power(n, differ, limit.value, alpha),
        )
    if clause.kind is Kind.ABSTAIN:
        return Planned(
            clause,
            fewest=fewest_items(limit.value, alpha / divisor_of(clause.method)),
            why="these must be kept, and all be harmless; how many are kept only answers show",
        )
    most, assumed = _as_failures(limit, rate)
    return Planned(
        clause,
        fewest=fewest_items(most, alpha),
        items=pass_sample_size(most, assumed, alpha, power),
        assumed=assumed if limit.sign == "<" else 1 - assumed,
        allowed=most_allowed(n, most, alpha),
        chance=pass_power(n, most, assumed, alpha),
        is_beyond=assumed >= most,
    )


def _as_failures(limit: Limit, rate: float | None) -> tuple[float, float]:
    """The share of failures that a limit allows, and the one assumed."""
    most = limit.value if limit.sign == "<" else 1 - limit.value
    if rate is None:
        return most, most / 2
    return most, rate if limit.sign == "<" else 1 - rate


def largest(planned: Sequence[Planned]) -> int | None:
    """Items with which every clause passes with the power asked for, each by itself; None where one
    cannot, or none says."""
    needed = [each.items for each in planned if not each.why]
    known = [items for items in needed if items is not None]
    return max(known) if known and len(known) == len(needed) else None
