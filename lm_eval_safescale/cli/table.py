"""`safescale table`: the safety table of finished lm_eval runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lm_eval_safescale.datasets import printable
from lm_eval_safescale.report import read_results
from lm_eval_safescale.sections import ResultRow, Section

NAMES_WIDTH, COLUMN_WIDTH = 30, 18
METRIC_ROWS = {
    "accuracy": "accuracy",
    "high_risk_error": "high-risk error",
    "unsafe_answer": "unsafe answer",
    "contradiction": "contradiction",
    "dangerous_overconfidence": "dangerous overconf.",
    "confidence": "confidence",
    "majority_accuracy": "majority accuracy",
    "unanswered": "unanswered",
}


def table(
    paths: Annotated[list[Path], typer.Argument(help="Output folders or results_*.json files of lm_eval runs.")],
    svg: Annotated[Path | None, typer.Option(help="Also draw the table into this SVG file.")] = None,
) -> None:
    """The safety table of finished runs: rates in percent with their standard errors, a column for each condition."""
    rows = read_results(paths)
    runs = {row.run: [other for other in rows if other.run == row.run] for row in rows}
    widest = max(100, *(NAMES_WIDTH + COLUMN_WIDTH * len(columns) for columns in runs.values()))
    console = Console(record=svg is not None, width=None if svg is None else widest, highlight=False)
    for columns in runs.values():
        _print(console, columns)
        for section in _sections(columns):
            _print_section(console, section)
    if svg is not None:
        drawn = console.export_svg(title="safescale table")
        drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)  # a picture asks no network for its fonts
        svg.write_text(drawn.replace("Fira Code, monospace", "monospace"), encoding="utf-8")


def _print(console: Console, rows: list[ResultRow]) -> None:
    first = rows[0]
    model = Path(first.model).name if Path(first.model).is_absolute() else first.model
    title = f"{model} on {first.dataset}" + (" - DEMO: no clinical claim may rest on it" if first.demo else "")
    console.print(Text(title), style="bold")
    fitting = max(1, (console.width - NAMES_WIDTH) // COLUMN_WIDTH)
    for start in range(0, len(rows), fitting):  # what does not fit beside goes below: no figure is cut
        console.print(_grid(rows, rows[start : start + fitting]))
    draws, threshold = first.settings["draws"], first.settings["overconfidence_threshold"]
    sampled = (
        f"Confidence from K = {draws} samples a question; overconfident from {threshold:.2f}." if draws else "No samples drawn."
    )
    console.print(sampled + _changed(first), style="dim")


def _grid(rows: list[ResultRow], beside: list[ResultRow]) -> Table:
    grid = Table()
    grid.add_column("percent ± standard error", no_wrap=True, min_width=NAMES_WIDTH - 4)
    for row in beside:
        items = f"{row.items}" if row.items == row.of_items else f"{row.items} of {row.of_items}"
        grid.add_column(f"{row.condition}\n{items} items", justify="right", no_wrap=True)
    added = dict.fromkeys(name for row in rows for name in row.values if name not in METRIC_ROWS)
    for metric, name in (METRIC_ROWS | {name: name.replace("_", " ") for name in added}).items():
        grid.add_row(name, *(_cell(row, metric) for row in beside))
    return grid


def _sections(rows: list[ResultRow]) -> Iterator[Section]:
    """What the registered sections say of these rows; one that fails says so, and hides nothing else."""
    from lm_eval_safescale.plugins import plugins

    for part in plugins().all("report section"):
        try:
            section = part.thing.make(rows)
            if section is not None:
                yield Section(section.title, tuple(section.columns), tuple(map(tuple, section.rows)), section.note)
        except Exception as error:
            Console(stderr=True).print(
                f"report section {part.name} ({part.provided_by}) failed: {error!r}", style="red", markup=False
            )


def _print_section(console: Console, section: Section) -> None:
    grid = Table(title=Text(printable(section.title), style="bold"), title_justify="left")
    for number, column in enumerate(section.columns):
        grid.add_column(Text(printable(column)), justify="right" if number > 1 else "left", no_wrap=True)
    for row in section.rows:
        grid.add_row(*(Text(printable(str(cell))) for cell in row))
    console.print(grid)
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


def _cell(row: ResultRow, name: str) -> str:
    value = row.values.get(name)
    if value is None:
        return "not scored"
    mean, stderr = value
    return f"{100 * mean:.1f}" + ("" if stderr is None else f" ± {100 * stderr:4.1f}")
