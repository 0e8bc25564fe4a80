"""Which family the parts of a run are of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lm_eval_safescale.families import RADSAFE, Family
from lm_eval_safescale.plugins import OURS, Part, plugins


def family_named(name: str = "", *, near: str | None = None) -> Family:
    """A registered family by its name; ours without one. SafescaleError if there is none.

    Parameters
    ----------
    near
        The package on whose behalf it is looked up.
    """
    family: Family = plugins().find("family", name or RADSAFE.name, near=near if name else OURS).thing
    return family


def family_of(condition: Part) -> Family:
    """The family whose items are asked under a condition."""
    return family_named(condition.thing.family, near=condition.package)


def family_of_data(about: Mapping[str, Any]) -> Family:
    """The family of runs, by what they say of their data set; runs of an earlier version name none."""
    return family_named(str(about.get("family") or ""))
