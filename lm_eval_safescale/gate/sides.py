"""The two sides of a comparison, as they are named: `FOLDER[:MODEL[:CONDITION]]`, and both as one
study. It compares nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lm_eval_safescale.analysis import Study
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families.cells import Pair
from lm_eval_safescale.families.raters import HUMAN, shown_as
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.arrays import item_table
from lm_eval_safescale.runs.identity import path_of
from lm_eval_safescale.runs.provenance import settings_of
from lm_eval_safescale.runs.store import cell_of, data_named, merge_runs, open_runs
from lm_eval_safescale.words import counted, meant

FORM = "FOLDER[:MODEL[:CONDITION]]"


@dataclass(frozen=True, eq=False)
class Side:
    """A model under a condition, or a human rater."""

    label: str
    """A or B."""
    given: str
    """As it was named."""
    folder: Path
    runs: Runs
    """All of the folder's."""
    model: str
    condition: str

    @property
    def pair(self) -> Pair:
        """Model and condition."""
        return self.model, self.condition

    @property
    def is_human(self) -> bool:
        """Whether a person answered."""
        return self.pair not in self.runs.draws

    @property
    def draws(self) -> int:
        """K, the number of samples; 0 of a person."""
        return self.runs.draws.get(self.pair, 0)

    @property
    def settings(self) -> Mapping[str, Any]:
        """Under which it was asked, as far as they are known; none of a person."""
        return {} if self.is_human else settings_of(self.runs, *self.pair)

    def __str__(self) -> str:
        return f"{self.folder}: {self.model}" + ("" if self.is_human else f", {self.condition}")


def sides_of(a: str, b: str) -> tuple[Side, Side]:
    """Both sides of a comparison.

    Parameters
    ----------
    a, b
        `FOLDER[:MODEL[:CONDITION]]`. The folder is the longest beginning that there is, the model
        the longest name that the runs have: both may hold colons. What is the only one may be left
        out, the model too: `FOLDER::CONDITION`.

    Raises
    ------
    SafescaleError
        Where one names nothing, or more than one; where both name the same; and where they are of
        different data sets.
    """
    opened: dict[Path, Runs] = {}
    one, other = (_side(label, text, opened) for label, text in (("A", a), ("B", b)))
    same_folder = one.folder.resolve() == other.folder.resolve()
    if one.pair == other.pair and (same_folder or one.is_human):
        raise SafescaleError(
            f"A and B are the same: {one}; name another model, condition or folder for one of them"
        )
    first, second = (side.runs.about["dataset"] for side in (one, other))
    if first["fingerprint"] != second["fingerprint"]:
        raise SafescaleError(
            f"A is of the data set {data_named(first)}, B of {data_named(second)}: answers to "
            "different questions have no difference; ask both the same"
        )
    return one, other


def _side(label: str, text: str, opened: dict[Path, Runs]) -> Side:
    folder, rest = _folder_in(label, text)
    if folder.resolve() not in opened:
        opened[folder.resolve()] = open_runs(folder, texts=False)
    runs = opened[folder.resolve()]
    known: dict[str, list[str]] = {}
    for model, condition in runs.draws:
        known.setdefault(model, []).append(condition)
    raters = [shown_as(name) for name in runs.family.raters(item_table(runs))]
    try:
        pair = _chosen(rest, known, raters, folder)
    except SafescaleError as error:
        raise SafescaleError(f"{label}: {text}: ", error) from None
    return Side(label, text, folder, runs, *pair)


def _folder_in(label: str, text: str) -> tuple[Path, str]:
    """The folder that a text begins with, and what stands behind it."""
    ends = [len(text), *(at for at in range(len(text) - 1, 0, -1) if text[at] == ":")]
    for end in ends:
        if text[:end] and (folder := path_of(text[:end])) is not None:
            return folder, text[end + 1 :]
    raise SafescaleError(f"{label}: {text!r}: no such folder; expected {FORM}")


def _chosen(
    rest: str, known: Mapping[str, Sequence[str]], raters: Sequence[str], folder: Path
) -> Pair:
    """The model and condition that are named, or the only ones."""
    if rest in raters:
        return rest, HUMAN
    model, condition = _split(rest, known, raters)
    only = len(known) == 1
    if not model:
        if not only:
            raise SafescaleError(
                f"{counted(len(known), 'model')} in it ({_some(known)}); name one: {folder}:MODEL"
            )
        (model,) = known
    if not condition:
        if len(known[model]) > 1:
            raise SafescaleError(
                f"{counted(len(known[model]), 'condition')} of {model} in it "
                f"({_some(known[model])}); name one: {folder}:{'' if only else model}:CONDITION"
            )
        (condition,) = known[model]
    if condition not in known[model]:
        raise SafescaleError(
            f"no condition {condition!r} of {model} in it{meant(condition, known[model])}"
        )
    return model, condition


def _split(rest: str, known: Mapping[str, Sequence[str]], raters: Sequence[str]) -> tuple[str, str]:
    for model in sorted(["", *known], key=len, reverse=True):
        if rest == model or rest.startswith(f"{model}:"):
            return model, rest[len(model) + 1 :]
    conditions = dict.fromkeys(each for own in known.values() for each in own)
    if rest in conditions:
        raise SafescaleError(
            f"{rest} is a condition; the model stands before it: {FORM} (FOLDER::CONDITION for the "
            "only model)"
        )
    head, _, tail = rest.rpartition(":")
    name = head if tail in conditions else rest
    raise SafescaleError(f"no model {name!r} in it{meant(name, [*known, *raters])}")


def _some(names: Mapping[str, Any] | Sequence[str]) -> str:
    shown = ", ".join([*names][:12])
    return shown + (f" and {len(names) - 12} more" if len(names) > 12 else "")


def study_of(a: Side, b: Side, threshold: float | None = None) -> tuple[Study, Pair, Pair]:
    """Both sides as one study, and what they are called there: one name in two folders is two
    names.

    Raises
    ------
    SafescaleError
        As `Study`: where the runs were made with different thresholds, and none is given.
    """
    twice = a.model == b.model and a.folder.resolve() != b.folder.resolve()
    one, other = (
        (f"{side.model} ({side.label})" if twice and not side.is_human else side.model)
        for side in (a, b)
    )
    pieces = {"A": _piece(a, one), "B": _piece(b, other)}
    return Study(merge_runs(pieces), threshold), (one, a.condition), (other, b.condition)


def _piece(side: Side, name: str) -> Runs:
    """The answers of a side under a name. A person's come with the items; some model's stand for
    them under a name of their own."""
    if side.is_human:
        return cell_of(side.runs, next(iter(side.runs.draws)), f"beside {side.label}")
    return cell_of(side.runs, side.pair, name)
