"""`safescale reread`: stored raw texts are read again by rules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lm_eval_safescale.cli.options import (
    ColumnsOption,
    ExcludedItemsOption,
    FirstIndexOption,
    data_settings,
)
from lm_eval_safescale.cli.read_again import RUNS, free_folder
from lm_eval_safescale.cli.screen import say
from lm_eval_safescale.errors import SafescaleError

if TYPE_CHECKING:
    from lm_eval_safescale.datasets import Dataset
    from lm_eval_safescale.judging.rereading import Reread
    from lm_eval_safescale.runs.table import Runs

MOST_LINES = 20


def reread(
    runs: RUNS,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The folder to write; RUNS.reread without it."),
    ] = None,
    reader: Annotated[str, typer.Option(help="Answer reader, by name.")] = "strict",
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
    reasoning: Annotated[
        str | None,
        typer.Option(
            help=(
                "Whether the models reason first: auto, on, off, separate. As the runs were made "
                "without it."
            )
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Write over runs that are there.")] = False,
) -> None:
    """Read the raw texts of runs again by rules, and say what changed. No model is run.

    Every answer that reads otherwise goes to OUTPUT/changes.jsonl.
    """
    from lm_eval_safescale.assembly import find_reader
    from lm_eval_safescale.judging.rereading import CHANGES_FILE, HOW, write_reread
    from lm_eval_safescale.judging.rereading import reread as reread_runs
    from lm_eval_safescale.runs.store import open_runs
    from lm_eval_safescale.settings import load_settings

    if reasoning is not None and reasoning not in HOW:
        raise SafescaleError(f"--reasoning {reasoning}: expected one of {', '.join(HOW)}")
    rules = find_reader(load_settings({"reader": reader}, environ={}, given_by="command line"))
    folder = free_folder(runs, output, "reread", force=force, resumed=[CHANGES_FILE])
    opened = open_runs(runs)
    how: Any = reasoning
    data = _dataset(opened, dataset, **data_settings(columns, first_index, exclude_items))
    found = reread_runs(opened, data, rules, reasoning=how)
    write_reread(found, folder)
    _summary(found, folder)


def _dataset(runs: Runs, name: str | None, **others: Any) -> Dataset:
    """The data set named, or the one that the runs say they are of."""
    from lm_eval_safescale.cli.data import load_named
    from lm_eval_safescale.runs.provenance import imported_from
    from lm_eval_safescale.runs.sources import dataset_of

    return (
        load_named(name, runs.family.name, **others)
        if name is not None
        else dataset_of(runs.about["dataset"], imported_from(runs))
    )


def _summary(found: Reread, folder: Path) -> None:
    report = found.report
    say(f"{folder}: {report['answers']:,} answers", style="bold")
    say(f"{report['read']:>9,}  read again")
    if found.without_text:
        say(
            f"{found.without_text:>9,}  left as they are: their raw text was not stored, or the "
            "backend gave none",
            style="red",
        )
    if found.failed:
        say(
            f"{found.failed:>9,}  the reader failed for: not scored; {found.failures[0]}",
            style="red",
        )
    say(f"{report['changed']:>9,}  read otherwise: changes.jsonl")
    for each in report["changes"][:MOST_LINES]:
        say(f"  {each['rows']:>7,}  {each['before']} -> {each['after']}")
    for each in report["changed_by_model"][:MOST_LINES]:
        say(f"  {each['rows']:>7,}  of {each['model']}")
