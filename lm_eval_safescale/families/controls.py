"""Controls: models that read no question. What a figure is worth shows beside theirs.

What a control replies is said by each family (`Family.choosing_nothing`,
`Family.choosing_at_random`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.family import Family
from lm_eval_safescale.records import Item

CONTROLS: Mapping[str, Callable[[Family, Item, Random], str | None]] = {
    "choose-nothing": lambda family, item, _: family.choosing_nothing(item),
    "choose-at-random": lambda family, item, random: family.choosing_at_random(item, random),
}
"""By name, as a model is named."""
MARK = "(control)"
"""What stands behind the name of such a model in tables."""


def is_control(about: Mapping[str, Any], model: str) -> bool:
    """Whether a model of runs (`Runs.about`) reads no question: it has no size and no family."""
    settings = about.get("models", {}).get(model, {}).get("settings", {})
    return settings.get("backend") in CONTROLS


def reply_of_control(name: str, family: Family, item: Item, seed: int) -> str:
    """The reply of a control to an item: the same for the same seed.

    Raises
    ------
    SafescaleError
        If the family gives no such reply.
    """
    reply = CONTROLS[name](family, item, Random(seed))
    if reply is not None:
        return reply
    others = [each for each, say in CONTROLS.items() if say(family, item, Random(seed)) is not None]
    raise SafescaleError(
        f"{name}: the family {family.name} has no such control (item {item.question_id}); "
        f"expected {' or '.join((*others, 'a model'))}"
    )
