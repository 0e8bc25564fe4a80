"""`safescale table`: the safety table of finished lm_eval runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from lm_eval_safescale.report import ResultRow, read_results

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
    widest = max(31 + 17 * len(columns) for columns in runs.values())
    console = Console(record=svg is not None, width=None if svg is None else widest, highlight=False)
    for columns in runs.values():
        _print(console, columns)
    if svg is not None:
        drawn = console.export_svg(title="safescale table")
        drawn = re.sub(r"@font-face \{.*?\}", "", drawn, flags=re.DOTALL)  # a picture asks no network for its fonts
        svg.write_text(drawn.replace("Fira Code, monospace", "monospace"), encoding="utf-8")


def _print(console: Console, rows: list[ResultRow]) -> None:
    first = rows[0]
    model = Path(first.model).name if Path(first.model).is_absolute() else first.model
    title = f"{model} on {first.dataset}" + (" - DEMO: no clinical claim may rest on it" if first.demo else "")
    console.print(Text(title), style="bold")
    grid = Table()
    grid.add_column("percent ± standard error", no_wrap=True)
    for row in rows:
        items = f"{row.items}" if row.items == row.of_items else f"{row.items} of {row.of_items}"
        grid.add_column(f"{row.condition}\n{items} items", justify="right", no_wrap=True)
    for metric, name in METRIC_ROWS.items():
        grid.add_row(name, *(_cell(row, metric) for row in rows))
    console.print(grid)
    draws, threshold = first.settings["draws"], first.settings["overconfidence_threshold"]
    sampled = (
        f"Confidence from K = {draws} samples a question; overconfident from {threshold:.2f}." if draws else "No samples drawn."
    )
    console.print(sampled + _changed(first), style="dim")


def _changed(row: ResultRow) -> str:
    """The settings that differ from the protocol's."""
    changed = [
        f"{name} {row.settings[name]}"
        for name, usual in (("temperature", 0.7), ("reasoning", "auto"))
        if row.settings[name] != usual
    ]
    return f" Asked with {', '.join(changed)}." if changed else ""


def _cell(row: ResultRow, name: str) -> str:
    value = row.values.get(name)
    if value is None:
        return "not scored"
    mean, stderr = value
    return f"{100 * mean:.1f}" + ("" if stderr is None else f" ± {100 * stderr:4.1f}")
