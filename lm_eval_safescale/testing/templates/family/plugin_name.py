"""A family: questions whose answer is a whole number, right within a tolerance (docs/families.md of
lm-eval-safescale).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from lm_eval_safescale.contexts import Condition
from lm_eval_safescale.datasets import (
    Dataset,
    Source,
    dataset_from_records,
    no_text,
    parse_items,
    shown,
)
from lm_eval_safescale.families import NO_RESPONSE, UNSCORED, Family
from lm_eval_safescale.hookspecs import hookimpl
from lm_eval_safescale.metrics import mean, share
from lm_eval_safescale.prompts import Prompt
from lm_eval_safescale.records import Item


@dataclass(frozen=True, slots=True)
class Estimate(Item):
    """One item: what it adds to the question."""

    value: int
    tolerance: int

    def as_dict(self):
        """All that defines the item: its fields in a data file."""
        return {
            "question_id": self.question_id,
            "question": self.question,
            "value": self.value,
            "tolerance": self.tolerance,
        }


class PluginName(Family):
    """How items are read, asked, answered and weighed. It has no state."""

    name = "plugin_name"
    label = "plugin-name: whole numbers, right within a tolerance"
    version = "1"
    conditions = (Condition("plugin_name", "the question alone"),)
    defaults = {"dataset": "plugin_name_examples"}
    headlines = {"right": "right", "unanswered": "unanswered"}
    shown = headlines
    index = "right"

    def parse(self, records, *, columns=None, evidence=(), groups=()):
        """Items of the records that are whole; a `Problem` for each thing that is wrong with the
        others."""
        return parse_items(records, _estimate, _wrong, columns=columns, groups=groups)

    def prompt(self, condition):
        """Its fields are those of `Item.fields`."""
        return Prompt(
            "Reply with one whole number and nothing else.",
            "{context}\n\nQuestion: {question}\n\nAnswer:",
        )

    def read(self, text, item, reader=None):
        """The response as canonical text, and the rule that read it; in doubt none."""
        found = re.findall(r"(?<![\w.,+-])-?\d{1,9}(?![\w]|[.,]\d)", text)
        return (str(int(found[0])), "one number") if len(found) == 1 else (None, "no number")

    def columns(self, item):
        """What of an item enters its scores, and is stored with the answers."""
        return {"value": item.value, "tolerance": item.tolerance}

    def items(self, table):
        """Items of stored columns, without texts."""
        told = zip(table.ids, table.columns["value"], table.columns["tolerance"], strict=True)
        return [Estimate(name, "", value, tolerance) for name, value, tolerance in told]

    def responses(self, item):
        """A fair sample of the responses that there can be."""
        return (str(item.value), str(item.value + item.tolerance + 1))

    def score(self, items, answers, settings):
        """One number an item, nan for *not scored*; answers come as places in
        `answers.vocabulary`."""
        value, tolerance = (
            np.array(items.columns[name], dtype=float) for name in ("value", "tolerance")
        )
        given = np.array([*map(float, answers.vocabulary), np.nan])[
            np.where(answers.greedy < 0, -1, answers.greedy)
        ]
        scored = answers.greedy != UNSCORED
        distance = np.abs(given - value)
        return {
            "right": np.where(scored, distance <= tolerance, np.nan),
            "distance": distance,
            "unanswered": np.where(scored, answers.greedy == NO_RESPONSE, np.nan),
        }

    def metrics(self, items):
        """Statistics of the scores, in the order of tables."""
        return (
            share("right", "answer is within the tolerance", higher_is_better=True),
            share("unanswered", "output holds no whole number", higher_is_better=False),
            mean(
                "distance",
                "how far answers are from the value",
                higher_is_better=False,
                bounds=(0.0, np.inf),
            ),
        )


def _estimate(fields: Mapping, **shared) -> Estimate:
    """The item of a record; `shared` is what every item has."""
    return Estimate(
        fields["question_id"], fields["question"], fields["value"], fields["tolerance"], **shared
    )


def _wrong(fields: Mapping) -> Iterator[tuple[str, str]]:
    """Fields of a record that cannot be used, with the reason."""
    if problem := no_text(fields.get("question")):
        yield "question", problem
    for name in ("value", "tolerance"):
        value = fields.get(name)
        if (
            isinstance(value, bool)
            or not isinstance(value, int)
            or (name == "tolerance" and value < 0)
        ):
            yield name, f"expected a whole number, found {shown(value)}"


PART = PluginName()
RECORDS = [
    {
        "question_id": "1",
        "question": "How many lobes has the right lung?",
        "value": 3,
        "tolerance": 0,
    },
    {
        "question_id": "2",
        "question": "How many thoracic vertebrae has an adult?",
        "value": 12,
        "tolerance": 0,
    },
    {"question_id": "3", "question": "How many bones has an adult?", "value": 206, "tolerance": 7},
]


def load() -> Dataset:
    """Three questions, to be replaced by yours; or name a file of your own: dataset_path."""
    return dataset_from_records(RECORDS, name="plugin_name_examples", version="1", parse=PART.parse)


@hookimpl
def safescale_register_families(register):
    """Called once. The family's conditions are registered with it."""
    register(PART)


@hookimpl
def safescale_register_datasets(register):
    """Called once."""
    register(
        Source("plugin_name_examples", "three questions, to be replaced by yours", load, PART.name)
    )
