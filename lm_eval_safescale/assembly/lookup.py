"""Parts by the settings that name them."""

from __future__ import annotations

from lm_eval_safescale.contexts import (
    AGENTIC,
)
from lm_eval_safescale.plugins import OURS, Part, plugins
from lm_eval_safescale.settings import Settings

BY_SETTING = {
    "rag": ("context_builder", "builder_args"),
    AGENTIC.name: ("report_builder", "report_args"),
}
"""The settings that may put another builder in the place of ours, and give it its own settings."""


def find(kind: str, settings: Settings, field: str) -> Part:
    """The part that a setting names; our own of that name where the user did not set it."""
    near = None if field in settings.model_fields_set else OURS
    return plugins().find(kind, getattr(settings, field), near=near)


def builder_of(condition: Part, settings: Settings) -> Part | None:
    """The context builder of a condition: its own, or the one that the settings put in its place;
    None for no context."""
    builder = condition.thing.builder
    if builder is None:
        return None
    if by_setting := settings_of_builder(condition):
        return find("context builder", settings, by_setting[0])
    return plugins().find("context builder", builder, near=condition.package)


def settings_of_builder(condition: Part) -> tuple[str, str] | None:
    """The names of the settings that are about a condition's builder and about its settings."""
    return BY_SETTING.get(condition.thing.builder) if condition.is_ours else None
