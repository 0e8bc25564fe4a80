"""What all contract checks share: the error, clauses, and a part registered as a plugin's is. It
knows no kind of part.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.hookspecs import hookimpl
from lm_eval_safescale.plugins import KINDS, Part, Plugin, Plugins


class ContractError(AssertionError):
    """A part breaks its contract: the message names the part, the clause, and what was found."""

    def __init__(self, who: str, clause: str, found: str = "") -> None:
        self.clause = clause
        super().__init__(f"{who}: {clause}" + (f": {found}" if found else ""))


class Clauses:
    """The clauses of one part's contract."""

    def __init__(self, who: str) -> None:
        self._who = who

    def require(self, holds: bool, clause: str, found: str = "") -> None:
        """ContractError unless it holds."""
        if not holds:
            raise ContractError(self._who, clause, found)

    @contextmanager
    def holds(self, clause: str) -> Iterator[None]:
        """Whatever goes wrong inside breaks the clause."""
        try:
            yield
        except ContractError:
            raise
        except Exception as error:
            said = (
                str(error)
                if isinstance(error, SafescaleError)
                else f"{type(error).__name__}: {reason_of(error)}"
            )
            raise ContractError(self._who, clause, said) from error


def registered(kind: str, thing: Any) -> tuple[Part, Clauses]:
    """The part as a plugin registers it; ContractError where it would be refused."""
    clauses = Clauses(f"{kind} {getattr(thing, 'name', thing)!r}")
    module, hook = ModuleType("checked"), KINDS[kind].hook

    def implementation(register: Callable[[Any], None]) -> None:
        register(thing)

    setattr(module, hook, hookimpl(implementation))
    plugin = Plugin("checked", "0", "checked", lambda: module)
    found = Plugins([plugin]).all(kind)
    clauses.require(bool(found), "can be registered", plugin.error or "")
    return found[0], clauses
