"""What scoring knows of multiple-choice items: key, number of options, and the options that carry
each label.
"""

from __future__ import annotations

import functools
import string
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lm_eval_safescale.families.arrays import ItemTable
from lm_eval_safescale.records import Choice

LETTERS = tuple(string.ascii_uppercase)
LABEL = "label_"
"""Before a label's name: the column of an `ItemTable` that holds the letters with that label, None
where nothing is labelled."""

Letters = NDArray[np.int8]


@dataclass(frozen=True, eq=False)
class ChoiceFacts:
    """Of N items; letters are numbers, A is 0."""

    key: Letters
    """Shape (N,)."""
    n_options: Letters
    """Shape (N,)."""
    labels: Mapping[str, NDArray[np.bool_] | None]
    """By label: shape (N, 26), whether the option carries it; None where not every item is
    labelled."""


def choice_columns(item: Choice) -> dict[str, Any]:
    """What of a question enters its scores."""
    labels = {} if item.labels is None else item.labels
    letters = {
        LABEL + name: "".join(each for each in item.options if each in labels[name])
        for name in labels
    }
    return {"answer": item.answer, "letters": "".join(item.options), **letters}


def choice_items(table: ItemTable) -> list[Choice]:
    """Questions of a table, with empty texts."""
    labels = {
        name.removeprefix(LABEL): column
        for name, column in table.columns.items()
        if name.startswith(LABEL)
    }
    items = []
    for place, (name, answer, letters) in enumerate(
        zip(table.ids, table.columns["answer"], table.columns["letters"], strict=True)
    ):
        carried = {
            label: frozenset(column[place])
            for label, column in labels.items()
            if column[place] is not None
        }
        groups = {
            group: own
            for group, column in table.groups.items()
            if (own := column[place]) is not None
        }
        items.append(
            Choice(name, "", dict.fromkeys(letters, ""), answer, carried or None, groups=groups)
        )
    return items


@functools.lru_cache(maxsize=8)
def facts_of(items: ItemTable) -> ChoiceFacts:
    """The items' facts from their columns `answer`, `letters` and `label_...`."""
    key = np.array([LETTERS.index(letter) for letter in items.columns["answer"]], np.int8)
    n_options = np.array([len(letters) for letters in items.columns["letters"]], np.int8)
    labels = {
        name.removeprefix(LABEL): _carried(column)
        for name, column in items.columns.items()
        if name.startswith(LABEL)
    }
    for array in (key, n_options, *labels.values()):
        if array is not None:
            array.flags.writeable = False
    return ChoiceFacts(key, n_options, labels)


def _carried(letters: object) -> NDArray[np.bool_] | None:
    given = list(letters)  # type: ignore[call-overload]
    if any(each is None for each in given):
        return None
    return np.array([[letter in each for letter in LETTERS] for each in given], dtype=bool).reshape(
        len(given), len(LETTERS)
    )
