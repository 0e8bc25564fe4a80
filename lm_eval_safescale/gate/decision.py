"""Whether runs pass a policy: each clause for each model, condition and group, and all of them
together. It prints nothing.

Each clause is tested at its own level and all must pass, so that a model that exceeds a limit
passes with at most that clause's error probability (an intersection-union test). Of several models
each has the largest ratio of p to that probability, over its clauses; Holm's steps over the models
hold the probability that any of them passes wrongly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

import numpy as np

from lm_eval_safescale.analysis import Study
from lm_eval_safescale.analysis.abstention import cannot_abstain, confidence_of
from lm_eval_safescale.analysis.figures import Places, groups_of
from lm_eval_safescale.analysis.study import OF_SAMPLES
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.cells import Cell, Pair
from lm_eval_safescale.gate import evidence as found
from lm_eval_safescale.gate.evidence import Answered, Bools, Evidence
from lm_eval_safescale.gate.policy import MISSING, Clause, Kind, Policy
from lm_eval_safescale.gate.refusals import waiting
from lm_eval_safescale.limits import Limit
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.runs.provenance import READING, setting_of
from lm_eval_safescale.stats.one_sided import fewest_items, most_allowed, units_alike
from lm_eval_safescale.stats.paired import tango_p
from lm_eval_safescale.stats.presets import preset_named
from lm_eval_safescale.stats.risk_control import Kept, divisor_of
from lm_eval_safescale.words import counted, meant

PROMPT = "prompt_sha256"
ASKED_ALIKE = (PROMPT, "reader", READING)
"""Settings in which two sides of a difference must not differ."""
SAID = {PROMPT: "the prompt", READING: "who read the answers"}
SAMPLED_ALIKE = ("temperature",)
"""The same of figures of samples."""


class Outcome(IntEnum):
    """What is to be said, as the exit status says it."""

    PASSED = 0
    FAILED = 1
    """A bound is not within its limit, and would not be were no missing answer harmful."""
    UNDECIDED = 2
    """It would pass were all missing answers harmless, and fails were all harmful."""


@dataclass(frozen=True, slots=True)
class Row:
    """A clause for one model, condition and group."""

    clause: Clause
    metric: str
    model: str
    condition: str
    group: str | None
    than: tuple[str, str] | None
    """Model and condition that it is compared with."""
    outcome: Outcome
    evidence: Evidence
    alpha: float
    """The error probability that it was tested at: the clause's, by Holm's step of its model."""
    bound: float
    kept: Kept | None = None
    """Of a clause of abstention."""

    @property
    def gap(self) -> float:
        """By how much the bound lies within the limit, in the metric's unit; negative beyond it."""
        distance = self.clause.limit.value - self.bound
        return -distance if self.clause.limit.sign == ">" else distance

    @property
    def items_against(self) -> list[str]:
        """Items that decided it; of abstention those that are kept and harmful."""
        if self.kept is not None and self.evidence.harmful_from is not None:
            return self.evidence.harmful_from(self.kept.threshold)
        return list(self.evidence.decided_by)

    @property
    def allowed(self) -> int | None:
        """Of a share of single items: how many may count against it at most."""
        most = self.evidence.limit_of_hits
        return None if most is None else most_allowed(self.evidence.n, most, self.alpha)


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be said of runs by a policy."""

    policy: Policy
    rows: tuple[Row, ...] = ()
    refused: tuple[str, ...] = ()
    """Why nothing was judged; empty where it was."""
    remarks: tuple[str, ...] = ()
    models: dict[str, Outcome] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome:
        """Of all together; what is refused is undecided."""
        if self.refused:
            return Outcome.UNDECIDED
        return _worst(self.models.values())


def _worst(outcomes: Iterable[Outcome]) -> Outcome:
    """A failure says more than what is undecided."""
    given = set(outcomes)
    order = (Outcome.FAILED, Outcome.UNDECIDED)
    return next((each for each in order if each in given), Outcome.PASSED)


@dataclass(frozen=True, slots=True)
class _Case:
    """A clause for one model, condition and group, before it is judged."""

    clause: Clause
    metric: Metric
    cell: Cell
    places: Places
    group: str | None
    than: Cell | None


def decide(
    study: Study, policy: Policy, *, baseline: str = "", models: Sequence[str] = ()
) -> Decision:
    """Judge runs by a policy.

    Parameters
    ----------
    baseline
        Model or condition with which clauses compare that name none.
    models
        Those that are judged; none for all.

    Raises
    ------
    SafescaleError
        Naming the clause, where a policy is not one of these runs: unknown names, a limit that is
        none of its metric.
    """
    if policy.family and policy.family != study.family.name:
        raise SafescaleError(
            f"the policy is of the family {policy.family}; these runs are of {study.family.name}"
        )
    judged = _named(models, study.runs.models, "model") or tuple(study.runs.models)
    _named([baseline] if baseline else [], (*_models(study), *study.conditions), "baseline")
    cases = []
    for clause in policy.clauses:
        try:
            metrics = _metrics(clause, study, policy)
            cases += list(_cases(_with_baseline(clause, baseline, study), metrics, study, judged))
        except SafescaleError as error:
            raise SafescaleError(f"{clause.place}: ", error) from None
    refused = list(dict.fromkeys([*_of_policy(policy), *_refusals(cases, study)]))
    if refused:
        return Decision(policy, refused=tuple(refused))
    return _judged(cases, study, policy)


def decide_pair(study: Study, policy: Policy, pair: Pair, than: Pair) -> Decision:
    """Judge one model and condition by margins to another, whatever else differs between them.

    Raises
    ------
    SafescaleError
        As `decide`; and for a clause that is no margin.
    """
    cases = []
    for clause in policy.clauses:
        try:
            if clause.kind is not Kind.NO_WORSE:
                raise SafescaleError("expected a margin, as in METRIC 2 points")
            cases += [
                _Case(
                    replace(clause, than_model=than[0], than_condition=than[1]),
                    metric,
                    study.cells[pair],
                    np.arange(len(study.items)),
                    None,
                    study.cells[than],
                )
                for metric in _metrics(clause, study, policy)
            ]
        except SafescaleError as error:
            raise SafescaleError(f"{clause.place}: ", error) from None
    refused = list(dict.fromkeys([*_of_policy(policy), *_refusals(cases, study, alike=False)]))
    return Decision(policy, refused=tuple(refused)) if refused else _judged(cases, study, policy)


# --- what a policy asks of these runs -------------------------------------------------------------


def _with_baseline(clause: Clause, baseline: str, study: Study) -> Clause:
    if clause.kind is not Kind.NO_WORSE or clause.than_model or clause.than_condition:
        return clause
    if not baseline:
        raise SafescaleError("no worse than what? Name a model or a condition as the baseline")
    if baseline in _models(study):
        return replace(clause, than_model=baseline)
    return replace(clause, than_condition=baseline)


def _models(study: Study) -> list[str]:
    """Models and human raters."""
    return list(dict.fromkeys(model for model, _ in study.scores))


def _named(names: Sequence[str], known: Sequence[str], what: str) -> tuple[str, ...]:
    for name in names:
        if name not in known:
            raise SafescaleError(f"no {what} {name!r} in these runs{meant(name, known)}")
    return tuple(names)


def _cases(
    clause: Clause, metrics: Sequence[Metric], study: Study, judged: Sequence[str]
) -> Iterator[_Case]:
    models = _named(clause.models, study.runs.models, "model") or judged
    conditions = _named(clause.conditions, study.conditions, "condition")
    _named([clause.than_model] if clause.than_model else [], _models(study), "model")
    _named([clause.than_condition] if clause.than_condition else [], study.conditions, "condition")
    groups = _groups(clause, study)
    some = False
    for model in models:
        if model not in judged:
            continue
        for condition in conditions or study.conditions:
            cell = study.scores.get((model, condition))
            if cell is None:
                if conditions:
                    raise SafescaleError(f"{model} has no answers under {condition}")
                continue
            than = None
            if clause.kind is Kind.NO_WORSE:
                with_ = (clause.than_model or model, clause.than_condition or condition)
                if with_ == (model, condition):
                    continue
                than = study.scores.get(with_)
                if than is None:
                    raise SafescaleError(
                        f"{with_[0]} has no answers under {with_[1]} to compare with; name the "
                        "conditions that both were asked under"
                    )
            for metric in metrics:
                for group, places in groups:
                    some = True
                    yield _Case(clause, metric, cell, places, group, than)
    if not some:
        raise SafescaleError(
            "nothing in these runs is judged by it: it names a model that is not judged, or "
            "compares the only model and condition with themselves"
        )


def _metrics(clause: Clause, study: Study, policy: Policy) -> list[Metric]:
    known = {metric.name: metric for metric in study.metrics}
    if clause.kind is Kind.MISSING:
        others = (each.limit.metric for each in policy.clauses if each.kind is not Kind.MISSING)
        names = [clause.of] if clause.of else list(dict.fromkeys(others))
        # alone: of the answers that every run has
        names = names or [name for name, each in known.items() if each.decode not in OF_SAMPLES][:1]
    else:
        names = [clause.limit.metric]
    for name in names:
        if name not in known:
            why = study.not_computed.get(name)
            raise SafescaleError(
                f"no metric {name!r} of {study.family.name} in these runs"
                + (f": {why}" if why else meant(name, [*known, MISSING]))
            )
    metrics = [known[name] for name in names]
    if clause.kind is Kind.MISSING:
        # metrics of the same answers miss the same ones
        alike: dict[str, Metric] = {}
        for metric in metrics:
            alike.setdefault("samples" if metric.decode in OF_SAMPLES else metric.decode, metric)
        return list(alike.values())
    _refuse_other_unit(clause, metrics[0])
    return metrics


def _refuse_other_unit(clause: Clause, metric: Metric) -> None:
    limit = clause.limit
    low, high = metric.bounds
    if limit.unit and not metric.is_fraction:
        raise SafescaleError(
            f"{metric.name} is no fraction, so that percent says nothing; write the number in its "
            f"own unit (from {low:g} to {high:g})"
        )
    if clause.kind is Kind.NO_WORSE:
        if limit.value >= high - low:
            raise SafescaleError(
                f"a margin of {limit.number:g} leaves no difference out: {metric.name} goes from "
                f"{low:g} to {high:g}{_percent_meant(limit, metric)}"
            )
        return
    if not (low <= limit.value <= high) or limit.value == (low if limit.sign == "<" else high):
        raise SafescaleError(
            f"no {metric.name} can be {limit.sign} {limit.number:g}: it goes from {low:g} to "
            f"{high:g}{_percent_meant(limit, metric)}"
        )
    if (limit.sign == ">") != metric.higher_is_better:
        better, sign = ("higher", ">") if metric.higher_is_better else ("lower", "<")
        raise SafescaleError(
            f"{metric.name} is better the {better} it is; did you mean {metric.name} {sign} "
            f"{limit.shown(limit.value)}?"
        )
    if clause.kind is Kind.ABSTAIN and metric.kind != "share":
        raise SafescaleError(f"{metric.name} is no share of answers; expected one to abstain by")


def _percent_meant(limit: Limit, metric: Metric) -> str:
    is_percent = metric.is_fraction and not limit.unit and limit.value >= 1
    return f"; did you mean {limit.number:g} {'points' if limit.is_margin else '%'}?" * is_percent


def _groups(clause: Clause, study: Study) -> list[tuple[str | None, Places]]:
    if not clause.group_name:
        return [(None, np.arange(len(study.items)))]
    _named([clause.group_name], list(study.items.groups), "grouping")
    own = [
        (group, places)
        for name, group, places in groups_of(study.items.groups)
        if name == clause.group_name
    ]
    chosen = _named(clause.groups, [group for group, _ in own], clause.group_name)
    return [(group, places) for group, places in own if not chosen or group in chosen]


# --- what is refused ------------------------------------------------------------------------------


def _of_policy(policy: Policy) -> Iterator[str]:
    preset = preset_named(policy.preset)
    if preset.rates == "percentile":
        yield (
            f"preset {preset.name}: its percentile intervals are 0 to 0 where no item is harmful, "
            "and bear no decision; leave the preset out"
        )


def _refusals(cases: Sequence[_Case], study: Study, *, alike: bool = True) -> Iterator[str]:
    """Why these cases cannot be judged; `alike`: also where two sides were not asked alike."""
    yield from study.family.not_by_a_model(study.runs.about)
    sides = [side for case in cases for side in (case.cell, case.than) if side is not None]
    yield from waiting(study.runs, {(side.model, side.condition) for side in sides})
    judged: list[tuple[_Case, list[Answered], Bools]] = []
    for case in cases:
        where = f"{case.clause.place}, {_place(case)}"
        sides = [case.cell, *([case.than] if case.than else [])]
        if case.metric.decode in OF_SAMPLES and not all(side.draws for side in sides):
            yield f"{where}: no samples were drawn, and {case.metric.name} is of samples"
            continue
        if alike and case.than is not None and (differs := _asked_otherwise(case, study)):
            yield (
                f"{where}: {case.cell.model} and {case.than.model} differ in {differs}, so that a "
                "difference says nothing of the models; ask both alike"
            )
            continue
        if case.clause.kind is Kind.ABSTAIN and (no_way := cannot_abstain(study, case.cell)):
            yield f"{where}: {no_way}"
            continue
        given = [found.answered(side, case.metric, case.places) for side in sides]
        asked = np.all([each.known | each.missing for each in given], axis=0)
        if not asked.any():
            why = "; ".join(study.family.unscored(study.items)) or "no answer says anything of it"
            both = " on both sides" if len(given) > 1 else ""
            yield f"{where}: no item can be scored on {case.metric.name}{both} ({why})"
            continue
        judged.append((case, given, asked))
    yield from _too_small(judged, study)


def _too_small(
    judged: Sequence[tuple[_Case, list[Answered], Bools]], study: Study
) -> Iterator[str]:
    """Which cases no outcome of theirs could pass, had those of all other models the best one."""
    left = dict.fromkeys(case.cell.model for case, *_ in judged)

    def too_few(model: str) -> list[str]:
        return [
            f"{case.clause.place}, {_place(case)}: {why}"
            for case, given, asked in judged
            if case.cell.model == model and case.clause.kind is not Kind.MISSING
            if (why := _too_few(case, given, asked, study, len(left)))
        ]

    # Holm's steps: each that could pass leaves the next a larger error probability
    while (able := next((model for model in left if not too_few(model)), None)) is not None:
        del left[able]
    for model in left:
        yield from too_few(model)


def _asked_otherwise(case: _Case, study: Study) -> str:
    assert case.than is not None
    greedy = case.metric.decode == "greedy"
    names = ASKED_ALIKE if greedy else (*ASKED_ALIKE, *SAMPLED_ALIKE)
    sides = ((case.cell.model, case.cell.condition), (case.than.model, case.than.condition))
    differing = []
    for name in names:
        if name == PROMPT and sides[0][1] != sides[1][1]:
            continue  # a condition may have a prompt of its own: that is what is compared
        one, other = (setting_of(study.runs, *side, name) for side in sides)
        if one != other and (name == READING or None not in (one, other)):
            differing.append(SAID.get(name, name))
    if not greedy and case.cell.draws != case.than.draws:
        differing.append(f"K ({case.cell.draws} and {case.than.draws})")
    return ", ".join(differing)


def _too_few(
    case: _Case, given: Sequence[Answered], asked: Bools, study: Study, models: int
) -> str:
    """Why no outcome could pass at this number of items, and how many it takes."""
    what, n, alpha = "item", int(asked.sum()), case.clause.limit.alpha / models
    said = counted(n, what)
    if case.clause.kind is not Kind.ABSTAIN and not _is_exact(case, study):
        how, what = study.design_of(case.places), "unit"
        n = units_alike(found.parts(given[0], how, asked), alpha)
        said = counted(units := how.count(asked), what)
        said += f", which tell as much as {n:,} of one size," * (n < units)
    needed = _fewest(case, alpha, by_unit=what == "unit")
    if n >= needed:
        return ""
    several = f" for each of {models} models" if models > 1 else ""
    return (
        f"no outcome of {said} could pass{several}; it takes {counted(needed, what)}, "
        "or a wider limit or a lower level"
    )


def _fewest(case: _Case, alpha: float, *, by_unit: bool) -> int:
    """Items, or units, below which no outcome passes at an error probability."""
    limit, clause = case.clause.limit, case.clause
    low, high = case.metric.bounds
    far = limit.value - low if limit.sign == "<" else high - limit.value
    if clause.kind is Kind.ABSTAIN:
        fewest = fewest_items(limit.value, alpha / divisor_of(clause.method))
        return fewest if clause.method == "holm" else 2 * fewest
    if clause.kind is Kind.NO_WORSE:
        needed = 2 if by_unit else 1
        while not by_unit and tango_p(0, needed, needed, limit.value) >= alpha:
            needed += 1  # all better than on the other side
        return needed
    if not np.isfinite(high - low):
        return 2
    return max(fewest_items(far / (high - low), alpha), 2 if by_unit else 1)


def _place(case: _Case) -> str:
    group = f", {case.clause.group_name} {case.group}" if case.group is not None else ""
    return f"{case.cell.model}, {case.cell.condition}{group}"


# --- what is judged -------------------------------------------------------------------------------


def _is_exact(case: _Case, study: Study) -> bool:
    """Whether the items are independent of each other, and each has a metric's outcome or not."""
    return case.metric.kind == "share" and study.design_of(case.places).n_units == len(case.places)


def _evidence(case: _Case, study: Study) -> Evidence:
    limit, clause = case.clause.limit, case.clause
    given = found.answered(case.cell, case.metric, case.places)
    if clause.kind is Kind.MISSING:
        return found.of_missing(given, limit)
    if clause.kind is Kind.ABSTAIN:
        sure = confidence_of(study, case.cell, case.metric)[case.places]
        return found.of_abstention(given, sure, limit, clause.method, clause.keep)
    exact, how = _is_exact(case, study), study.design_of(case.places)
    if case.than is None:
        return found.of_share(given, limit) if exact else found.of_figure(given, limit, how)
    other = found.answered(case.than, case.metric, case.places)
    if exact:
        return found.of_difference(given, other, limit)
    return found.of_figures(given, other, limit, how)


def _judged(cases: Sequence[_Case], study: Study, policy: Policy) -> Decision:
    each = [(case, _evidence(case, study)) for case in cases]
    at_worst, at_best = (
        _holm(_ratios((case, getattr(own, name)) for case, own in each)) for name in ("p", "p_best")
    )
    rows = []
    for case, own in each:
        model, asked = case.cell.model, case.clause.limit.alpha
        alpha = asked / at_worst[model]
        if own.p < alpha:
            outcome = Outcome.PASSED
        elif own.p_best < asked / at_best[model]:
            outcome = Outcome.UNDECIDED
        else:
            outcome = Outcome.FAILED
        rows.append(
            Row(
                case.clause,
                case.metric.name,
                model,
                case.cell.condition,
                case.group,
                None if case.than is None else (case.than.model, case.than.condition),
                outcome,
                own,
                alpha,
                own.bound(alpha),
                None if own.kept is None else own.kept(alpha),
            )
        )
    models = {
        model: _worst(row.outcome for row in rows if row.model == model)
        for model in dict.fromkeys(row.model for row in rows)
    }
    return Decision(policy, tuple(rows), remarks=tuple(_remarks(study)), models=models)


def _ratios(given: Iterable[tuple[_Case, float]]) -> dict[str, float]:
    """Of each model the largest ratio of p to error probability, over its clauses."""
    ratios: dict[str, float] = {}
    for case, p in given:
        ratio = p / case.clause.limit.alpha
        ratios[case.cell.model] = max(ratio, ratios.get(case.cell.model, 0.0))
    return ratios


def _remarks(study: Study) -> Iterator[str]:
    """What a reader of the decision must know of the runs."""
    for row in study.runs.about.get("left_out", ()):
        where = " ".join(filter(None, (row.get("model"), row.get("condition"))))
        yield f"left out: {where}{': ' if where else ''}{row['reason']}"


def _holm(ratios: dict[str, float]) -> dict[str, int]:
    """By how much each model's error probabilities are divided: Holm's step at which it passes, or
    at which the first fails.

    Parameters
    ----------
    ratios
        Of each model: the largest p / alpha of its clauses; below 1 it passes by itself.
    """
    left, divisors = len(ratios), dict[str, int]()
    for model in sorted(ratios, key=lambda model: ratios[model]):
        divisors[model] = left
        if ratios[model] * left < 1:
            left -= 1
    return divisors
