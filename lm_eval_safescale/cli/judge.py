"""`safescale judge`: stored raw texts are read by a second model."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lm_eval_safescale.cli.screen import Progress, complain, say, working
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.chat import ChatModel
    from lm_eval_safescale.contexts import BuildProgress
    from lm_eval_safescale.judging.judging import Judged

MOST_REASONS = 10
MOST_FAILED = 0.05
"""Share of answers without a verdict from which on the command says that it failed."""
EVERY = 30.0
"""Seconds between two lines of progress where no terminal shows it."""
RUNS = Annotated[Path, typer.Argument(help="A folder of runs, as the importers write it.")]
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
    force: Annotated[bool, typer.Option("--force", help="Write over runs that are there.")] = False,
) -> None:
    """Read the raw texts of runs by a second model, which sees the option letters and the text,
    never the key.

    The evaluated models are not run. Every verdict is stored in OUTPUT/judge.steps.jsonl: after an
    interruption the same command goes on from there. Disagreements with the rules go to
    OUTPUT/disagreements.jsonl, for hand checking.
    """
    if (base_url is None) == (backend is None) or (base_url is None) != (model is None):
        raise SafescaleError(
            "name one judge: --base-url http://HOST/v1 --model NAME for a server, or --backend "
            "vllm --model_args pretrained=NAME"
        )
    from lm_eval_safescale.judging.judging import (
        DISAGREEMENTS_FILE,
        STEPS_FILE,
        VERDICTS_FILE,
        write_judged,
    )
    from lm_eval_safescale.judging.judging import judge as judge_runs
    from lm_eval_safescale.runs.store import open_runs

    folder = free_folder(
        runs, output, "judged", force=force, resumed=[STEPS_FILE, VERDICTS_FILE, DISAGREEMENTS_FILE]
    )
    opened = open_runs(runs)
    with working("loading the judge ...") as told:
        chat: ChatModel
        if base_url is not None and model is not None:
            from lm_eval_safescale.chat import Endpoint

            chat = Endpoint(
                base_url=base_url, model=model, concurrency=concurrency, timeout=timeout
            )
        else:
            from lm_eval_safescale.harness.chat import load_chat_model

            chat = load_chat_model(backend or "", model_args, batch_size=batch_size, device=device)
        progress = _Progress(told)
        judged = judge_runs(
            opened,
            chat,
            folder / STEPS_FILE,
            max_tokens=max_tokens,
            overwrite=force,
            on_progress=progress,
        )
    write_judged(judged, folder)
    _summary(judged, folder)


def say_unjudged(folder: Path, number: int) -> None:
    """What is to be done with answers that only a judge can read."""
    runs = shlex.quote(str(folder))
    say(
        f"unjudged     {counted(number, 'answer')} {'waits' if number == 1 else 'wait'} for a "
        "judge; not scored until then",
        style="yellow",
    )
    say(f"Next: safescale judge {runs} --base-url http://HOST/v1 --model JUDGE")


def free_folder(
    runs: Path, output: Path | None, suffix: str, *, force: bool, resumed: Sequence[str] = ()
) -> Path:
    """Where to write; SafescaleError where something would be lost. `resumed`: files that an
    interrupted command has left there."""
    from lm_eval_safescale.runs.store import is_interrupted

    folder = output or runs.resolve().with_name(f"{runs.resolve().name}.{suffix}")
    if folder.resolve() == runs.resolve():
        raise SafescaleError(
            f"{folder}: the runs that are read stand there, and are kept; choose another folder "
            "with -o"
        )
    if folder.exists() and not folder.is_dir():
        raise SafescaleError(f"{folder}: a file; choose another name with -o")
    is_free = (
        not folder.is_dir() or force or {each.name for each in folder.iterdir()} <= set(resumed)
    )
    if not is_free and not is_interrupted(folder, resumed):
        raise SafescaleError(
            f"{folder}: there already, and not empty; choose another folder with -o, or --force to "
            "write over it"
        )
    return folder


class _Progress:
    """Tells how many texts are read; marks every half minute."""

    def __init__(self, told: Progress) -> None:
        self._told, self._started, self._said = told, time.monotonic(), time.monotonic()

    def __call__(self, now: BuildProgress, before: int) -> None:
        done = before + now.asked
        damaged = (
            f", {counted(now.damaged, 'damaged line')} of an earlier start: asked again"
            if now.damaged
            else ""
        )
        line = f"{done:,} texts judged, {time.monotonic() - self._started:,.0f} s{damaged}"
        mark = time.monotonic() >= self._said + EVERY
        if mark:
            self._said = time.monotonic()
        self._told(line, mark=mark)


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
    for each in report["without_verdict_by_model"]:
        say(f"  {each['model']}: {each['rows']:,} {each['verdict']}", style="red")
    reasons = report["reasons"]
    for each in reasons[:MOST_REASONS]:
        say(f"  {each['rows']:,} times: {each['reason']}", style="red")
    if len(reasons) > MOST_REASONS:
        say(f"  and {len(reasons) - MOST_REASONS} more reasons (verdicts.parquet)", style="red")
    if report["texts_unheard"]:
        complain(
            f"{report['texts_unheard']:,} texts had no reply; with --force, the same command asks "
            "for them again"
        )
    if judged.counts["failed"] > sum(judged.counts.values()) * MOST_FAILED:
        complain(
            f"more than {MOST_FAILED:.0%} of the answers have no verdict: what is left is no fair "
            "sample, do not rest rates on it"
        )
        raise typer.Exit(1)
