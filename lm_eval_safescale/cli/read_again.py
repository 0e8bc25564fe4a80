"""What commands share that read the answers of runs again and write them into another folder, or
that say that this is next.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lm_eval_safescale.cli.screen import say
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.datasets import Dataset
    from lm_eval_safescale.runs.table import Runs
    from lm_eval_safescale.settings import Settings

RUNS = Annotated[Path, typer.Argument(help="A folder of runs, as the importers write it.")]


def dataset_of_runs(runs: Runs, named: Settings | None) -> Dataset:
    """The data set named, or the one that the runs say they are of."""
    from lm_eval_safescale.assembly import load_dataset
    from lm_eval_safescale.runs.provenance import imported_from
    from lm_eval_safescale.runs.sources import dataset_of, known_of_runs

    if named is not None:
        return load_dataset(named, family=runs.family)
    return dataset_of(known_of_runs(runs), imported_from(runs))


def free_folder(
    runs: Path, output: Path | None, suffix: str, *, force: bool, resumed: Sequence[str] = ()
) -> Path:
    """Where to write; SafescaleError where something would be lost. `resumed`: files that an
    interrupted command has left there."""
    from lm_eval_safescale.runs.store import is_interrupted

    folder = output or runs.resolve().with_name(f"{runs.resolve().name}.{suffix}")
    if folder.resolve() == runs.resolve():
        raise SafescaleError(
            f"{folder}: the runs that are read stand there, and are kept; choose another folder "
            "with -o"
        )
    if folder.exists() and not folder.is_dir():
        raise SafescaleError(f"{folder}: a file; choose another name with -o")
    is_free = (
        not folder.is_dir() or force or {each.name for each in folder.iterdir()} <= set(resumed)
    )
    if not is_free and not is_interrupted(folder, resumed):
        raise SafescaleError(
            f"{folder}: there already, and not empty; choose another folder with -o, or --force to "
            "write over it"
        )
    return folder


def say_unjudged(folder: Path, number: int) -> None:
    """What is to be done with answers that only a judge can read."""
    runs = shlex.quote(str(folder))
    say(
        f"unjudged     {counted(number, 'answer')} {'waits' if number == 1 else 'wait'} for a "
        "judge; not scored until then",
        style="yellow",
    )
    say(f"Next: safescale judge {runs} --base-url http://HOST/v1 --model JUDGE")
