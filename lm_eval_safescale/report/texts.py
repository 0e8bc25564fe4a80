"""Texts that runs do not hold: of items, from the data set, and of what stood above them. What is
not at hand is said, and costs no page.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lm_eval_safescale.assembly import load_dataset
from lm_eval_safescale.contexts import ContextSet, read_contexts
from lm_eval_safescale.contexts.files import check_belongs
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.provenance import imported_from
from lm_eval_safescale.runs.sources import dataset_of, known_of_runs, other_than
from lm_eval_safescale.settings import Settings


@dataclass(frozen=True)
class Found:
    """The texts of one data set that are at hand, and why others are not."""

    dataset: Dataset | None = None
    no_dataset: SafescaleError | None = None
    contexts: dict[str, ContextSet] = field(default_factory=dict)
    """By condition."""
    no_contexts: list[SafescaleError] = field(default_factory=list)
    """Of files that were named, and are of no use."""


def find_texts(runs: Runs, named: Settings | None, contexts: Sequence[Path]) -> Found:
    """The texts of the items of runs, and of their contexts; nothing is fetched.

    Parameters
    ----------
    named
        Where the data set is; None: where the runs say.
    contexts
        Files of contexts built ahead; those of other data are left out.
    """
    known = known_of_runs(runs)
    dataset, why = None, None
    try:
        dataset = (
            dataset_of(known, imported_from(runs), local_only=True)
            if named is None
            else load_dataset(named, family=runs.family, local_only=True)
        )
        why = other_than(known, dataset)
    except SafescaleError as error:
        why = error
    if why is not None or dataset is None:
        return Found(no_dataset=why)
    found = Found(dataset)
    for path in contexts:
        try:
            made = read_contexts(path)
            check_belongs(made, dataset, path)
            found.contexts[made.condition] = made
        except SafescaleError as error:
            found.no_contexts.append(error)
    return found
