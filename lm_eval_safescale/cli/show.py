"""`safescale show`: one case with every answer to it, as the report's case browser has it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lm_eval_safescale.cli.options import (
    ColumnsOption,
    ContextsOption,
    ExcludedItemsOption,
    FirstIndexOption,
    TextsDatasetOption,
    TextsPathOption,
    settings_of_texts,
)
from lm_eval_safescale.cli.screen import say
from lm_eval_safescale.command_line import said

if TYPE_CHECKING:
    from lm_eval_safescale.families.views import Chip, ResponseView
    from lm_eval_safescale.report.cases.one import Case, CaseAnswer

SIGNS = {"harm": "▲ ", "warning": "△ ", "right": "✓ ", "plain": ""}
STYLES = {"harm": "red", "warning": "yellow", "right": "green", "plain": None}
WIDTH = 110
MOST_TEXTS = 12
"""Answers beyond which their raw texts are left to a narrower question."""
MOST_CHARACTERS = 20_000
"""Of a raw text; the report has all of it."""
MOST_SAMPLES = 6


def show(
    runs: Annotated[list[Path], typer.Argument(metavar="RUNS...", help="Folders of runs.")],
    item: Annotated[str, typer.Argument(metavar="ITEM", help="The id of a question or case.")],
    model: Annotated[
        list[str] | None,
        typer.Option(help="Answers of this model alone; may be given more than once."),
    ] = None,
    condition: Annotated[
        list[str] | None,
        typer.Option(help="Answers under this condition alone; may be given more than once."),
    ] = None,
    dataset: TextsDatasetOption = None,
    dataset_path: TextsPathOption = None,
    columns: ColumnsOption = None,
    first_index: FirstIndexOption = None,
    exclude_items: ExcludedItemsOption = None,
    contexts: ContextsOption = None,
) -> None:
    """One item with its options, labels and evidence, and what each model answered under each
    condition: the response, how it was read, its samples, and the raw text."""
    from lm_eval_safescale.report.cases.one import case_of

    case = case_of(
        runs,
        item,
        models=model or (),
        conditions=condition or (),
        named=settings_of_texts(
            dataset,
            dataset_path,
            columns=columns,
            first_index=first_index,
            exclude_items=exclude_items,
        ),
        contexts=contexts or (),
    )
    _show_item(case)
    _show_contexts(case)
    _show_answers(case)


def _show_item(case: Case) -> None:
    groups = [f"{name} {group}" for name, group in case.groups.items()]
    belongs = [f"unit {case.unit}"] if case.unit and case.unit != case.question_id else []
    where = ", ".join([*groups, *belongs])
    demo = " - DEMO: no clinical claim may rest on it" if case.is_demo else ""
    say(f"{case.question_id}{f'  ({where})' if where else ''}{demo}", style="bold")
    if case.found.dataset is None:
        why = case.found.no_dataset
        say(f"texts not at hand{f': {said(why)}' if why else ''}", style="yellow")
    if case.view.text:
        say(_wrapped(case.view.text))
    for option in case.view.options:
        chips = ", ".join(map(_chip, option.chips))
        text = f" {option.text}" if option.text else ""
        say(f"  {option.key}.{text}" + (f"   <- {chips}" if chips else ""))
    for title, text in case.view.texts:
        say(f"\n{title}:", style="bold")
        say(_wrapped(text))


def _show_contexts(case: Case) -> None:
    for why in case.found.no_contexts:
        say(f"contexts not at hand: {said(why)}", style="yellow")
    for condition, context in case.contexts.items():
        say(f"\nabove it under {condition}, {context.tokens:,} tokens:", style="bold")
        other = [
            answer.model
            for answer in case.answers
            if answer.condition == condition
            and answer.context_sha256 not in (None, context.fingerprint)
        ]
        if other:
            say(f"another context was shown to {', '.join(other)}", style="yellow")
        say(_wrapped(context.text) or "(nothing: the question is asked alone)")


def _show_answers(case: Case) -> None:
    with_texts = len(case.answers) <= MOST_TEXTS
    for condition, words in case.conditions.items():
        say(f"\n{words}" + (f" ({condition})" if words != condition else ""), style="bold")
        for answer in case.answers:
            if answer.condition == condition:
                _show_answer(answer, with_text=with_texts)
    if not with_texts:
        say(
            f"\nRaw texts of {len(case.answers):,} answers are left out; name a --model or a "
            "--condition to read them.",
            style="yellow",
        )


def _show_answer(answer: CaseAnswer, *, with_text: bool) -> None:
    # the gravest first: by it the line has its colour
    tones = [kind.tone for kind in answer.kinds]
    tone = next((each for each in SIGNS if each in tones), "plain")
    kinds = ", ".join(f"{SIGNS[kind.tone]}{kind.words}" for kind in answer.kinds)
    say(
        f"  {answer.model}: {answer.response or answer.status}" + (f"  {kinds}" if kinds else ""),
        style=STYLES[tone],
    )
    if facts := "; ".join(_facts(answer)):
        say(f"    {facts}")
    if answer.told is not None and with_text:
        for line in _told(answer.told):
            say(f"    {line}")
    if with_text:
        for line in _raw(answer.text):
            say(f"    | {line}")


def _facts(answer: CaseAnswer) -> Iterator[str]:
    if answer.rule:
        yield f"read by: {answer.rule}"
    if answer.samples:
        more = len(answer.samples) - MOST_SAMPLES
        drawn = [f"{response or 'nothing'} {times}" for response, times in answer.samples]
        yield f"samples: {', '.join(drawn[:MOST_SAMPLES])}" + (
            f" and {more} more" if more > 0 else ""
        )
    if answer.sure is not None:
        yield f"confidence {answer.sure:.2f}"


def _told(view: ResponseView) -> Iterator[str]:
    yield from view.notes
    for table in view.tables:
        yield f"{table.title}:"
        for row in table.rows:
            cells = [each if isinstance(each, str) else _chip(each) for each in row]
            yield "  " + "; ".join(part for each in cells if each for part in each.split("\n"))


def _raw(text: str | None) -> Sequence[str]:
    if text is None:
        return ["(the raw text was not stored)"]
    if not text:
        return ["(an empty text)"]
    left = len(text) - MOST_CHARACTERS
    lines = text[:MOST_CHARACTERS].split("\n")
    return [*lines, f"... and {left:,} more characters"] if left > 0 else lines


def _chip(chip: Chip) -> str:
    return f"{SIGNS[chip.tone]}{chip.words}"


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.fill(paragraph, WIDTH) for paragraph in text.split("\n"))
