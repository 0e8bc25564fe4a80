"""The page *abstention and gate*: how many answers are left when harm must stay under a limit, and
what a policy says of these runs, exactly as the gate decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lm_eval_safescale.analysis.abstention import cannot_abstain
from lm_eval_safescale.command_line import said
from lm_eval_safescale.errors import CommandHint, SafescaleError
from lm_eval_safescale.families.rows import number
from lm_eval_safescale.figures import (
    Axis,
    DataColumn,
    DataTable,
    Line,
    Plot,
    Point,
    Strip,
    Strips,
    Value,
    with_bounds,
)
from lm_eval_safescale.figures import Kind as ValueKind
from lm_eval_safescale.gate import Clause, Decision, Kind, Outcome, Row
from lm_eval_safescale.gate.judging import Judged, judge
from lm_eval_safescale.gate.telling import error_rate, names_of, would_help
from lm_eval_safescale.report.pages.common.phrases import with_interval
from lm_eval_safescale.report.pages.common.rows import estimate, models_of
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Page, Section
from lm_eval_safescale.sentences import capital, listed, of_all, percent
from lm_eval_safescale.words import counted

TITLE = "Abstention and gate"
SIGNS = {Outcome.PASSED: "✓ passed", Outcome.FAILED: "✗ failed", Outcome.UNDECIDED: "? undecided"}
MOST_NAMED = 4
OF_STEP = ("coverage", "area")
"""Columns of `selective` that have an interval, and are no rate among the answers that are left."""
TableRow = Mapping[str, Any]


def abstention_and_gate(report: Report) -> Page | None:
    """None where no policy was given and the family's answers have no confidence."""
    if report.policy is None and not report.family.confidence_column:
        return None
    abstaining = list(_abstention(report))
    if report.policy is None:
        finding = _kept_said(report)
        return Page(
            "abstention-and-gate", TITLE, finding, _doubt(report), (*abstaining, _no_policy())
        )
    try:
        judged = _judged(report)
    except SafescaleError as error:
        why = Section("The gate", lead=f"{capital(said(error))}.")
        finding = "The policy is none of these runs: nothing was judged."
        return Page("abstention-and-gate", TITLE, finding, said(error), (why, *abstaining))
    return Page(
        "abstention-and-gate",
        TITLE,
        verdict_said(judged.decision),
        _gate_doubt(judged),
        (*_gate(report, judged), *abstaining),
    )


# --- the gate -------------------------------------------------------------------------------------


def _judged(report: Report, *, allow_demo: bool = False) -> Judged:
    assert report.policy is not None
    return judge(
        report.folders,
        report.policy,
        dataset=report.found.dataset,
        allow_demo=allow_demo,
        threshold=report.study.threshold,
        baseline=report.study.baseline or "",
    )


def _no_policy() -> Section:
    hint = SafescaleError(
        "No policy was given. One that is written down before answers are seen says which figures "
        "must stay under which limits; this page then shows what the gate decides, clause by "
        "clause: ",
        CommandHint("safescale report RUNS", {"policy": "FILE.yaml"}),
        " (the gate prints an example of one).",
    )
    return Section("The gate", lead=said(hint))


def verdict_said(decision: Decision) -> str:
    """The decision in a sentence."""
    name = decision.policy.name or "the policy"
    if decision.refused:
        return f"Refused by {name}: nothing was judged."
    models = decision.models
    if len(models) == 1:
        return f"{next(iter(models))} {_WORDS[decision.outcome]} {name}."
    by_outcome = {
        outcome: [model for model, own in models.items() if own is outcome] for outcome in Outcome
    }
    passed = by_outcome[Outcome.PASSED]
    who = f": {listed(passed, MOST_NAMED)}" if 0 < len(passed) < len(models) else ""
    others = "".join(
        f"; {counted(len(by_outcome[outcome]), 'model')} {words}"
        for outcome, words in ((Outcome.UNDECIDED, "undecided"),)
        if by_outcome[outcome]
    )
    verb = "passes" if len(passed) < 2 else "pass"
    return f"{capital(of_all(len(passed), len(models), 'model'))} {verb} {name}{who}{others}."


_WORDS = {
    Outcome.PASSED: "passes",
    Outcome.FAILED: "fails",
    Outcome.UNDECIDED: "is left undecided by",
}


def _gate_doubt(judged: Judged) -> str:
    decision = judged.decision
    if decision.refused:
        return f"{capital(decision.refused[0])}."
    missing = sum(bool(row.evidence.missing) for row in decision.rows)
    lacking = (
        f" Answers are missing in {missing} of {counted(len(decision.rows), 'row')}; there they "
        "count as harmful."
        if missing
        else ""
    )
    return f"{error_rate(decision)[-1]}{lacking}"


def _gate(report: Report, judged: Judged) -> Iterator[Section]:
    decision = judged.decision
    yield _of_policy(decision, judged)
    if decision.refused:
        if not (judged.runs is not None and report.is_demo):
            return
        # the one reason that says nothing of the answers
        decision = _judged(report, allow_demo=True).decision
        yield Section(
            "Were these no demo data",
            lead=f"DEMO, by which nothing can be decided. {verdict_said(decision)}",
            rows=tuple((reason,) for reason in decision.refused),
            columns=("refused",) if decision.refused else (),
        )
    fractions = {metric.name: metric.is_fraction for metric in report.study.metrics}
    for clause in decision.policy.clauses:
        rows = [row for row in decision.rows if row.clause.number == clause.number]
        if rows:
            yield _of_clause(clause, rows, fraction=fractions[rows[0].metric])
    if decision.rows:
        yield Section("What the error rate is", lead=" ".join(error_rate(decision)))


def _of_policy(decision: Decision, judged: Judged) -> Section:
    policy = decision.policy
    what = (
        f"{policy.name or policy.source}: {counted(len(policy.clauses), 'clause')}, all of which "
        f"must pass. SHA-256 {policy.sha256}."
    )
    told = [("refused", reason) for reason in decision.refused]
    told += [("model", f"{model}: {SIGNS[own]}") for model, own in decision.models.items()]
    told += [("verified, whole", folder) for folder in judged.whole]
    told += [("remark", remark) for remark in judged.remarks]
    return Section(
        "The policy", columns=("about", "what") if told else (), rows=tuple(told), lead=what
    )


def _of_clause(clause: Clause, rows: Sequence[Row], *, fraction: bool) -> Section:
    kind: ValueKind = "percent" if fraction else "number"
    abstains = clause.kind is Kind.ABSTAIN
    cells = [_cells(row) for row in rows]
    is_exact = any(row.allowed is not None for row in rows)
    columns = [
        DataColumn("outcome"),
        DataColumn("model"),
        DataColumn("condition"),
        *([DataColumn("group", clause.group_name)] if clause.group_name else []),
        *([DataColumn("against")] if clause.kind is Kind.NO_WORSE else []),
        DataColumn("value", "worse by" if clause.kind is Kind.NO_WORSE else "value", kind=kind),
        *(
            [
                DataColumn("threshold", "answers from this confidence", "number"),
                DataColumn("kept_share", "answers left", "percent"),
                DataColumn("risk", "harm among them", "percent"),
            ]
            if abstains
            else [DataColumn("bound", kind=kind)]
        ),
        DataColumn("limit", kind=kind),
        DataColumn("n", kind="count"),
        DataColumn("missing", kind="count"),
        DataColumn("method"),
        *([DataColumn("allowed", "may count against it", "count")] if is_exact else []),
        *([DataColumn("help", "what may turn it")] if any(each["help"] for each in cells) else []),
        DataColumn("items", "items against it"),
    ]
    passed = sum(row.outcome is Outcome.PASSED for row in rows)
    return Section(
        f"Clause {clause.number}: {clause.text}",
        lead=f"{passed:,} of {counted(len(rows), 'row')} {'passes' if passed == 1 else 'pass'} it.",
        data=DataTable.of(
            columns,
            cells,
            [{"condition": row.condition, "model": row.model} for row in rows],
        ),
    )


def _cells(row: Row) -> dict[str, Value]:
    own, kept = row.evidence, row.kept
    found = None if kept is None or not kept.is_found else kept
    return {
        "outcome": SIGNS[row.outcome],
        "model": row.model,
        "condition": row.condition,
        "group": row.group,
        "against": None if row.than is None else " ".join(row.than),
        "value": number(own.value),
        "bound": number(row.bound),
        "limit": row.clause.limit.value,
        "threshold": None if found is None else number(found.threshold),
        "kept_share": None if found is None else number(found.kept_share),
        "risk": None if found is None else number(found.risk),
        "n": own.n,
        "missing": len(own.missing),
        "method": own.method,
        "allowed": row.allowed,
        "help": "; ".join(would_help(row)),
        "items": names_of(row.items_against),
    }


# --- abstention -----------------------------------------------------------------------------------


def _rows(report: Report) -> list[TableRow]:
    """Of models: no control answers anyone."""
    models = models_of(report)
    return [row for row in report.rows("abstention") if row["model"] in models]


def _kept_said(report: Report) -> str:
    """How many answers are left under the first limit, as a headline."""
    rows = _rows(report)
    if not rows:
        return f"No model can abstain here: {_why_not(report)}."
    limit = rows[0]["limit"]
    own = [row for row in rows if row["limit"] == limit]
    able = [row for row in own if row["threshold"] is not None]
    level = f"{percent(limit)} with {100 * (1 - own[0]['delta']):g}\N{NO-BREAK SPACE}% confidence"
    if len(own) == 1:
        if not able:
            return f"No confidence holds harm under {level}: {own[0]['model']} may not answer."
        return (
            f"To hold harm under {level}, {own[0]['model']} may answer "
            f"{percent(able[0]['kept_share'])} of the questions."
        )
    if not able:
        return f"No confidence holds harm under {level}, for no model under any condition."
    share = sum(row["kept_share"] or 0.0 for row in own) / len(own)
    return (
        f"By answering less, harm can be held under {level} in {_cells_said(able, own)}; on "
        f"average {percent(share)} of the answers are left."
    )


def _cells_said(some: Sequence[TableRow], every: Sequence[TableRow]) -> str:
    return f"{len(some):,} of {len(every):,} pairs of a model and a condition"


def _doubt(report: Report) -> str:
    if not _rows(report):
        return ""
    return (
        "Each limit holds for its model and condition alone, not for the best of many; missing "
        "answers are left out here, and count as harmful at the gate."
    )


def _why_not(report: Report) -> str:
    reasons = dict.fromkeys(
        why for cell in report.study.scores.values() if (why := cannot_abstain(report.study, cell))
    )
    return "; ".join(reasons) or report.failed.get("abstention", "nothing was scored")


def _abstention(report: Report) -> Iterator[Section]:
    if not report.family.confidence_column:
        return
    rows = _rows(report)
    if not rows:
        yield Section("Abstention", lead=f"No threshold is given: {_why_not(report)}.")
        return
    for limit in dict.fromkeys((row["limit"], row["delta"]) for row in rows):
        yield _of_limit(report, [row for row in rows if (row["limit"], row["delta"]) == limit])
    yield from _selective(report)


def _of_limit(report: Report, rows: Sequence[TableRow]) -> Section:
    limit, level = rows[0]["limit"], 1 - rows[0]["delta"]
    strips = []
    for condition in report.conditions:
        own = [row for row in rows if row["condition"] == condition]
        shares = [row["kept_share"] or 0.0 for row in own]
        points = [
            Point(
                share,
                0.0,
                condition,
                f"{row['model']}: {percent(share)} of the answers left"
                + ("" if row["threshold"] is None else f", from confidence {row['threshold']:g}"),
                role="chosen" if row["model"] == report.chosen else "each",
            )
            for row, share in zip(own, shares, strict=True)
        ]
        if points:
            strips.append(
                Strip(
                    report.words(condition),
                    points,
                    value=sum(shares) / len(shares),
                    series=condition,
                )
            )
    able = [row for row in rows if row["threshold"] is not None]
    data = DataTable.of(
        (
            DataColumn("model"),
            DataColumn("condition"),
            DataColumn("threshold", "answers from this confidence", "number"),
            DataColumn("kept_share", "answers left", "percent"),
            DataColumn("risk", "harm among them", "percent"),
            DataColumn("limit", kind="percent"),
            DataColumn("delta", kind="number"),
            DataColumn("method"),
        ),
        rows,
        [{"condition": row["condition"], "model": row["model"]} for row in rows],
    )
    models = len({row["model"] for row in rows})
    figure = Strips(
        f"answers-left-{100 * limit:g}-{100 * level:g}",
        _limit_title(rows, able, percent(limit)),
        f"A dot is one of {counted(models, 'model')}: the share of answers that are left at the "
        f"lowest confidence at which the true rate of harm stays under {percent(limit)} with "
        f"{100 * level:g} % confidence (Learn-then-Test); 0 where no confidence will do. At the "
        f"right the mean. The diamond is {report.chosen}.",
        Axis("answers left", percent=True, low=0.0, high=1.0),
        data,
        strips,
        {condition: report.words(condition) for condition in report.conditions},
    )
    return Section(f"Abstention, harm under {percent(limit)}", figures=(figure,))


def _limit_title(rows: Sequence[TableRow], able: Sequence[TableRow], limit: str) -> str:
    if not able:
        return f"No confidence holds harm under {limit}: by this rule nothing may be answered."
    if len(able) == len(rows):
        return f"Every model can be held under {limit} by answering less."
    return f"{_cells_said(able, rows)} can be held under {limit}; the others may answer nothing."


def _selective(report: Report) -> Iterator[Section]:
    """The risk among the surest answers of the chosen model, by how many are left."""
    every = report.rows("selective", model=report.chosen)
    if not every:
        return
    risk = next(
        (name for name in every[0] if f"{name}_lo" in every[0] and name not in OF_STEP), None
    )
    rows = [row for row in every if risk and row[risk] is not None and row["coverage"] is not None]
    if not rows or risk is None:
        return
    lines, changes = [], []
    for condition in report.conditions:
        own = sorted(
            (row for row in rows if row["condition"] == condition), key=lambda row: row["coverage"]
        )
        if not own:
            continue
        lines.append(
            Line(
                [(row["coverage"], row[risk]) for row in own],
                condition,
                f"{report.words(condition)}: {percent(own[-1][risk])} of all answers",
                [(row["coverage"], row[f"{risk}_lo"], row[f"{risk}_hi"]) for row in own],
            )
        )
        changes.append((condition, own[-1], own[0]))
    condition, most, least = max(changes, key=lambda each: each[1][risk] - each[2][risk])
    given, surest = (with_interval(estimate(row, risk)) for row in (most, least))
    yield Section(
        "Harm among the surest answers",
        figures=(
            Plot(
                "selective-risk",
                f"Under {report.words(condition)}, {report.words(risk)} is {given} of all "
                f"{counted(most['kept'], 'answer')} given, and {surest} of the surest "
                f"{least['kept']:,}.",
                f"{report.chosen}, majority answers of {rows[0]['draws']} samples: of the answers "
                "whose confidence reaches a threshold (0, 0.05, ..., 1), the share that does harm, "
                "with its 95 % interval. An answer that chooses nothing is never given.",
                Axis("answers left", percent=True, low=0.0, high=1.0),
                Axis(report.words(risk), percent=True, low=0.0),
                DataTable.of(
                    (
                        DataColumn("condition"),
                        DataColumn("threshold", "from confidence", "number"),
                        DataColumn("kept", "answers", "count"),
                        DataColumn("n", "of", "count"),
                        DataColumn("coverage", "answers left", "percent"),
                        *with_bounds(risk, report.words(risk)),
                    ),
                    rows,
                    [{"condition": row["condition"], "model": report.chosen} for row in rows],
                ),
                lines=lines,
                series={line.series: report.words(line.series) for line in lines},
            ),
        ),
    )
