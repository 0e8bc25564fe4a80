"""The family: how an item is asked, what an output says, and what that is worth."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from lm_eval_safescale.contexts import Condition
from lm_eval_safescale.datasets import Given, Problem, Record
from lm_eval_safescale.families import NO_RESPONSE, UNSCORED, AnswerArrays, Family, ItemTable
from lm_eval_safescale.families.views import AnswerKind, Chip, ItemView, OptionView
from lm_eval_safescale.metrics import Metric, mean, share
from lm_eval_safescale.prompts import Prompt
from lm_eval_safescale.reading import AnswerReader
from lm_eval_safescale.records import Item
from lm_eval_safescale.sections import Page, ReportView
from safescale_sct.items import ANSWERS, Script, parse
from safescale_sct.pages import pages

PROMPT = Prompt(
    system=(
        "You take a script concordance test. Reply with one number and nothing else: -2 if the new "
        "finding rules the hypothesis out or nearly so, -1 if it makes it less likely, 0 if it "
        "changes nothing, +1 if it makes it more likely, +2 if it makes it certain or nearly so."
    ),
    user=(
        "{context}\n\nCase: {case}\n\nHypothesis: {hypothesis}\n\nNew finding: {finding}\n\n"
        "Answer (-2, -1, 0, +1 or +2):"
    ),
)
NUMBER = re.compile(r"(?<![\w.,+\-\u2212\u2013/])([+\-\u2212\u2013]?)\s?([0-2])(?![\w/]|[.,]\d)")
MEANINGS = {
    "-2": "ruled out or nearly so",
    "-1": "less likely",
    "0": "unchanged",
    "+1": "more likely",
    "+2": "certain or nearly so",
}
LARGEST = np.array([abs(int(answer)) for answer in ANSWERS])
"""How far each answer is from 0."""


class ScriptConcordance(Family):
    """Answers from -2 to +2, weighed by a panel."""

    name = "sct"
    label = "Script concordance test"
    version = "1"
    conditions = (Condition("sct", "a case, a hypothesis and a new finding"),)
    defaults: ClassVar[Mapping[str, Any]] = {"dataset": "sct-examples"}
    vocabulary = ANSWERS
    headlines: ClassVar[Mapping[str, str]] = {
        "credit": "credit",
        "over_reaction": "over-reaction",
        "under_reaction": "under-reaction",
        "unanswered": "unanswered",
    }
    shown = headlines
    rates = tuple(headlines)
    studied = tuple(headlines)
    index = "credit"
    notation = (
        "g: the greedy answer, null where none could be read; n: the experts who gave an answer; "
        "max n: those who gave the commonest; [...] is 1 where it holds, else 0"
    )
    kinds = (
        AnswerKind("no_credit", "no credit", "credit", most=0),
        AnswerKind("over_reaction", "over-reaction", "over_reaction", least=1, tone="warning"),
        AnswerKind("under_reaction", "under-reaction", "under_reaction", least=1, tone="warning"),
        AnswerKind("unanswered", "not answered", "unanswered", least=1),
        AnswerKind("full_credit", "full credit", "credit", least=1, tone="right"),
    )

    def parse(
        self,
        records: Sequence[Record],
        *,
        columns: Given | None = None,
        evidence: Collection[str] = (),  # noqa: ARG002 (no condition shows any)
        groups: Collection[str] = (),
        exclude: Collection[str] = (),
    ) -> tuple[list[Script], list[Problem]]:
        """`question_id`, `case`, `hypothesis`, `finding`, and `panel`: experts by answer."""
        return parse(records, columns, groups, exclude)

    def prompt(self, condition: str) -> Prompt:  # noqa: ARG002 (there is one)
        """One number, and nothing else."""
        return PROMPT

    def read(
        self,
        text: str,
        item: Item,  # noqa: ARG002
        reader: AnswerReader | None = None,  # noqa: ARG002
    ) -> tuple[str | None, str | None]:
        """The one number from -2 to +2 that stands in the text; none where there are several, or 1
        or 2 without a sign."""
        found = {
            "0" if digit == "0" else ("+" if sign == "+" else "-") + digit
            for sign, digit in NUMBER.findall(text)
            if sign or digit == "0"
        }
        unsigned = any(digit != "0" and not sign for sign, digit in NUMBER.findall(text))
        return (
            (found.pop(), "one number") if len(found) == 1 and not unsigned else (None, "no number")
        )

    def columns(self, item: Item) -> dict[str, Any]:
        """The panel's votes, as JSON: one number for each answer."""
        return {"panel": json.dumps([item.panel.get(answer, 0) for answer in ANSWERS])}

    def items(self, table: ItemTable) -> list[Script]:
        """Items without texts."""
        panels = [
            dict(zip(ANSWERS, json.loads(votes), strict=True)) for votes in table.columns["panel"]
        ]
        return [
            Script(name, "", "", "", panel) for name, panel in zip(table.ids, panels, strict=True)
        ]

    def responses(self, item: Item) -> Sequence[str]:  # noqa: ARG002 (the same for all)
        """All five."""
        return ANSWERS

    def possible(self, item: Mapping[str, Any]) -> Collection[str]:  # noqa: ARG002
        """All five."""
        return ANSWERS

    def shown_item(self, item: Item) -> ItemView:
        """Case, hypothesis and finding; of each answer, how many experts gave it."""
        most = max(item.panel.values())
        options = [
            OptionView(
                answer,
                MEANINGS[answer],
                [
                    Chip(
                        f"{item.panel.get(answer, 0)} of {sum(item.panel.values())} experts",
                        "right" if item.panel.get(answer) == most else "plain",
                    )
                ],
            )
            for answer in ANSWERS
        ]
        texts = [("Hypothesis", item.hypothesis), ("New finding", item.finding)]
        return ItemView(item.question, options, [(name, text) for name, text in texts if text])

    def score(
        self,
        items: ItemTable,
        answers: AnswerArrays,
        settings: Mapping[str, Any],  # noqa: ARG002
    ) -> dict[str, np.ndarray]:
        """Credit in [0, 1]; whether an answer is further from 0 than the panel's commonest, or
        nearer to it.

        Where several answers are commonest, further is further than all of them, and nearer is
        nearer than all. No answer earns no credit, and is no reaction. `sample_credit` is the mean
        credit of the samples, where all of them are known.
        """
        votes = np.array(
            [json.loads(panel) for panel in items.columns["panel"]], dtype=float
        ).reshape(-1, len(ANSWERS))
        commonest = votes == votes.max(axis=1, keepdims=True)
        credits = votes / votes.max(axis=1, keepdims=True)
        furthest = np.where(commonest, LARGEST, -1).max(axis=1)
        nearest = np.where(commonest, LARGEST, 9).min(axis=1)
        place = np.arange(len(votes))[:, None]
        given, known = np.maximum(answers.codes, 0), answers.codes >= 0
        earned = np.where(
            known, credits[place, given], np.where(answers.codes == NO_RESPONSE, 0.0, np.nan)
        )
        greedy, distance = answers.greedy, LARGEST[given[..., 0]]
        scored, chosen = greedy != UNSCORED, known[..., 0]
        samples = earned[..., 1:]
        return {
            "credit": earned[..., 0],
            "over_reaction": np.where(scored, chosen & (distance > furthest), np.nan),
            "under_reaction": np.where(scored, chosen & (distance < nearest), np.nan),
            "unanswered": np.where(scored, greedy == NO_RESPONSE, np.nan),
            "sample_credit": samples.mean(axis=-1)
            if samples.shape[-1]
            else np.full(greedy.shape, np.nan),
        }

    def metrics(self, items: ItemTable) -> Sequence[Metric]:  # noqa: ARG002 (the same for all)
        """Mean credit, and the two ways to be wrong."""
        return (
            mean(
                "credit",
                "experts who gave the answer / experts who gave the commonest",
                higher_is_better=True,
                formula="n(g) / max n, 0 for null",
            ),
            share(
                "over_reaction",
                "answer is further from 0 than the panel's commonest",
                higher_is_better=False,
                formula="[g is further from 0 than every commonest answer]",
            ),
            share(
                "under_reaction",
                "answer is nearer to 0 than the panel's commonest",
                higher_is_better=False,
                formula="[g is nearer to 0 than every commonest answer]",
            ),
            share(
                "unanswered",
                "output holds no answer",
                higher_is_better=False,
                formula="[g is null]",
            ),
            mean(
                "sample_credit",
                "mean credit of the samples",
                higher_is_better=True,
                in_table=False,
                decode="samples",
                formula="n / max n of the samples, 0 for null",
            ),
        )

    def pages(self, report: ReportView) -> Sequence[Page]:
        """Credit, and the two ways to be wrong."""
        return pages(report)

    def running(self, item: Item, response: str | None) -> dict[str, float]:
        """The credit of an answer."""
        return {"credit": item.panel.get(response, 0) / max(item.panel.values())}


SCT = ScriptConcordance()
