"""`safescale judge`: stored raw texts are read by a second model."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lm_eval_safescale.cli.options import (
    ColumnsOption,
    ExcludedItemsOption,
    FirstIndexOption,
    TextsDatasetOption,
    TextsPathOption,
    settings_of_texts,
)
from lm_eval_safescale.cli.read_again import RUNS, dataset_of_runs, free_folder
from lm_eval_safescale.cli.screen import Progress, complain, say, working
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.chat import ChatModel
    from lm_eval_safescale.contexts import BuildProgress
    from lm_eval_safescale.judging.advice import JudgedAdvice
    from lm_eval_safescale.judging.judging import Judged
    from lm_eval_safescale.runs.table import Runs

MOST_REASONS = 10
MOST_FAILED = 0.05
"""Share of answers without a verdict from which on the command says that it failed."""
EVERY = 30.0
"""Seconds between two lines of progress where no terminal shows it."""
WHAT = {
    "letter": "the judge read a letter",
    "none": "the judge read none (or no letter stands in the text)",
    "bare": "a bare letter: no judge needed",
    "refused": "refused: the judge's letter is no option, or not in the text; not scored",
    "failed": "failed: no verdict; not scored",
    "truncated": "stopped inside the reasoning: left as they are",
    "filtered": "held back by a content filter: left as they are",
    "error": "without an answer: left as they are",
    "no_text": "without raw text: NOT JUDGED, their reading is the one there was",
}


def judge(
    runs: RUNS,
    base_url: Annotated[
        str | None,
        typer.Option(help="An OpenAI-compatible server, http://HOST/v1 (key: OPENAI_API_KEY)."),
    ] = None,
    model: Annotated[
        str | None, typer.Option(help="The name by which that server knows the judge.")
    ] = None,
    backend: Annotated[
        str | None, typer.Option(help="A backend of lm_eval instead (hf, vllm, ...).")
    ] = None,
    model_args: Annotated[
        str, typer.Option("--model_args", help="Its arguments, as for lm_eval.")
    ] = "",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="The folder to write; RUNS.judged without it."),
    ] = None,
    max_tokens: Annotated[
        int, typer.Option(min=1, help="Tokens of a verdict; more for a judge that reasons first.")
    ] = 1024,
    concurrency: Annotated[
        int, typer.Option(min=1, help="Requests in flight at once, at a server.")
    ] = 32,
    timeout: Annotated[
        float, typer.Option(min=0.001, help="Seconds until a request counts as lost, at a server.")
    ] = 300.0,
    batch_size: Annotated[
        str | None, typer.Option("--batch_size", help="As for lm_eval; auto for engines, else 8.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="As for lm_eval.")] = None,
    repeat: Annotated[
        int,
        typer.Option(
            min=0,
            help="Of advice: judge every answer so many times more, for the judge's reliability.",
        ),
    ] = 0,
    rule_based: Annotated[
        bool,
        typer.Option(
            "--rule-based",
            help="Of advice: the rule-based matcher, no model; for tests and demonstrations.",
        ),
    ] = False,
    name_judge: Annotated[
        bool,
        typer.Option(
            "--name-judge",
            help="Of advice: MODEL (judged by JUDGE) as a name, to analyse several judges at once.",
        ),
    ] = False,
    corrections: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.jsonl",
            help="Of judged advice: a person's verdicts in the place of the judge's; no model.",
        ),
    ] = None,
    dataset: TextsDatasetOption = None,
    dataset_path: TextsPathOption = None,
    columns: ColumnsOption = None,
    first_index: FirstIndexOption = None,
    exclude_items: ExcludedItemsOption = None,
    force: Annotated[bool, typer.Option("--force", help="Write over runs that are there.")] = False,
) -> None:
    """Read the raw texts of runs by a second model: letters without the key, advice by its rubric
    without the scores.

    The evaluated models are not run. Every verdict is stored in OUTPUT/judge.steps.jsonl: after an
    interruption the same command goes on from there. What is to be checked by hand goes to
    OUTPUT/disagreements.jsonl and, of advice, OUTPUT/flagged.jsonl.
    """
    if (base_url is None) != (model is None) or [
        rule_based, base_url is not None, backend is not None, corrections is not None
    ].count(True) != 1:  # fmt: skip
        raise SafescaleError(
            "name one judge: --base-url http://HOST/v1 --model NAME for a server, or --backend "
            "vllm --model_args pretrained=NAME; of advice also --rule-based, or --corrections FILE"
        )
    if rule_based and repeat:
        raise SafescaleError(
            "the rule-based matcher says the same however often it is asked; leave --repeat out"
        )
    from lm_eval_safescale.judging.advice import (
        FILES,
        JudgedAdvice,
        judge_advice,
        named_by_judge,
        write_judged_advice,
    )
    from lm_eval_safescale.judging.judging import STEPS_FILE, write_judged
    from lm_eval_safescale.judging.judging import judge as judge_runs
    from lm_eval_safescale.runs.store import open_runs

    folder = free_folder(runs, output, "judged", force=force, resumed=FILES)
    if corrections is not None:
        _correct(runs, corrections, folder)
        return
    opened = open_runs(runs)
    if (rule_based or repeat or name_judge) and opened.family.judge is None:
        raise SafescaleError(
            f"{runs}: the answers are of the family {opened.family.name}, whose letters a judge "
            "reads once; leave --repeat, --rule-based and"
            " --name-judge out"
        )
    named = settings_of_texts(
        dataset,
        dataset_path,
        columns=columns,
        first_index=first_index,
        exclude_items=exclude_items,
    )
    data = None if opened.family.judge is None else dataset_of_runs(opened, named)
    with working("loading the judge ...") as told:
        chat: ChatModel | None = None
        if base_url is not None and model is not None:
            from lm_eval_safescale.chat import Endpoint

            chat = Endpoint(
                base_url=base_url, model=model, concurrency=concurrency, timeout=timeout
            )
        elif not rule_based:
            from lm_eval_safescale.harness.chat import load_chat_model

            chat = load_chat_model(backend or "", model_args, batch_size=batch_size, device=device)
        progress = _Progress(told, "texts judged" if data is None else "replies of the judge")
        steps = folder / STEPS_FILE
        how: dict[str, Any] = {
            "max_tokens": max_tokens,
            "overwrite": force,
            "on_progress": progress,
        }
        judged: Judged | JudgedAdvice
        if data is not None:
            judged = judge_advice(opened, data, chat, steps, repeats=repeat, **how)
        else:
            assert chat is not None
            judged = judge_runs(opened, chat, steps, **how)
    if isinstance(judged, JudgedAdvice):
        judged = named_by_judge(judged) if name_judge else judged
        write_judged_advice(judged, folder)
        _summary_of_advice(judged, folder)
    else:
        write_judged(judged, folder)
        _summary(judged, folder)


def _correct(runs: Path, path: Path, folder: Path) -> None:
    from lm_eval_safescale.judging.advice import write_judged_advice
    from lm_eval_safescale.judging.corrections import changes_of, correct_from
    from lm_eval_safescale.runs.store import open_runs

    corrected, by_hand = correct_from(runs, path, folder)
    write_judged_advice(corrected, folder)
    changes = changes_of(by_hand, open_runs(runs))
    say(f"{folder}: {counted(len(by_hand), 'verdict')} by hand", style="bold")
    say(f"{changes['other']:>9,}  other than the judge's")
    say(f"{changes['same']:>9,}  the judge's")
    if by_hand.empty:
        complain(f"{counted(by_hand.empty, 'line')} of {path} without a verdict: left as they are")


class _Progress:
    """Tells how many texts are read, or replies made; marks every half minute."""

    def __init__(self, told: Progress, what: str) -> None:
        self._told, self._what = told, what
        self._started = self._said = time.monotonic()

    def __call__(self, now: BuildProgress, before: int) -> None:
        done = before + now.asked
        damaged = (
            f", {counted(now.damaged, 'damaged line')} of an earlier start: asked again"
            if now.damaged
            else ""
        )
        line = f"{done:,} {self._what}, {time.monotonic() - self._started:,.0f} s{damaged}"
        mark = time.monotonic() >= self._said + EVERY
        if mark:
            self._said = time.monotonic()
        self._told(line, mark=mark)


WHAT_OF_ADVICE = {
    "judged": "judged",
    "failed": "the judge failed: no verdicts; not scored",
    "empty": "says nothing: scored as no actions, without a judge",
    "truncated": "stopped inside the reasoning: scored as no actions, without a judge",
}
WHAT_OF_VERDICTS = {
    "flagged": ("judged answers with text that addresses the judge: flagged.jsonl", True),
    "options": ("verdicts on options", False),
    "overrides": ("  of them the review overrode: disagreements.jsonl", False),
    "unreviewed": ("  of them the review did not mention", True),
    "review_failed": ("  of them had no review, which failed: stage 1 stands", True),
    "matched_by_no_action": (
        "  of them are matched by no action: recall knows them, precision not",
        False,
    ),
    "repeats_failed": ("further judgings of an answer that failed", True),
}


def _summary_of_advice(judged: JudgedAdvice, folder: Path) -> None:
    from lm_eval_safescale.analysis.unjudged import cut_by_limit

    report = judged.report
    say(f"{folder}: {report['answers']:,} answers", style="bold")
    say(
        f"{report['texts']:,} different answers; {report['steps'] - report['steps_known']:,} "
        f"replies of the judge now, {report['steps_known']:,} before"
    )
    for name, count in judged.counts.items():
        if count:
            alarm = name in ("failed", "no_text")
            say(f"{count:>9,}  {(WHAT | WHAT_OF_ADVICE)[name]}", style="red" if alarm else None)
    if cut := sum(cut_by_limit(judged.runs).values()):
        say(f"{cut:>9,}  answers that ended at their limit of tokens, judged as they stand")
    for name, (said, alarm) in WHAT_OF_VERDICTS.items():
        if report.get(name):
            say(f"{report[name]:>9,}  {said}", style="red" if alarm else None)
    _say_reasons(report)
    _say_reliability(judged.runs)
    if judged.counts["failed"]:
        complain("with --force, the same command asks again where the judge gave no reply")
    _refuse_unfair(judged.counts)


def _say_reliability(runs: Runs) -> None:
    """How far the judge agrees with itself, where it was asked again."""
    from lm_eval_safescale.analysis.study import Study
    from lm_eval_safescale.families.judge import RELIABILITY
    from lm_eval_safescale.stats.presets import DEFAULT

    family = runs.family
    for row in family.tables[RELIABILITY].make(Study(runs), DEFAULT):
        if row["metric"] is None:
            kappa = "not defined" if row["kappa"] is None else f"{row['kappa']:.3f}"
            flips = "none" if row["flips"] is None else f"{row['flips']:.1%}"
            say(
                f"{row['model']}, {row['condition']}: judged again, {flips} of {row['n']:,} "
                f"verdicts differ; kappa {kappa}"
            )
        elif row["metric"] in family.headlines and row["value"] is not None:
            say(
                f"  {row['metric']} {row['value']:.3f}, again {row['again']:.3f}; moved by "
                f"{row['moved']:.3f} at most"
            )


def _summary(judged: Judged, folder: Path) -> None:
    report = judged.report
    say(f"{folder}: {report['answers']:,} answers", style="bold")
    shown = report["texts_asked"] - report["texts_known"]
    say(f"{shown:,} different texts were shown to the judge now, {report['texts_known']:,} before")
    for name, count in judged.counts.items():
        if count:
            alarm = name in ("refused", "failed", "no_text")
            say(f"{count:>9,}  {WHAT[name]}", style="red" if alarm else None)
    say(
        f"{report['disagreements']:>9,}  read otherwise than before, or refused: "
        "disagreements.jsonl, to be checked by hand"
    )
    _say_reasons(report)
    if report["texts_unheard"]:
        complain(
            f"{report['texts_unheard']:,} texts had no reply; with --force, the same command asks "
            "for them again"
        )
    _refuse_unfair(judged.counts)


def _say_reasons(report: Mapping[str, Any]) -> None:
    """Answers without a verdict by model, and why."""
    for each in report["without_verdict_by_model"]:
        say(f"  {each['model']}: {each['rows']:,} {each['verdict']}", style="red")
    reasons = report["reasons"]
    for each in reasons[:MOST_REASONS]:
        say(f"  {each['rows']:,} times: {each['reason']}", style="red")
    if len(reasons) > MOST_REASONS:
        say(f"  and {len(reasons) - MOST_REASONS} more reasons (verdicts.parquet)", style="red")


def _refuse_unfair(counts: Mapping[str, int]) -> None:
    """Exit status 1 where too much is left without a verdict."""
    if counts["failed"] > sum(counts.values()) * MOST_FAILED:
        complain(
            f"more than {MOST_FAILED:.0%} of the answers have no verdict: what is left is no fair "
            "sample, do not rest rates on it"
        )
        raise typer.Exit(1)
