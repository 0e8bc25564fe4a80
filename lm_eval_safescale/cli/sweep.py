"""`safescale sweep`: many models under many conditions, from a file, on this machine or on a Ray
cluster.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lm_eval_safescale.cli.screen import Progress, complain, console, say, working
from lm_eval_safescale.cli.table import Column, print_columns
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.sweep import Executor, Plan, Size, Sweep, SweepProgress

EVERY = 60.0
"""Seconds between two lines of progress where no terminal shows it."""
MOST_NAMED = 4


class How(StrEnum):
    """What runs the jobs."""

    LOCAL = "local"
    RAY = "ray"


def sweep(
    file: Annotated[
        Path,
        typer.Argument(metavar="FILE.yaml", help="Models, conditions and settings; or radsafe-34."),
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The folder for the answers, instead of the file's."),
    ] = None,
    executor: Annotated[
        How | None,
        typer.Option(
            help=(
                "local: child processes of this one; ray: Ray tasks. By default local, ray with "
                "--address."
            )
        ),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="A Ray cluster: auto, HOST:PORT or ray://HOST:PORT.")
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, help="Models in parallel, with --executor local.")
    ] = 1,
    retries: Annotated[
        int,
        typer.Option(min=0, help="Further tries for a model whose process died, or that failed."),
    ] = 2,
    only: Annotated[
        str, typer.Option(help="Names of models, with commas between; all without it.")
    ] = "",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Ask the first so many items only.")
    ] = None,
    retry_filtered: Annotated[
        bool,
        typer.Option("--retry-filtered", help="Ask again for what a content filter held back."),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Say what would be asked, and what it may cost; load nothing."
        ),
    ] = False,
) -> None:
    """Ask many models under many conditions. Each is loaded once, in a process of its own; answers
    stand in OUTPUT/NAME.

    After an interruption of whatever kind the same command goes on: nothing is asked twice. One
    model that fails costs no other one; it is listed at the end, with exit status 1.
    """
    from lm_eval_safescale.runs.places import Kind, refuse_others
    from lm_eval_safescale.sweep import missing_model, read_sweep, run_jobs, sweep_named

    refuse_others(file, Kind.SWEEP)

    names = [name.strip() for name in only.split(",") if name.strip()]
    asked = read_sweep(
        sweep_named(file), output=output, limit=limit, retry_filtered=retry_filtered, only=names
    )
    if dry_run:
        _print_plan(asked)
        return
    if missing := [each for job in asked.jobs if (each := missing_model(job))]:
        complain("\n".join([*missing, "The others are asked."]))
    with working("starting ...") as progress:
        runs_jobs = _executor(executor or (How.RAY if address else How.LOCAL), address, jobs)
        try:
            standings = run_jobs(asked.jobs, runs_jobs, retries=retries, on_change=_Told(progress))
        except KeyboardInterrupt:
            raise SafescaleError(
                f"interrupted; what was answered is stored in {asked.output}, and the same command "
                "goes on from there"
            ) from None
    _print_results(standings, asked.output)
    if any(standing.state != "done" for standing in standings):
        raise typer.Exit(1)


def _executor(how: How, address: str | None, jobs: int) -> Executor:
    if how is How.LOCAL:
        if address is not None:
            raise SafescaleError("--address is of a Ray cluster; leave it out, or --executor local")
        from lm_eval_safescale.sweep.local import LocalExecutor

        return LocalExecutor(jobs)
    if jobs > 1:
        raise SafescaleError(
            "--jobs is for --executor local; Ray runs as many models in parallel as their "
            "gpus and cpus allow"
        )
    from lm_eval_safescale.sweep.on_ray import RayExecutor

    return RayExecutor(address)


# --- while it lasts -------------------------------------------------------------------------------


class _Told:
    """Says how far the jobs are: renewed on a terminal, else when one changes its state, and now
    and then."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._marked = progress, time.monotonic()
        self._states: tuple[object, ...] = ()

    def __call__(self, standings: Sequence[SweepProgress]) -> None:
        states = tuple((standing.state, standing.tries) for standing in standings)
        mark = states != self._states or time.monotonic() - self._marked > EVERY
        if mark:
            self._states, self._marked = states, time.monotonic()
        self._progress(describe(standings), mark=mark)


def describe(standings: Sequence[SweepProgress]) -> str:
    """One line: how many models are done, which are running and how far, how many wait and have
    failed."""
    by_state = {
        state: [each for each in standings if each.state == state]
        for state in ("running", "waiting", "incomplete", "failed")
    }
    running = [f"{each.job.name} {each.answers:,}" for each in by_state["running"][:MOST_NAMED]]
    if len(by_state["running"]) > MOST_NAMED:
        running.append(f"{len(by_state['running']) - MOST_NAMED} more")
    parts = [
        (
            f"{sum(each.state == 'done' for each in standings)} of "
            f"{counted(len(standings), 'model')} done"
        )
    ]
    if running:
        parts.append(f"running {', '.join(running)}")
    if by_state["waiting"]:
        parts.append(f"{len(by_state['waiting'])} waiting")
    for state in ("incomplete", "failed"):
        if by_state[state]:
            parts.append(f"{len(by_state[state])} {state.upper()}")
    return f"{'; '.join(parts)}; {counted(sum(each.answers for each in standings), 'answer')}"


# --- at the end -----------------------------------------------------------------------------------


def _print_results(standings: Sequence[SweepProgress], output: Path) -> None:
    columns = [
        Column("model", [each.job.name for each in standings]),
        Column("conditions", [str(len(each.job.conditions)) for each in standings], "right"),
        Column("answers", [f"{each.answers:,}" for each in standings], "right"),
        Column(
            "time", [str(timedelta(seconds=round(each.seconds))) for each in standings], "right"
        ),
        Column(
            "state",
            [
                each.state + (f", {each.tries} tries" if each.tries > 1 else "")
                for each in standings
            ],
        ),
    ]
    print_columns(console, columns)
    for each in standings:
        if each.state != "done":
            complain(f"{each.job.name}: {each.state}: {each.reason}\n  log: {each.job.log}")
    if any(each.state != "done" for each in standings):
        complain("The same command tries them again; what was answered is stored.")
    if any(each.state in ("done", "incomplete") for each in standings):
        runs = shlex.quote(str(output))
        if any(map(_is_judged, standings)):
            say(
                f"Next: a judge must read the answers of each model: safescale judge {runs}/MODEL "
                "--base-url http://HOST/v1 --model JUDGE"
            )
            return
        say(f"Next: safescale analyze {runs}/* -o TABLES")


def _is_judged(standing: SweepProgress) -> bool:
    """Whether what a model answered waits for a judge; a control's empty answers do not."""
    from lm_eval_safescale.assembly import family_of
    from lm_eval_safescale.families.controls import CONTROLS
    from lm_eval_safescale.plugins import plugins

    job = standing.job
    return job.backend not in CONTROLS and any(
        family_of(plugins().find("condition", name)).judged for name in job.conditions
    )


# --- beforehand -----------------------------------------------------------------------------------


def _print_plan(asked: Sweep) -> None:
    from lm_eval_safescale.sweep import plan_sweep

    with working("making the prompts that need no model ..."):
        plans = plan_sweep(asked, _size_of())
    _print_jobs(plans)
    for line in _remarks(plans, asked):
        say(line)
    problems: dict[str, list[str]] = {}
    for plan in plans:
        for problem in plan.problems:
            problems.setdefault(problem, []).append(plan.job.name)
    for problem, names in problems.items():
        complain(f"cannot be asked: {problem}\n  models: {_named(names)}")
    if problems:
        raise typer.Exit(1)


def _size_of() -> Callable[[str], Size]:
    """Sizes of known models, from the panel."""
    from lm_eval_safescale.analysis import load_panel
    from lm_eval_safescale.sweep import Size

    panel = load_panel()

    def size_of(name: str) -> Size:
        known = panel.find(name)
        # the weights are more than what a token passes through
        if known is None or known.parameters == "active":
            return Size(None, None)
        return Size(known.parameters_b, None)

    return size_of


def _print_jobs(plans: Sequence[Plan]) -> None:
    def total(of: Callable[[Plan], float]) -> str:
        return _short(sum(of(plan) for plan in plans))

    hours = [plan.gpu_hours for plan in plans]
    known = [each for each in hours if each is not None]
    columns = [
        Column("model", [plan.job.name for plan in plans] + ["all"]),
        Column("GPUs", [str(plan.job.gpus) for plan in plans] + [""], "right"),
        Column(
            "requests",
            [f"{plan.requests:,}" for plan in plans]
            + [f"{sum(plan.requests for plan in plans):,}"],
            "right",
        ),
        Column(
            "answers",
            [f"{plan.answers:,}" for plan in plans] + [f"{sum(plan.answers for plan in plans):,}"],
            "right",
        ),
        Column(
            "prompt\ntokens",
            [_short(plan.prompt_tokens) for plan in plans]
            + [total(lambda plan: plan.prompt_tokens)],
            "right",
        ),
        Column(
            "answer\ntokens <=",
            [_short(plan.answer_tokens) for plan in plans] + [total(lambda p: p.answer_tokens)],
            "right",
        ),
        Column(
            "GPU\nhours",
            [_hours(each) for each in hours] + [_hours(sum(known) if known else None)],
            "right",
        ),
    ]
    print_columns(console, columns, "What would be asked; nothing is loaded")


def _remarks(plans: Sequence[Plan], asked: Sweep) -> list[str]:
    gpu = asked.gpu
    lines = [
        (
            "Prompt tokens are bytes / 4 of the prompts that can be made without a model, and the "
            "whole window for those that fill it."
        ),
        (
            f"GPU hours are a rough estimate for {gpu.name} ({gpu.flops:.3g} operations/s, "
            f"{gpu.utilisation:.0%} of them used; {gpu.bytes_per_s:.3g} bytes/s; {gpu.at_once} "
            "answers at once), without loading models and idle time (docs/sweep.md)."
        ),
    ]
    grouped: dict[str, list[str]] = {}
    for plan in plans:
        for remark in plan.remarks:
            grouped.setdefault(remark, []).append(plan.job.name)
    return lines + [f"{_named(names)}: {remark}" for remark, names in grouped.items()]


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:MOST_NAMED]) + (
        f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    )


def _short(number: float) -> str:
    for unit, name in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= unit:
            return f"{number / unit:,.1f} {name}"
    return f"{number:,.0f}"


def _hours(hours: float | None) -> str:
    return "?" if hours is None else "< 0.1" if 0 < hours < 0.1 else f"{hours:,.1f}"
