"""The `safescale` command: one file a subcommand; parsing and printing, no logic."""

from __future__ import annotations

import gc

import typer

from lm_eval_safescale import __version__
from lm_eval_safescale.cli import (
    analyze,
    contexts,
    data,
    doctor,
    imports,
    judge,
    plugins,
    power,
    reread,
    run,
    runs,
    sweep,
    table,
)
from lm_eval_safescale.cli.screen import complain
from lm_eval_safescale.errors import SafescaleError, is_panic, reason_of

app = typer.Typer(
    help="How often is a clinical language model wrong in a way that hurts? Tools around the `radsafe_*` tasks of lm_eval.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(data.app, name="data")
app.add_typer(contexts.app, name="contexts")
app.add_typer(plugins.app, name="plugins")
app.add_typer(runs.app, name="runs")
app.command("analyze")(analyze.analyze)
app.command("doctor")(doctor.doctor)
app.command("import-release")(imports.import_release)
app.command("import-lm-eval")(imports.import_lm_eval)
app.command("power")(power.power)
app.command("judge")(judge.judge)
app.command("run")(run.run)
app.command("reread")(reread.reread)
app.command("sweep")(sweep.sweep)
app.command("table")(table.table)


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version and stop."),
) -> None:
    pass


def main() -> None:
    """Run the command; an error of the user's is printed without a traceback, with exit status 1."""
    try:
        app()
    except SafescaleError as error:
        complain(f"error: {error}")
        raise SystemExit(1) from None
    except BaseException as error:
        if not is_panic(error):
            raise
        complain(f"error: a library that this command rests on has failed in itself (panic): {reason_of(error)}")
        raise SystemExit(1) from None
    finally:
        gc.freeze()  # the process ends: Python's last search for cycles among all it holds would take a tenth of a second
