"""`safescale report`: pages to look at, from stored runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lm_eval_safescale.cli.options import (
    ColumnsOption,
    ExcludedItemsOption,
    ExcludeOption,
    FirstIndexOption,
    TextsDatasetOption,
    TextsPathOption,
    settings_of_texts,
    use_one_thread,
)
from lm_eval_safescale.cli.screen import complain, say, working
from lm_eval_safescale.words import counted


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUNS...", help="Folders of runs.")],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="DIR", help="The folder to write, or a report to replace."
        ),
    ],
    baseline: Annotated[
        str | None,
        typer.Option(help="The model that is looked at, and that every other is compared with."),
    ] = None,
    preset: Annotated[str, typer.Option(help="As of safescale analyze.")] = "default",
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="As of safescale analyze, in place of the runs' own."),
    ] = None,
    panel: Annotated[
        Path | None, typer.Option(help="YAML file with family and size of further models.")
    ] = None,
    dataset: TextsDatasetOption = None,
    dataset_path: TextsPathOption = None,
    columns: ColumnsOption = None,
    first_index: FirstIndexOption = None,
    exclude_items: ExcludedItemsOption = None,
    contexts: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help=(
                "Contexts built ahead, whose texts are shown with the questions; may be given "
                "more than once."
            ),
        ),
    ] = None,
    texts: Annotated[
        Literal["errors", "all", "none"] | None,
        typer.Option(
            help="Whose texts are shown of the answers; without it all up to 60 MB, else errors."
        ),
    ] = None,
    exclude: ExcludeOption = None,
    policy: Annotated[
        Path | None,
        typer.Option(metavar="FILE.yaml", help="A policy to judge the models by (docs/gate.md)."),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Also write a model card of the baseline; XML where FILE ends so, else Markdown.",
        ),
    ] = None,
) -> None:
    """Pages to read, search and share: figures with intervals, tables, and every case, from stored
    runs.

    They open from disk without a network: open DIR/index.html.

    Exit status 1 where a folder could not be read or a table not be made;
    the pages are there all the same, and say so.
    """
    use_one_thread()
    from lm_eval_safescale.analysis import load_panel, preset_named, read_disputes
    from lm_eval_safescale.gate import read_policy
    from lm_eval_safescale.report.building import Wanted, build_report

    wanted = Wanted(
        baseline=baseline,
        preset=preset_named(preset),
        threshold=threshold,
        panel=None if panel is None else load_panel(panel),
        dataset=settings_of_texts(
            dataset,
            dataset_path,
            columns=columns,
            first_index=first_index,
            exclude_items=exclude_items,
        ),
        disputes=None if exclude is None else read_disputes(exclude),
        contexts=tuple(contexts or ()),
        texts=texts,
        policy=None if policy is None else read_policy(policy),
        card=card,
    )
    with working("reading the runs ...") as progress:
        built = build_report(runs, output, wanted, progress)
    say(f"{counted(built.pages, 'page')}; open {built.first}", style="bold")
    for note in built.notes:
        say(note)
    for each in built.complaints:
        complain(each)
    if built.complaints:
        raise typer.Exit(1)
