"""`safescale gate`: whether models are good enough by a policy, as an exit status, a page of text
and a JSON file.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lm_eval_safescale.cli.data import Columns, load_named
from lm_eval_safescale.cli.screen import complain, say, working
from lm_eval_safescale.errors import SafescaleError, writing
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.gate import Decision, Policy, Row
    from lm_eval_safescale.runs import Runs

SHOWN = 12
"""Items that are named on the screen; the JSON file has all."""
MOST_WHOLE = 24
"""Rows beyond which each has one line; the JSON file has all of every one."""
STYLES = ("green", "red", "yellow")


def gate(
    runs: Annotated[
        list[Path] | None, typer.Argument(metavar="RUNS...", help="Folders of runs.")
    ] = None,
    policy: Annotated[
        Path | None, typer.Option(metavar="FILE.yaml", help="The policy (docs/gate.md).")
    ] = None,
    require: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIMIT",
            help=(
                "A limit, in place of a policy: 'METRIC < 5 % @ 95 %', or 'METRIC 2 points' "
                "against the baseline; may be given more than once."
            ),
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(help="Model or condition that margins compare with, where they name none."),
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(help="Judge this model alone, of those in RUNS; may be given more than once."),
    ] = None,
    as_json: Annotated[
        Path | None, typer.Option("--json", metavar="OUT", help="Also write all of it as JSON.")
    ] = None,
    allow_demo: Annotated[
        bool, typer.Option("--allow-demo", help="Judge runs of demo data too, marked DEMO.")
    ] = False,
    preset: Annotated[
        str | None,
        typer.Option(help="As of safescale analyze; one of percentile intervals is refused."),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="As of safescale analyze, in place of the runs' own."),
    ] = None,
    dataset: Annotated[
        str | None,
        typer.Option(help="The data set of the runs, by name or as a file, to verify them by."),
    ] = None,
    columns: Columns = None,
    example: Annotated[
        bool, typer.Option("--example", help="Print a policy to begin with, and stop.")
    ] = False,
) -> None:
    """Whether models are good enough by a policy that was written down before.

    Every clause must pass. A bound that is not within its limit fails, whatever the point estimate;
    missing answers count as harmful.

    Exit status 0: passed; 1: failed; 2: undecided (it would pass were all missing answers
    harmless) or refused; 3: bad policy or input, or a failure.
    """
    from lm_eval_safescale.gate import example_policy, policy_of, read_policy

    if example:
        print(example_policy(), end="")
        return
    if not runs:
        raise SafescaleError("no runs named; give one or more folders of runs")
    if (policy is None) == (not require):
        raise SafescaleError("expected either --policy FILE.yaml or --require LIMIT")
    asked = policy_of(require or ()) if policy is None else read_policy(policy)
    if preset is not None:
        asked = replace(asked, preset=preset)
    # many small products: threads of the linear algebra would wait for each other
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from lm_eval_safescale.analysis import Study, open_runs
    from lm_eval_safescale.gate import Decision, decide
    from lm_eval_safescale.gate.refusals import damage, doubts, is_demo, verified
    from lm_eval_safescale.verifying.findings import Verdict

    given = None if dataset is None else load_named(dataset, columns)
    with working("verifying the runs ..."):
        looked = verified(runs, given)
    refused, opened = list(damage(looked)), None
    if not refused:
        opened = open_runs(*runs, texts=False)
        if is_demo(opened) and not allow_demo:
            refused.append(
                "these runs are of demo data, by which nothing can be decided (to try things: "
                "--allow-demo)"
            )
    if refused or opened is None:
        decision = Decision(asked, refused=tuple(refused))
    else:
        with working("judging ..."):
            decision = decide(
                Study(opened, threshold), asked, baseline=baseline or "", models=model or ()
            )
    remarks = [*doubts(looked), *decision.remarks]
    whole = [str(each.folder) for each in looked if each.verdict is Verdict.WHOLE]
    _show(decision, opened, whole, remarks)
    if as_json is not None:
        document = _document(decision, opened, runs, remarks) | {"verified": whole}
        with writing(as_json):
            as_json.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")
    raise typer.Exit(int(decision.outcome))


# --- on the screen --------------------------------------------------------------------------------


def _show(
    decision: Decision, runs: Runs | None, whole: Sequence[str], remarks: Sequence[str]
) -> None:
    policy = decision.policy
    say(
        f"Policy {policy.name or policy.source}: {counted(len(policy.clauses), 'clause')}, sha256 "
        f"{policy.sha256[:12]}",
        style="bold",
    )
    if runs is not None:
        dataset = runs.about.get("dataset", {})
        demo = " - DEMO: no clinical claim may rest on it" if dataset.get("demo") else ""
        say(
            f"{counted(len(runs.models), 'model')} on {dataset.get('name', '?')}, "
            f"{counted(runs.items.height, 'item')}{demo}"
        )
        if decision.models and len(decision.models) < len(runs.models):
            say(f"judged: {', '.join(decision.models)} (to be chosen before answers are seen)")
    for folder in whole:
        say(f"{folder}: verified, whole")
    for reason in remarks:
        say(reason, style="yellow")
    if decision.refused:
        for reason in decision.refused:
            complain(f"refused: {reason}")
        say("REFUSED: nothing was judged", style="bold yellow")
        return
    _show_rows(decision)
    say("")
    if len(decision.models) > 1:
        for model, outcome in decision.models.items():
            say(f"{outcome.name}: {model}", style=STYLES[outcome])
    for line in error_rate(decision):
        say(line, style="dim")
    say(decision.outcome.name, style=f"bold {STYLES[decision.outcome]}")


def _show_rows(decision: Decision) -> None:
    """Every clause, and what is said of each row of it."""
    is_long = len(decision.rows) > MOST_WHOLE
    for clause in decision.policy.clauses:
        say(f"\n{clause.text}")
        for row in decision.rows:
            if row.clause.number == clause.number:
                where = f"{row.outcome.name}  {_where(row)}"
                said = f": {_head(row)}{_bound_alone(row)}" if is_long else ""
                say(f"  {where}{said}", style=STYLES[row.outcome])
                for line in () if is_long else lines_of(row):
                    say(f"    {line}")
    if is_long:
        say("\nBy how much, and the items that decided: in the JSON file (--json).")


def _bound_alone(row: Row) -> str:
    limit = row.clause.limit
    if row.bound != row.bound or row.evidence.method == "counted":
        return ""
    return f", {'at least' if limit.sign == '>' else 'at most'} {limit.shown(row.bound)}"


def _where(row: Row) -> str:
    parts = [row.model, row.condition]
    if row.group is not None:
        parts.append(f"{row.clause.group_name} {row.group}")
    than = "" if row.than is None else f", against {' '.join(row.than)}"
    return f"{', '.join(parts)}{than}"


def _head(row: Row) -> str:
    """What is said of a row where there is but one line for it."""
    from lm_eval_safescale.gate import Kind

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
    from lm_eval_safescale.gate import Kind

    own, kind, lines = row.evidence, row.clause.kind, [_head(row)]
    if kind in (Kind.LIMIT, Kind.NO_WORSE):
        lines.append(_bound(row))
    lines += _would_help(row)
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


def _would_help(row: Row) -> list[str]:
    """What may turn an outcome that is not a pass into one."""
    from lm_eval_safescale.gate import Outcome
    from lm_eval_safescale.stats import pass_sample_size

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
    from lm_eval_safescale.gate import Kind

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


# --- as JSON --------------------------------------------------------------------------------------


def _document(
    decision: Decision, runs: Runs | None, folders: Sequence[Path], remarks: Sequence[str]
) -> dict[str, Any]:
    from lm_eval_safescale import __version__

    policy = decision.policy
    dataset = {} if runs is None else runs.about.get("dataset", {})
    return {
        "outcome": "refused" if decision.refused else decision.outcome.name.lower(),
        "exit_status": int(decision.outcome),
        "demo": bool(dataset.get("demo")),
        "policy": _policy(policy),
        "runs": [str(folder) for folder in folders],
        "dataset": {key: dataset.get(key) for key in ("family", "name", "version", "fingerprint")},
        "models": {model: outcome.name.lower() for model, outcome in decision.models.items()},
        "refused": list(decision.refused),
        "remarks": list(remarks),
        "error_rate": [] if decision.refused else error_rate(decision),
        "clauses": [document_of(row) for row in decision.rows],
        "version": __version__,
    }


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        "source": policy.source,
        "name": policy.name,
        "sha256": policy.sha256,
        "clauses": [clause.text for clause in policy.clauses],
    }


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
