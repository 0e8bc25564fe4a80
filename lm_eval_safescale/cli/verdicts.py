"""Commands whose exit status is an answer: 0 yes, 1 no, 2 undecided or refused. Whatever goes wrong
before there is one is 3, so that no mistake passes for an answer.
"""

from __future__ import annotations

import traceback
from typing import Any

import typer
from typer.core import TyperCommand

from lm_eval_safescale.cli.screen import complain
from lm_eval_safescale.command_line import said
from lm_eval_safescale.errors import SafescaleError, is_panic

BAD_INPUT = 3
USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]  # type: ignore[assignment]
"""Of the click that typer rests on: some versions bring their own."""


class VerdictCommand(TyperCommand):
    """A command that exits with 3 for bad usage, bad input and failures."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As any command; an option that there is not is no answer."""
        try:
            return super().parse_args(ctx, args)
        except USAGE_ERROR as error:
            error.exit_code = BAD_INPUT  # type: ignore[attr-defined]
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run it; an error of the user's is said, any other is shown whole."""
        try:
            return super().invoke(ctx)
        except SafescaleError as error:
            complain(f"error: {said(error)}")
        except (typer.Exit, typer.Abort):
            raise
        except BaseException as error:
            if isinstance(error, SystemExit):
                raise
            if isinstance(error, Exception) or is_panic(error):
                complain("".join(traceback.format_exception(error)).rstrip())
            complain("error: no answer was found")
        raise typer.Exit(BAD_INPUT)
