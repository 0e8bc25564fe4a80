"""Whether a job has nothing left to ask, found without loading its model. It decides nothing else: all that differs is left to `run`.

A finished job leaves a note of what it was asked with. Only where the note is the same now, and every answer is there, it is finished:
contexts that are made for a model cannot be compared without it.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lm_eval_safescale import assembly
from lm_eval_safescale.checksums import are_alike, sha256_of
from lm_eval_safescale.plugins import plugins
from lm_eval_safescale.records import Status
from lm_eval_safescale.runs.description import RUN, plain, read_run
from lm_eval_safescale.runs.held import Held
from lm_eval_safescale.runs.identity import identity_of
from lm_eval_safescale.runs.replay import Replay
from lm_eval_safescale.runs.store import open_runs
from lm_eval_safescale.runs.table import about_dataset
from lm_eval_safescale.secrets import without_secrets

if TYPE_CHECKING:
    from lm_eval_safescale.harness.requests import ConditionRequests
    from lm_eval_safescale.settings import Settings
    from lm_eval_safescale.sweep.jobs import Job


NOTE = "asked.sha256"


class Finished:
    """What a job asks for, and whether it is there already.

    Raises
    ------
    SafescaleError
        For what is wrong with the settings or the data.
    """

    def __init__(self, job: Job) -> None:
        from lm_eval_safescale.harness import backends
        from lm_eval_safescale.harness.requests import ConditionRequests

        self._job, self._folder = job, Path(job.folder)
        given = {**job.model_args, **job.metadata}
        self._asked = [ConditionRequests(plugins().find("condition", name), given, warn=_unsaid) for name in job.conditions]
        task = self._asked[0].task
        about, args = about_dataset(task.run.data), without_secrets(job.model_args)
        seed = backends.first_seed(given)
        self._identity = plain(
            identity_of(
                job.backend, args, task.run.settings, about, assembly.prompts_of(task.run.family, task.run.settings), seed
            )
        )
        settings = without_secrets(task.run.settings.model_dump(mode="json"))
        asked_with = [self._identity, args, settings, job.limit, job.latency, job.conditions]
        self._note = hashlib.sha256(
            json.dumps([asked_with, _sources(job, task.run.settings)], sort_keys=True).encode()
        ).hexdigest()

    @property
    def answers(self) -> int:
        """The number of answers where each item has all of them under each condition, and the finished runs hold them; else 0.

        Answers that were asked for otherwise, or damaged files, also give 0: `run` says what is wrong with them.
        """
        job = self._job
        if not (self._folder / NOTE).exists() or not (self._folder / RUN).exists():
            return 0
        try:
            if (self._folder / NOTE).read_text(encoding="utf-8") != self._note:
                return 0
            there = read_run(self._folder)
            if not are_alike(there["identity"], self._identity) or not self._templated_alike(there["conditions"]):
                return 0
            held = self._held()
            if job.retry_filtered and any(held.filtered.values()):
                return 0
            answers = sum(_answers(each, held, job.limit) for each in self._asked)
            stored = open_runs(self._folder, texts=False)
        except Exception:
            return 0  # whatever is wrong, `run` meets it too, and says it
        rows = stored.answers
        kept = rows.filter(rows["condition"].is_in([each.name for each in self._asked]) & (rows["status"] != Status.ERROR))
        return answers if kept.height >= answers and stored.models == (job.name,) else 0

    def _held(self) -> Held:
        """What is there; _MissingError for an answer that was given to another context."""
        asked = {each.name: each for each in self._asked}
        told = Replay(self._folder)
        for line in told:
            context = asked[line.condition].context(line.question_id) if line.condition in asked and line.draws else None
            if context is not None and context.fingerprint != line.context_fingerprint:
                raise _MissingError
        return told.held

    def _templated_alike(self, conditions: dict[str, dict[str, object]]) -> bool:
        wanted = self._job.chat_template
        return all(wanted in (None, conditions[each.name]["chat_template"]) for each in self._asked)

    def note(self) -> None:
        """Leave the note; without it, the next start loads the model to find out."""
        with suppress(OSError):
            (self._folder / NOTE).write_text(self._note, encoding="utf-8")


def _unsaid(warning: str) -> None:
    """`run` says it."""


def _sources(job: Job, settings: Settings) -> list[str]:
    """Fingerprints of what contexts are made of that depend on the model."""
    builders = [assembly.builder_of(plugins().find("condition", name), settings) for name in job.conditions]
    if not any(builder is not None and builder.thing.needs_model for builder in builders):
        return []
    found = []
    if settings.contexts is not None:
        found.append(sha256_of(settings.contexts))
    if settings.corpus is not None or settings.corpus_path is not None:
        found.append(assembly.load_settings_corpus(settings, _unsaid).fingerprint)
    return found


class _MissingError(Exception):
    """An item lacks an answer, or has one that was given to something else."""


def _answers(each: ConditionRequests, held: Held, limit: int | None) -> int:
    """The number of answers under one condition; _MissingError where one is missing."""
    draws = each.task.run.settings.draws + 1
    items = [item.question_id for item in each.task.run.data][:limit]
    if any((held.of(each.name, item) + 1) % (1 << draws) for item in items):  # all bits of the draws are set
        raise _MissingError
    return draws * len(items)
