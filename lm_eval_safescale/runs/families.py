"""Which family runs and data are of. Ours is known without looking at what is installed, which
takes a while to import.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lm_eval_safescale.families import RADSAFE, Family


def family_named(name: str) -> Family:
    """A family by its name; ours without one. SafescaleError if it is not installed."""
    if name in ("", RADSAFE.name):
        return RADSAFE
    from lm_eval_safescale import assembly

    return assembly.family_named(name)


def family_of_data(about: Mapping[str, Any]) -> Family:
    """The family of runs, by what they say of their data set; runs of an earlier version name
    none."""
    return family_named(str(about.get("family") or ""))
