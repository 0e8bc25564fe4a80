"""`safescale judge-agreement`: two judges of the same answers, or a judge and a person."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lm_eval_safescale.cli.options import (
    ColumnsOption,
    ExcludedItemsOption,
    FirstIndexOption,
    TextsDatasetOption,
    TextsPathOption,
    settings_of_texts,
)
from lm_eval_safescale.cli.read_again import dataset_of_runs, free_folder
from lm_eval_safescale.cli.screen import complain, say
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.analysis.judge_agreement import JudgeAgreement
    from lm_eval_safescale.families import Family

MOST_ROWS = 20


def judge_agreement(
    first: Annotated[Path, typer.Argument(metavar="A", help="Judged runs.")],
    second: Annotated[
        Path,
        typer.Argument(
            metavar="B",
            help="The same answers by another judge; or a JSONL file of a person's verdicts.",
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write.")],
    below: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="List verdicts that differ where less than this share agrees."
        ),
    ] = 0.8,
    by: Annotated[
        str, typer.Option(help="The share within an answer, or of an option.")
    ] = "answer",
    dataset: TextsDatasetOption = None,
    dataset_path: TextsPathOption = None,
    columns: ColumnsOption = None,
    first_index: FirstIndexOption = None,
    exclude_items: ExcludedItemsOption = None,
    force: Annotated[bool, typer.Option("--force", help="Write over files there.")] = False,
) -> None:
    """Compare two judges of the same answers, or a judge and a person, as two raters.

    Agreement, kappa and the difference of each metric go to OUTPUT/agreement.json; verdicts to be
    checked by hand to OUTPUT/to_check.jsonl: fill in `verdict`, and read it back by safescale judge
    A --corrections OUTPUT/to_check.jsonl.
    """
    from lm_eval_safescale.analysis.judge_agreement import (
        AGREEMENT_FILE,
        BYS,
        TO_CHECK_FILE,
        write_agreement,
    )
    from lm_eval_safescale.analysis.judge_agreement import judge_agreement as compare
    from lm_eval_safescale.judging.corrections import read_by_hand
    from lm_eval_safescale.runs.store import open_runs

    chosen = next((each for each in BYS if each == by), None)
    if chosen is None:
        raise SafescaleError(f"--by {by}: expected one of {', '.join(BYS)}")
    folder = free_folder(
        first, output, "compared", force=force, resumed=[AGREEMENT_FILE, TO_CHECK_FILE]
    )
    opened = open_runs(first)
    other = open_runs(second) if second.is_dir() else partial(read_by_hand, second)
    found = compare(opened, other)
    named = settings_of_texts(
        dataset,
        dataset_path,
        columns=columns,
        first_index=first_index,
        exclude_items=exclude_items,
    )
    try:
        items = {item.question_id: item for item in dataset_of_runs(opened, named)}
    except SafescaleError as error:
        items = None
        complain(f"{TO_CHECK_FILE} has no texts of the cases: {error}")
    to_check = found.to_check(below, chosen, items)
    write_agreement(found, to_check, folder)
    _summary(found, opened.family)
    say(
        f"{counted(len(to_check), 'verdict')} to be checked by hand, where less than {below:.0%} "
        f"of an {by} agrees: {folder / TO_CHECK_FILE}"
    )


def _summary(found: JudgeAgreement, family: Family) -> None:
    say("{first} (first) and {second} (second)".format(**found.raters), style="bold")
    for row in found.verdicts[: 1 + MOST_ROWS]:
        whose = "all" if row["model"] is None else f"{row['model']}, {row['condition']}"
        kappa, weighted = (
            "not defined" if row[name] is None else f"{row[name]:.3f}"
            for name in ("kappa", "weighted_kappa")
        )
        say(
            f"{whose}: {row['observed']:.1%} of {counted(row['n'], 'verdict')} agree, kappa "
            f"{kappa}, with a partial match half way {weighted}"
        )
    for name, answers in found.left_out.items():
        if answers:
            say(f"  {counted(answers, 'answer')} of the {name} without a verdict of the other")
    for row in found.metrics:
        if row["metric"] in family.headlines and row["difference"] is not None:
            say(
                f"  {row['model']}, {row['condition']}: {row['metric']} {row['first']:.3f} and "
                f"{row['second']:.3f} ({row['difference']:+.3f})"
            )
