"""Old names of what is public: each goes on for a release, with a warning."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def warn_of_old(old: str, new: str, depth: int = 3) -> None:
    """Say that a name is old; `depth` as `stacklevel`, from here."""
    warnings.warn(
        f"{old} is an old name, which goes with the next release; write {new}",
        DeprecationWarning,
        stacklevel=depth,
    )


def old_names(module: str, new: Mapping[str, str]) -> Callable[[str], Any]:
    """The `__getattr__` of a module whose names have changed.

    Parameters
    ----------
    new
        By old name, where the thing is now: `package.module.name`. It is imported only when it is
        asked for, so that a package may name here what stands in a layer above it.
    """

    def get(name: str) -> Any:
        if name not in new:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        warn_of_old(f"{module}.{name}", new[name])
        where, _, now = new[name].rpartition(".")
        return getattr(import_module(where), now)

    return get
