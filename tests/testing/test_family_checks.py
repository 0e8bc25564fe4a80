"""The contract of a family finds what breaks it, and names the clause; the template and our own
family keep it.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest

from lm_eval_safescale.contexts import Condition
from lm_eval_safescale.datasets import data_folder
from lm_eval_safescale.families import RADSAFE, Family
from lm_eval_safescale.metrics import mean, share
from lm_eval_safescale.prompts import Prompt
from lm_eval_safescale.testing import ContractError, check_family
from lm_eval_safescale.testing.scaffold import TEMPLATES

spec = importlib.util.spec_from_file_location(
    "family_template", TEMPLATES / "family" / "plugin_name.py"
)
template = importlib.util.module_from_spec(spec)
spec.loader.exec_module(template)
Numbers, RECORDS = template.PluginName, template.RECORDS


def test_the_template_and_radsafe_keep_the_contract():
    check_family(template.PART, RECORDS)
    lines = (
        (data_folder() / "radsafe_demo" / "questions.jsonl")
        .read_text(encoding="utf-8")
        .splitlines()
    )
    check_family(RADSAFE, [json.loads(line) for line in lines[:4]])


class Lacking(Family):
    name, label, version = "lacking", "lacking", "1"
    conditions = (Condition("lacking", "nothing"),)


def test_a_family_that_lacks_a_part_cannot_be_made_and_says_which():
    with pytest.raises(
        TypeError, match=r"columns.*items.*metrics.*parse.*prompt.*read.*responses.*score"
    ):
        Lacking()


class Raises(Numbers):
    def parse(self, records, **how):
        return super().parse([r for r in records if r.fields["value"] + 1], **how)


class Silent(Numbers):
    def parse(self, records, **how):
        return super().parse(records, **how)[0][:1], []


class Short(template.Estimate):
    def as_dict(self):
        return {"question_id": self.question_id, "question": self.question, "value": self.value}


class Forgets(Numbers):
    def parse(self, records, **how):
        items, problems = super().parse(records, **how)
        return [
            Short(item.question_id, item.question, item.value, item.tolerance) for item in items
        ], problems


class UnknownField(Numbers):
    def prompt(self, condition):
        return Prompt("", "{question} {options}")


class HidesContext(Numbers):
    conditions = (Condition("plugin_name", "passages", "rag"),)

    def prompt(self, condition):
        return Prompt("", "{question}")


class NotCanonical(Numbers):
    def read(self, text, item, reader=None):
        response, rule = super().read(text, item)
        return (response and f"+{response}"), rule


class FailsToRead(Numbers):
    def read(self, text, item, reader=None):
        return str(int(text)), "a number"


class ReadsAnything(Numbers):
    def read(self, text, item, reader=None):
        return super().read(text, item) if text else (0, "nothing")


class SaysMore(Numbers):
    def choosing_nothing(self, item):
        return "I choose nothing."


class Impossible(Numbers):
    def possible(self, item):
        return ()


class OutOfVocabulary(Numbers):
    vocabulary = ("3",)


class NoColumns(Numbers):
    def columns(self, item):
        return {"value": item.value, "tolerance": item.tolerance, "more": {1, 2}}


class LosesColumns(Numbers):
    def items(self, table):
        return [replace(item, tolerance=99) for item in super().items(table)]


class WrongShape(Numbers):
    def score(self, items, answers, settings):
        return {**super().score(items, answers, settings), "right": np.zeros(7)}


class NeverLost(Numbers):
    def score(self, items, answers, settings):
        return {
            name: np.nan_to_num(values)
            for name, values in super().score(items, answers, settings).items()
        }


class KnowsPlaces(Numbers):
    def score(self, items, answers, settings):
        scores = super().score(items, answers, settings)
        return {**scores, "distance": scores["distance"] + np.arange(len(items))}


class OneModel(Numbers):
    def score(self, items, answers, settings):
        scores = super().score(items, answers, settings)
        return {**scores, "distance": scores["distance"] + answers.codes.ndim}


class OutOfRange(Numbers):
    def metrics(self, items):
        return (
            mean("right", "half", "distance", higher_is_better=True, bounds=(0, 0.001)),
            share("unanswered", "", higher_is_better=False),
        )

    def responses(self, item):
        return (str(item.value + 5),)


class NoColumnOfMetric(Numbers):
    def metrics(self, items):
        return (*super().metrics(items), share("wise", "wise", higher_is_better=True))


class UnknownHeadline(Numbers):
    headlines = {"wisdom": "wisdom"}  # noqa: RUF012


class NoPercent(Numbers):
    headlines = {"miles": "miles"}  # noqa: RUF012

    def metrics(self, items):
        return (
            *super().metrics(items),
            mean("miles", "far", "distance", higher_is_better=False, bounds=(0, np.inf)),
        )


class UnknownIndex(Numbers):
    index = "wisdom"


class IndexOfHarm(Numbers):
    index = "unanswered"


class UnknownConfidence(Numbers):
    confidence_column = "wisdom"


class AbstainsByNothing(Numbers):
    abstention = "unanswered < 5 %"


class UnknownPair(Numbers):
    pairs = (("plugin_name", "elsewhere"),)


class ReadsOtherwise(Numbers):
    def read_under(self, condition, text, item, reader=None):
        return None, "never"


class RaterBeyondTheScale(Numbers):
    vocabulary = tuple(map(str, range(10)))

    def responses(self, item):
        return ("1",)

    def read(self, text, item, reader=None):
        return (text, "digit") if text in self.vocabulary else (None, "none")

    def raters(self, items):
        return {"Ann": ["1", None], "Ben": ["2", "x"]}


class RaterOfOneItem(Numbers):
    def raters(self, items):
        return {"Ann": ["1"]}


class NoLabel(Numbers):
    label = " "


class NoCondition(Numbers):
    conditions = ()


@pytest.mark.parametrize(
    ("broken", "clause"),
    [
        (NoLabel, "has a label and a version"),
        (NoCondition, "has a condition"),
        (Raises, "names what is wrong with a record as a Problem, and raises nothing"),
        (Silent, "reads whole records without a problem"),
        (Forgets, "reads an item again from what a log"),
        (UnknownField, "has a prompt for each condition, with fields that its items give"),
        (HidesContext, "shows the context under every condition that has one"),
        (NotCanonical, "reads a response, given as its canonical text, as itself"),
        (FailsToRead, "reads any output, as a text that is possible or as None"),
        (SaysMore, "reads what it has the control choose-nothing reply"),
        (ReadsAnything, "reads any output, as a text that is possible or as None"),
        (Impossible, "calls its own responses possible, and has them in its vocabulary"),
        (OutOfVocabulary, "calls its own responses possible, and has them in its vocabulary"),
        (NoColumns, "its columns are texts, numbers or lists of them"),
        (LosesColumns, "its items without texts have the same columns"),
        (ReadsOtherwise, "reads a response, given as its canonical text, as itself"),
        (RaterBeyondTheScale, "gives for each rater a response to every item"),
        (RaterOfOneItem, "gives for each rater a response to every item .*: Ann"),
        (WrongShape, "scores answers: one number an item"),
        (NeverLost, "what was not answered at all is not scored"),
        (KnowsPlaces, "an item's score does not depend on the order of the items"),
        (OneModel, "scores several models at once as each alone"),
        (OutOfRange, "scores answers: one number an item"),
        (NoColumnOfMetric, "scores answers: one number an item, nan for not scored: .*wise"),
        (UnknownHeadline, "`headlines` are metrics of its own: wisdom"),
        (NoPercent, "`headlines` are fractions, with bounds of 0 and 1: they are shown in percent"),
        (UnknownIndex, "`index` is a metric of its own .* and higher is better: wisdom"),
        (IndexOfHarm, "`index` is a metric of its own .* and higher is better: unanswered"),
        (UnknownConfidence, "`confidence_column` is a score of its own .*: wisdom"),
        (AbstainsByNothing, "`abstention` is an upper limit on a share of its own, with a"),
        (UnknownPair, "`pairs` are conditions of its own: elsewhere"),
    ],
)
def test_what_breaks_the_contract_is_named(broken, clause):
    with pytest.raises(ContractError, match=clause.replace("(", r"\(")) as found:
        check_family(broken(), RECORDS)
    assert str(found.value).startswith("family 'plugin_name': ")
