"""`safescale doctor`: looks at the machine and says what to do about each thing it finds."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from lm_eval_safescale.cli.options import (
    ColumnsOption,
    CorpusOption,
    DatasetOption,
    ExcludedItemsOption,
    FirstIndexOption,
    data_settings,
    given_settings,
)
from lm_eval_safescale.cli.screen import console, shown, working
from lm_eval_safescale.command_line import said

MARKS = {"ok": "[green]ok  [/green]", "note": "[yellow]note[/yellow]", "bad": "[red]BAD [/red]"}


def doctor(
    model: Annotated[
        str | None,
        typer.Option(help="A model's folder or hub id, to look at its chat template and window."),
    ] = None,
    gguf_file: Annotated[str | None, typer.Option(help="The GGUF file inside that folder.")] = None,
    dataset: DatasetOption = None,
    columns: ColumnsOption = None,
    first_index: FirstIndexOption = None,
    exclude_items: ExcludedItemsOption = None,
    corpus: CorpusOption = None,
) -> None:
    """Versions, whether the harness sees the tasks, data sets, chat template, window, free disk.
    Exit status 1 if anything is bad."""
    asked = {"dataset": dataset, "corpus": corpus}
    asked |= data_settings(columns, first_index, exclude_items)
    bad = False
    with working("starting ...") as progress:
        progress("starting ...", mark=True)  # the harness takes seconds to import
        from lm_eval_safescale.harness.checkup import checkup

        for finding in checkup(
            model=model,
            gguf_file=gguf_file,
            given=given_settings("{}", asked),
            on_step=lambda what: progress(f"looking at {what} ...", mark=True),
        ):
            bad |= finding.level == "bad"
            console.print(f"{MARKS[finding.level]} {escape(shown(finding.what))}")
            if finding.advice:
                console.print(f"       -> {escape(shown(said(finding.advice)))}")
    if bad:
        raise typer.Exit(1)
