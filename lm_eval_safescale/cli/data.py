"""`safescale data`: list, show, validate and fetch data sets."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from lm_eval_safescale.cli.examples import example
from lm_eval_safescale.cli.options import (
    ColumnsOption,
    ExcludedItemsOption,
    FirstIndexOption,
    data_settings,
)
from lm_eval_safescale.cli.screen import console, say, working
from lm_eval_safescale.datasets import DataError, Dataset, Problem
from lm_eval_safescale.datasets.problems import NAMED, summarized
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.records import Choice, Item
from lm_eval_safescale.sections import left_out
from lm_eval_safescale.words import counted

MOST_LINES = 18
"""Of findings: with the command's own they are 20 where the data cannot be used."""
app = typer.Typer(
    help="Data sets: what there is, what is in them, what is wrong with them.", no_args_is_help=True
)

Name = Annotated[
    str,
    typer.Argument(metavar="NAME|FILE", help="A data set's name, or a file of one."),
]
FamilyName = Annotated[
    str, typer.Option(help="The family whose items they are; radsafe without it.")
]


@app.command("list", epilog=example("data list"))
def list_() -> None:
    """The data sets that can be asked for by name, and whether they are on this machine."""
    from lm_eval_safescale.assembly import load_part
    from lm_eval_safescale.families.radsafe.data import DEFAULT_DATASET
    from lm_eval_safescale.plugins import plugins

    parts = plugins().all("data set")
    width = max(len(part.name) for part in parts) + 2
    say(f"{'name':<{width}}{'items':<7}{'on this machine':<29}what it is", style="bold")
    for part in parts:
        items, state = "", ""
        try:
            dataset = load_part(part, local_only=True)
            items, state = str(len(dataset)), f"yes, version {dataset.version[:12]}"
        except DataError:
            state = f"yes, but it cannot be used (safescale data validate {part.name})"
        except SafescaleError:
            own = "no (safescale data fetch)" if part.name == DEFAULT_DATASET else "no"
            state = own if part.is_ours else "needs its dataset_args"
        say(f"{part.name:<{width}}{items:<7}{state:<29}{part.thing.description}")
    say("Any other JSON, JSONL, CSV or Excel file: --dataset FILE (see docs/data.md).")


@app.command(epilog=example("data show"))
def show(
    name: Name,
    item: Annotated[str | None, typer.Argument(help="A question id, to see that item.")] = None,
    columns: ColumnsOption = None,
    family: FamilyName = "",
    first_index: FirstIndexOption = None,
    exclude_items: ExcludedItemsOption = None,
) -> None:
    """A data set's summary, or one of its items with key, labels and evidence."""
    dataset = load_named(name, family=family, **data_settings(columns, first_index, exclude_items))
    if item is None:
        _show_summary(dataset)
        return
    found = next((entry for entry in dataset if entry.question_id == item), None)
    if found is None:
        some = ", ".join(entry.question_id for entry in dataset.items[:5])
        raise SafescaleError(f"{dataset.name} has no item {item!r}; its ids are {some}, ...")
    _show_item(found)


@app.command(epilog=example("data validate"))
def validate(
    name: Name,
    columns: ColumnsOption = None,
    conditions: Annotated[
        str, typer.Option(help="Conditions the data must serve, comma-separated.")
    ] = "",
    groups: Annotated[
        str, typer.Option(help="Columns that are groups besides, comma-separated.")
    ] = "",
    family: FamilyName = "",
    first_index: FirstIndexOption = None,
    exclude_items: ExcludedItemsOption = None,
    every: Annotated[
        bool, typer.Option("--all", help="Each problem by itself, not each kind once.")
    ] = False,
) -> None:
    """Every kind of problem of a data set at once, with file, line, item and field. Exit status 1
    if it cannot be used."""
    from lm_eval_safescale.plugins import plugins

    wanted = [
        plugins().find("condition", each.strip()).thing
        for each in conditions.split(",")
        if each.strip()
    ]
    dataset, source, problems = _check(
        name,
        family,
        [each.strip() for each in groups.split(",") if each.strip()],
        [condition.evidence for condition in wanted if condition.evidence],
        **data_settings(columns, first_index, exclude_items),
    )
    lines = (
        [(problem, problem.describe(source)) for problem in problems]
        if every
        else summarized(problems, source)
    )
    # errors first, so that warnings do not push them out
    lines.sort(key=lambda pair: not pair[0].is_error)
    most = len(lines) if every or len(lines) <= MOST_LINES else MOST_LINES - 1
    for problem, line in lines[:most]:
        kind, style = _kind_of(problem)
        console.print(f"[{style}]{kind}[/{style}] {escape(line)}")
    if most < len(lines):
        say(f"... and {len(lines) - most} other kinds; --all shows every problem")
    if dataset is not None:
        _show_summary(dataset)
        _say_what_can_harm(dataset)
    errors = sum(problem.is_error for problem in problems)
    warnings = sum(not problem.is_error and not problem.is_note for problem in problems)
    say(f"{errors} error(s), {warnings} warning(s)", style="red" if errors else "green")
    if errors:
        if not family and Path(name).is_dir():
            say("A folder is read by the family that it is of, as in --family noharm")
        raise typer.Exit(1)


def _kind_of(problem: Problem) -> tuple[str, str]:
    """What a finding is called, and its colour."""
    if problem.is_error:
        return "error", "red"
    return ("note", "cyan") if problem.is_note else ("warning", "yellow")


@app.command(epilog=example("data fetch"))
def fetch() -> None:
    """Download RadSaFE-200 from the hub into the local cache, and check that it can be read."""
    from lm_eval_safescale.families.radsafe.data import fetch_hub, load_fetched

    with working("asking the hub ..."):
        path, revision = fetch_hub()
    say(f"{path} (revision {revision})")
    _show_summary(load_fetched(path, revision))


def load_named(
    name: str,
    family: str = "",
    groups: Sequence[str] = (),
    evidence: Sequence[str] = (),
    **others: Any,
) -> Dataset:
    """A data set by its name or file, of a family's items; `others` are settings of data."""
    from lm_eval_safescale.assembly import family_named, load_dataset, settings_of_named
    from lm_eval_safescale.runs.places import refuse_others

    refuse_others(Path(name))
    settings = settings_of_named(name, **others, groups=list(groups))
    return load_dataset(settings, evidence, family_named(family) if family else None)


def load_given(name: str | None, folders: Iterable[Path], **others: Any) -> Dataset | None:
    """The data set of that name or file, with its settings, of the family of these runs; None where
    none is named."""
    return None if name is None else load_named(name, _family_of(folders), **others)


def _family_of(folders: Iterable[Path]) -> str:
    """The family that the first folder to say one names. What is wrong with a folder is said where
    it is opened."""
    from lm_eval_safescale.runs.about import read_about
    from lm_eval_safescale.runs.description import read_run
    from lm_eval_safescale.runs.sources import known_of_dataset

    for folder in folders:
        about = description = None
        with suppress(SafescaleError):
            about = read_about(folder)
        with suppress(SafescaleError):
            description = read_run(folder)
        if family := known_of_dataset(about, description).get("family"):
            return str(family)
    return ""


def _check(
    name: str,
    family: str,
    groups: list[str],
    evidence: list[str],
    **others: Any,
) -> tuple[Dataset | None, str, list[Problem]]:
    """The data set, None where it cannot be used; what it is called, and what there is to say."""
    try:
        dataset = load_named(name, family, groups, evidence, **others)
    except DataError as error:
        return None, error.source, list(error.problems)
    return dataset, name, list(dataset.warnings)


def _show_summary(dataset: Dataset) -> None:
    say(f"{dataset.name}, version {dataset.version}: {len(dataset)} items", style="bold")
    say(f"fingerprint  {dataset.fingerprint}")
    if dataset.excluded:
        say(f"left out     {': '.join(left_out(dataset.excluded))}")
    items, choices = dataset.items, [item for item in dataset if isinstance(item, Choice)]
    if choices:
        _say_counts("options", [f"{len(item.options)} options" for item in choices])
        _say_counts("keys", [item.answer for item in choices])
    for group in dict.fromkeys(name for item in items for name in item.groups):
        _say_counts(group, [item.groups.get(group, "(none)") for item in items])
    if units := {item.unit for item in items} - {""}:
        say(f"units        {counted(len(units), 'unit')} of items that belong together")
    _say_counts("evidence", [name for item in items for name in item.evidence])
    labels = dict.fromkeys(name for item in choices for name in item.labels or ())
    for name in labels:
        carried = [
            (letter == item.answer, letter in item.labels[name])
            for item in choices
            if item.labels
            for letter in item.options
        ]
        wrong = [has for is_key, has in carried if not is_key]
        keys = sum(has for is_key, has in carried if is_key)
        say(f"{name:<12} {sum(wrong)} of {len(wrong)} wrong options, {keys} keys")
    from lm_eval_safescale.assembly import family_named

    family = family_named(dataset.family)
    table = family.table(dataset)
    if raters := family.raters(table):
        _say_counts("raters", [name for name, own in raters.items() for each in own if each])
    for why in family.unscored(table):
        say(f"not scored   {why}")
    from lm_eval_safescale.plugins import plugins

    of_family = [
        part.thing
        for part in plugins().all("condition")
        if part.thing.family in ("", dataset.family)
    ]
    usable = [condition for condition in of_family if condition.can_show(dataset)]
    say(
        "conditions   "
        f"{', '.join(each.name for each in usable if each.evidence or not each.builder)}"
    )
    if searching := [each.name for each in usable if each.builder and not each.evidence]:
        say(f"with a corpus {', '.join(searching)}")


def _say_what_can_harm(dataset: Dataset) -> None:
    """A line a label: how many questions have it where a wrong answer can count for it."""
    choices = [item for item in dataset if isinstance(item, Choice)]
    for name in dict.fromkeys(name for item in choices for name in item.labels or ()):
        labelled = [(item, (item.labels or {}).get(name, frozenset())) for item in choices]
        besides = sum(bool(letters - {item.answer}) for item, letters in labelled)
        alone = [item.question_id for item, letters in labelled if letters == {item.answer}]
        said = f"{besides} of {counted(len(choices), 'question')} have an option that is {name}"
        said += " besides the key"
        if alone:
            more = ", ..." if len(alone) > NAMED else ""
            said += f"; on the key only in {', '.join(alone[:NAMED])}{more}"
        say(said)


def _say_counts(title: str, values: list[str]) -> None:
    counts = ", ".join(f"{value} {values.count(value)}" for value in sorted(set(values)))
    say(f"{title:<12} {counts or 'none'}")


def _show_item(item: Item) -> None:
    say(f"{item.question_id}  ({', '.join(item.groups.values()) or '-'})", style="bold")
    say(_wrap(item.question))
    if isinstance(item, Choice):
        for letter, text in item.options.items():
            names = [name for name, letters in (item.labels or {}).items() if letter in letters]
            notes = ", ".join(["key", *names] if letter == item.answer else names)
            say(f"  {letter}. {text}" + (f"   <- {notes}" if notes else ""))
    else:
        for name, text in item.fields().items():
            if text != item.question:
                say(f"{name}: {_wrap(text)}")
    for name, text in item.evidence.items():
        say(f"\nevidence, {name}:", style="bold")
        say(_wrap(text))


def _wrap(text: str) -> str:
    return "\n".join(textwrap.fill(paragraph, 110) for paragraph in text.split("\n"))
