"""`safescale run`: asks a model under conditions, and keeps every answer as it comes."""

from __future__ import annotations

import functools
import os
import re
import shlex
import time
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lm_eval_safescale.cli.options import (
    ColumnsOption,
    CorpusOption,
    DatasetOption,
    ExcludedItemsOption,
    FirstIndexOption,
    data_settings,
    given_settings,
)
from lm_eval_safescale.cli.read_again import say_unjudged
from lm_eval_safescale.cli.screen import Progress, complain, say, working
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.sections import left_out, notes_on
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.running import Report, RunProgress
    from lm_eval_safescale.runs import Runs

EVERY = 30.0
"""Seconds between two lines of progress where no terminal shows it."""
EVERY_STEP = 5.0
"""The same before the first request."""
REFRESH = 0.2
MOST_REASONS = 5


class Latency(StrEnum):
    """How latency is measured."""

    LOADED = "loaded"
    ISOLATED = "isolated"


def run(
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The folder for the answers; the same one to go on."),
    ],
    model: Annotated[
        str | None,
        typer.Option(
            help=(
                "A backend of lm_eval: hf, vllm, local-chat-completions, ...; or a control, which "
                "reads no question: choose-nothing, choose-at-random."
            )
        ),
    ] = None,
    team: Annotated[
        Path | None,
        typer.Option(
            help=(
                "Instead of a model, the YAML file of a team: an advisor answers, one or two "
                "guardians review each answer for harm (docs/running.md)."
            )
        ),
    ] = None,
    model_args: Annotated[
        str, typer.Option("--model_args", help="As for lm_eval: pretrained=NAME,dtype=...")
    ] = "",
    conditions: Annotated[
        str | None,
        typer.Option(
            help=(
                "Conditions by name, with commas between; a family, for its own; or all, the six "
                "of the protocol. Without it: those that need nothing but the data."
            )
        ),
    ] = None,
    dataset: DatasetOption = None,
    columns: ColumnsOption = None,
    first_index: FirstIndexOption = None,
    exclude_items: ExcludedItemsOption = None,
    corpus: CorpusOption = None,
    retriever: Annotated[str | None, typer.Option(help="Retriever, by name.")] = None,
    draws: Annotated[
        int | None, typer.Option(help="K, the sampled answers of an item; 20 without it.")
    ] = None,
    metadata: Annotated[
        str, typer.Option(help="Any other settings as JSON (docs/settings.md).")
    ] = "{}",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Ask the first so many items only.")
    ] = None,
    batch_size: Annotated[
        str | None, typer.Option("--batch_size", help="As for lm_eval; auto for engines, else 8.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="As for lm_eval.")] = None,
    chat_template: Annotated[
        bool | None,
        typer.Option(
            "--chat-template/--no-chat-template", help="By default: where the model has one."
        ),
    ] = None,
    latency: Annotated[
        Latency,
        typer.Option(
            help="Of every greedy answer among the others, or of a sample of items one at a time."
        ),
    ] = Latency.LOADED,
    name: Annotated[str, typer.Option(help="What the model is called in tables.")] = "",
    retry_filtered: Annotated[
        bool,
        typer.Option("--retry-filtered", help="Ask again for what a content filter held back."),
    ] = False,
) -> None:
    """Ask a model or a team, with the prompts and the backends of lm_eval, and keep every answer as
    it comes.

    After an interruption of whatever kind the same command goes on: nothing is asked twice.
    """
    # one line of progress, ours; read when tqdm is imported
    os.environ.setdefault("TQDM_DISABLE", "1")
    from lm_eval_safescale.families import RADSAFE

    of_model = {
        "--model": model, "--model_args": model_args, "--batch_size": batch_size,
        "--device": device, "--name": name,
    }  # fmt: skip
    _refuse_both(team, {option for option, given in of_model.items() if given})
    options = {"dataset": dataset, "corpus": corpus, "retriever": retriever, "draws": draws}
    data = data_settings(columns, first_index, exclude_items)
    given = given_settings(metadata, options | data)
    named = (
        None
        if conditions is None
        else [each.strip() for each in conditions.split(",") if each.strip()]
    )
    wanted = (
        RADSAFE.default_conditions
        if named is None
        else RADSAFE.all_conditions
        if named == ["all"]
        else named
    )
    try:
        with working("starting ...") as progress:
            progress("starting ...", mark=True)  # the harness takes a second or more to import
            ask = (
                _of_team(team)
                if team is not None
                else _of_model(model or "", _parsed(model_args), batch_size, device, name)
            )
            report = ask(
                output,
                wanted,
                metadata=given,
                chat_template=chat_template,
                limit=limit,
                latency=latency.value,
                retry_filtered=retry_filtered,
                on_progress=_Told(progress),
            )
    except KeyboardInterrupt:
        raise SafescaleError(
            f"interrupted; what was answered is stored in {output}, and the same command goes on "
            "from there"
        ) from None
    _summary(report, output, isolated=latency is Latency.ISOLATED)
    if report.failures:
        raise typer.Exit(1)


def _refuse_both(team: Path | None, of_model: Collection[str]) -> None:
    """SafescaleError for neither a model nor a team, and for both."""
    if team is None and "--model" not in of_model:
        raise SafescaleError(
            "neither --model nor --team; expected a backend of lm_eval (hf, vllm, "
            "local-chat-completions, ...), or the YAML file of a team"
        )
    if team is not None and of_model:
        raise SafescaleError(
            f"--team with {', '.join(sorted(of_model))}: the team's file says that of each member"
        )


def _of_model(*given: Any) -> Callable[..., Report]:
    from lm_eval_safescale.running import Model, runner

    return functools.partial(runner.run, Model(*given))


def _of_team(path: Path) -> Callable[..., Report]:
    from lm_eval_safescale.running import run_team
    from lm_eval_safescale.running.team_file import read_team

    return functools.partial(run_team, read_team(path))


def _parsed(model_args: str) -> dict[str, Any]:
    from lm_eval_safescale.harness.loading import parse_model_args

    return parse_model_args(model_args)


class _Told:
    """Says how far the run is: renewed on a terminal, else now and then."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._what, self._shown, self._marked = (
            progress,
            "",
            -REFRESH,
            time.monotonic(),
        )
        self._has_warned = False

    def __call__(self, now: RunProgress) -> None:
        if now.what:
            self._say_what(now)
            return
        if now.warning and not self._has_warned and now.known + now.done + now.failed < now.of:
            self._has_warned = True
            complain(
                f"{now.warning}. The run goes on; with other settings it is another run, in "
                "another folder."
            )
        at, ends = time.monotonic(), now.known + now.done + now.failed >= now.of
        mark = at - self._marked >= EVERY or ends
        if not mark and at - self._shown < REFRESH:
            return
        self._shown = at
        if mark:
            self._marked = at
        self._progress(describe(now), mark=mark)

    def _say_what(self, now: RunProgress) -> None:
        at, is_new = time.monotonic(), now.what != self._what
        if not is_new and at - self._shown < REFRESH:
            return
        mark = is_new or at - self._marked >= EVERY_STEP
        self._what, self._shown = now.what, at
        self._marked = at if mark else self._marked
        self._progress(f"{now.what}{', ' * bool(now.amount)}{now.amount} ...", mark=mark)


def describe(now: RunProgress) -> str:
    """One line: done, rate, time left, running accuracy and high-risk error."""
    who = f"{now.who}: " if now.who else ""
    parts = [f"{who}{now.known + now.done:,} of {now.of:,} answers"]
    if now.done:
        parts.append(f"{now.rate:,.1f} a second")
    if now.seconds_left is not None and now.seconds_left >= 1:
        parts.append(f"{timedelta(seconds=round(now.seconds_left))} left")
    if now.greedy:
        for metric, total in now.sums.items():
            parts.append(f"{now.headlines.get(metric, metric)} {total / now.counts[metric]:.1%}")
    if now.unjudged:
        parts.append(f"{now.unjudged:,} to be judged")
    if now.failed:
        parts.append(f"{now.failed:,} FAILED")
    return ", ".join(parts)


def _summary(report: Report, output: Path, *, isolated: bool) -> None:
    now, about, found = report.standing, report.about, _Found()
    # one condition after the other, and none held while the next is read: the rows of a large study
    # fill the memory
    deque(map(found.add, report.by_condition()), maxlen=0)
    demo = " - DEMO: no clinical claim may rest on it" if about["dataset"].get("demo") else ""
    filtered, failed, unjudged = (found.statuses[n] for n in ("filtered", "error", "unjudged"))
    given = found.statuses.total() - filtered - failed
    without = (
        f", {number:,} {what}"
        for number, what in ((filtered, "filtered"), (failed, "lacking"))
        if number
    )
    say(
        f"{output}: {counted(given, 'answer')} of "
        f"{', '.join(about['models'])}{''.join(without)}{demo}",
        style="bold",
    )
    seconds = (
        f" in {timedelta(seconds=round(now.seconds))} ({now.rate:,.1f} a second)"
        if now.done
        else ""
    )
    _say_settings(report)
    say(f"asked now    {now.done:,}{seconds}; {now.known:,} were there")
    _say_team(report)
    if isolated:
        none = "none: the greedy answers of the sample were there before, with or without a latency"
        say(
            "latency      "
            f"{counted(now.timed, 'answer') + ' timed one at a time' if now.timed else none}"
        )
    if report.damaged:
        say(
            f"damaged      {counted(report.damaged, 'line')} of an earlier start, torn or not as "
            "written: what stood there is asked again",
            style="yellow",
        )
    if given:
        for row in found.rows:
            say(row)
        settings = _settings(report)[0]
        if draws := settings.get("draws"):
            from lm_eval_safescale.runs.families import family_of_data

            family = family_of_data(about["dataset"])
            weighed = (
                f"; {said.format(settings[name])}" for name, said in family.scoring_said.items()
            )
            say(f"samples      K = {draws} of each item{''.join(weighed)}")
    if now.warning:
        complain(f"{now.warning}.")
    if filtered:
        complain(
            f"{counted(filtered, 'answer')} held back by a content filter: not scored, and asked "
            "for again with --retry-filtered only."
        )
    for condition, items in report.failures.items():
        _say_failures(condition, items, report.too_long[condition])
    if report.failures:
        complain("The same command asks for them again, and for nothing else.")
    if unjudged:
        say_unjudged(output, unjudged)
    elif given:
        say(f"Next: safescale analyze {shlex.quote(str(output))} -o TABLES")


def _say_team(report: Report) -> None:
    """What the team did, and which of its steps could not be used."""
    from lm_eval_safescale.runs.provenance import TEAM

    (known,) = report.about["models"].values()
    team = known.get(TEAM)
    if team is None:
        return
    tokens = (
        "unknown"
        if None in (team["prompt_tokens"], team["completion_tokens"])
        else (f"{team['prompt_tokens']:,} + {team['completion_tokens']:,}")
    )
    say(f"team         {counted(team['steps'], 'step')}, tokens {tokens} (prompts + replies)")
    if number := team["not_reviewed"]:
        complain(
            f"{counted(number, 'answer')} of the advisor held nothing to review (empty, cut off in "
            "its reasoning, or held back): the team's answer is the advisor's."
        )
    if number := team["reviews_not_used"]:
        complain(
            f"{counted(number, 'review')} could not be used, asked twice (empty, or cut off in the "
            "reasoning: max_tokens of a guardian): the text before it stands."
        )


def _settings(report: Report) -> list[dict[str, Any]]:
    """Under which the model was asked: those of each condition, or one for all of them."""
    (known,) = report.about["models"].values()
    return [{**known["settings"], **own} for own in known.get("by_condition", {}).values()] or [
        known["settings"]
    ]


def _say_settings(report: Report) -> None:
    """What the figures must not be read without."""
    if ids := report.about["dataset"].get("excluded"):
        say(f"note         {': '.join(left_out(ids))}", style="yellow")
    for note in dict.fromkeys(note for each in _settings(report) for note in notes_on(each)):
        say(f"note         {note}", style="yellow")


def _say_failures(condition: str, items: Mapping[str, str], too_long: Collection[str]) -> None:
    """Items that lack answers, those for the same reason together, whatever the numbers in it."""
    complain(
        f"{condition}: {counted(len(items), 'item')} without all answers; they are errors, and not "
        "scored"
    )
    alike: dict[str, list[str]] = {}
    for item, reason in items.items():
        alike.setdefault(re.sub(r"\d[\d,.]*", "#", reason), []).append(item)
    for names in sorted(alike.values(), key=len, reverse=True)[:MOST_REASONS]:
        complain(f"  {counted(len(names), 'item')}, for example {names[0]}: {items[names[0]]}")
        if names[0] in too_long:
            complain(
                "    a larger window would hold them: max_model_len (vllm) or max_length (hf) in "
                "--model_args"
            )
    if len(alike) > MOST_REASONS:
        complain(f"  and {counted(len(alike) - MOST_REASONS, 'more reason')}")


class _Found:
    """What the answers say, and how many there are."""

    def __init__(self) -> None:
        self.statuses: Counter[str] = Counter()
        self._rates: list[str] = []
        self._missing: dict[str, str] = {}
        self._without_passages: list[str] = []
        self._cut: list[str] = []

    @property
    def rows(self) -> list[str]:
        """Rates by condition; plugins' metrics that could not be computed, with the reason; where
        the search found no passage."""
        missing = [
            f"metric {name} could not be computed: {why}" for name, why in self._missing.items()
        ]
        return [*self._rates, *missing, *self._without_passages, *self._cut]

    def add(self, runs: Runs) -> None:
        """The answers under one condition."""
        from lm_eval_safescale.analysis import Study
        from lm_eval_safescale.analysis.profile import values_of
        from lm_eval_safescale.analysis.study import without_passages
        from lm_eval_safescale.analysis.unjudged import cut_by_limit, said_of_cut
        from lm_eval_safescale.records import NOT_SCORED

        here = Counter[str](dict(runs.answers["status"].value_counts().iter_rows()))
        self.statuses += here
        self._cut += [
            f"{condition + ' ':<13}{said_of_cut(number)}"
            for (_, condition), number in cut_by_limit(runs).items()
        ]
        if not here.keys() - NOT_SCORED:
            return
        study = Study(runs)
        labels = {
            **study.family.headlines,
            **{metric.name: metric.name.replace("_", " ") for metric in study.asked_metrics},
        }
        in_percent = {metric.name for metric in study.metrics if metric.is_fraction}
        for row in values_of(study):
            shown = [
                f"{label} {row[key]:{'.1%' if key in in_percent else '.4g'}}{_counts(row, key)}"
                for key, label in labels.items()
                if row[key] is not None
            ]
            if shown:
                self._rates.append(
                    f"{row['condition'] + ' ':<13}{counted(row['n'], 'item')}: {', '.join(shown)}"
                )
        self._missing = {**study.not_computed, **self._missing}
        self._without_passages += [
            (
                f"{condition + ' ':<13}for {counted(items, 'item')} no passage was found: asked "
                "without a context"
            )
            for (_, condition), items in without_passages(runs).items()
        ]


def _counts(row: Mapping[str, Any], rate: str) -> str:
    """What belongs beside the rate of the unanswered."""
    if rate != "unanswered":
        return ""
    truncated, filtered = row["n_truncated"], row["n_filtered"]
    return (f" ({truncated:,} truncated)" if truncated else "") + (
        f", {filtered:,} filtered" if filtered else ""
    )
