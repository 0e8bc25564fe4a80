"""The data set that runs are of, found again by what they say of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lm_eval_safescale.assembly import load_dataset, settings_of_named
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import ArgumentHint, SafescaleError
from lm_eval_safescale.runs.families import family_of_data
from lm_eval_safescale.runs.table import Runs
from lm_eval_safescale.settings import load_settings

RELEASED_DATASET = Path("datasets") / "risk_radiorag_full_merged.json"
"""In the folder of published answers."""


def known_of_dataset(
    about: Mapping[str, Any] | None, description: Mapping[str, Any] | None
) -> dict[str, Any]:
    """What a folder says of its data set: `about.json`, or else `run.json`; empty where neither
    does."""
    known = dict((about or {}).get("dataset", {}))
    if description is not None:
        starts = [start["data"] for start in description["starts"] if start.get("data")]
        known = {
            **description["identity"].get("dataset", {}),
            **({"settings": starts[-1]} if starts else {}),
            **known,
        }
    return known


def other_than(known: Mapping[str, Any], dataset: Dataset) -> SafescaleError | None:
    """The error where a data set is not the one that runs are of, as far as they say of which they
    are."""
    theirs = known.get("fingerprint")
    if theirs in (None, dataset.fingerprint):
        return None
    return SafescaleError(
        f"{dataset.name} (fingerprint {dataset.fingerprint[:12]}) is not the one that the runs "
        f"are of, {known.get('name')} ({theirs[:12]}); name theirs: ",
        ArgumentHint("dataset", "FILE"),
    )


def dataset_of(
    about: Mapping[str, Any], origin: Mapping[str, Any] | None = None, *, local_only: bool = False
) -> Dataset:
    """The data set that runs say they are of.

    Parameters
    ----------
    about
        What they say of it: `name`, and perhaps the `settings` by which it was loaded.
    origin
        Where they were imported from.
    local_only
        What is on this machine alone; nothing is fetched.

    Raises
    ------
    SafescaleError
        If it cannot be had. Whether it is the same as then is for the caller to see, by its
        fingerprint.
    """
    family = family_of_data(about)
    published = (
        Path(origin["release"]) / RELEASED_DATASET if origin and "release" in origin else None
    )
    try:
        if published is not None and published.is_file():
            return load_dataset(settings_of_named(str(published)), family=family)
        if about.get("settings"):
            settings = load_settings(
                dict(about["settings"]), environ={}, given_by=str(about["name"])
            )
        else:
            settings = settings_of_named(str(about["name"]))
        return load_dataset(settings, family=family, local_only=local_only)
    except SafescaleError as error:
        raise SafescaleError(
            f"the texts of the items are needed, and the data set of these runs, {about['name']} "
            f"{about.get('version')}, cannot be had: ",
            error,
            "\nname its file: ",
            ArgumentHint("dataset", "FILE"),
        ) from None


def known_of_runs(runs: Runs) -> dict[str, Any]:
    """What runs say of their data set; imported ones say with each model which file it was."""
    known: dict[str, Any] = runs.about["dataset"]
    if known.get("settings"):
        return known
    for model in runs.about.get("models", {}).values():
        settings = model.get("settings") or {}
        if (path := settings.get("dataset_path")) and Path(path).exists():
            named = {key: settings[key] for key in ("dataset_path", "columns") if key in settings}
            return {**known, "settings": named}
    return known
