"""The `safescale` command: one file a subcommand; parsing and printing, no logic."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import typer
from typer.core import TyperGroup

from lm_eval_safescale import __version__
from lm_eval_safescale.cli import (
    analyze,
    compare,
    contexts,
    data,
    doctor,
    export,
    gate,
    imports,
    judge,
    judge_agreement,
    leaderboard,
    plugins,
    power,
    report,
    reread,
    run,
    runs,
    show,
    submit,
    sweep,
    table,
)
from lm_eval_safescale.cli.examples import example
from lm_eval_safescale.cli.screen import complain
from lm_eval_safescale.cli.verdicts import VerdictCommand
from lm_eval_safescale.command_line import said
from lm_eval_safescale.errors import SafescaleError, is_panic, reason_of

STUDY: dict[str, dict[str, typer.Typer | Callable[..., None]]] = {
    "Ask: from questions to answers": {
        "doctor": doctor.doctor,
        "plugins": plugins.app,
        "data": data.app,
        "power": power.power,
        "contexts": contexts.app,
        "run": run.run,
        "sweep": sweep.sweep,
    },
    "Read: from answers to tables": {
        "import-lm-eval": imports.import_lm_eval,
        "import-noharm": imports.import_noharm,
        "import-release": imports.import_release,
        "reread": reread.reread,
        "judge": judge.judge,
        "judge-agreement": judge_agreement.judge_agreement,
        "table": table.table,
        "analyze": analyze.analyze,
        "report": report.report,
        "show": show.show,
        "compare": compare.compare,
        "gate": gate.gate,
    },
    "Hand in: what others can check": {
        "runs": runs.app,
        "submit": submit.app,
        "leaderboard": leaderboard.app,
        "export": export.app,
    },
}
"""Every command, in the order of a study."""
VERDICTS = {"compare", "gate"}
"""Those whose exit status is an answer."""


class _InOrder(TyperGroup):
    """Commands as they stand in `STUDY`; typer would have those with subcommands last."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 (typer calls it so)
        return [name for commands in STUDY.values() for name in commands]


app = typer.Typer(
    cls=_InOrder,
    help=(
        "How often is a clinical language model wrong in a way that hurts? Tools around the "
        "`radsafe_*` tasks of lm_eval."
    ),
    epilog="The help of each command ends with an example: safescale run --help",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for panel, commands in STUDY.items():
    for name, command in commands.items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=panel)
        else:
            kind = VerdictCommand if name in VERDICTS else None
            app.command(name, cls=kind, rich_help_panel=panel, epilog=example(name))(command)


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version and stop."
    ),
) -> None:
    pass


def main() -> None:
    """Run the command; an error of the user's is printed without a traceback, with exit
    status 1."""
    try:
        app()
    except SafescaleError as error:
        complain(f"error: {said(error)}")
        raise SystemExit(1) from None
    except BaseException as error:
        if not is_panic(error):
            raise
        complain(
            "error: a library that this command rests on has failed in itself (panic): "
            f"{reason_of(error)}"
        )
        raise SystemExit(1) from None
    finally:
        # the process ends: Python's last search for cycles among all it holds would take a tenth of
        # a second
        gc.freeze()
