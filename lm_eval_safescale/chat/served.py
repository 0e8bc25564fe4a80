"""Which model a server says that it replied with, and whether that is the one that was asked for.
It knows only names.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from lm_eval_safescale.errors import SafescaleError, SettingsHint

LATEST = re.compile(r"[-:@]latest$")
DATE = re.compile(
    r"[-:@](20\d\d-[01]\d-[0-3]\d"  # 2024-08-06
    r"|20\d{6}"  # 20241022
    r"|2\d[01]\d[0-3]\d"  # 250120
    r"|2\d[01]\d"  # 2411: a year and a month
    r"|[01]\d[0-3]\d"  # 0613: a month and a day
    r"|0\d\d)$"  # 002: a number
)
"""How names of snapshots end."""


def is_same_model(asked: str, served: str) -> bool:
    """Whether a reply that names its model `served` comes from the model that was asked for.

    It does where the names are alike but for what servers are known to change: upper and lower
    case, the path or provider before the name on one of the two sides, the ending `.gguf`, and a
    snapshot of a name that names none, or `latest`.

    Another snapshot than the one asked for is another model, and so is the same name from another
    provider.
    """
    wanted, given = _plain(asked), _plain(served)
    return any(
        _alike(one, other)
        for one in {wanted, LATEST.sub("", wanted)}
        for other in {given, DATE.sub("", LATEST.sub("", given))}
    )


def _plain(name: str) -> str:
    return name.strip().rstrip("/").casefold().removesuffix(".gguf")


def _alike(one: str, other: str) -> bool:
    return one == other or one.endswith(f"/{other}") or other.endswith(f"/{one}")


class ServedModels:
    """Looks at the model that each reply names, so that no answer stands under a name that is not
    its own.

    Parameters
    ----------
    asked
        The name that was asked for.
    accepted
        Names that the user accepts in its place; where there are any, no other one is.
    known
        Names in the replies to earlier requests of the same run.

    Raises
    ------
    SafescaleError
        If an earlier reply names a model that is not accepted.
    """

    def __init__(
        self, asked: str, accepted: Collection[str] = (), known: Iterable[str | None] = ()
    ) -> None:
        self._asked, self._accepted = asked, {_plain(name): name for name in accepted}
        self._first: str | None = None
        self._stored = True
        for name in dict.fromkeys(known):
            self.check(name)
        self._stored = False

    def check(self, served: str | None) -> None:
        """SafescaleError if a reply comes from a model that is not accepted, or from another than
        the replies before; None says nothing."""
        if not served or (self._accepted and _plain(served) in self._accepted):
            return
        if self._accepted:
            raise self._error(
                served, f"served_model names {', '.join(self._accepted.values())} and not this one"
            )
        if not is_same_model(self._asked, served):
            raise self._error(
                served,
                (
                    f"{self._asked} was asked for: a router's fallback, another name for it, or "
                    "another model"
                ),
            )
        self._first = self._first or served
        if _plain(served) != _plain(self._first):
            raise self._error(served, f"replies before it came from {self._first}")

    def _error(self, served: str, why: str) -> SafescaleError:
        names = list(
            dict.fromkeys([*self._accepted.values(), *filter(None, [self._first]), served])
        )
        way = SettingsHint({"served_model": names[0] if len(names) == 1 else names})
        which, so_far = (
            ("a reply that is stored here", "")
            if self._stored
            else ("a reply", "It was not stored. ")
        )
        return SafescaleError(
            f"{which} names its model {served}, and {why}. {so_far}If its answers are to stand "
            "beside the others: ",
            way,
            (
                "; else ask for a model that the server has, turn its fallback off, or choose "
                "another folder"
            ),
        )
