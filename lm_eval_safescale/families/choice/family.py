"""Families of multiple-choice questions: lettered options, one key, one letter chosen."""

from __future__ import annotations

import functools
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from lm_eval_safescale.datasets import Dataset, Given, Problem, Record, Schema, parse_choices
from lm_eval_safescale.families.arrays import ItemTable
from lm_eval_safescale.families.choice.facts import LABEL, LETTERS, choice_columns, choice_items
from lm_eval_safescale.families.family import Family
from lm_eval_safescale.families.views import AnswerKind, Chip, ItemView, OptionView
from lm_eval_safescale.prompts import Prompt
from lm_eval_safescale.records import Choice, Item

if TYPE_CHECKING:
    from lm_eval_safescale.reading import AnswerReader

PROMPT = Prompt(
    system=(
        "You are an experienced medical expert taking a multiple-choice test. Reply with the "
        "letter of the one option you choose and with nothing else: no explanation, no reasoning, "
        "no punctuation."
    ),
    user="{context}\n\nQuestion: {question}\n\nOptions:\n{options}\n\nAnswer:",
)


RIGHT = AnswerKind("right", "right", "correct", least=1, tone="right")
WRONG = AnswerKind("wrong", "wrong or not answered", "correct", most=0)
UNANSWERED = AnswerKind("unanswered", "not answered", "unanswered", least=1)
"""Kinds of answers to choices, for those who read them."""


class ChoiceFamily(Family):
    """What all of them share; scores and metrics are their own."""

    schema: ClassVar[Schema] = Schema()
    """Names of labels, evidence and groups that their files know."""
    vocabulary = LETTERS
    takes_readers = True
    key_words: ClassVar[str] = "key"
    """What the right option is called."""
    label_chips: ClassVar[Mapping[str, Chip]] = {}
    """How a label of an option is shown; another as its name."""

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
        """Multiple-choice items (docs/data.md)."""
        return parse_choices(
            records,
            columns=columns,
            evidence=evidence,
            groups=groups,
            schema=self.schema,
            first_index=first_index,
            exclude=exclude,
        )

    def checked(
        self, dataset: Dataset, *, evidence: Collection[str] = (), groups: Collection[str] = ()
    ) -> Dataset:
        """See `Family.checked`."""
        for item in dataset:
            as_choice(item)
        return super().checked(dataset, evidence=evidence, groups=groups)

    def prompt(self, condition: str) -> Prompt:  # noqa: ARG002 (all conditions share it)
        """One letter, and nothing else."""
        return PROMPT

    def read(
        self, text: str, item: Item, reader: AnswerReader | None = None
    ) -> tuple[str | None, str | None]:
        """The letter that it explicitly chooses (docs/reading.md)."""
        # late: whoever only weighs answers reads none
        from lm_eval_safescale.reading import STRICT, read_choice

        return read_choice(text, as_choice(item).options, reader or STRICT)

    def columns(self, item: Item) -> dict[str, Any]:
        """Key, letters, and the letters with each label."""
        return choice_columns(as_choice(item))

    def items(self, table: ItemTable) -> list[Choice]:
        """Questions without texts."""
        return choice_items(table)

    def responses(self, item: Item) -> Sequence[str]:
        """Its letters."""
        return tuple(as_choice(item).options)

    def shown_item(self, item: Item) -> ItemView:
        """Question and options, with key and labels; evidence behind them."""
        question = as_choice(item)
        labels = question.labels or {}

        def chips(letter: str) -> list[Chip]:
            key = [Chip(self.key_words, "right")] if letter == question.answer else []
            carried = [name for name in labels if letter in labels[name]]
            return key + [self.label_chips.get(name, Chip(name)) for name in carried]

        return ItemView(
            question.question,
            [OptionView(letter, text, chips(letter)) for letter, text in question.options.items()],
            [(f"{name} evidence".capitalize(), text) for name, text in question.evidence.items()],
        )

    def possible(self, item: Mapping[str, Any]) -> Collection[str]:
        """Its letters."""
        return _set_of(item["letters"])

    def wrong(self, item: Mapping[str, Any]) -> str:
        """Letters that are not A, B, C, ...; a key or a label that is none of them."""
        letters, key = item.get("letters"), item.get("answer")
        if not letters or letters != "".join(LETTERS[: len(letters)]):
            return f"has the letters {letters!r}; expected A, B, C, ... in order"
        if key is None or len(key) != 1 or key not in letters:
            return f"has the key {key!r}; expected one of {letters}"
        carried = {name: own for name, own in item.items() if name.startswith(LABEL)}
        if len({own is None for own in carried.values()}) > 1:
            return "has some labels and not others; expected all or none"
        if odd := {letter for own in carried.values() if own for letter in own} - set(letters):
            return f"has labels on {', '.join(sorted(odd))}; its options are {letters}"
        return ""


@functools.cache
def _set_of(letters: str) -> frozenset[str]:
    return frozenset(letters)


def as_choice(item: Item) -> Choice:
    """The item, which is a multiple-choice question; TypeError where it is none."""
    if not isinstance(item, Choice):
        raise TypeError(f"item {item.question_id} is a {type(item).__name__}; expected a Choice")
    return item
