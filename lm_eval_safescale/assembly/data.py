"""Which data set the settings ask for."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lm_eval_safescale.assembly.families import family_named
from lm_eval_safescale.assembly.lookup import find
from lm_eval_safescale.datasets import DataError, Dataset, Given
from lm_eval_safescale.datasets.columns import EVIDENCE
from lm_eval_safescale.datasets.files import FORMATS
from lm_eval_safescale.errors import FAILURES, ArgumentHint, SafescaleError, reason_of
from lm_eval_safescale.families import RADSAFE, Family
from lm_eval_safescale.plugins import Part, bind_parameters, parameters_of, plugins
from lm_eval_safescale.records import Item
from lm_eval_safescale.secrets import without_secrets
from lm_eval_safescale.settings import CHOOSE_DATA, UNSAID, Settings, load_settings


def load_dataset(
    settings: Settings,
    evidence: Collection[str] = (),
    family: Family | None = None,
    *,
    local_only: bool = False,
) -> Dataset:
    """The data set a run asks for, of the family's items (None: of its own); no item may lack the
    evidence named. `local_only`: what is on this machine alone; nothing is fetched.

    Raises
    ------
    DataError
        If the data cannot be used, with every problem found.
    SafescaleError
        If there is no such data set, or it cannot be had here; the message names the ways on.
    """
    try:
        return _loaded(settings, evidence, family, local_only=local_only)
    except DataError as error:
        wrong = [problem.field or "" for problem in error.problems if problem.is_error]
        if not evidence or not all(field.startswith(EVIDENCE) for field in wrong):
            raise
        asked = (family or RADSAFE).conditions
        free = ",".join(each.name for each in asked if not each.evidence and not each.builder)
        raise DataError(
            error.source,
            error.problems,
            "\nwithout evidence it can be asked: ",
            ArgumentHint("conditions", free),
            " (in lm_eval, the task of that name)",
        ) from None


def _loaded(
    settings: Settings, evidence: Collection[str], family: Family | None, *, local_only: bool
) -> Dataset:
    if settings.dataset_path is not None:
        if settings.dataset_args:
            raise SafescaleError(
                "dataset_args are the settings of a data set asked for by name; a file "
                "(dataset_path) has none"
            )
        return (family or RADSAFE).load(
            settings.dataset_path,
            settings.mapped_columns,
            evidence,
            groups=settings.groups,
            first_index=settings.first_index,
            exclude=settings.exclude_items,
        )
    part = find_dataset(settings)
    args = settings.dataset_args
    dataset = load_part(
        part,
        args,
        columns=settings.mapped_columns,
        evidence=evidence,
        groups=settings.groups,
        local_only=local_only,
        first_index=settings.first_index,
        family=family,
    )
    return dataset.without(settings.exclude_items)


def find_dataset(settings: Settings) -> Part:
    """The data set that is asked for by its name; SafescaleError if there is none."""
    try:
        return find("data set", settings, "dataset")
    except SafescaleError as error:
        hint = "; for a file use dataset_path" if "." in settings.dataset else ""
        raise SafescaleError(error, hint) from None


def settings_of_named(name: str, columns: str | None = None, **others: Any) -> Settings:
    """The settings that ask for a data set by its name or file, with others of data."""
    given = {setting_of_dataset(name): name, "columns": columns, **others}
    return load_settings(given, environ={}, given_by="command line")


def setting_of_dataset(name: str) -> str:
    """The setting by which a data set of this name is asked for: `dataset` where one is registered
    so, `dataset_path` for a file."""
    names = {known.casefold() for known in plugins().names("data set")}
    is_file = name.casefold() not in names and (
        Path(name).suffix.lower() in FORMATS or Path(name).exists()
    )
    return "dataset_path" if is_file else "dataset"


def where_data_is(settings: Settings) -> dict[str, Any]:
    """The settings, as JSON values, by which the same data set is found again, from whatever
    folder."""
    given: dict[str, Any] = settings.model_dump(mode="json", include=set(CHOOSE_DATA))
    if settings.dataset_path is not None:
        given["dataset_path"] = str(settings.dataset_path.resolve())
        del given["dataset"]
    said = {name: value for name, value in given.items() if value not in UNSAID}
    known: dict[str, Any] = without_secrets(said)
    return known


def load_part(
    part: Part,
    args: Mapping[str, Any] | None = None,
    *,
    columns: Given | None = None,
    evidence: Collection[str] = (),
    groups: Collection[str] = (),
    first_index: int | None = None,
    local_only: bool = False,
    family: Family | None = None,
) -> Dataset:
    """The data set of a registered source, of the items of a family, or of its own."""
    who = f"data set {part.name} ({part.provided_by})"
    own = family_named(part.thing.family, near=part.package)
    family = family or own
    if part.thing.family and family is not own:
        raise SafescaleError(
            f"{who} is of the family {own.name}, and is asked under conditions of {family.name}; "
            f"name another, or the conditions {', '.join(each.name for each in own.conditions)}"
        )
    load = part.thing.load
    takes = parameters_of(load, who)
    ours = {
        "columns": columns,
        "evidence": evidence,
        "groups": groups,
        "first_index": first_index,
        "local_only": local_only,
    }
    for name in ("columns", "first_index"):
        if ours[name] not in UNSAID and name not in takes:
            raise SafescaleError(f"{who} does not take {name}; its fields are fixed")
    if taken := set(args or {}) & set(ours):
        raise SafescaleError(
            f"{who}: {', '.join(sorted(taken))} is set by itself, not in dataset_args"
        )
    bound = bind_parameters(
        {name: each for name, each in takes.items() if name not in ours}, args or {}, who
    )
    try:
        dataset = load(**bound, **{name: value for name, value in ours.items() if name in takes})
    except SafescaleError:
        raise
    except FAILURES as error:
        raise SafescaleError(
            f"{who} cannot be loaded: {type(error).__name__}: {reason_of(error)}"
        ) from error
    if not isinstance(dataset, Dataset):
        raise SafescaleError(f"{who}: expected a Dataset, found {type(dataset).__name__}")
    if odd := next((each for each in dataset.items if not isinstance(each, Item)), None):
        raise SafescaleError(
            f"{who}: expected Items, found {type(odd).__name__} (dataset_from_records makes them)"
        )
    if part.is_ours and family is RADSAFE:
        return replace(dataset, family=family.name)
    try:
        return replace(
            family.checked(dataset, evidence=evidence, groups=groups), family=family.name
        )
    except TypeError as error:
        raise SafescaleError(
            f"{who} is not of the family {family.name}: {reason_of(error)}"
        ) from None
