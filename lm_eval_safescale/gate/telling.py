"""What is said of a decision, in words and as JSON values: of each clause the figure, its bound,
what may turn it, and the items that decided. It prints nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from lm_eval_safescale.gate.decision import Decision, Outcome, Row
from lm_eval_safescale.gate.policy import Kind
from lm_eval_safescale.stats import pass_sample_size
from lm_eval_safescale.words import counted

SHOWN = 12
"""Items that are named; the JSON values have all."""


def bound_alone(row: Row) -> str:
    """The bound behind a figure, where a row has but one line; empty where there is none."""
    limit = row.clause.limit
    if row.bound != row.bound or row.evidence.method == "counted":
        return ""
    return f", {'at least' if limit.sign == '>' else 'at most'} {limit.shown(row.bound)}"


def place_of(row: Row) -> str:
    """Model, condition and group that a row is of, and with what it is compared."""
    parts = [row.model, row.condition]
    if row.group is not None:
        parts.append(f"{row.clause.group_name} {row.group}")
    than = "" if row.than is None else f", against {' '.join(row.than)}"
    return f"{', '.join(parts)}{than}"


def head_of(row: Row) -> str:
    """What is said of a row where there is but one line for it."""
    own, clause = row.evidence, row.clause
    if clause.kind is Kind.ABSTAIN:
        return _abstains(row)
    if clause.kind is not Kind.MISSING:
        return _figure(row)
    return (
        f"{own.n - own.answered} of {counted(own.n, 'answer')} missing "
        f"({clause.limit.shown(own.value)}), of {row.metric}"
    )


def lines_of(row: Row) -> list[str]:
    """What is said of a row below its place."""
    own, kind, lines = row.evidence, row.clause.kind, [head_of(row)]
    if kind in (Kind.LIMIT, Kind.NO_WORSE):
        lines.append(_bound(row))
    lines += would_help(row)
    if row.items_against:
        what = "the items that weigh most" if own.approximate else "the items against it"
        lines.append(f"{what}: {names_of(row.items_against)}")
    if own.for_it:
        lines.append(f"the items for it: {names_of(own.for_it)}")
    if own.missing:
        lines.append(f"{len(own.missing)} of {own.n:,} missing: {names_of(own.missing)}")
    return lines


def _figure(row: Row) -> str:
    own, limit = row.evidence, row.clause.limit
    value = "nothing is scored" if own.value != own.value else limit.shown(own.value)
    of = f"{own.answered:,}{' answered' if own.answered < own.n else ''}"
    if row.than is not None:
        side = "better" if own.value < 0 else "worse"
        by = limit.shown(abs(own.value)) if own.value == own.value else "nothing known"
        changed = "" if own.hits is None else f": {own.hits} worse, {own.away} better"
        return f"{side} by {by}, of {of} items{changed}"
    if own.hits is None:
        return f"{value}, of {of} items in {counted(own.units, 'unit')}"
    against = f"{own.hits} of {of} count against it"
    return f"{value}: {against}" if limit.sign == ">" else f"{against} ({value})"


def _bound(row: Row) -> str:
    own, limit = row.evidence, row.clause.limit
    level = f"{100 * (1 - row.alpha):.4g} %"
    if row.bound != row.bound:
        return (
            "no bound: it cannot be said what a missing answer would be worth here; ask for them "
            "again"
            if own.missing
            else "no bound: too few units, or all alike"
        )
    side = "at least" if limit.sign == ">" else "at most"
    unit = "" if not limit.unit else " points"
    gap = abs(100 * row.gap if limit.unit else row.gap)
    worst = ", were all missing answers against it" if own.missing else ""
    said = (
        f"{side} {limit.shown(row.bound)} with {level} confidence{worst} ({own.method}): "
        f"{gap:.3g}{unit} {'within' if row.gap > 0 else 'beyond'} the limit"
    )
    if row.allowed is not None:
        said += f"; it takes {row.allowed} or fewer of {own.n:,}"
    return said


def would_help(row: Row) -> list[str]:
    """What may turn an outcome that is not a pass into one."""
    own, most = row.evidence, row.evidence.limit_of_hits
    if row.outcome is Outcome.UNDECIDED:
        ask = "ask for the missing answers"
        if not own.missing:
            return [f"{ask} of the other models: Holm's step of this one depends on them"]
        if row.allowed is None or own.hits is None:
            return [ask]
        return [f"{ask}: it passes if at most {row.allowed - own.hits} of them count against it"]
    if row.outcome is Outcome.FAILED and most is not None and own.hits is not None and own.answered:
        needed = pass_sample_size(most, own.hits / own.answered, row.alpha, 0.8)
        if needed is not None:
            return [f"were this its true rate, {needed:,} items would pass it with 80 %"]
    return []


def _abstains(row: Row) -> str:
    own, kept, limit = row.evidence, row.kept, row.clause.limit
    worst = ", were all missing answers given and harmful" if own.missing else ""
    if kept is None or not kept.is_found:
        return f"no confidence holds it under the limit{worst} ({own.method})"
    return (
        f"answers with a confidence of {kept.threshold:g} or more: {kept.kept:,} of {kept.n:,} "
        f"({100 * kept.kept_share:.3g} %), {kept.harmful} of them harmful "
        f"({limit.shown(kept.risk)}){worst}; {own.method}"
    )


def names_of(ids: Sequence[str]) -> str:
    """The first few items, and how many more there are."""
    more = f" and {len(ids) - SHOWN} more" if len(ids) > SHOWN else ""
    return ", ".join(ids[:SHOWN]) + more


def error_rate(decision: Decision) -> list[str]:
    """What the error rate of all clauses and models together is."""
    tested = [row for row in decision.rows if row.clause.kind is not Kind.MISSING]
    if not tested:
        return ["Missing answers are counted, not estimated."]
    most = 100 * max(row.clause.limit.alpha for row in tested)
    lines = [
        (
            "Each clause is tested at its own level and all must pass: a model that exceeds any "
            f"limit passes with a probability of at most {most:g} %."
        )
    ]
    if len(decision.models) > 1:
        lines.append(
            f"{len(decision.models)} models, Holm over them: that any of them passes wrongly has a "
            f"probability of at most {most:g} %."
        )
    if any(row.evidence.approximate or row.than is not None for row in tested):
        lines.append("Bootstrap bounds and score intervals hold their level approximately.")
    lines.append("This is so for a first look at these answers, and not for a second one.")
    return lines


def document_of(row: Row) -> dict[str, Any]:
    """All that is known of a row, as JSON values."""
    own, clause = row.evidence, row.clause
    kept = row.kept
    found = {
        "clause": clause.number,
        "text": clause.text,
        "kind": clause.kind.value,
        "metric": row.metric,
        "model": row.model,
        "condition": row.condition,
        "group_name": clause.group_name or None,
        "group": row.group,
        "than": None
        if row.than is None
        else dict(zip(("model", "condition"), row.than, strict=True)),
        "outcome": row.outcome.name.lower(),
        "limit": clause.limit.value,
        "value": own.value,
        "n": own.n,
        "answered": own.answered,
        "not_scored": own.n - own.answered,
        "against": own.hits,
        "for": own.away,
        "bound": row.bound,
        "gap": row.gap,
        "level": clause.limit.level,
        "tested_at": 1 - row.alpha,
        "allowed": row.allowed,
        "method": own.method,
        "approximate": own.approximate,
        "items_against": row.items_against,
        "items_for": list(own.for_it),
        "items_missing": list(own.missing),
    }
    if kept is not None:
        found |= {
            "threshold": kept.threshold,
            "kept": kept.kept,
            "kept_of": kept.n,
            "kept_share": kept.kept_share,
            "risk": kept.risk,
        }
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in found.items()
    }
