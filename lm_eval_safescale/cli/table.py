"""`safescale table`: the safety table of finished lm_eval runs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lm_eval_safescale.cli.screen import complain
from lm_eval_safescale.datasets import printable
from lm_eval_safescale.errors import SafescaleError, writing
from lm_eval_safescale.sections import ResultRow, Section, marks_on, notes_on
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.families import Family

NAMES_WIDTH, COLUMN_WIDTH = 30, 18
COUNT_ROWS = {
    "truncated": "unanswered: truncated",
    "filtered": "not scored: filtered",
    "unjudged": "not scored: unjudged",
    "error": "not scored: error",
}
"""Statuses of greedy answers whose numbers stand below the rates, where there are any."""


def table(
    paths: Annotated[
        list[Path], typer.Argument(help="Output folders or results_*.json files of lm_eval runs.")
    ],
    svg: Annotated[
        Path | None, typer.Option(help="Also draw the table into this SVG file.")
    ] = None,
) -> None:
    """The safety table of finished runs: rates in percent with their standard errors, a column for
    each condition."""
    from lm_eval_safescale.report import read_results

    try:
        rows = read_results(paths)
    except SafescaleError:
        # only now: it would import Polars
        from lm_eval_safescale.runs.places import Kind, refuse_others

        for path in paths:
            refuse_others(path, Kind.LOGS)
        raise
    runs = {row.run: [other for other in rows if other.run == row.run] for row in rows}
    sections = {
        run: list(_sections([row for row in columns if not row.is_human]))
        for run, columns in runs.items()
    }
    widest = max(100, *(NAMES_WIDTH + COLUMN_WIDTH * len(columns) for columns in runs.values()))
    needed = (
        1 + sum(column.width for column in _columns_of(section))
        for each in sections.values()
        for section in each
    )
    console = Console(
        record=svg is not None,
        width=None if svg is None else max([widest, *needed]),
        highlight=False,
    )
    for run, columns in runs.items():
        _print(console, columns)
        for section in sections[run]:
            _print_section(console, section)
    if svg is not None:
        drawn = console.export_svg(title="safescale table")
        # a picture asks no network for its fonts
        drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)
        with writing(svg):
            svg.write_text(drawn.replace("Fira Code, monospace", "monospace"), encoding="utf-8")


def _print(console: Console, rows: list[ResultRow]) -> None:
    first = rows[0]
    model = Path(first.model).name if Path(first.model).is_absolute() else first.model
    title = f"{model} on {first.dataset}" + (
        " - DEMO: no clinical claim may rest on it" if first.demo else ""
    )
    title = " - ".join([title, *marks_on(first.settings)])
    console.print(Text(printable(title)), style="bold")
    family = _family(first)
    own = {} if family is None else family.shown
    metrics = dict(own) | {
        name: name.replace("_", " ") for row in rows for name in row.values if name not in own
    }
    counts = {
        status: head
        for status, head in COUNT_ROWS.items()
        if any(row.statuses.get(status) for row in rows)
    }
    others = _no_fractions(family)
    labels = [
        f"{label} (no percent)" if name in others else label for name, label in metrics.items()
    ]
    columns = [Column("percent ± standard error", [*labels, *counts.values()])]
    for row in rows:
        items = f"{row.items}" if row.items == row.of_items else f"{row.items} of {row.of_items}"
        cells = [
            *(_cell(row, metric, in_percent=metric not in others) for metric in metrics),
            *(_count(row, status) for status in counts),
        ]
        columns.append(Column(f"{row.condition}\n{items} items", cells, "right"))
    print_columns(console, columns)
    draws, said = first.settings["draws"], {} if family is None else family.scoring_said
    weighed = (
        f"; {words.format(first.settings[name])}"
        for name, words in said.items()
        if name in first.settings
    )
    sampled = f"K = {draws} samples a question{''.join(weighed)}." if draws else "No samples drawn."
    console.print(Text(printable(sampled + _changed(first))), style="dim")
    for note in notes_on(first.settings):
        console.print(Text(printable(f"{note[:1].upper()}{note[1:]}.")), style="dim")


def _family(row: ResultRow) -> Family | None:
    """The family of a result; None where it is not installed here."""
    from lm_eval_safescale.assembly import family_named

    try:
        return family_named(row.family)
    except SafescaleError:
        return None


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table; the texts are of data and plugins, and no markup."""

    head: str
    cells: Sequence[str]
    justify: Literal["left", "right"] = "left"

    @property
    def width(self) -> int:
        """Cells on the screen, with padding and border."""
        return 3 + max(
            cell_len(line)
            for text in (self.head, *self.cells)
            for line in printable(text).split("\n")
        )


def print_columns(console: Console, columns: Sequence[Column], title: str = "") -> None:
    """The columns beside the first one, as far as they fit; the others below, beside the first one
    again: nothing is cut."""
    first, *others = columns
    room = console.width - 1 - first.width
    while True:
        beside = [others.pop(0)] if others else []
        while others and sum(column.width for column in (*beside, others[0])) <= room:
            beside.append(others.pop(0))
        grid = Table(
            title=Text(printable(title), style="bold") if title else None, title_justify="left"
        )
        for column in (first, *beside):
            grid.add_column(Text(printable(column.head)), justify=column.justify, overflow="fold")
        for cells in zip(*(column.cells for column in (first, *beside)), strict=True):
            grid.add_row(*(Text(printable(cell)) for cell in cells))
        console.print(grid)
        title = ""
        if not others:
            break


def _sections(rows: list[ResultRow]) -> Iterator[Section]:
    """What the registered sections say of these rows; one that fails says so, and hides nothing
    else."""
    from lm_eval_safescale.report.plugged import made_sections

    for made in made_sections(rows):
        if made.section is None:
            complain(made.complaint)
        else:
            yield made.section


def _columns_of(section: Section) -> list[Column]:
    heads, rows = section.columns, section.rows
    if section.data is not None and not heads:
        from lm_eval_safescale.report.tables import shown_table

        made = shown_table(section.data)
        heads = tuple(f"{head.words} {head.unit}".strip() for head in made.heads)
        rows = tuple(
            tuple(f"{cell.text} [{cell.interval}]" if cell.interval else cell.text for cell in row)
            for row in made.rows
        )
    cells = ([row[number] for row in rows] for number in range(len(heads)))
    columns = enumerate(zip(heads, cells, strict=True))
    return [
        Column(head, each, "right" if number > 1 else "left") for number, (head, each) in columns
    ]


def _print_section(console: Console, section: Section) -> None:
    columns = _columns_of(section)
    if section.lead:
        console.print(Text(printable(section.title)), style="bold")
        console.print(Text(printable(section.lead)))
    if columns:
        print_columns(console, columns, "" if section.lead else section.title)
    if section.note:
        console.print(Text(printable(section.note)), style="dim")


def _changed(row: ResultRow) -> str:
    """The settings that differ from the protocol's."""
    changed = [
        f"{name} {row.settings[name]}"
        for name, usual in (("temperature", 0.7), ("reasoning", "auto"), ("reader", "strict"))
        if row.settings.get(name, usual) != usual
    ]
    return f" Asked with {', '.join(changed)}." if changed else ""


def _count(row: ResultRow, status: str) -> str:
    return counted(row.statuses.get(status, 0), "item") if row.statuses else "unknown"


def _no_fractions(family: Family | None) -> frozenset[str]:
    """The metrics, the family's and plugins', that are no fractions: no percent stands for them."""
    from lm_eval_safescale.families import ItemTable
    from lm_eval_safescale.plugins import plugins

    known = [] if family is None else list(family.metrics(ItemTable((), {})))
    known += [part.thing for part in plugins().all("metric")]
    return frozenset(metric.name for metric in known if not metric.is_fraction)


def _cell(row: ResultRow, name: str, *, in_percent: bool) -> str:
    value = row.values.get(name)
    if value is None:
        return "not scored"
    mean, stderr = value
    if not in_percent:
        return f"{mean:.4g}" + ("" if stderr is None else f" ± {stderr:.2g}")
    return f"{100 * mean:.1f}" + ("" if stderr is None else f" ± {100 * stderr:4.1f}")
