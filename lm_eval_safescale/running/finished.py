"""Whether a run has nothing left to ask, found without loading its model. It decides nothing else:
all that differs is left to `run`.

A finished run leaves a note of what it was asked with. Only where the note is the same now, and
every answer is there, it is finished: contexts that are made for a model cannot be compared without
it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lm_eval_safescale import assembly
from lm_eval_safescale.checksums import are_alike, sha256_of
from lm_eval_safescale.records import Status
from lm_eval_safescale.running.asking import count_answers
from lm_eval_safescale.running.progress import RunProgress
from lm_eval_safescale.runs.description import RUN, plain, read_run
from lm_eval_safescale.runs.held import Held
from lm_eval_safescale.runs.journal import known_of
from lm_eval_safescale.runs.replay import Replay
from lm_eval_safescale.runs.store import open_runs
from lm_eval_safescale.secrets import without_secrets
from lm_eval_safescale.settings import LATER

if TYPE_CHECKING:
    from lm_eval_safescale.harness.requests import ConditionRequests
    from lm_eval_safescale.settings import Settings


NOTE = "asked.sha256"
NOT_IN_OLDER_NOTES = ("unit", "first_index", "exclude_items")
"""Settings that are noted where they are set: notes of before they were there still hold."""


def is_noted(folder: Path) -> bool:
    """Whether a run was finished there, perhaps another."""
    return (folder / NOTE).exists() and (folder / RUN).exists()


def note_of(
    asked: Sequence[ConditionRequests],
    conditions: Sequence[str],
    identity: Mapping[str, Any],
    args: Mapping[str, Any],
    *,
    limit: int | None,
    latency: str,
) -> str:
    """What tells apart what runs are asked with.

    Parameters
    ----------
    asked, conditions
        The conditions, and their names as they were given.
    identity
        Whose answers they are (`identity_of`).
    args
        The model's arguments without secrets.
    """
    settings = asked[0].task.run.shared_settings
    shown = without_secrets(settings.model_dump(mode="json"))
    shown = {k: v for k, v in shown.items() if k not in NOT_IN_OLDER_NOTES or v != LATER[k]}
    told: list[Any] = [plain(identity), args, shown, limit, latency, list(conditions)]
    told += [[each.name, plain(own)] for each in asked if (own := each.task.run.own_settings)]
    return hashlib.sha256(
        json.dumps([told, _sources(asked, settings)], sort_keys=True).encode()
    ).hexdigest()


def leave_note(folder: Path, note: str) -> None:
    """Note that the run is finished; without it, the next start loads the model to find out."""
    with suppress(OSError):
        (folder / NOTE).write_text(note, encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has nothing left to ask."""

    standing: RunProgress
    damaged: int
    """Lines of the journal that do not count."""


def find_finished(
    folder: Path,
    note: str,
    identity: Mapping[str, Any],
    asked: Sequence[ConditionRequests],
    possible: Mapping[str, Collection[str] | None],
    *,
    name: str,
    chat_template: bool | None,
    limit: int | None,
    retry_filtered: bool,
) -> Finished | None:
    """The run in a folder, where each item has all answers under each condition, and the tables
    hold them; else None.

    None, too, for answers that were asked for otherwise, and for damaged files: `run` says what is
    wrong with them.

    Parameters
    ----------
    possible
        Responses that each item can have, by its id.
    name
        The model's, in tables.
    """
    try:
        if not is_noted(folder) or (folder / NOTE).read_text(encoding="utf-8") != note:
            return None
        there = read_run(folder)
        if not are_alike(there["identity"], plain(identity)):
            return None
        if any(
            chat_template not in (None, there["conditions"][each.name]["chat_template"])
            for each in asked
        ):
            return None
        told = Replay(folder, known_of(there, possible), there["identity"])
        standing = RunProgress()
        held = _held(told, {each.name: each for each in asked}, standing)
        if retry_filtered and any(held.filtered.values()):
            return None
        standing.of = standing.known = sum(_answers(each, held, limit) for each in asked)
        stored = open_runs(folder, texts=False)
    except Exception:
        return None  # whatever is wrong, `run` meets it too, and says it
    rows = stored.answers
    kept = rows.filter(
        rows["condition"].is_in([each.name for each in asked]) & (rows["status"] != Status.ERROR)
    )
    is_whole = 0 < standing.of <= kept.height and stored.models == (name,)
    return Finished(standing, told.damaged) if is_whole else None


def _sources(asked: Sequence[ConditionRequests], settings: Settings) -> list[str]:
    """Fingerprints of what contexts are made of that depend on the model."""
    if not any(each.task.run.waits_for_model for each in asked):
        return []
    found = []
    if settings.contexts is not None:
        found.append(sha256_of(settings.contexts))
    if settings.corpus is not None or settings.corpus_path is not None:
        found.append(assembly.load_settings_corpus(settings, _unsaid).fingerprint)
    return found


def _held(told: Replay, asked: Mapping[str, ConditionRequests], standing: RunProgress) -> Held:
    """What is there, counted; _MissingError for an answer that was given to another context."""
    for line in told:
        each = asked.get(line.condition)
        if each is None or not line.draws:
            continue
        context = each.context(line.question_id)
        if context is not None and context.fingerprint != line.context_fingerprint:
            raise _MissingError
        count_answers(standing, each, line)
    return told.held


def _unsaid(warning: str) -> None:
    """Making the contexts says it."""


class _MissingError(Exception):
    """An item lacks an answer, or has one that was given to something else."""


def _answers(each: ConditionRequests, held: Held, limit: int | None) -> int:
    """The number of answers under one condition; _MissingError where one is missing."""
    draws = each.task.run.settings.draws + 1
    items = [item.question_id for item in each.task.run.data][:limit]
    # all bits of the draws are set
    if any((held.of(each.name, item) + 1) % (1 << draws) for item in items):
        raise _MissingError
    return draws * len(items)
