"""The screen: what every command prints goes through here, so that no text of data or models has
markup or control characters.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

from lm_eval_safescale.datasets.problems import printable
from lm_eval_safescale.secrets import mask_of

if TYPE_CHECKING:
    from rich.status import Status

console = Console(highlight=False, soft_wrap=True, emoji=False)
complaints = Console(stderr=True, highlight=False, soft_wrap=True, emoji=False)


def say(text: str, style: str | None = None) -> None:
    """Print lines of the result."""
    console.print(shown(text), style=style, markup=False)


def complain(text: str) -> None:
    """Print, in red and to standard error, what went wrong."""
    complaints.print(shown(text), style="red", markup=False)


def shown(text: str) -> str:
    """A text as it may be printed: without control characters, and without the keys of the
    environment, whatever a library says."""
    return printable(mask_of().hide(text))


class Progress:
    """One line that says how far a command is: renewed in place on a terminal, else printed when it
    matters (`mark`)."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def __call__(self, line: str, *, mark: bool = False) -> None:
        """Say it; `mark`: also where no terminal shows how it goes on."""
        if self._status.console.is_terminal:
            self._status.update(printable(line))
        elif mark:
            self._status.console.print(printable(line), markup=False, highlight=False)


@contextmanager
def working(line: str) -> Iterator[Progress]:
    """Say on a terminal what is being done, while it lasts."""
    with complaints.status(printable(line)) as status:
        yield Progress(status)
