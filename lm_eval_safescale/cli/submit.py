"""`safescale submit`: answers packed so that others can check them, verified, and asked again."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lm_eval_safescale.cli.data import load_given, load_named
from lm_eval_safescale.cli.examples import example
from lm_eval_safescale.cli.options import (
    ColumnsOption,
    ContextsOption,
    ExcludedItemsOption,
    FirstIndexOption,
    data_settings,
)
from lm_eval_safescale.cli.runs import say_counts
from lm_eval_safescale.cli.screen import say, working
from lm_eval_safescale.cli.verdicts import VerdictCommand
from lm_eval_safescale.command_line import said
from lm_eval_safescale.errors import SafescaleError, writing
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.datasets import Dataset
    from lm_eval_safescale.leaderboard.manifest import About
    from lm_eval_safescale.leaderboard.verify import Load, Report

app = typer.Typer(
    help="Submissions: packed so that others can check them, verified, asked again.",
    no_args_is_help=True,
)

MOST_SHOWN = 20
"""Findings of a kind that are printed; all stand in the JSON."""
DEMO = "DEMO: no clinical claim may rest on it"

Folders = Annotated[
    list[Path], typer.Argument(metavar="RUNS...", help="Folders of runs, packed as one.")
]
File = Annotated[Path, typer.Argument(metavar="FILE", help="A submission.")]
ModelName = Annotated[str, typer.Option(help="Which model, where the runs are of several.")]
DatasetOfRuns = Annotated[
    str | None,
    typer.Option(help="Its data set, by name or as a file, where none of its name is at hand."),
]
AllowDemo = Annotated[bool, typer.Option("--allow-demo", help="Take demo data; they are marked.")]


@app.command(epilog=example("submit template"))
def template(
    folders: Folders,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The YAML file; else it is printed.")
    ] = None,
    model: ModelName = "",
) -> None:
    """A card to fill in: what the runs do not say of the model, and nobody can recompute."""
    from lm_eval_safescale.leaderboard.pack import template_of

    text = template_of(folders, model)
    if output is None:
        say(text.rstrip("\n"))
        return
    if output.exists():
        raise SafescaleError(f"{output} is there, and is kept; choose another name")
    with writing(output):
        output.write_text(text, encoding="utf-8")
    say(f"{output}: fill it in")


@app.command(epilog=example("submit pack"))
def pack(
    folders: Folders,
    output: Annotated[Path, typer.Option("--output", "-o", help="The archive to write, a .zip.")],
    card: Annotated[
        Path | None, typer.Option(help="A YAML file of what the runs do not say (submit template).")
    ] = None,
    model: ModelName = "",
    dataset: DatasetOfRuns = None,
    columns: ColumnsOption = None,
    first_index: FirstIndexOption = None,
    exclude_items: ExcludedItemsOption = None,
    allow_demo: AllowDemo = False,
    include_data: Annotated[
        bool,
        typer.Option("--include-data", help="Pack the texts of the data set, too, if you may."),
    ] = False,
) -> None:
    """Pack the answers of one model with all that others need to check them.

    The same runs give the same bytes. What is printed last, the root hash, can be published before
    the archive is.
    """
    from lm_eval_safescale.leaderboard.pack import pack as pack_runs

    given = load_given(dataset, folders, **data_settings(columns, first_index, exclude_items))
    with working("verifying and packing ..."):
        packed = pack_runs(
            folders, output, card, model=model, dataset=given,
            allow_demo=allow_demo, include_data=include_data,
        )  # fmt: skip
    told = packed.manifest
    demo = f" - {DEMO}" if told.demo else ""
    say(f"{output}: {counted(told.counted['answers'], 'answer')} of {told.card.name}{demo}", "bold")
    for condition, each in told.counted["conditions"].items():
        part = f", a subset of {each['of_items']:,}" if each["is_subset"] else ""
        say(f"  {condition}: {counted(each['items'], 'item')}{part}, K = {each['draws']}")
    for each in told.left_out:
        say(f"  left out: {each.condition or 'all conditions'}: {each.reason}")
    say(f"root hash    {packed.root}")
    allow = " --allow-demo" if told.demo else ""
    say(f"Next: safescale submit verify {shlex.quote(str(output))}{allow}")


@app.command(cls=VerdictCommand, epilog=example("submit verify"))
def verify(
    file: File,
    dataset: DatasetOfRuns = None,
    columns: ColumnsOption = None,
    first_index: FirstIndexOption = None,
    exclude_items: ExcludedItemsOption = None,
    contexts: ContextsOption = None,
    root: Annotated[
        str, typer.Option(metavar="HASH", help="The root hash that was published before.")
    ] = "",
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="What submit repeat wrote of this submission."),
    ] = None,
    organiser: Annotated[
        bool, typer.Option("--organiser", help="You have made these answers yourself.")
    ] = False,
    allow_demo: AllowDemo = False,
    output: Annotated[
        Path | None, typer.Option("--json", metavar="OUT", help="Write all that was found.")
    ] = None,
) -> None:
    """Look whether a submission is what it says: every response is read again, every prompt
    rendered again, every number computed again. No model is asked.

    Exit status 0: verified; 1: refused; 2: cannot tell (the data set, a reader or a benchmark is
    not at hand); 3: bad input.
    """
    from lm_eval_safescale.leaderboard.repeat import read_record
    from lm_eval_safescale.leaderboard.verify import verify_submission
    from lm_eval_safescale.runs.places import Kind, refuse_others

    refuse_others(file, Kind.SUBMISSION)
    load = _load(dataset, **data_settings(columns, first_index, exclude_items))
    with working(f"reading {file} ..."):
        report = verify_submission(
            file, load, contexts or (), root=root, allow_demo=allow_demo,
            record=None if record is None else read_record(record), by_organiser=organiser,
        )  # fmt: skip
    if output is not None:
        text = json.dumps(report.as_json(), ensure_ascii=False, indent=1)
        with writing(output):
            output.write_text(text + "\n", encoding="utf-8")
    _show(report)
    raise typer.Exit(int(report.found.verdict))


def _load(dataset: str | None, **others: Any) -> Load | None:
    if dataset is None:
        return None

    def load(about: About, groups: Sequence[str]) -> Dataset:
        return load_named(dataset, family=about.family, groups=groups, **others)

    return load


def _show(report: Report) -> None:
    from lm_eval_safescale.leaderboard.verify import Verdicts
    from lm_eval_safescale.verifying.findings import Verdict

    style = {"verified": "green", "refused": "red", "cannot tell": "yellow"}[report.verdict]
    level = f", level: {report.level}" if report.level else ""
    told = report.manifest
    demo = f" - {DEMO}" if told is not None and told.demo else ""
    words = report.verdict.upper() if report.verdict is not Verdicts.VERIFIED else "verified"
    say(f"{report.file}: {words}{level}{demo}", style=f"bold {style}")
    if told is not None:
        attempts = f"{counted(told.card.attempts, 'attempt')}, as claimed"
        who, where = (" ".join(each.split()) for each in (told.card.name, told.dataset.name))
        say(f"  {who} on {where} ({told.dataset.label}); {attempts}")
    if report.root:
        published = ", as published" if report.published_root else ""
        say(f"  root hash {report.root}{published}")
    if report.found.answers:
        say_counts(report.found)
    for verdict in (Verdict.DAMAGED, Verdict.UNKNOWN, Verdict.WHOLE):
        every = [*report.found.of(verdict)]
        for each in every[:MOST_SHOWN]:
            expected = f"; expected {each.expected}" if each.expected else ""
            say(
                f"  {each.where}: {said(each.message)}{expected}",
                style=("", "red", "yellow")[verdict] or None,
            )
        if len(every) > MOST_SHOWN:
            say(f"  and {len(every) - MOST_SHOWN:,} more (--json OUT has all)")
    for row in report.results:
        say(f"  {row['condition']}: {_headlines(report, row)}")
    if report.not_shown:
        say("cannot be shown:")
        for what in report.not_shown:
            say(f"  {what}")
    for lack in report.lacks:
        say(f"lacks: {lack}")


def _headlines(report: Report, row: dict[str, Any]) -> str:
    shown = [
        f"{label} {row[name]:.1%}"
        for name, label in report.headlines.items()
        if row.get(name) is not None
    ]
    return ", ".join([f"{row['n']:,} scored", f"K = {report.draws[row['condition']]}", *shown])


@app.command(cls=VerdictCommand, epilog=example("submit repeat"))
def repeat(
    file: File,
    model: Annotated[str, typer.Option(help="The backend, as for lm_eval: hf, vllm, ...")],
    model_args: Annotated[
        str, typer.Option("--model_args", help="As for lm_eval: pretrained=...")
    ] = "",
    items: Annotated[int, typer.Option(min=1, help="Items of the sample.")] = 20,
    seed: Annotated[
        int | None,
        typer.Option(help="By which the sample is drawn; else one that nobody knows beforehand."),
    ] = None,
    output: Annotated[Path, typer.Option("--output", "-o", help="The record to write.")] = Path(
        "repeat.json"
    ),
    dataset: DatasetOfRuns = None,
    contexts: ContextsOption = None,
    batch_size: Annotated[str | None, typer.Option("--batch_size", help="As for lm_eval.")] = None,
    device: Annotated[str | None, typer.Option(help="As for lm_eval.")] = None,
    by: Annotated[str, typer.Option(help="Who asks: stands in the record.")] = "",
    allow_demo: AllowDemo = False,
) -> None:
    """Verify a submission, ask a sample of its items again of the same model here, twice, and
    compare the greedy answers.

    Exit status 0: repeated; 1: refused, or the model says other things; 3: bad input.
    """
    from lm_eval_safescale.harness.loading import check_model_args, parse_model_args
    from lm_eval_safescale.leaderboard.repeat import repeat as repeat_sample
    from lm_eval_safescale.leaderboard.repeat import write_record
    from lm_eval_safescale.leaderboard.verify import verify_submission
    from lm_eval_safescale.runs.places import Kind, refuse_others
    from lm_eval_safescale.verifying.findings import Verdict

    refuse_others(file, Kind.SUBMISSION)
    args = parse_model_args(model_args)
    check_model_args(model, args)
    with working(f"reading {file} ...") as progress:
        report = verify_submission(file, _load(dataset), contexts or (), allow_demo=allow_demo)
        if report.found.verdict is Verdict.DAMAGED:
            _show(report)
            raise typer.Exit(1)
        record = repeat_sample(
            report, model, args, items=items, seed=seed, dataset=dataset,
            contexts=contexts or (), batch_size=batch_size, device=device, by=by,
            on_progress=progress,
        )  # fmt: skip
    with writing(output):
        write_record(record, output)
    _show_record(record, output)
    raise typer.Exit(0 if record["repeated"] else 1)


def _show_record(record: dict[str, Any], output: Path) -> None:
    demo = f" - {DEMO}" if record["demo"] else ""
    word, style = ("repeated", "green") if record["repeated"] else ("NOT REPEATED", "red")
    say(f"{output}: {record['name']} {word}{demo}", style=f"bold {style}")
    prompts = record["prompts"]
    say(
        f"  {counted(record['answers'], 'greedy answer')} of "
        f"{counted(len(record['items']), 'item')}, seed {record['seed']}; prompts "
        f"{prompts['alike']} of {prompts['of']} as stored"
    )
    for name in ("texts", "responses"):
        stored, engine = (
            f"{each['k']} of {each['n']} ({each['lo']:.0%} to {each['hi']:.0%})"
            for each in (record[name]["stored"], record[name]["engine"])
        )
        say(
            f"  {name}: as handed in {stored}, as this engine said before {engine}; up to "
            f"{record[name]['unseen']} others would not show"
        )
    if record["same_weights"] is False:
        say("  the files of the model are not those that were handed in", style="yellow")
    for name, why in record["left_out"].items():
        say(f"  {name} was not asked: {why}")
    for each in record["differing"][:MOST_SHOWN]:
        say(
            f"  {each['condition']}, item {each['question_id']}: handed in {each['stored']}, now "
            f"{each['first']}, then {each['second']}"
        )
    say(f"root hash    {record['root']}")
