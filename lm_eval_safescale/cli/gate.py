"""`safescale gate`: whether models are good enough by a policy, as an exit status, a page of text
and a JSON file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lm_eval_safescale.cli.data import load_given
from lm_eval_safescale.cli.options import (
    ColumnsOption,
    ExcludedItemsOption,
    FirstIndexOption,
    JsonOption,
    data_settings,
    use_one_thread,
)
from lm_eval_safescale.cli.screen import complain, say, working
from lm_eval_safescale.errors import SafescaleError, writing
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.gate import Decision, Policy
    from lm_eval_safescale.gate.judging import Judged

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
    as_json: JsonOption = None,
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
    columns: ColumnsOption = None,
    first_index: FirstIndexOption = None,
    exclude_items: ExcludedItemsOption = None,
    example: Annotated[
        bool,
        typer.Option(
            "--example",
            help="Print a policy to begin with, of the family of RUNS or of RadSaFE, and stop.",
        ),
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
        from lm_eval_safescale.runs.store import open_runs

        own = [open_runs(*runs, texts=False).family] if runs else []
        print(example_policy(*own), end="")
        return
    if not runs:
        raise SafescaleError("no runs named; give one or more folders of runs")
    if (policy is None) == (not require):
        raise SafescaleError("expected either --policy FILE.yaml or --require LIMIT")
    asked = policy_of(require or ()) if policy is None else read_policy(policy)
    if preset is not None:
        asked = replace(asked, preset=preset)
    use_one_thread()
    from lm_eval_safescale.gate.judging import judge

    given = load_given(dataset, runs, **data_settings(columns, first_index, exclude_items))
    with working("verifying the runs ...") as progress:
        judged = judge(
            runs,
            asked,
            dataset=given,
            allow_demo=allow_demo,
            threshold=threshold,
            baseline=baseline or "",
            models=model or (),
            say=progress,
        )
    _show(judged)
    if as_json is not None:
        with writing(as_json):
            as_json.write_text(
                json.dumps(_document(judged, runs), indent=1, ensure_ascii=False) + "\n", "utf-8"
            )
    raise typer.Exit(int(judged.decision.outcome))


# --- on the screen --------------------------------------------------------------------------------


def _show(judged: Judged) -> None:
    decision, runs = judged.decision, judged.runs
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
    for folder in judged.whole:
        say(f"{folder}: verified, whole")
    for reason in judged.remarks:
        say(reason, style="yellow")
    if decision.refused:
        for reason in decision.refused:
            complain(f"refused: {reason}")
        say("REFUSED: nothing was judged", style="bold yellow")
        return
    from lm_eval_safescale.gate.telling import error_rate

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
    from lm_eval_safescale.gate.telling import bound_alone, head_of, lines_of, place_of

    is_long = len(decision.rows) > MOST_WHOLE
    for clause in decision.policy.clauses:
        say(f"\n{clause.text}")
        for row in decision.rows:
            if row.clause.number == clause.number:
                where = f"{row.outcome.name}  {place_of(row)}"
                said = f": {head_of(row)}{bound_alone(row)}" if is_long else ""
                say(f"  {where}{said}", style=STYLES[row.outcome])
                for line in () if is_long else lines_of(row):
                    say(f"    {line}")
    if is_long:
        say("\nBy how much, and the items that decided: in the JSON file (--json).")


# --- as JSON --------------------------------------------------------------------------------------


def _document(judged: Judged, folders: Sequence[Path]) -> dict[str, Any]:
    from lm_eval_safescale import __version__
    from lm_eval_safescale.gate.telling import document_of, error_rate

    decision, runs = judged.decision, judged.runs
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
        "remarks": list(judged.remarks),
        "error_rate": [] if decision.refused else error_rate(decision),
        "clauses": [document_of(row) for row in decision.rows],
        "version": __version__,
        "verified": list(judged.whole),
    }


def _policy(policy: Policy) -> dict[str, Any]:
    return {
        "source": policy.source,
        "name": policy.name,
        "sha256": policy.sha256,
        "clauses": [clause.text for clause in policy.clauses],
    }
