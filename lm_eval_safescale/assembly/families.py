"""Which family the parts of a run are of."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from lm_eval_safescale.conditions import Condition
from lm_eval_safescale.families import RADSAFE, Family
from lm_eval_safescale.plugins import OURS, Part, plugins
from lm_eval_safescale.prompts import load_prompt
from lm_eval_safescale.settings import Settings, load_settings


def family_named(name: str = "", *, near: str | None = None) -> Family:
    """A registered family by its name; ours without one. SafescaleError if there is none.

    Parameters
    ----------
    near
        The package on whose behalf it is looked up.
    """
    family: Family = (
        plugins().find("family", name or RADSAFE.name, near=near if name else OURS).thing
    )
    return family


def family_of(condition: Part) -> Family:
    """The family whose items are asked under a condition."""
    return family_named(condition.thing.family, near=condition.package)


def prompts_of(family: Family, settings: Settings) -> str:
    """SHA-256 (hex) of a family's prompts: of the one that all its conditions share, else of all of
    them together."""
    own = {condition.name: family.prompt(condition.name) for condition in family.conditions}
    told = {
        prompt: load_prompt(settings.prompt_file, prompt).fingerprint
        for prompt in set(own.values())
    }
    if len(set(told.values())) == 1:
        return next(iter(told.values()))
    together = {name: told[prompt] for name, prompt in own.items()}
    return hashlib.sha256(json.dumps(together, sort_keys=True).encode()).hexdigest()


def settings_under(condition: Condition, family: Family, metadata: Mapping[str, Any]) -> Settings:
    """The settings under a condition: the user's, over the condition's own defaults, over the
    family's."""
    return load_settings(metadata, defaults={**family.defaults, **condition.defaults})
