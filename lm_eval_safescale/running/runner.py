"""Asks a model under conditions, item by item, and keeps every answer as it comes: what is there
already is never asked again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lm_eval_safescale import __version__
from lm_eval_safescale.assembly import check_names, family_of, prompts_of, where_data_is
from lm_eval_safescale.contexts import ContextSet
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.families.controls import CONTROLS, MARK, reply_of_control
from lm_eval_safescale.plugins import Part
from lm_eval_safescale.running.asking import Asking, now
from lm_eval_safescale.running.conditions import conditions_named
from lm_eval_safescale.running.finished import find_finished, is_noted, leave_note, note_of
from lm_eval_safescale.running.progress import RunProgress
from lm_eval_safescale.running.surroundings import surroundings
from lm_eval_safescale.runs.about import read_about
from lm_eval_safescale.runs.finish import (
    FRAME,
    OF_CONDITION,
    OPENED,
    TOKEN_LIMIT,
    write_run_tables,
)
from lm_eval_safescale.runs.identity import identity_of, path_of
from lm_eval_safescale.runs.journal import (
    OWN_SETTINGS,
    PARAMETERS_B,
    SCORED_WITH,
    Journal,
)
from lm_eval_safescale.runs.provenance import (
    AT,
    CONTEXTS,
    ENGINE,
    PLUGINS,
    PROMPT,
    REVISION,
    SURROUNDINGS,
)
from lm_eval_safescale.runs.store import open_by_condition, open_runs
from lm_eval_safescale.runs.table import Runs, about_dataset, items_of
from lm_eval_safescale.secrets import without_places, without_secrets
from lm_eval_safescale.settings import MAKE_SCORES, load_settings, recorded
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.harness.requests import ConditionRequests


@dataclass(frozen=True, slots=True)
class Model:
    """A model as `lm_eval` names it.

    Parameters
    ----------
    backend
        As for `--model`: `hf`, `vllm`, `local-chat-completions`, ...; or a control
        (`families.controls`), whose name in tables ends with a mark.
    args
        As for `--model_args`, parsed.
    batch_size, device
        As for `lm_eval`; None for `auto` with engines that make their own batches, else 8.
    name
        Under which the answers stand in tables; by default the last part of `pretrained` or
        `model`.
    parameters_b
        Billions of parameters, where known: kept with the answers, for tables over size; another
        size is no other run.
    """

    backend: str
    args: Mapping[str, Any]
    batch_size: str | None = None
    device: str | None = None
    name: str = ""
    parameters_b: float | None = None

    @property
    def shown(self) -> str:
        """The name in tables."""
        given = str(self.args.get("pretrained") or self.args.get("model") or self.backend)
        path = None if self.name else path_of(given)
        shown = self.name or (path.resolve().name if path is not None else given)
        return f"{shown} {MARK}" if self.backend in CONTROLS else shown


@dataclass(frozen=True)
class Report:
    """What became of a run."""

    folder: Path
    standing: RunProgress
    failures: Mapping[str, Mapping[str, str]]
    """By condition: items that have no answers, or not all, and why."""
    too_long: Mapping[str, Collection[str]]
    """By condition: those of them whose prompt does not fit the model's window."""
    damaged: int
    """Lines of an earlier start that were torn, and asked again."""
    was_finished: bool = False
    """Whether all was there: the model was not loaded."""

    @cached_property
    def runs(self) -> Runs:
        """All that is there, read when it is first asked for; SafescaleError as for `open_runs`."""
        return open_runs(self.folder)

    @cached_property
    def about(self) -> Mapping[str, Any]:
        """What `Runs.about` says; SafescaleError likewise."""
        return read_about(self.folder)

    def by_condition(self) -> Iterator[Runs]:
        """The same, one condition after the other, as far as rates over all items need it;
        SafescaleError likewise."""
        return open_by_condition(self.folder)


def run(
    model: Model,
    folder: Path,
    conditions: Sequence[str] = RADSAFE.default_conditions,
    *,
    metadata: Mapping[str, Any] | None = None,
    chat_template: bool | None = None,
    limit: int | None = None,
    latency: Literal["loaded", "isolated"] = "loaded",
    retry_filtered: bool = False,
    on_progress: Callable[[RunProgress], object] = lambda _: None,
) -> Report:
    """Ask a model, as the stock harness would, and store every answer as it comes.

    Parameters
    ----------
    folder
        Where the answers are stored. Those that are there are not asked again; answers of anything
        else are refused.
    conditions
        Names of registered conditions.
    metadata
        Settings, as for `lm_eval --metadata`.
    chat_template
        Whether prompts go through the chat template; None: where the model has one.
    limit
        Ask the first so many items of the data set only.
    latency
        `loaded`: of each greedy answer among the others; `isolated`: of a sample of 20 items a
        condition, one at a time, and of no other.
    retry_filtered
        Ask again for what a content filter held back before.
    on_progress
        Told how far the run is, after each answer.

    Raises
    ------
    SafescaleError
        For what is wrong with the settings, the data, the folder or the model. What was answered
        before is stored.
    """
    standing = RunProgress()

    def say(what: str, amount: str = "") -> None:
        standing.what, standing.amount = what, amount
        on_progress(standing)

    say("reading the data")
    given = {**model.args, **(metadata or {})}
    parts = conditions_named(conditions)
    _check_settings(metadata or {}, given, parts)
    from lm_eval_safescale.harness import backends
    from lm_eval_safescale.harness.loading import check_model_args, load_backend, with_defaults

    was_noted = is_noted(folder)
    if not was_noted:
        check_model_args(model.backend, model.args)  # before anything is made or written
    from lm_eval_safescale.harness.engines import engine_of

    args = without_secrets(model.args)
    asked = _requests_of(model, parts, given, lambda amount: say(standing.what, amount))
    family, data = asked[0].task.run.family, asked[0].task.run.data
    settings = asked[0].task.run.shared_settings
    about = {**about_dataset(data), "settings": where_data_is(settings)}
    identity = identity_of(
        model.backend,
        args,
        settings,
        about,
        prompts_of(family, settings),
        backends.first_seed(given),
    )
    standing.headlines = family.headlines
    possible = {item.question_id: family.possible(family.columns(item)) for item in data}
    note = note_of(asked, conditions, identity, args, limit=limit, latency=latency)
    if was_noted:
        finished = find_finished(
            folder,
            note,
            identity,
            asked,
            possible,
            name=model.shown,
            chat_template=chat_template,
            limit=limit,
            retry_filtered=retry_filtered,
        )
        if finished is not None:
            standing = replace(finished.standing, headlines=family.headlines)
            say(
                f"nothing is left to ask ({counted(standing.known, 'answer')}): the model is not "
                "loaded"
            )
            return Report(folder, standing, {}, {}, finished.damaged, was_finished=True)
        check_model_args(model.backend, model.args)
    start = {
        AT: now(),
        **_start_of(model, asked),
        "items": min(limit or len(data), len(data)),
        "latency": latency,
    }
    with Journal(folder, identity, start, possible) as journal:
        standing.settled = True
        say("loading the model")
        args_in_force = with_defaults(model.backend, model.args)
        backend = load_backend(
            model.backend, args_in_force, batch_size=model.batch_size, device=model.device
        )
        templated = (
            backends.takes_conversations(backend) if chat_template is None else chat_template
        )
        journal.note({ENGINE: backends.engine_facts(backend, model.backend)})
        say("making the prompts")
        for each in asked:
            each.prepare(backend, chat_template=templated, limit=limit)
            facts = {"chat_template": templated, REVISION: backends.revision_of(backend)}
            _note_condition(journal, each, facts)
        asking = Asking(
            journal,
            {each.name: each for each in asked},
            engine_of(backend, model.backend, asked),
            str(backend.model) if backends.is_server(backend) else "",
            standing,
            on_progress,
            say,
            retry_filtered=retry_filtered,
        )
        asking.look_back()
        asking.ask(isolated=latency == "isolated")
        items, failures, too_long, of = (
            items_of(data),
            asking.failures(),
            asking.too_long(),
            standing.of,
        )
        # the model, and the texts of a large study, need not be in memory beside its tables
        del asking, asked, each, backend, data
        write_run_tables(
            journal,
            items,
            about,
            model.shown,
            lambda rows: say("writing the tables", f"{rows:,} of {of:,} rows"),
        )
        if not failures:
            leave_note(folder, note)
        return Report(folder, standing, failures, too_long, journal.damaged)


def _start_of(model: Model, asked: Sequence[ConditionRequests]) -> dict[str, Any]:
    """What is noted of a start, and may differ from another's."""
    run, settings = asked[0].task.run, asked[0].task.run.shared_settings
    taking_part = [each.task.run.plugins for each in asked]
    return {
        "version": __version__,
        "model_args": without_secrets(model.args),
        "batch_size": model.batch_size,
        "device": model.device,
        "conditions": [each.name for each in asked],
        SCORED_WITH: recorded(settings.model_dump(mode="json"), MAKE_SCORES),
        "name": model.shown,
        "reader_version": run.reader.version,
        "data": where_data_is(settings),
        **({} if model.parameters_b is None else {PARAMETERS_B: model.parameters_b}),
        SURROUNDINGS: surroundings(),
        PLUGINS: {name: version for each in taking_part for name, version in each.items()},
    }


def _note_condition(journal: Journal, each: ConditionRequests, shared: Mapping[str, Any]) -> None:
    """Note under what a condition is asked, beside what all conditions share, and what of its
    prompts cannot be seen in the answers; SafescaleError where answers were asked for otherwise."""
    run, frame = each.task.run, each.frame
    own = {OWN_SETTINGS: dict(run.own_settings)} if run.own_settings else {}
    limit = {TOKEN_LIMIT: each.token_limit}
    alone = [*own, *(limit if OF_CONDITION[TOKEN_LIMIT] in run.own_settings else ())]
    noted = {
        OPENED: run.reasoning_opened,
        **({} if frame is None else {FRAME: asdict(frame)}),
        PROMPT: asdict(run.prompt),
        CONTEXTS: _told_of(run.contexts) if run.contexts else None,
    }
    journal.of_condition(each.name, {**limit, **shared, **own}, noted, alone=alone)


def _told_of(contexts: ContextSet) -> dict[str, Any]:
    """How contexts were made, and what they hold; not whose they are, which the run says."""
    about = {name: value for name, value in contexts.about.items() if name != "dataset"}
    told: dict[str, Any] = without_places(about | (contexts.summary() if contexts.contexts else {}))
    return told


def _check_settings(
    metadata: Mapping[str, Any], given: Mapping[str, Any], conditions: Sequence[Part]
) -> None:
    """SafescaleError for what is no setting, and for a name that nothing has."""
    load_settings({name: value for name, value in metadata.items() if name != "seed"}, strict=True)
    check_names(load_settings(given, defaults=family_of(conditions[0]).defaults), conditions)


def _requests_of(
    model: Model,
    conditions: Iterable[Part],
    given: Mapping[str, Any],
    on_progress: Callable[[str], object],
) -> list[ConditionRequests]:
    """What is asked under each condition; all share the data of the first. SafescaleError for a
    control that their family does not have."""
    from lm_eval_safescale.harness.requests import ConditionRequests

    asked: list[ConditionRequests] = []
    for part in conditions:
        asked.append(ConditionRequests(part, given, asked[0] if asked else None, on_progress))
    if model.backend in CONTROLS:
        first = asked[0].task.run
        reply_of_control(model.backend, first.family, first.data.items[0], seed=0)
    return asked
