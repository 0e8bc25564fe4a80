"""`safescale plugins`: what is installed, what it registers, and what is broken."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from lm_eval_safescale.cli.examples import example
from lm_eval_safescale.cli.screen import say

app = typer.Typer(
    help="Plugins: what is installed, what it registers, what is broken; and how to begin one."
)


@app.callback(invoke_without_command=True)
def _options(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        list_()


@app.command("list", epilog=example("plugins list"))
def list_() -> None:
    """Every plugin: distribution, version, what it registers, or the error it failed with. Exit
    status 0 even if one is broken."""
    from lm_eval_safescale.plugins import KINDS, VARIABLE, plugins

    known = plugins()
    shown = {kind: set(known.names(kind)) for kind in KINDS}
    for plugin in known.found:
        say(f"{plugin.package} {plugin.version} ({plugin.module})", style="bold")
        if plugin.error:
            say(f"  FAILED: {plugin.error}", style="red")
        for part in plugin.parts:
            name = part.name if part.name in shown[part.kind] else part.full_name
            if part.kind != "metric" or not part.is_ours or part.thing.in_table:
                about = getattr(part.thing, "description", None) or getattr(part.thing, "label", "")
                say(f"  {part.kind:<16}{name:<28}{about}".rstrip())
        if plugin.left_out:
            say(f"  left out by {VARIABLE}")
        elif not plugin.parts and not plugin.error:
            say("  registers nothing")


@app.command(epilog=example("plugins new"))
def new(
    name: Annotated[str, typer.Argument(help="Name of the part, for example my_retriever.")],
    kind: Annotated[
        str,
        typer.Option(
            help=(
                "family, retriever, context-builder, metric, dataset, condition, answer-reader or "
                "report-section."
            )
        ),
    ],
    folder: Annotated[
        Path | None,
        typer.Option("--folder", "-o", help="Where to write the package; ./NAME unless told."),
    ] = None,
) -> None:
    """Write an installable package with one part of that kind, whose tests pass: the beginning of a
    plugin."""
    from lm_eval_safescale.testing.scaffold import write_plugin

    written = write_plugin(name, kind, folder or Path(name))
    for path in written.files:
        say(f"  {path}")
    package, tests = shlex.quote(f"{written.folder}[test]"), shlex.quote(str(written.folder))
    say(f"Next:\n  pip install -e {package} && pytest {tests}\n  {written.use}")
