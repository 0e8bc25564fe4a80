"""Runs from several places as the studies that an export is made of: one for each data set. It
knows no format.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from lm_eval_safescale.analysis.study import Study
from lm_eval_safescale.analysis.unjudged import refuse_unjudged
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.exporting.subject import Subject
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.description import read_run
from lm_eval_safescale.runs.journal import is_run
from lm_eval_safescale.runs.store import merge_runs, open_runs
from lm_eval_safescale.stats.presets import DEFAULT, Preset


@dataclass(frozen=True, eq=False, slots=True)
class Opened:
    """Runs, by whatever way they came."""

    name: str
    """What an error calls them."""
    runs: Runs
    asked_at: str | None = None
    """When their models were last asked (ISO 8601), where that is known."""


def open_folder(folder: Path, *, texts: bool = False) -> Opened:
    """The runs in a folder, asked at the last start of their run.

    Parameters
    ----------
    texts
        Whether the raw outputs are needed.

    Raises
    ------
    SafescaleError
        As `open_runs`.
    """
    runs = open_runs(folder, texts=texts)
    starts = read_run(folder)["starts"] if is_run(folder) else []
    return Opened(str(folder), runs, time_of(starts[-1].get("at")) if starts else None)


def subjects_of(
    opened: Sequence[Opened],
    preset: Preset = DEFAULT,
    *,
    threshold: float | None = None,
    metrics: Collection[str] = (),
    asked_at: str | None = None,
) -> list[Subject]:
    """Studies of all these runs, those of one data set as one, in the order in which their data
    sets first stand.

    Parameters
    ----------
    asked_at
        When the models were asked (ISO 8601), in place of what is known of it.

    Raises
    ------
    SafescaleError
        As `merge_runs`, `refuse_unjudged`, `Study` and `Subject`; and where `asked_at` is no time.
    """
    if asked_at is not None and time_of(asked_at) is None:
        raise SafescaleError(
            f"{asked_at!r} is no date or time of ISO 8601; expected for example 2026-03-31 or "
            "2026-03-31T12:00:00+00:00"
        )
    by_data: dict[tuple[str, str], list[Opened]] = {}
    for each in opened:
        key = each.runs.family.name, str(each.runs.about["dataset"].get("fingerprint"))
        by_data.setdefault(key, []).append(each)
        refuse_unjudged(each.runs)
    return [
        Subject(
            Study(merge_runs({each.name: each.runs for each in own}), threshold).apart(preset),
            preset,
            tuple(metrics),
            _times(own, asked_at),
        )
        for own in by_data.values()
    ]


def time_of(text: Any) -> str | None:
    """The text, where it is a time of ISO 8601."""
    with suppress(ValueError, TypeError):
        datetime.fromisoformat(text)
        return str(text)
    return None


def _times(opened: Sequence[Opened], asked_at: str | None) -> dict[str, str]:
    """When each model was last asked, of those of which it is known."""
    found: dict[str, str] = {}
    for each in opened:
        if at := asked_at or each.asked_at:
            found |= {model: max(at, found.get(model, at)) for model in each.runs.models}
    return found
