"""Which conditions a run asks under, from the names that are given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from lm_eval_safescale.assembly import family_of
from lm_eval_safescale.errors import FolderHint, SafescaleError
from lm_eval_safescale.plugins import Part, plugins

APART = FolderHint("ask each in a folder of its own")


def conditions_named(names: Iterable[str]) -> list[Part]:
    """Registered conditions, each once; the name of a family stands for its own.

    Raises
    ------
    SafescaleError
        For none, for those of two families, or for two whose answers would stand under one name.
    """
    every = [each for name in names for each in _of_family(name)]
    parts = {part.full_name: part for part in (plugins().find("condition", name) for name in every)}
    if not parts:
        raise SafescaleError("no conditions named")
    for name, number in Counter(part.name for part in parts.values()).items():
        if number > 1:
            twins = " and ".join(full for full, part in parts.items() if part.name == name)
            raise SafescaleError(f"{twins}: answers would stand under the one name {name}; ", APART)
    families = {family_of(part).name for part in parts.values()}
    if len(families) > 1:
        raise SafescaleError(
            f"conditions of the families {' and '.join(sorted(families))}: their answers have no "
            "common table; ",
            APART,
        )
    return list(parts.values())


def _of_family(name: str) -> Sequence[str]:
    """The conditions of the family of that name; or the name itself, which is a condition's."""
    known = plugins()
    if any(name in (part.name, part.full_name) for part in known.all("condition")):
        return (name,)
    for part in known.all("family"):
        if name in (part.name, part.full_name):
            return part.thing.default_conditions or tuple(
                condition.name for condition in part.thing.conditions
            )
    return (name,)
