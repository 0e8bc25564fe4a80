"""What a report is made of: the results of tasks as rows, and sections made from them. It knows no
file and no layout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from lm_eval_safescale.figures import (
    DataTable,
    Figure,
    Heat,
    Plot,
    Strips,
    faults_of,
    faults_of_table,
)
from lm_eval_safescale.words import counted

MOST_NAMED = 10


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
class TextBlock:
    """A text that is shown as it is, line by line: a prompt, say."""

    title: str
    text: str
    note: str = ""
    """One line below it."""


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a page: a title, and what there is of a sentence, figures and a table."""

    title: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    note: str = ""
    """One line below it."""
    lead: str = ""
    """What one sees in it, in a sentence or two: said before everything else."""
    figures: tuple[Figure, ...] = ()
    """As data; the report draws them. `safescale table` leaves them out."""
    data: DataTable | None = None
    """The table with its numbers, which can then be sorted; in place of `columns` and `rows`."""
    folded: bool = False
    """Whether a page shows the title alone until it is opened."""
    texts: tuple[TextBlock, ...] = ()


def checked(section: Section) -> Section:
    """The section, every cell as a text.

    Raises
    ------
    ValueError
        For rows of another length than the columns, a figure or a table that could not be drawn,
        and for nothing at all.
    TypeError
        For what is no section, or holds what is no figure and no table.
    """
    if not isinstance(section, Section):
        raise TypeError(f"a {type(section).__name__}; expected a Section")
    columns = tuple(map(str, section.columns))
    rows = tuple(tuple(map(str, row)) for row in section.rows)
    lead, figures, data = str(section.lead), tuple(section.figures), section.data
    if odd := [row for row in rows if len(row) != len(columns)]:
        raise ValueError(f"{len(odd[0])} cells in a row of {len(columns)} columns")
    if not (columns or lead or figures or data is not None):
        raise ValueError("no columns")
    for figure in figures:
        if not isinstance(figure, Plot | Strips | Heat):
            raise TypeError(f"a {type(figure).__name__}; expected a Plot, Strips or Heat")
    if data is not None and not isinstance(data, DataTable):
        raise TypeError(f"a {type(data).__name__}; expected a DataTable")
    faults = [fault for figure in figures for fault in faults_of(figure)]
    faults += faults_of_table(data) if data is not None else ()
    if len({figure.name for figure in figures}) < len(figures):
        faults.append("two figures of one name")
    if faults:
        raise ValueError("; ".join(faults[:5]))
    return replace(
        section,
        title=str(section.title),
        columns=columns,
        rows=rows,
        note=str(section.note),
        lead=lead,
        figures=figures,
    )


@dataclass(frozen=True, slots=True)
class ReportSection:
    """A section of a report, as it is registered."""

    name: str
    description: str
    make: Callable[[Sequence[ResultRow]], Section | None]
    """`make(rows)`: the section for the rows of one run, one a condition; None where it has nothing
    to say of them."""


@dataclass(frozen=True, slots=True)
class Page:
    """A page of a report."""

    name: str
    """Of its file, and of links to it."""
    title: str
    """In the list of pages."""
    finding: str
    """What one sees in these data, in a sentence made from the numbers: its headline."""
    doubt: str = ""
    """What is uncertain in that, or cannot be said: the second sentence one reads."""
    sections: tuple[Section, ...] = ()


class ReportView(Protocol):
    """What a page of a report is made from."""

    @property
    def models(self) -> Sequence[str]:
        """In the order in which pages show them."""

    @property
    def conditions(self) -> Sequence[str]:
        """In the family's order."""

    @property
    def chosen(self) -> str:
        """The model that is looked at: the baseline, where one was named."""

    @property
    def about(self) -> Mapping[str, Any]:
        """What the tables rest on (`about.json` of `safescale analyze`)."""

    def rows(self, table: str, **where: Any) -> Sequence[Mapping[str, Any]]:
        """The rows of a table of `safescale analyze` that have these values, by column; none where
        it could not be made."""

    def words(self, name: str) -> str:
        """A metric or a condition in words."""


def notes_on(settings: Mapping[str, Any]) -> list[str]:
    """What every table must say of answers that were asked with these (recorded) settings, because
    its figures rest on it.

    Settings of older records may lack.
    """
    return [f"{mark}: {meaning}" for mark, meaning in _notes_on(settings)]


def marks_on(settings: Mapping[str, Any]) -> list[str]:
    """The same in a few words, for a title."""
    return [mark for mark, _ in _notes_on(settings)]


def left_out(ids: Sequence[str]) -> tuple[str, str]:
    """In a few words, that items were left out of the data because somebody said so; and which."""
    shown = ", ".join(ids[:MOST_NAMED]) + (", ..." if len(ids) > MOST_NAMED else "")
    return f"{counted(len(ids), 'item')} left out by exclude_items", shown


def _notes_on(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if (temperature := settings.get("accept_temperature")) is not None:
        yield f"sampled at {temperature:g}", "greedy answers are samples too"
    if settings.get("send_seed") is False:
        yield "no seed sent", "the draws cannot be repeated"
    if ids := settings.get("exclude_items"):
        yield left_out(ids)
    args, served = settings.get("model_args"), settings.get("served_model") or []
    asked = args.get("model") or args.get("pretrained") if isinstance(args, Mapping) else None
    if asked and served and served != [asked]:
        yield f"served as {' and '.join(served)}", f"asked for as {asked}"
