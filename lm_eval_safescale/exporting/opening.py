"""Folders of runs as the studies that an export is made of: one for each data set. It knows no
format.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from lm_eval_safescale.analysis import Study
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.exporting.subject import Subject
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.description import read_run
from lm_eval_safescale.runs.journal import is_run
from lm_eval_safescale.runs.store import merge_runs, open_runs
from lm_eval_safescale.stats.presets import DEFAULT, Preset


def open_subjects(
    folders: Sequence[Path],
    preset: Preset = DEFAULT,
    *,
    threshold: float | None = None,
    metrics: Collection[str] = (),
    asked_at: str | None = None,
    texts: bool = False,
) -> list[Subject]:
    """Studies of all folders, those of one data set as one, in the order in which their data sets
    first stand.

    Parameters
    ----------
    asked_at
        When the models were asked, as ISO 8601; None: at the last start of the run, where a folder
        has one.
    texts
        Whether the raw outputs are needed.

    Raises
    ------
    SafescaleError
        As `open_runs`, `merge_runs` and `Subject`.
    """
    if asked_at is not None and not _is_time(asked_at):
        raise SafescaleError(
            f"{asked_at!r} is no date or time of ISO 8601; expected for example 2026-03-31 or "
            "2026-03-31T12:00:00+00:00"
        )
    by_data: dict[tuple[str, str], dict[str, Runs]] = {}
    times: dict[str, str] = {}
    for folder in folders:
        runs = open_runs(folder, texts=texts)
        key = runs.family.name, str(runs.about["dataset"].get("fingerprint"))
        by_data.setdefault(key, {})[str(folder)] = runs
        for model in runs.models:
            if at := asked_at or _last_start(folder):
                times[model] = max(at, times.get(model, at))
    return [
        Subject(Study(merge_runs(own), threshold), preset, tuple(metrics), times)
        for own in by_data.values()
    ]


def _last_start(folder: Path) -> str | None:
    """When the run in a folder was last started; None where it is none, or does not say."""
    starts = read_run(folder)["starts"] if is_run(folder) else []
    at = starts[-1].get("at") if starts else None
    return at if isinstance(at, str) and _is_time(at) else None


def _is_time(text: str) -> bool:
    with suppress(ValueError):
        datetime.fromisoformat(text)
        return True
    return False
