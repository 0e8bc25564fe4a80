"""Asks a model under conditions, item by item, and keeps every answer as it comes: what is there
already is never asked again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from lm_eval_safescale import __version__
from lm_eval_safescale.assembly import check_names, family_of, prompts_of, where_data_is
from lm_eval_safescale.contexts import ContextSet
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.families.controls import CONTROLS, reply_of_control
from lm_eval_safescale.plugins import Part
from lm_eval_safescale.running.asking import Asking, now
from lm_eval_safescale.running.conditions import conditions_named
from lm_eval_safescale.running.finished import find_finished, is_noted, leave_note, note_of
from lm_eval_safescale.running.models import Model, Team
from lm_eval_safescale.running.progress import Report, RunProgress
from lm_eval_safescale.running.surroundings import surroundings
from lm_eval_safescale.runs.finish import (
    FRAME,
    OF_CONDITION,
    OPENED,
    TOKEN_LIMIT,
    write_run_tables,
)
from lm_eval_safescale.runs.identity import identity_of
from lm_eval_safescale.runs.journal import (
    ADVISOR,
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
    TEAM,
)
from lm_eval_safescale.runs.table import about_dataset, items_of
from lm_eval_safescale.secrets import without_places, without_secrets
from lm_eval_safescale.settings import MAKE_SCORES, load_settings, recorded
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.harness.requests import ConditionRequests
    from lm_eval_safescale.running.loaded import Loaded
    from lm_eval_safescale.running.team import Reviewing


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
    loaded: Loaded | None = None,
    reviewing: Reviewing | None = None,
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
    loaded
        Where models are loaded; None: for this run alone.
    reviewing
        Makes it the run of a team, of which this model is the Advisor (`run_team`).

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
    from lm_eval_safescale.harness.loading import check_model_args

    def check() -> None:
        check_model_args(model.backend, model.args) if reviewing is None else reviewing.team.check()

    was_noted, shown = is_noted(folder), model.shown if reviewing is None else reviewing.team.name
    if not was_noted:
        check()  # before anything is made or written

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
    if reviewing is not None:
        identity["model"] = reviewing.identity
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
            name=shown,
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
        check()
    start = {
        AT: now(),
        **_start_of(model, asked),
        "name": shown,
        "items": min(limit or len(data), len(data)),
        "latency": latency,
    }
    with Journal(folder, identity, start, possible) as journal:
        standing.settled = True
        say("loading the model")
        asking = _asking(
            journal, asked, loaded, model, reviewing, standing, on_progress, say,
            chat_template=chat_template, limit=limit, retry_filtered=retry_filtered,
        )  # fmt: skip
        asking.look_back()
        asking.ask(isolated=latency == "isolated")
        if reviewing is not None:
            journal.note({TEAM: reviewing.told()})
        items, failures, too_long, of = (
            items_of(data),
            asking.failures(),
            asking.too_long(),
            standing.of,
        )
        # the model, and the texts of a large study, need not be in memory beside its tables
        del asking, asked, data
        write_run_tables(
            journal,
            items,
            about,
            shown,
            lambda rows: say("writing the tables", f"{rows:,} of {of:,} rows"),
        )
        if not failures:
            leave_note(folder, note)
        damaged = journal.damaged + (0 if reviewing is None else reviewing.damaged)
        return Report(folder, standing, failures, too_long, damaged)


def run_team(
    team: Team,
    folder: Path,
    conditions: Sequence[str] = RADSAFE.default_conditions,
    *,
    on_progress: Callable[[RunProgress], object] = lambda _: None,
    **how: Any,
) -> Report:
    """Ask a team, and store every step as it comes.

    Parameters
    ----------
    folder
        Where the team's answers are stored, as those of a model of the team's name; in
        `folder/advisor` stands the run of the Advisor alone, in `folder/team.steps.jsonl` what the
        Guardians replied. What is there is not asked again; another team is refused.
    how
        As of `run`; `latency` is "loaded".

    Raises
    ------
    SafescaleError
        As `run`.
    """
    if how.get("latency", "loaded") != "loaded":
        raise SafescaleError(
            f"{team.source}: the seconds of a team are the sum over its steps, as they were asked; "
            "expected latency loaded, or the latency of each member alone"
        )
    if not is_noted(folder):
        team.check()  # before what takes seconds is imported
    from lm_eval_safescale.running.loaded import Loaded
    from lm_eval_safescale.running.team import Reviewing

    loaded = Loaded()

    def advise() -> Report:
        return run(
            team.advisor,
            folder / ADVISOR,
            conditions,
            on_progress=lambda now: on_progress(replace(now, who="Advisor", settled=True)),
            loaded=loaded,
            **how,
        )

    with contextlib.closing(Reviewing(team, folder, loaded, advise, on_progress)) as reviewing:
        return run(
            team.advisor,
            folder,
            conditions,
            on_progress=on_progress,
            loaded=loaded,
            reviewing=reviewing,
            **how,
        )


def _asking(
    journal: Journal,
    asked: Sequence[ConditionRequests],
    loaded: Loaded | None,
    model: Model,
    reviewing: Reviewing | None,
    standing: RunProgress,
    on_progress: Callable[[RunProgress], object],
    say: Callable[[str, str], object],
    *,
    chat_template: bool | None,
    limit: int | None,
    retry_filtered: bool,
) -> Asking:
    """The model loaded, the prompts made, and both noted; of a team, the Advisor asked."""
    from lm_eval_safescale.harness import backends
    from lm_eval_safescale.harness.engines import Engine, engine_of
    from lm_eval_safescale.running.loaded import Loaded

    backend = (loaded or Loaded()).backend(model)
    templated = backends.takes_conversations(backend) if chat_template is None else chat_template
    journal.note({ENGINE: backends.engine_facts(backend, model.backend)})
    say("making the prompts", "")
    for each in asked:
        each.prepare(backend, chat_template=templated, limit=limit)
    engine: Engine = (
        engine_of(backend, model.backend, asked)
        if reviewing is None
        else reviewing.engine(asked, standing, is_new=not len(journal.held))
    )
    for each in asked:
        facts = {"chat_template": templated, REVISION: backends.revision_of(backend)}
        _note_condition(journal, each, facts)
    return Asking(
        journal,
        {each.name: each for each in asked},
        engine,
        str(backend.model) if reviewing is None and backends.is_server(backend) else "",
        standing,
        on_progress,
        say,
        retry_filtered=retry_filtered,
    )


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
