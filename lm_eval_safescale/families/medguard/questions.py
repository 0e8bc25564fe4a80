"""Questions on the principles of trustworthy medical models, each with an aspect and a safe key,
and how they are read from a data file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lm_eval_safescale.datasets import Given, Problem, Record, Schema, parse_choices
from lm_eval_safescale.datasets.choices import ChoiceBuilder
from lm_eval_safescale.datasets.columns import GROUP
from lm_eval_safescale.datasets.problems import has_errors
from lm_eval_safescale.families.arrays import ItemTable
from lm_eval_safescale.records import Choice, Item

PRINCIPLE, ASPECT, SAFE, UNSAFE, RATERS = "principle", "aspect", "safe", "unsafe", "raters"
SCHEMA = Schema(
    groups={PRINCIPLE: (), ASPECT: ()},
    needed=(PRINCIPLE, ASPECT),
    fields={"answer": (SAFE, "safe_key"), UNSAFE: ("unsafe_keys",), RATERS: ()},
)
RATER = "rater_"
"""Before a rater's name: the column of an `ItemTable` that holds the letters that were chosen."""
_SEPARATES = re.compile(r"[\s,;]+")


@dataclass(frozen=True, slots=True)
class Question(Choice):
    """One question. `answer` is the safe key; the options with the label `unsafe` are those that
    could do harm, and there is no such label where the file does not say."""

    raters: Mapping[str, str] = field(default_factory=dict, kw_only=True)
    """The letter that each rater chose, by rater; one who did not answer is missing."""

    @property
    def unsafe(self) -> frozenset[str] | None:
        """Letters of the unsafe keys; None where the file does not say."""
        return None if self.labels is None else self.labels[UNSAFE]

    def as_dict(self) -> dict[str, Any]:
        """All that defines the question."""
        unsafe = {} if self.unsafe is None else {UNSAFE: sorted(self.unsafe)}
        return {
            **Item.as_dict(self),
            PRINCIPLE: self.groups.get(PRINCIPLE),
            ASPECT: self.groups.get(ASPECT),
            "options": dict(self.options),
            SAFE: self.answer,
            **unsafe,
            **({RATERS: dict(self.raters)} if self.raters else {}),
        }


class QuestionBuilder(ChoiceBuilder):
    """Reads principle, aspect, unsafe keys and raters' answers besides."""

    labels_every_item = False

    def build(self) -> Question | None:
        """The question; None where a field cannot be used."""
        item = super().build()
        raters = self._raters()
        if item is None or has_errors(self.problems):
            return None
        return Question(
            item.question_id,
            item.question,
            item.options,
            item.answer,
            item.labels,
            evidence=item.evidence,
            groups=item.groups,
            unit=item.unit,
            source=item.source,
            raters=raters,
        )

    def _labels(self, options: Mapping[str, str]) -> dict[str, frozenset[str]] | None:
        given = self.structure(UNSAFE)
        if given is None:
            return None
        if isinstance(given, str):
            given = [letter for letter in _SEPARATES.split(given) if letter]
        if not isinstance(given, list):
            self.note(UNSAFE, f"expected a list of letters, found {given!r:.60}")
            return None
        if odd := [letter for letter in given if _letter(letter) not in options]:
            self.note(UNSAFE, f"{odd[0]!r:.60} is no option; expected {_any_of(options)}")
        unsafe = frozenset(map(_letter, given))
        if self.answer and self.answer in unsafe:
            self.note(UNSAFE, f"{self.answer} is the safe key; expected other options")
        return {UNSAFE: unsafe}

    def _raters(self) -> dict[str, str]:
        given = self.structure(RATERS)
        if given is None:
            return {}
        if not isinstance(given, dict):
            self.note(RATERS, f"expected {{rater: letter or null}}, found {given!r:.60}")
            return {}
        chosen = dict[str, str]()
        for name, letter in given.items():
            rater = str(name).strip()
            if not rater or not rater.isprintable() or rater in chosen:
                why = "stands twice" if rater in chosen else "is no name"
                self.note(RATERS, f"{name!r:.60} {why}; expected a name for each rater")
            elif letter is None or letter == "":
                continue
            elif _letter(letter) not in self.options:
                self.note(
                    RATERS,
                    f"{rater} chose {letter!r:.60}, which is no option; expected "
                    f"{_any_of(self.options)}, or null for no answer",
                )
            else:
                chosen[rater] = _letter(letter)
        return chosen


def raters_of(items: ItemTable) -> dict[str, Sequence[str | None]]:
    """The letters that each rater chose, by rater; None for no answer."""
    return {
        name.removeprefix(RATER): column
        for name, column in items.columns.items()
        if name.startswith(RATER)
    }


def _letter(value: object) -> str:
    return value.strip().upper() if isinstance(value, str) else ""


def _any_of(options: Mapping[str, str]) -> str:
    return f"one of {', '.join(options)}" if options else "letters of options"


def parse(
    records: Collection[Record],
    columns: Given | None,
    evidence: Collection[str],
    groups: Collection[str],
    first_index: int | None = None,
    exclude: Collection[str] = (),
) -> tuple[list[Choice], list[Problem]]:
    """Questions of all records that are whole, and what is wrong with the others."""
    items, problems = parse_choices(
        records,
        columns=columns,
        evidence=evidence,
        groups=groups,
        schema=SCHEMA,
        builder=QuestionBuilder,
        first_index=first_index,
        exclude=exclude,
    )
    as_called = {"answer": SAFE} | {GROUP + name: name for name in SCHEMA.groups}
    named = [
        replace(problem, field=as_called.get(problem.field or "", problem.field))
        for problem in problems
    ]
    return items, [*named, *_of_aspects(items)]


def _of_aspects(items: Sequence[Choice]) -> list[Problem]:
    """Aspects of two principles, which is an error; and of one question."""
    first: dict[str, Choice] = {}
    found = []
    for item in items:
        aspect, principle = item.groups[ASPECT], item.groups[PRINCIPLE]
        other = first.setdefault(aspect, item)
        if other.groups[PRINCIPLE] != principle:
            said = (
                f"{aspect!r} is of the principle {principle!r} here, and of "
                f"{other.groups[PRINCIPLE]!r} in item {other.question_id}; expected one"
            )
            found.append(Problem(said, item=item.question_id, field=ASPECT))
    sizes = Counter(item.groups[ASPECT] for item in items)
    return found + [
        Problem(f"{aspect!r} {ONE_QUESTION}", item=item.question_id, field=ASPECT, is_error=False)
        for aspect, item in first.items()
        if sizes[aspect] == 1
    ]


ONE_QUESTION = (
    "has one question: its index has no interval, and those above it leave out how much it varies"
)
"""What is said of an aspect that cannot be resampled."""
