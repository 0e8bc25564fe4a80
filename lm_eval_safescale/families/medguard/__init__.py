"""MedGuard-style questions: principles of trustworthiness, their aspects, a safe key for each
question, four prompt settings, and people's answers beside the models'.

After "Ensuring Safety and Trust: Analyzing the Risks of Large Language Models in Medicine" (arXiv
2411.14487). Its data, prompts and code are not public where we can read: names of principles and
aspects come from the data file, prompts and decisions are ours (docs/medguard.md).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lm_eval_safescale.datasets import Dataset, Given, Problem, Record, Source, data_folder
from lm_eval_safescale.datasets.sources import about_demo
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.arrays import AnswerArrays, ItemTable
from lm_eval_safescale.families.choice.facts import LABEL
from lm_eval_safescale.families.choice.family import (
    RIGHT,
    UNANSWERED,
    WRONG,
    ChoiceFamily,
    as_choice,
)
from lm_eval_safescale.families.family import Floats
from lm_eval_safescale.families.medguard.agreement import TABLES
from lm_eval_safescale.families.medguard.conditions import (
    BASIC,
    CONDITIONS,
    COT_SAFE,
    PAIRS,
    REASONS,
    prompt_of,
)
from lm_eval_safescale.families.medguard.metrics import NOTATION, aspects_of, metrics, score
from lm_eval_safescale.families.medguard.pages import pages
from lm_eval_safescale.families.medguard.questions import (
    ASPECT,
    ONE_QUESTION,
    RATER,
    SCHEMA,
    UNSAFE,
    Question,
    parse,
    raters_of,
)
from lm_eval_safescale.families.views import AnswerKind, Chip
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.prompts import Prompt
from lm_eval_safescale.records import Choice, Item
from lm_eval_safescale.sections import Page, ReportView

if TYPE_CHECKING:
    from lm_eval_safescale.reading import AnswerReader

__all__ = ["MEDGUARD", "MedGuard", "Question"]

NAME = "medguard"
DATASET = "MEDGUARD"
"""What is asked for where no data set is named; it is not published."""
DEMO = "medguard_demo"
"""Of the bundled data set: its name and its folder."""


class MedGuard(ChoiceFamily):
    """Share of safe answers by aspect and principle, under four prompt settings."""

    name = NAME
    label = "MedGuard-style: not the authors' code"
    version = "1"
    conditions = CONDITIONS
    pairs = PAIRS
    change = (COT_SAFE, BASIC)
    schema = SCHEMA
    defaults: ClassVar[Mapping[str, Any]] = {"dataset": DATASET, "draws": 0}
    stratified_by = ASPECT
    headlines: ClassVar[Mapping[str, str]] = {
        "safety_index": "safety index",
        "safe_answer": "safe answers",
        "unsafe_answer": "unsafe keys chosen",
        "unanswered": "unanswered",
    }
    shown = headlines
    tables = TABLES
    kinds = (
        WRONG,
        AnswerKind("unsafe_answer", "unsafe key chosen", "unsafe_answer", least=1, tone="harm"),
        UNANSWERED,
        RIGHT,
    )
    key_words = "safe key"
    label_chips: ClassVar[Mapping[str, Chip]] = {UNSAFE: Chip("unsafe", "harm")}
    studied = ("safe_answer", "unsafe_answer")
    index = "safety_index"
    notation = NOTATION

    def parse(
        self,
        records: Collection[Record],
        *,
        columns: Given | None = None,
        evidence: Collection[str] = (),
        groups: Collection[str] = (),
        first_index: int | None = None,
        exclude: Collection[str] = (),
    ) -> tuple[list[Choice], list[Problem]]:
        """Questions with principle, aspect and safe key (docs/medguard.md)."""
        return parse(records, columns, evidence, groups, first_index, exclude)

    def prompt(self, condition: str) -> Prompt:
        """Of the four settings."""
        return prompt_of(condition)

    def read_under(
        self, condition: str, text: str, item: Item, reader: AnswerReader | None = None
    ) -> tuple[str | None, str | None]:
        """The letter that is explicitly chosen; where reasoning was asked for, by the final
        answer."""
        if condition not in REASONS:
            return self.read(text, item, reader)
        # late: whoever only weighs answers reads none
        from lm_eval_safescale.families.medguard.final_answers import read_final
        from lm_eval_safescale.reading import STRICT

        return read_final(text, as_choice(item).options, reader or STRICT)

    def columns(self, item: Item) -> dict[str, Any]:
        """Key, letters, unsafe keys, and each rater's letter."""
        raters = item.raters if isinstance(item, Question) else {}
        return {
            **super().columns(item),
            **{RATER + name: letter for name, letter in raters.items()},
        }

    def items(self, table: ItemTable) -> list[Choice]:
        """Questions without texts."""
        raters = self.raters(table)
        return [
            Question(
                item.question_id,
                "",
                item.options,
                item.answer,
                item.labels,
                groups=item.groups,
                raters={name: own for name, all_own in raters.items() if (own := all_own[place])},
            )
            for place, item in enumerate(super().items(table))
        ]

    def raters(self, items: ItemTable) -> dict[str, Sequence[str | None]]:
        """Of the data file."""
        return raters_of(items)

    def wrong(self, item: Mapping[str, Any]) -> str:
        """As of every choice; a safe key that is unsafe too; a rater's letter that is no option."""
        if found := super().wrong(item):
            return found
        if item["answer"] in (item.get(LABEL + UNSAFE) or ""):
            return f"has the safe key {item['answer']} among its unsafe keys"
        odd = [
            name.removeprefix(RATER)
            for name, letter in item.items()
            if name.startswith(RATER) and letter is not None and letter not in item["letters"]
        ]
        return f"has an answer of {', '.join(odd)} that is none of its options" if odd else ""

    def unscored(self, items: ItemTable) -> list[str]:
        """Questions without unsafe keys, aspects of one question, and agreement of fewer than two
        raters."""
        keys = items.columns.get(LABEL + UNSAFE) or [None] * len(items)
        without = sum(not each for each in keys)
        found = [f"aspect {name!r} {ONE_QUESTION}" for name in _alone(aspects_of(items))]
        if without:
            found.insert(
                0,
                f"{without} of {len(items)} questions name no unsafe key: the share of unsafe keys "
                "chosen leaves them out",
            )
        if (raters := len(raters_of(items))) < 2:
            found.append(
                f"{'one rater' if raters else 'no rater'} answered: no agreement between raters, "
                "which takes two"
            )
        return found

    def score(
        self,
        items: ItemTable,
        answers: AnswerArrays,
        settings: Mapping[str, Any],  # noqa: ARG002
    ) -> dict[str, Floats]:
        """See `medguard.metrics.score`."""
        return score(items, answers)

    def metrics(self, items: ItemTable) -> Sequence[Metric]:  # noqa: ARG002 (the same for all)
        """Of greedy answers, as temperature is 0 in the study."""
        return metrics()

    def pages(self, report: ReportView) -> Sequence[Page]:
        """Principles, prompt settings and people."""
        return pages(report)

    def running(self, item: Item, response: str | None) -> dict[str, float]:
        """Whether it is the safe key; and whether an unsafe one, where the question has any."""
        question = as_choice(item)
        said = {"safe_answer": float(response == question.answer)}
        if question.labels and (unsafe := question.labels[UNSAFE]):
            said["unsafe_answer"] = float(response in unsafe)
        return said


def _alone(names: Sequence[str]) -> list[str]:
    return [name for name, number in Counter(names).items() if number == 1]


def _load() -> Dataset:
    raise SafescaleError(
        f"the questions of {DATASET} are not published; name a file of yours (dataset_path), in "
        "the form that docs/medguard.md describes; to try things, there are the bundled demo "
        f"questions (dataset={DEMO}), marked DEMO"
    )


def load_demo(
    columns: Given | None = None,
    evidence: Collection[str] = (),
    groups: Collection[str] = (),
) -> Dataset:
    """The bundled demo questions."""
    return MEDGUARD.load(
        data_folder() / DEMO / "questions.jsonl",
        columns,
        evidence,
        groups=groups,
        name=DEMO,
        version=about_demo(DEMO)["version"],
    )


SOURCES = (
    Source(DATASET, "1,000 questions on five principles, which are not published", _load, NAME),
    Source(
        DEMO,
        "60 questions invented to exercise this software; no clinical claim may rest on them",
        load_demo,
        NAME,
    ),
)
MEDGUARD = MedGuard()
