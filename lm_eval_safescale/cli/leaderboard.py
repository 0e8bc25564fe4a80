"""`safescale leaderboard`: a board of submissions, its repository, and what pull requests bring."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

from lm_eval_safescale.cli.data import load_named
from lm_eval_safescale.cli.examples import example
from lm_eval_safescale.cli.options import (
    ColumnsOption,
    ContextsOption,
    ExcludedItemsOption,
    ExcludeOption,
    FirstIndexOption,
    data_settings,
    use_one_thread,
)
from lm_eval_safescale.cli.screen import complain, say, working
from lm_eval_safescale.cli.submit import DEMO, AllowDemo
from lm_eval_safescale.cli.verdicts import VerdictCommand
from lm_eval_safescale.errors import SafescaleError, writing
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.leaderboard.board.recomputing import NamedData

MOST_SHOWN = 20
"""Refusals and changes that are printed; all stand in the pages and in board.json."""

app = typer.Typer(
    help="A leaderboard of submissions: its repository, and checks of what is sent to it.",
    no_args_is_help=True,
)

DatasetsOption = Annotated[
    list[str] | None,
    typer.Option(help="A data set, by name or as a file, that is not registered; may be repeated."),
]


@app.command(epilog=example("leaderboard init"))
def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is new or empty.")],
) -> None:
    """Write a leaderboard's Git repository: layout, README, and workflows that check pull requests,
    comment them and publish the board."""
    from lm_eval_safescale.leaderboard.repository.making import write_repository

    for path in write_repository(folder):
        say(f"  {path}")
    there = shlex.quote(str(folder))
    say(f"Next: cd {there} && git add . && git commit -m 'A leaderboard' (README.md says the rest)")


@app.command(cls=VerdictCommand, epilog=example("leaderboard build"))
def build(
    folder: Annotated[
        Path, typer.Argument(metavar="FOLDER", help="Submissions, in folders of any depth.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="SITE", help="The folder to write, or a board to replace."
        ),
    ],
    dataset: DatasetsOption = None,
    columns: ColumnsOption = None,
    first_index: FirstIndexOption = None,
    exclude_items: ExcludedItemsOption = None,
    contexts: ContextsOption = None,
    held_out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Ids of the held-out items: a JSON list, or a line each."
        ),
    ] = None,
    exclude: ExcludeOption = None,
    allow_demo: AllowDemo = False,
    include_data: Annotated[
        bool,
        typer.Option(
            "--include-data",
            help="Show the texts of the data set in the models' reports, if you may pass them on.",
        ),
    ] = False,
) -> None:
    """Verify every submission of a folder, and compare what was recomputed: pages with ranks and
    their intervals, a report for each model, history, and the same as CSV and JSON.

    They open from disk without a network: open SITE/index.html. What has not changed since the last
    build at SITE is not computed again. Exit status 0: built, what does not verify is listed with
    its reasons; 3: bad input.
    """
    use_one_thread()
    from lm_eval_safescale.analysis import read_disputes
    from lm_eval_safescale.leaderboard.board.building import Wanted, build_board
    from lm_eval_safescale.leaderboard.board.comparing import read_held_out
    from lm_eval_safescale.leaderboard.board.pages import BoardPages

    files = tuple(contexts or ())
    wanted = Wanted(
        datasets=_named(dataset, **data_settings(columns, first_index, exclude_items)),
        contexts=files,
        held_out=None if held_out is None else read_held_out(held_out),
        disputes=None if exclude is None else read_disputes(exclude),
        allow_demo=allow_demo,
    )
    with working("looking for submissions ...") as progress:
        pages = BoardPages(files, shows_data=include_data)
        built = build_board(folder, output, wanted, pages, progress)
    board = built.board
    demo = f" - {DEMO}" if board.demo else ""
    say(
        f"{counted(len(board.verified), 'submission')} verified of {len(board.entries):,}, "
        f"{built.reused:,} as before; open {output / 'index.html'}{demo}",
        style="bold",
    )
    for comparison in board.comparisons:
        models = counted(len(comparison.entries), "model")
        say(f"  {comparison.label}, {comparison.dataset['name']}: {models}")
    refused = []
    for entry in board.not_verified:
        first = next((each for each in entry.reasons if each.verdict != "noted"), None)
        reason = "" if first is None else f": {first.where}: {first.what}"
        refused.append(f"{entry.file}: {entry.verdict}{reason}")
    _say_some(refused)
    _say_some(
        [
            f"{each.kind}: {each.label}: {each.said}{f' ({each.why})' if each.why else ''}"
            for each in built.changes
        ]
    )
    for complaint in built.complaints:
        complain(complaint)


def _named(datasets: Sequence[str] | None, **others: Any) -> dict[str, NamedData]:
    """What loads each data set, by its name or file; SafescaleError where there is none."""
    from lm_eval_safescale.plugins import plugins

    known = [each.casefold() for each in plugins().names("data set")]
    for name in datasets or ():
        if name.casefold() not in known and not Path(name).exists():
            raise SafescaleError(f"{name}: no such file, and no data set of that name is installed")
    return {name: partial(load_named, name, **others) for name in datasets or ()}


def _say_some(lines: Sequence[str]) -> None:
    for line in lines[:MOST_SHOWN]:
        say(f"  {line}")
    if len(lines) > MOST_SHOWN:
        say(f"  and {len(lines) - MOST_SHOWN:,} more (board.json has all)")


@app.command(cls=VerdictCommand, epilog=example("leaderboard check"))
def check(
    repository: Annotated[Path, typer.Argument(metavar="DIR", help="A clone of the leaderboard.")],
    base: Annotated[str, typer.Option(metavar="COMMIT", help="What stood before.")],
    output: Annotated[Path, typer.Option("--json", metavar="OUT", help="Write what was found.")],
    head: Annotated[str, typer.Option(metavar="COMMIT", help="What is looked at.")] = "HEAD",
    dataset: DatasetsOption = None,
    columns: ColumnsOption = None,
    first_index: FirstIndexOption = None,
    exclude_items: ExcludedItemsOption = None,
    contexts: ContextsOption = None,
    allow_demo: AllowDemo = False,
) -> None:
    """Verify the submissions that a commit adds; anything else that it does is refused. Nothing of
    it is checked out or run.

    Exit status 0: verified; 1: refused; 2: cannot tell; 3: bad input.
    """
    from lm_eval_safescale.leaderboard.board.folder import Found
    from lm_eval_safescale.leaderboard.board.recomputing import Sources
    from lm_eval_safescale.leaderboard.repository.checking import check as check_commit

    named = _named(dataset, **data_settings(columns, first_index, exclude_items))
    sources = Sources(Found(), named, contexts or (), allow_demo)
    with working(f"reading {repository} ..."):
        outcome = check_commit(repository, base, head, sources)
    with writing(output):
        output.write_bytes(msgspec.json.format(msgspec.json.encode(outcome), indent=1) + b"\n")
    for each in outcome.refused:
        say(f"{each.where}: {each.what}; expected {each.expected}", style="red")
    for one in outcome.submissions:
        say(f"{one.path}: {one.verdict}", style="bold")
        for each in one.reasons:
            say(f"  {each.where}: {each.what}")
    for name, why in sources.unused.items():
        if name not in sources.used:
            complain(f"data set {name} is of no use here: {why}")
    raise typer.Exit(int(outcome.verdict))


@app.command(epilog=example("leaderboard comment"))
def comment(
    result: Annotated[
        Path, typer.Argument(metavar="FILE", help="What check wrote, or a ZIP archive of it.")
    ],
    changed: Annotated[
        Path, typer.Option(metavar="FILE", help="Every file that changes: a JSON list of names.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The Markdown file to write.")],
) -> None:
    """Say as Markdown what a check of a pull request has found. The result may be anyone's: all its
    texts stand in code spans."""
    from lm_eval_safescale.leaderboard.repository.commenting import as_comment, read_changed
    from lm_eval_safescale.leaderboard.repository.outcome import read_outcome

    text = as_comment(read_outcome(result), read_changed(changed))
    with writing(output):
        output.write_text(text, encoding="utf-8")
    say(f"{output}: {len(text):,} characters")
