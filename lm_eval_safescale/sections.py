"""What a report is made of: the results of tasks as rows, and sections made from them. It knows no
file and no layout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One task of one run."""

    model: str
    condition: str
    dataset: str
    demo: bool
    items: int
    of_items: int
    """Items of the whole data set; more than `items` where the run was limited."""
    settings: dict[str, Any]
    """The settings in force (`docs/settings.md`)."""
    asked: str
    """All else that two results must share to stand in one table: the model's arguments, prompt and
    chat template."""
    values: dict[str, tuple[float, float | None] | None]
    """Metric to value and standard error, both fractions; None for not scored."""
    contexts: dict[str, Any] = field(default_factory=dict)
    """What was shown above the questions: builder, retriever, corpus, tokens, retrieval quality;
    empty for nothing."""
    left_out: int = 0
    """Items that this run should have asked and left out, because no report could be made of
    them."""
    family: str = ""
    """Name of the family whose items they are; empty where an older file does not say."""
    statuses: Mapping[str, int] = field(default_factory=dict)
    """How many greedy answers are of each status without a letter (`docs/reading.md`); empty where
    that is unknown."""

    run: tuple[Any, ...] = ()
    """What the rows of one table share: data set, model, number of items, how they were asked."""
    is_human: bool = False
    """Whether it is of a person who answered the items, whose name is then the `condition`."""


@dataclass(frozen=True, slots=True)
class Section:
    """A table with a title."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    """One line below it."""


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A section of a report, as it is registered."""

    name: str
    description: str
    make: Callable[[Sequence[ResultRow]], Section | None]
    """`make(rows)`: the section for the rows of one run, one a condition; None where it has nothing
    to say of them."""


def notes_on(settings: Mapping[str, Any]) -> list[str]:
    """What every table must say of answers that were asked with these (recorded) settings, because
    its figures rest on it.

    Settings of older records may lack.
    """
    return [f"{mark}: {meaning}" for mark, meaning in _notes_on(settings)]


def marks_on(settings: Mapping[str, Any]) -> list[str]:
    """The same in a few words, for a title."""
    return [mark for mark, _ in _notes_on(settings)]


def _notes_on(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if (temperature := settings.get("accept_temperature")) is not None:
        yield f"sampled at {temperature:g}", "greedy answers are samples too"
    if settings.get("send_seed") is False:
        yield "no seed sent", "the draws cannot be repeated"
    args, served = settings.get("model_args"), settings.get("served_model") or []
    asked = args.get("model") or args.get("pretrained") if isinstance(args, Mapping) else None
    if asked and served and served != [asked]:
        yield f"served as {' and '.join(served)}", f"asked for as {asked}"
