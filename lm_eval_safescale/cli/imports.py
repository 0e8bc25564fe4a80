"""`safescale import-release`, `safescale import-lm-eval` and `safescale import-noharm`: answers, or
verdicts on them, that are there already, stored as runs.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lm_eval_safescale.cli.read_again import say_unjudged
from lm_eval_safescale.cli.screen import say, working

if TYPE_CHECKING:
    from lm_eval_safescale.runs import Runs

MOST_REASONS = 20
Output = Annotated[
    Path, typer.Option("--output", "-o", help="The folder to write, for safescale analyze.")
]
Force = Annotated[bool, typer.Option("--force", help="Write over other runs.")]


def import_release(
    folder: Annotated[
        Path,
        typer.Argument(
            help="The folder of published answers: datasets/ and phase4_checking_results/."
        ),
    ],
    output: Output,
    force: Force = False,
) -> None:
    """Store published answers, as the judge confirmed them, as runs."""
    from lm_eval_safescale.importing import import_release as read
    from lm_eval_safescale.runs.places import Kind, refuse_others

    refuse_others(folder, Kind.RELEASE)

    _import(
        lambda progress: read(folder, progress),
        output,
        {"release": str(folder.resolve())},
        force=force,
    )


def import_lm_eval(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Output folders of lm_eval runs with --log_samples, or files in them."),
    ],
    output: Output,
    model: Annotated[
        str | None, typer.Option(help="Store the answers under this name of a model.")
    ] = None,
    force: Force = False,
) -> None:
    """Store the answers that lm_eval logged (--log_samples) as runs."""
    from lm_eval_safescale.importing import import_lm_eval as read
    from lm_eval_safescale.runs.places import Kind, refuse_others

    for path in paths:
        refuse_others(path, Kind.LOGS)

    given = {"lm_eval": sorted(str(path.resolve()) for path in paths)}
    _import(lambda progress: read(paths, progress, model=model), output, given, force=force)


def import_noharm(
    records: Annotated[
        Path,
        typer.Argument(
            metavar="RECORDS",
            help="JSON lines in the layout of the open NOHARM kit's judged records.",
        ),
    ],
    kit: Annotated[
        Path,
        typer.Option("--dataset-path", metavar="KIT", help="The kit's folder, or its dataset."),
    ],
    output: Output,
    model: Annotated[
        str | None, typer.Option(help="Whose answers they are; by default the file's name.")
    ] = None,
    condition: Annotated[
        str, typer.Option(help="The prompt variant that they were asked under.")
    ] = "noharm",
    force: Force = False,
) -> None:
    """Store what a judge found in free-text answers (NOHARM) as runs, which are scored without a
    model."""
    from lm_eval_safescale.importing import import_noharm as read
    from lm_eval_safescale.importing.noharm import IGNORED

    given = {"noharm": str(records.resolve()), "dataset_path": str(kit.resolve())}
    runs = _import(
        lambda progress: read(records, kit, progress, model=model, condition=condition),
        output,
        given,
        force=force,
    )
    if ignored := runs.about[IGNORED]:
        named = ", ".join(f"{name} {n:,}" for name, n in ignored.items())
        say(f"ignored      fields that no figure rests on: {named}")


def _import(
    read: Callable[[Callable[[str], object]], Runs],
    output: Path,
    given: dict[str, Any],
    *,
    force: bool,
) -> Runs:
    from dataclasses import replace

    from lm_eval_safescale.runs.store import refuse_other, write_runs

    refuse_other(output, given, force=force)
    with working("reading ...") as progress:
        runs = read(lambda name: progress(f"reading {name} ..."))
        progress("writing ...")
        write_runs(replace(runs, about={**runs.about, "imported": given}), output)
    _summary(output, runs)
    return runs


def _summary(output: Path, runs: Runs) -> None:
    from lm_eval_safescale.importing.noharm import IGNORED

    about = runs.about["dataset"]
    draws = sorted(set(runs.draws.values()))
    samples = (
        f"{draws[0]}" if len(draws) == 1 else f"{draws[0]} to {draws[-1]}, not the same for all"
    )
    demo = " - DEMO: no clinical claim may rest on it" if about.get("demo") else ""
    say(f"{output}: {runs.answers.height:,} answers", style="bold")
    say(
        f"data set     {about['name']} {about['version'][:12]}: {runs.items.height} of "
        f"{about['items']} items{demo}"
    )
    say(f"models       {len(runs.models)}: {_some(runs.models)}")
    say(f"conditions   {len(runs.conditions)}: {', '.join(runs.conditions)}")
    if IGNORED in runs.about:
        trials = sorted({str(1 + each) for each in draws})
        say(f"trials       {' or '.join(trials)}")
    else:
        say(f"draws        one greedy answer, and samples: {samples}")
    failed = int((runs.answers["status"] == "error").sum())
    if failed:
        say(
            f"no answer    {failed:,} answers failed or were not judged; they are not scored",
            style="yellow",
        )
    if unjudged := int((runs.answers["status"] == "unjudged").sum()):
        say_unjudged(output, unjudged)
    left_out = runs.about["left_out"]
    if left_out:
        say(f"left out     {len(left_out)}", style="yellow")
        for each in left_out[:MOST_REASONS]:
            where = f"{each['model']}, {each['condition']}" if each["condition"] else each["model"]
            say(f"  {where}: {each['reason']}", style="yellow")
        if len(left_out) > MOST_REASONS:
            say(
                f"  and {len(left_out) - MOST_REASONS} more, all in {output / 'about.json'}",
                style="yellow",
            )


def _some(names: tuple[str, ...]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
