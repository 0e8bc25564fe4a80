"""`safescale leaderboard`: a board of submissions, its repository, and what pull requests bring."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from lm_eval_safescale.cli.data import Columns
from lm_eval_safescale.cli.examples import example
from lm_eval_safescale.cli.options import ContextsOption
from lm_eval_safescale.cli.screen import say, working
from lm_eval_safescale.cli.submit import AllowDemo, DatasetOfRuns, load_of
from lm_eval_safescale.cli.verdicts import VerdictCommand
from lm_eval_safescale.errors import writing

app = typer.Typer(
    help="A leaderboard of submissions: its repository, and checks of what is sent to it.",
    no_args_is_help=True,
)


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


@app.command(cls=VerdictCommand, epilog=example("leaderboard check"))
def check(
    repository: Annotated[Path, typer.Argument(metavar="DIR", help="A clone of the leaderboard.")],
    base: Annotated[str, typer.Option(metavar="COMMIT", help="What stood before.")],
    output: Annotated[Path, typer.Option("--json", metavar="OUT", help="Write what was found.")],
    head: Annotated[str, typer.Option(metavar="COMMIT", help="What is looked at.")] = "HEAD",
    dataset: DatasetOfRuns = None,
    columns: Columns = None,
    contexts: ContextsOption = None,
    allow_demo: AllowDemo = False,
) -> None:
    """Verify the submissions that a commit adds; anything else that it does is refused. Nothing of
    it is checked out or run.

    Exit status 0: verified; 1: refused; 2: cannot tell; 3: bad input.
    """
    from lm_eval_safescale.leaderboard.repository.checking import check as check_commit

    with working(f"reading {repository} ..."):
        outcome = check_commit(
            repository, base, head, load_of(dataset, columns), contexts or (), allow_demo=allow_demo
        )
    with writing(output):
        output.write_bytes(msgspec.json.format(msgspec.json.encode(outcome), indent=1) + b"\n")
    for each in outcome.refused:
        say(f"{each.where}: {each.what}; expected {each.expected}", style="red")
    for one in outcome.submissions:
        say(f"{one.path}: {one.verdict}", style="bold")
        for each in one.reasons:
            say(f"  {each.where}: {each.what}")
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
