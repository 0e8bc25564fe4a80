"""`safescale runs`: stored answers, verified, and what is left of damaged ones."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lm_eval_safescale.cli.data import load_given
from lm_eval_safescale.cli.examples import example
from lm_eval_safescale.cli.options import (
    ColumnsOption,
    ContextsOption,
    ExcludedItemsOption,
    FirstIndexOption,
    data_settings,
)
from lm_eval_safescale.cli.screen import complain, say, working
from lm_eval_safescale.cli.verdicts import BAD_INPUT, VerdictCommand
from lm_eval_safescale.command_line import said
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.verifying.findings import Verification

app = typer.Typer(
    help="Runs: stored answers, verified, and what is left of damaged ones.", no_args_is_help=True
)

SAID = ("whole", "DAMAGED, or not what its texts say", "cannot tell")
STYLES = ("green", "red", "yellow")


@app.command(cls=VerdictCommand, epilog=example("runs verify"))
def verify(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="Folders of runs.")],
    dataset: Annotated[
        str | None,
        typer.Option(
            help=(
                "The data set that the runs are of, by name or as a file, where they do not say it."
            )
        ),
    ] = None,
    columns: ColumnsOption = None,
    first_index: FirstIndexOption = None,
    exclude_items: ExcludedItemsOption = None,
    contexts: ContextsOption = None,
) -> None:
    """Look whether runs are as they were written, whole, and what their texts say: every letter is
    read again, and every prompt is rendered again. Nothing is changed.

    Exit status 0: whole; 1: damaged, not finished, or not what the texts say; 2: cannot tell (the
    reader is not installed, or in another version; the data set cannot be had); 3: bad input.
    """
    from lm_eval_safescale.verifying.verify import verify as verify_runs

    status, is_bad = 0, False
    try:
        given = load_given(dataset, folders, **data_settings(columns, first_index, exclude_items))
    except SafescaleError as error:
        complain(f"error: {said(error)}")
        raise typer.Exit(BAD_INPUT) from None
    for folder in folders:
        try:
            with working(f"reading {folder} ..."):
                found = verify_runs(folder, given, contexts or ())
        except SafescaleError as error:
            complain(f"error: {said(error)}")
            is_bad = True
            continue
        _show(found)
        status = 1 if 1 in (status, found.verdict) else max(status, found.verdict)
    raise typer.Exit(BAD_INPUT if is_bad else status)


@app.command(epilog=example("runs salvage"))
def salvage(
    folder: Annotated[
        Path, typer.Argument(help="The damaged folder of safescale run; it stays as it is.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write: a new one.")],
    dataset: Annotated[
        str | None,
        typer.Option(
            help="The data set that the run is of, by name or as a file, where it does not say it."
        ),
    ] = None,
    columns: ColumnsOption = None,
    first_index: FirstIndexOption = None,
    exclude_items: ExcludedItemsOption = None,
) -> None:
    """Make a good folder of what is left of a damaged run, and say what was lost.

    The same safescale run command, with the new folder, asks for what is missing.
    """
    from lm_eval_safescale.runs.places import Kind, refuse_others
    from lm_eval_safescale.verifying.salvage import salvage as salvage_run

    refuse_others(folder, Kind.RUNS)
    given = load_given(dataset, [folder], **data_settings(columns, first_index, exclude_items))
    with working(f"reading {folder} ..."):
        made = salvage_run(folder, output, given)
    say(f"{output}: {counted(made.answers, 'answer')}", style="bold")
    if made.from_tables:
        say(f"  {made.from_tables:,} of them from the tables: their lines were damaged")
    say(
        "  nothing was lost" if not made.lost else "  damaged or lost:",
        style=None if not made.lost else "yellow",
    )
    for each in made.lost:
        say(f"    {each}", style="yellow")
    if made.goes_on:
        say(
            f"Next: the same safescale run command with -o {shlex.quote(str(output))} asks for "
            "what is missing"
        )
    else:
        say(
            "It is not known any more whose answers these are: they can be analysed, and not be "
            "added to",
            style="yellow",
        )
    if made.has_tables:
        say(f"Next: safescale analyze {shlex.quote(str(output))} -o TABLES")


def say_counts(found: Verification) -> None:
    """What was looked at, and what was not."""
    say(f"  {counted(found.answers, 'answer')}, {found.read_again:,} read again")
    for reason, number in found.not_read_again.items():
        say(f"  {number:,} not read again: {reason}")
    say(f"  {counted(found.prompts, 'prompt')} rendered again")
    for reason, number in found.prompts_left.items():
        say(f"  {number:,} not rendered again: {reason}")
    for condition, (asked, of) in found.subsets.items():
        say(f"  {condition}: a subset, {asked:,} of {counted(of, 'item')}")


def _show(found: Verification) -> None:
    from lm_eval_safescale.verifying.findings import Verdict

    say(f"{found.folder}: {SAID[found.verdict]}", style=f"bold {STYLES[found.verdict]}")
    say_counts(found)
    for verdict in (Verdict.DAMAGED, Verdict.UNKNOWN, Verdict.WHOLE):
        for finding in found.of(verdict):
            say(
                f"  {finding.where}: {said(finding.message)}",
                style=None if verdict is Verdict.WHOLE else STYLES[verdict],
            )
