"""The contract of a family, checked on records of its data: that they are read, asked, answered,
stored and weighed as everyone's are.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from random import Random
from typing import Any

import numpy as np

from lm_eval_safescale.datasets import Record
from lm_eval_safescale.families import NO_RESPONSE, UNSCORED, AnswerArrays, Family, ItemTable
from lm_eval_safescale.families.controls import CONTROLS
from lm_eval_safescale.families.family import refuse_out_of_range, scores_of
from lm_eval_safescale.families.raters import answer_of
from lm_eval_safescale.limits import parse_limit
from lm_eval_safescale.prompts import CONTEXT
from lm_eval_safescale.reading import STRICT, read_output
from lm_eval_safescale.records import Answers, Context, Item, Reading, Status
from lm_eval_safescale.testing.clauses import Clauses, registered

ODD_VALUES: tuple[Any, ...] = (
    None,
    "",
    "odd",
    7,
    -1.5,
    True,
    [],
    [None],
    {},
    {"odd": []},
    "\ud800",
    "x" * 5000,
)
ODD_OUTPUTS = (
    "",
    " ",
    "I do not know.",
    "{",
    "[]",
    "null",
    '{"answer": ["1"',
    "\u202e\ufffe",
    "0" * 5000,
    "A\nB\n" * 500,
    "٣",
    "-",
    "1e999",
)
DRAWS = 3


def check_family(family: Family, records: Sequence[Mapping[str, Any]]) -> None:
    """Take records of a data file through everything that the package does with a family.

    Parameters
    ----------
    records
        A few whole records, two or more: as they stand in a data file of the family.

    Raises
    ------
    ContractError
        Naming the clause that the family breaks (`docs/families.md`).
    """
    _, clauses = registered("family", family)
    clauses.require(
        bool(family.label.strip()) and bool(family.version.strip()), "has a label and a version"
    )
    clauses.require(bool(family.conditions), "has a condition")
    clauses.require(len(records) > 1, "is checked on two records or more", f"{len(records)}")
    check = _Check(family, records, clauses)
    check.records()
    check.prompts()
    check.readings()
    check.columns()
    check.scores()
    check.names()
    check.views()


class _Check:
    def __init__(
        self, family: Family, records: Sequence[Mapping[str, Any]], clauses: Clauses
    ) -> None:
        self._family, self._records, self._clauses = family, records, clauses
        self._items: list[Item] = []

    def records(self) -> None:
        """Whole records become items; damaged ones become problems, and nothing worse."""
        clause = "reads whole records without a problem"
        self._items, problems = self._parse(self._records, clause)
        errors = [problem.describe("record") for problem in problems if problem.is_error]
        self._clauses.require(
            not errors and len(self._items) == len(self._records), clause, "; ".join(errors)
        )
        clause = "names what is wrong with a record as a Problem, and raises nothing"
        for damaged in _damaged(self._records[0]):
            self._parse([damaged, *self._records[1:]], clause)
        self._parse([self._records[0], self._records[0]], clause)
        clause = (
            "reads an item again from what a log (`as_doc`) and a file (`as_record`) hold of it"
        )
        for form in ("as_doc", "as_record"):
            written = [json.loads(json.dumps(getattr(item, form)())) for item in self._items]
            again, problems = self._parse(written, clause)
            errors = [problem.describe("record") for problem in problems if problem.is_error]
            same = [self._family.columns(item) for item in again] == [
                self._family.columns(item) for item in self._items
            ]
            self._clauses.require(not errors and same, clause, "; ".join([form, *errors]))

    def _parse(
        self, records: Sequence[Mapping[str, Any]], clause: str
    ) -> tuple[list[Item], list[Any]]:
        with self._clauses.holds(clause):
            items, problems = self._family.parse(
                [Record(line, dict(record)) for line, record in enumerate(records, 1)]
            )
            return list(items), list(problems)

    def prompts(self) -> None:
        """Every condition has a prompt of fields that the items have."""
        clause = "has a prompt for each condition, with fields that its items give"
        for condition in self._family.conditions:
            with self._clauses.holds(clause):
                prompt = self._family.prompt(condition.name)
                for item in self._items:
                    prompt.render(item, Context("TEXT", "check"))
            unknown = set(prompt.fields) - {CONTEXT, *self._items[0].fields()}
            self._clauses.require(
                not unknown, clause, f"{condition.name}: {', '.join(sorted(unknown))}"
            )
            shown = "shows the context under every condition that has one"
            self._clauses.require(
                not condition.builder or prompt.shows_context, shown, condition.name
            )

    def readings(self) -> None:
        """A response as canonical text reads as itself; no output raises."""
        for item in self._items:
            possible = self._family.possible(self._family.columns(item))
            clause = "gives responses that an answer to an item can have"
            with self._clauses.holds(clause):
                responses = tuple(self._family.responses(item))
            self._clauses.require(bool(responses), clause, f"none for item {item.question_id}")
            for response in responses:
                clause = (
                    "leaves every output to the judge, one that is a response too"
                    if self._family.judged
                    else "reads a response, given as its canonical text, as itself"
                )
                read = self._read(response, item, clause)
                expected = {None if self._family.judged else response}
                self._clauses.require(
                    read == expected, clause, f"{response!r} reads as {_shown(read)}"
                )
                clause = "calls its own responses possible, and has them in its vocabulary"
                known = self._family.vocabulary is None or response in self._family.vocabulary
                self._clauses.require(
                    known and (possible is None or response in possible), clause, repr(response)
                )
            for name, reply_of in CONTROLS.items():
                clause = f"reads what it has the control {name} reply"
                with self._clauses.holds(clause):
                    reply = reply_of(self._family, item, Random(0))
                read = set() if reply is None else self._read(reply, item, clause)
                fits = None not in read or self._family.judged
                self._clauses.require(fits, clause, repr(reply))
            clause = "reads any output, as a text that is possible or as None"
            for output in ODD_OUTPUTS:
                read = self._read(output, item, clause)
                fits = all(
                    isinstance(each, str) and (possible is None or each in possible)
                    for each in read - {None}
                )
                self._clauses.require(fits, clause, f"{output[:40]!r} reads as {_shown(read)}")

    def _read(self, text: str, item: Item, clause: str) -> set[str | None]:
        """What a text reads as under any of the conditions."""
        reader = STRICT if self._family.takes_readers else None
        with self._clauses.holds(clause):
            return {
                read_output(
                    text,
                    partial(self._family.read_under, condition.name, item=item, reader=reader),
                    reasoning="off",
                ).response
                for condition in self._family.conditions
            }

    def columns(self) -> None:
        """What is stored of items is enough to weigh answers again, and survives the file."""
        import polars as pl

        table = self._family.table(self._items)
        clause = "its columns are texts, numbers or lists of them, which a table can hold"
        with self._clauses.holds(clause):
            stored = pl.DataFrame(
                {name: list(column) for name, column in table.columns.items()}, strict=False
            )
            again = stored.to_dict(as_series=False)
            same = json.dumps(again) == json.dumps(dict(table.columns))
        self._clauses.require(same, clause, f"{dict(table.columns)} became {again}")
        clause = "its items without texts have the same columns"
        with self._clauses.holds(clause):
            bare = list(self._family.items(table))
            same = [self._family.columns(item) for item in bare] == [
                self._family.columns(item) for item in self._items
            ]
        self._clauses.require(same, clause)
        for item in self._items:
            wrong = self._family.wrong(self._family.columns(item))
            self._clauses.require(
                not wrong, "finds nothing wrong with the columns of its items", wrong
            )
        clause = "gives for each rater a response to every item that it can have, or None"
        with self._clauses.holds(clause):
            raters = self._family.raters(table)
            self._family.arrays([answer_of(each) for own in raters.values() for each in own])
            possible = [self._family.possible(self._family.columns(item)) for item in self._items]
        for rater, responses in raters.items():
            fits = len(responses) == len(self._items) and all(
                response is None or own is None or response in own
                for response, own in zip(responses, possible, strict=True)
            )
            self._clauses.require(fits, clause, rater)

    def scores(self) -> None:
        """Shapes, *not scored*, the order of items, models side by side, and the metrics'
        ranges."""
        family, table = self._family, self._family.table(self._items)
        answers = family.arrays([self._answers(item) for item in self._items])
        clause = "scores answers: one number an item, nan for not scored"
        settings = dict(family.scoring)
        with self._clauses.holds(clause):
            one = scores_of(family, table, answers, settings)
            metrics = list(family.metrics(table))
            refuse_out_of_range(family, metrics, one)
        for metric in metrics:
            missing = [name for name in metric.columns if name not in one]
            self._clauses.require(
                not missing,
                "its metrics are of scores that it gives",
                f"{metric.name}: {', '.join(missing)}",
            )
        clause = "`confidence_column` is a score of its own with values from 0 to 1"
        if family.confidence_column:
            sure = one.get(family.confidence_column, np.array(np.inf))
            known = sure[~np.isnan(sure)]
            fits = bool(((known >= 0) & (known <= 1)).all())
            self._clauses.require(fits, clause, family.confidence_column)
        clause = "`abstention` is an upper limit on a share of its own, with a `confidence_column`"
        if family.abstention:
            harms = {each.name for each in metrics if each.kind == "share"}
            with self._clauses.holds(clause):
                limit = parse_limit(family.abstention)
            fits = limit.metric in harms and limit.sign == "<" and bool(family.confidence_column)
            self._clauses.require(fits, clause, family.abstention)
        clause = "what was not answered at all is not scored (nan), and never 0"
        with self._clauses.holds(clause):
            lost = AnswerArrays(np.full_like(answers.codes, UNSCORED), answers.vocabulary)
            unscored = scores_of(family, table, lost, settings)
        counted = {name for metric in metrics for name in metric.columns}
        odd = [name for name in counted if not np.isnan(unscored[name]).all()]
        self._clauses.require(not odd, clause, ", ".join(sorted(odd)))
        clause = "scores an answer that commits to nothing without failing"
        with self._clauses.holds(clause):
            scores_of(
                family,
                table,
                AnswerArrays(np.full_like(answers.codes, NO_RESPONSE), answers.vocabulary),
                settings,
            )
        clause = "scores several models at once as each alone"
        with self._clauses.holds(clause):
            both = AnswerArrays(np.stack([answers.codes, lost.codes]), answers.vocabulary)
            together = scores_of(family, table, both, settings)
        self._clauses.require(
            _same(one, {name: values[0] for name, values in together.items()}), clause
        )
        clause = "an item's score does not depend on the order of the items"
        with self._clauses.holds(clause):
            turned = family.table(self._items[::-1])
            backwards = scores_of(
                family, turned, AnswerArrays(answers.codes[::-1], answers.vocabulary), settings
            )
        self._clauses.require(
            _same(one, {name: values[::-1] for name, values in backwards.items()}), clause
        )

    def _answers(self, item: Item) -> Answers:
        responses = [Reading(response, Status.OK) for response in self._family.responses(item)]
        return Answers(
            responses[0], tuple(responses[draw % len(responses)] for draw in range(1, 1 + DRAWS))
        )

    def names(self) -> None:
        """What it says of its own metrics and conditions is there."""
        family = self._family
        table: ItemTable = family.table(self._items)
        metrics = {metric.name for metric in family.metrics(table)} | {"latency_s"}
        conditions = {condition.name for condition in family.conditions}
        for name in ("headlines", "shown", "rates", "studied", "spread"):
            unknown = [each for each in getattr(family, name) if each not in metrics]
            self._clauses.require(
                not unknown, f"`{name}` are metrics of its own", ", ".join(unknown)
            )
        fractions = {metric.name for metric in family.metrics(table) if metric.is_fraction}
        odd = [name for name in family.headlines if name not in fractions]
        clause = "`headlines` are fractions, with bounds of 0 and 1: they are shown in percent"
        self._clauses.require(not odd, clause, ", ".join(odd))
        index = [metric for metric in family.metrics(table) if metric.name == family.index]
        fits = not family.index or any(each.is_fraction and each.higher_is_better for each in index)
        clause = "`index` is a metric of its own with bounds of 0 and 1, and higher is better"
        self._clauses.require(fits, clause, family.index)
        pairs = [
            each
            for pair in (*family.pairs, *([family.change] if family.change else []))
            for each in pair
        ]
        for name, named in (
            ("pairs", pairs),
            ("default_conditions", family.default_conditions),
            ("all_conditions", family.all_conditions),
        ):
            unknown = [each for each in named if each not in conditions]
            self._clauses.require(
                not unknown, f"`{name}` are conditions of its own", ", ".join(unknown)
            )
        clause = (
            "what it says of a greedy answer while a run goes on are numbers, by metrics of its own"
        )
        for item in self._items:
            for response in (*family.responses(item), None):
                with self._clauses.holds(clause):
                    said = family.running(item, response)
                    fits = all(
                        name in metrics and np.isfinite(value) for name, value in said.items()
                    )
                self._clauses.require(fits, clause, f"{said}")

    def views(self) -> None:
        """What a reader of cases is shown."""
        family, table = self._family, self._family.table(self._items)
        answers = family.arrays([self._answers(item) for item in self._items])
        clause = "`kinds` have names of their own, and are of scores that it gives"
        with self._clauses.holds(clause):
            scores = scores_of(family, table, answers, dict(family.scoring))
            for kind in family.kinds:
                kind.holds(scores)
        names = [kind.name for kind in family.kinds]
        self._clauses.require(len(set(names)) == len(names), clause, ", ".join(names))
        clause = "shows its items and responses, with and without texts, under keys of options"
        for item in (*self._items, *family.items(table)):
            with self._clauses.holds(clause):
                keys = [option.key for option in family.shown_item(item).options]
                responses = list(family.responses(item))
                words = [family.shown_response(response) for response in responses]
                chosen = {key for response in responses for key in family.chosen(response)}
                told = [family.told_of(item, response) for response in responses]
            known = not keys or chosen <= set(keys)
            self._clauses.require(
                known
                and len(set(keys)) == len(keys)
                and all(isinstance(each, str) for each in words),
                clause,
                item.question_id,
            )
            tables = [table for view in told if view is not None for table in view.tables]
            self._clauses.require(
                all(len(row) == len(table.heads) for table in tables for row in table.rows),
                "tells of a response in tables whose rows have as many cells as heads",
                item.question_id,
            )


def _shown(read: Iterable[str | None]) -> str:
    return " and ".join(map(repr, read))


def _damaged(record: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The record without a field, and with an odd value in the place of one."""
    for name in record:
        yield {field: value for field, value in record.items() if field != name}
        for value in ODD_VALUES:
            yield {**record, name: value}


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        np.array_equal(one[name], other[name], equal_nan=True) for name in one
    )
