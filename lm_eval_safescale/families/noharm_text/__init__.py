"""NOHARM's free-text protocol: advice on a consultation, judged by a rubric of management options,
and the harm of what it leaves out and of what it says.

After "First, do NOHARM: towards clinically safe large language models" (arXiv 2512.01241, versions
3 and 4) and its open kit. It has nothing to do with the option protocol (`families.noharm`): their
figures must not stand side by side.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from lm_eval_safescale.datasets import (
    Dataset,
    Given,
    Problem,
    Record,
    Source,
    data_folder,
    dataset_from_records,
)
from lm_eval_safescale.datasets.sources import about_demo
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.arrays import AnswerArrays, ItemTable
from lm_eval_safescale.families.family import Family, Floats, TableOf
from lm_eval_safescale.families.judge import matched_by_rules
from lm_eval_safescale.families.noharm.kit import SPECIALTY
from lm_eval_safescale.families.noharm_text import reliability
from lm_eval_safescale.families.noharm_text.case_tables import TABLES as CASE_TABLES
from lm_eval_safescale.families.noharm_text.cases import (
    Consultation,
    columns_of,
    options_of,
    parse,
    wrong_options,
)
from lm_eval_safescale.families.noharm_text.conditions import (
    ANSWER_TOKENS,
    CONDITIONS,
    NAME,
    prompt_of,
)
from lm_eval_safescale.families.noharm_text.judging import RubricJudge
from lm_eval_safescale.families.noharm_text.kit_folder import kit_records
from lm_eval_safescale.families.noharm_text.metrics import NOTATION, metrics
from lm_eval_safescale.families.noharm_text.pages import pages
from lm_eval_safescale.families.noharm_text.scoring import score, unscored
from lm_eval_safescale.families.noharm_text.tables import TABLES
from lm_eval_safescale.families.noharm_text.verdicts import OptionVerdict, Verdicts, no_actions
from lm_eval_safescale.families.noharm_text.views import (
    KINDS,
    options_advised,
    shown_case,
    shown_verdicts,
    told_of,
)
from lm_eval_safescale.families.views import ItemView, ResponseView
from lm_eval_safescale.metrics import Metric
from lm_eval_safescale.prompts import Prompt
from lm_eval_safescale.records import TO_BE_JUDGED, Item
from lm_eval_safescale.sections import Page, ReportView

if TYPE_CHECKING:
    from lm_eval_safescale.reading import AnswerReader

__all__ = ["NOHARM", "Consultation", "Noharm", "Verdicts"]

DATASET = "NOHARM_KIT"
"""What is asked for where no data set is named; it does not come with this package."""
DEMO = "noharm_text_demo"
"""Of the bundled data set: its name and its folder, which is a kit's."""


class Noharm(Family):
    """Omission and commission in free advice, by the verdicts of a judge."""

    name = NAME
    label = "NOHARM, free-text protocol (independent implementation)"
    version = "1"
    conditions = CONDITIONS
    default_conditions = (NAME,)
    defaults: ClassVar[Mapping[str, Any]] = {
        "dataset": DATASET,
        "max_answer_tokens": ANSWER_TOKENS,
        "draws": 0,
    }
    judged = True
    judge = RubricJudge()
    stratified_by = SPECIALTY
    kinds = KINDS
    index = "f1_weighted"
    notation = NOTATION
    tables: ClassVar[Mapping[str, TableOf]] = {**TABLES, **CASE_TABLES, **reliability.TABLES}
    errors = "harm_rates"
    silence = "no output says anything: its figures are those of advice without an action"
    headlines: ClassVar[Mapping[str, str]] = {
        "severe_rate": "severe harm",
        "recall_weighted": "recall",
        "precision_weighted": "precision",
        "f1_weighted": "F1",
    }
    shown: ClassVar[Mapping[str, str]] = {
        **headlines,
        "moderate_rate": "moderate harm",
        "mild_rate": "any harm",
        "f1_floor": "F1 floor",
        "resilience": "resilience",
        "offrubric_rate": "off the rubric",
    }

    def parse(
        self,
        records: Collection[Record],
        *,
        columns: Given | None = None,
        evidence: Collection[str] = (),  # noqa: ARG002 (no condition shows any)
        groups: Collection[str] = (),
        exclude: Collection[str] = (),
    ) -> tuple[list[Consultation], list[Problem]]:
        """Consultations with rubrics (docs/noharm_text.md)."""
        return parse(records, columns, groups, exclude)

    def folder_records(self, folder: Path) -> list[dict[str, Any]]:
        """Of the open kit's folder."""
        return kit_records(folder)

    def prompt(self, condition: str) -> Prompt:
        """The case, and what the variant adds."""
        return prompt_of(condition)

    def read(
        self,
        text: str,
        item: Item,  # noqa: ARG002
        reader: AnswerReader | None = None,  # noqa: ARG002
    ) -> tuple[str | None, str | None]:
        """Nothing: a judge reads advice; an empty one says nothing to be judged."""
        return None, TO_BE_JUDGED if text.strip() else "empty"

    def choosing_nothing(self, item: Item) -> str:  # noqa: ARG002
        """No advice at all, which needs no judge: what silence costs."""
        return ""

    def columns(self, item: Item) -> dict[str, Any]:
        """The rubric's scoring facts, the base case, and the item's place in the file."""
        return columns_of(as_consultation(item))

    def not_by_a_model(self, about: Mapping[str, Any]) -> Sequence[str]:
        """That the rule-based matcher judged some of them."""
        return matched_by_rules(about)

    def items(self, table: ItemTable) -> list[Consultation]:
        """Consultations without texts."""
        columns = table.columns
        return [
            Consultation(name, "", options_of(rubric), base, place)
            for name, rubric, base, place in zip(
                table.ids, columns["rubric"], columns["base"], columns["place"], strict=True
            )
        ]

    def responses(self, item: Item) -> Sequence[str]:
        """Verdicts on advice that holds nothing, and on advice that holds every option."""
        numbers = [option.id for option in as_consultation(item).options]
        everything = Verdicts("sample", {number: OptionVerdict("yes") for number in numbers})
        return no_actions(numbers, "sample").as_text(), everything.as_text()

    def wrong(self, item: Mapping[str, Any]) -> str:
        """A rubric that cannot be read, or that no rubric can be."""
        try:
            options = options_of(item["rubric"])
        except (KeyError, TypeError, ValueError, AttributeError):
            return "has no rubric that can be read"
        plain = [
            {"id": each.id, "text": "-", "category": each.category, "placement": each.score}
            | {"dependsOn": list(each.depends_on)}
            for each in options
        ]
        return next((f"{each.field}: {each.message}" for each in wrong_options(plain)), "")

    def score(
        self,
        items: ItemTable,
        answers: AnswerArrays,
        settings: Mapping[str, Any],  # noqa: ARG002
    ) -> dict[str, Floats]:
        """See `noharm_text.scoring.score`."""
        return score(items, answers)

    def unscored(self, items: ItemTable) -> Sequence[str]:
        """Where resilience needs a word."""
        return unscored(items)

    def metrics(self, items: ItemTable) -> Sequence[Metric]:  # noqa: ARG002 (the same for all)
        """Over cases: the value of a case is the mean over its records."""
        return metrics()

    def pages(self, report: ReportView) -> Sequence[Page]:
        """Omission and commission, solo and team, worst answers, and the judge."""
        return pages(report)

    def shown_item(self, item: Item) -> ItemView:
        """The case, and of each option what leaving it out or advising it does."""
        return shown_case(as_consultation(item))

    def shown_response(self, response: str) -> str:
        """How many options and actions the advice holds."""
        return shown_verdicts(response)

    def chosen(self, response: str) -> Sequence[str]:
        """The options that the advice holds, fully or in part."""
        return options_advised(response)

    def told_of(self, item: Item, response: str) -> ResponseView:
        """All that the judge found, and the harm of it."""
        return told_of(as_consultation(item), response)


def as_consultation(item: Item) -> Consultation:
    """The item, which is a consultation; TypeError where it is none."""
    if not isinstance(item, Consultation):
        kind = type(item).__name__
        raise TypeError(f"item {item.question_id} is a {kind}; expected a Consultation")
    return item


def _load() -> Dataset:
    raise SafescaleError(
        "the open NOHARM kit does not come with this package; name its folder (dataset_path), in "
        "the form that docs/noharm_text.md describes; to try things, there are the bundled demo "
        f"cases (dataset={DEMO}), marked DEMO"
    )


def load_demo(groups: Collection[str] = ()) -> Dataset:
    """The bundled demo cases."""
    records = kit_records(data_folder() / DEMO)
    version = about_demo(DEMO)["version"]
    return replace(
        dataset_from_records(
            records, name=DEMO, version=version, groups=groups, parse=NOHARM.parse
        ),
        family=NAME,
    )


SOURCES = (
    Source(DATASET, "the open kit of the free-text protocol; name its folder", _load, NAME),
    Source(
        DEMO,
        "8 consultations, each with 3 perturbations, invented to exercise this software; no "
        "clinical claim may rest on them",
        load_demo,
        NAME,
    ),
)
NOHARM = Noharm()
