"""One case as data: the item as a reader sees it, what stood above it, and every answer to it. It
knows no page and no screen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lm_eval_safescale.analysis import Study
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import Family
from lm_eval_safescale.families.cells import Cell
from lm_eval_safescale.families.rows import number
from lm_eval_safescale.families.views import AnswerKind, ItemView, ResponseView
from lm_eval_safescale.records import Context, Item
from lm_eval_safescale.report.texts import Found, find_texts
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.store import open_item
from lm_eval_safescale.settings import Settings
from lm_eval_safescale.words import meant


@dataclass(frozen=True, slots=True)
class CaseAnswer:
    """What a model answered under a condition."""

    model: str
    condition: str
    response: str | None
    """As the family shows it; None where the greedy answer has none, or is missing."""
    status: str
    """Of the greedy answer; `missing` where there is none."""
    rule: str | None
    """That read it."""
    text: str | None
    """The raw output; None where it was not stored."""
    kinds: tuple[AnswerKind, ...]
    sure: float | None
    """How sure it is, from 0 to 1 (`Family.confidence_column`); None where that is not known."""
    samples: tuple[tuple[str, int], ...]
    """What the samples say, or their status, and how many of them do; the commonest first."""
    told: ResponseView | None
    """What the family tells of the greedy response besides."""
    context_sha256: str | None
    """Of what stood above the question; None for nothing, or not known."""


@dataclass(frozen=True)
class Case:
    """An item with its answers, by condition and model."""

    question_id: str
    groups: Mapping[str, str]
    unit: str
    """With which it belongs together; empty for none."""
    is_demo: bool
    view: ItemView
    """Without texts where these are not at hand."""
    found: Found
    answers: tuple[CaseAnswer, ...]
    conditions: Mapping[str, str] = field(default_factory=dict)
    """Those of the answers in order, with the words for them."""

    @property
    def contexts(self) -> dict[str, Context]:
        """What stood above the question, by condition, where it is at hand."""
        made = self.found.contexts
        return {
            condition: context
            for condition in self.conditions
            if condition in made
            and (context := made[condition].contexts.get(self.question_id)) is not None
        }


def case_of(
    folders: Sequence[Path],
    question_id: str,
    *,
    models: Sequence[str] = (),
    conditions: Sequence[str] = (),
    named: Settings | None = None,
    contexts: Sequence[Path] = (),
) -> Case:
    """A case from folders of runs.

    Parameters
    ----------
    models, conditions
        Whose answers; none for all.
    named, contexts
        Where the items' texts are, and what stood above them (`report.texts`).

    Raises
    ------
    SafescaleError
        As `open_item`; and for a model or condition that answered nothing here.
    """
    runs = open_item(folders, question_id)
    for what, given, known in (
        ("model", models, runs.models),
        ("condition", conditions, runs.conditions),
    ):
        for name in given:
            if name not in known:
                raise SafescaleError(
                    f"no answer of the {what} {name!r:.200} to item {question_id!r:.200}"
                    f"{meant(name[:200], known)}"
                )
    study, found = Study(runs, _threshold_of(runs)), find_texts(runs, named, contexts)
    (bare,) = runs.family.items(study.items)
    items = found.dataset or ()
    item = next((each for each in items if each.question_id == question_id), bare)
    rows = _rows(runs)
    answers = tuple(
        _answer(study, cell, rows[cell.model, cell.condition], item)
        for condition in study.conditions
        for model in runs.models
        if (cell := study.scores.get((model, condition))) is not None
        and (not models or model in models)
        and (not conditions or condition in conditions)
    )
    there = {answer.condition for answer in answers}
    labels = {each.name: each.label for each in runs.family.conditions}
    return Case(
        question_id,
        {name: str(own[0]) for name, own in study.items.groups.items() if own[0] is not None},
        study.items.units[0] if study.items.units else "",
        bool(runs.about.get("dataset", {}).get("demo")),
        runs.family.shown_item(item),
        found,
        answers,
        {name: labels.get(name) or name for name in study.conditions if name in there},
    )


def _threshold_of(runs: Runs) -> float | None:
    """That of one of the runs, where they have several: kinds of answers are then by the lowest."""
    name = runs.family.threshold
    known = runs.about.get("models", {}).values()
    told = {each["settings"][name] for each in known if each.get("settings", {}).get(name)}
    return min(map(float, told)) if name and len(told) > 1 else None


def _rows(runs: Runs) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The answers of each model under each condition, by draw."""
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in runs.answers.sort("draw").iter_rows(named=True):
        rows.setdefault((row["model"], row["condition"]), []).append(row)
    return rows


def _answer(study: Study, cell: Cell, rows: Sequence[Mapping[str, Any]], item: Item) -> CaseAnswer:
    family = study.family
    greedy: Mapping[str, Any] = next((row for row in rows if row["draw"] == 0), {})
    samples = Counter(_said(family, row) for row in rows if row["draw"])
    sure = cell.values.get(family.confidence_column) if family.confidence_column else None
    kinds = [
        kind for kind in family.kinds if kind.column in cell.values and kind.holds(cell.values)[0]
    ]
    response = greedy.get("response")
    return CaseAnswer(
        cell.model,
        cell.condition,
        None if response is None else family.shown_response(response),
        greedy.get("status", "missing"),
        greedy.get("rule"),
        greedy.get("text"),
        tuple(kinds),
        None if sure is None else number(sure[0]),
        tuple(samples.most_common()),
        None if response is None else family.told_of(item, response),
        greedy.get("context_fingerprint"),
    )


def _said(family: Family, row: Mapping[str, Any]) -> str:
    response = row["response"]
    return str(row["status"]) if response is None else family.shown_response(response)
