"""`safescale compare`: two models, retrievers, prompts or versions side by side, and whether
the second is no worse, as an exit status, a table and a JSON file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from lm_eval_safescale.cli.analyze import disagreeing
from lm_eval_safescale.cli.gate import STYLES
from lm_eval_safescale.cli.options import CsvOption, JsonOption, use_one_thread
from lm_eval_safescale.cli.screen import complain, say, working
from lm_eval_safescale.cli.table import Column, print_columns
from lm_eval_safescale.errors import writing
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.families.rows import Row
    from lm_eval_safescale.gate import Comparison, Flips, Side
    from lm_eval_safescale.metrics import Metric

SIDE = "FOLDER[:MODEL[:CONDITION]]"


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=f"What is compared with, the old: {SIDE}.")],
    b: Annotated[str, typer.Argument(metavar="B", help=f"What is compared, the new: {SIDE}.")],
    fail_on_worse: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MARGIN",
            help=(
                "Exit with 1 unless B is shown not to be worse than A by a margin, as 'METRIC 2 "
                "points' (one-sided 0.025); may be given more than once."
            ),
        ),
    ] = None,
    anyway: Annotated[
        bool,
        typer.Option(
            "--anyway", help="Compare also what differs in more than one thing, and say so."
        ),
    ] = False,
    as_json: JsonOption = None,
    as_csv: CsvOption = None,
    preset: Annotated[
        str, typer.Option(help="As of safescale analyze: which intervals and tests.")
    ] = "default",
    threshold: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="As of safescale analyze, in place of the runs' own."),
    ] = None,
) -> None:
    """B beside A on the same items: every metric's difference B - A with its interval, and the
    items that flipped towards harm and away from it.

    The folder is the longest beginning that there is; model and condition may be left out where
    there is only one (FOLDER::CONDITION for the only model). NAME (human) is a person who rated the
    items.

    Exit status 0: compared, and not worse by any margin asked for; 1: not shown to be so; 2:
    undecided (missing answers decide) or refused; 3: bad input, or a failure.
    """
    use_one_thread()
    from lm_eval_safescale import gate

    with working("comparing ..."):
        found = gate.compare(
            *gate.sides_of(a, b),
            fail_on_worse or (),
            preset=preset,
            threshold=threshold,
            anyway=anyway,
        )
    _show(found)
    if as_json is not None:
        text = json.dumps(_document(found), indent=1, ensure_ascii=False, allow_nan=False)
        with writing(as_json):
            as_json.write_text(text + "\n", "utf-8")
    if as_csv is not None and not found.refused:
        with writing(as_csv):
            as_csv.write_text(_csv(found), "utf-8")
    raise typer.Exit(int(found.outcome))


# --- on the screen --------------------------------------------------------------------------------


def _show(found: Comparison) -> None:
    from lm_eval_safescale.gate.telling import error_rate, lines_of

    study = found.study
    dataset = study.runs.about.get("dataset", {})
    demo = " - DEMO: no clinical claim may rest on it" if dataset.get("demo") else ""
    say(
        f"B beside A on {dataset.get('name', '?')}, {counted(len(study.items), 'item')}{demo}",
        style="bold",
    )
    say(f"A: {found.a}\nB: {found.b}")
    differ = found.differing
    say(f"Differs: {differ.said or 'nothing that the runs tell'}")
    for thing, how in differ.noted.items():
        say(f"Also differs: {thing} ({how})", style="dim")
    for remark in found.remarks:
        say(remark, style="yellow")
    for reason in found.refused:
        hint = " (--anyway to compare all the same)" if reason == differ.refused else ""
        complain(f"refused: {reason}{hint}")
    if found.refused:
        say("REFUSED: nothing was compared", style="bold yellow")
        return
    if found.anyway:
        say(f"COMPARED ANYWAY: {found.anyway}", style="bold yellow")
    _show_differences(found)
    for flips in found.flips:
        if flips.metric in study.family.headlines:
            _show_flips(flips)
    if found.decision is not None:
        for row in found.decision.rows:
            say(f"\n{row.outcome.name}  B against A, {row.clause.limit}", style=STYLES[row.outcome])
            for line in lines_of(row):
                say(f"  {line}")
        say("")
        for line in error_rate(found.decision):
            say(line, style="dim")
        say(found.outcome.name, style=f"bold {STYLES[found.outcome]}")


def _show_differences(found: Comparison) -> None:
    from lm_eval_safescale.stats.presets import preset_named

    metrics = {metric.name: metric for metric in found.study.metrics}
    own, preset = [(metrics[row["metric"]], row) for row in found.rows], preset_named(found.preset)
    p = preset.p_value
    columns = [
        Column("metric", [metric.name for metric, _ in own]),
        Column("A", [_figure(row["value_a"], metric) for metric, row in own], "right"),
        Column("B", [_figure(row["value_b"], metric) for metric, row in own], "right"),
        Column("B - A [95 %]", [_difference(row, metric) for metric, row in own], "right"),
        Column("B is", [_side_of_0(row, p) for _, row in own]),
        Column("n", [f"{row['n']:,}" for _, row in own], "right"),
        Column("alone", [_alone(row) for _, row in own], "right"),
        Column("p", [_p(row[p]) for _, row in own], "right"),
    ]
    shown = [column for column in columns if any(column.cells)]
    print_columns(Console(highlight=False, emoji=False), shown)
    of_shares = f"; alone: items that only A has, and only B; p: {p}" if shown == columns else ""
    say(
        "Percent and points, other units as they are, of the n items that are scored on both "
        f"sides{of_shares}.",
        style="dim",
    )
    counts = [{**row, "b": row["only_b"], "c": row["only_a"]} for row in found.rows]
    if why := disagreeing(counts, preset):
        say(why, style="dim")
    say(f"p and intervals are adjusted over {_adjusted()}.", style="dim")
    if found.without:
        say(f"Not scored on both sides: {', '.join(found.without)}.", style="dim")


def _adjusted() -> str:
    from lm_eval_safescale.gate.comparison import ADJUSTED_OVER

    return ADJUSTED_OVER


def _figure(value: float | None, metric: Metric) -> str:
    if value is None:
        return "not scored"
    return f"{100 * value:.1f}" if metric.is_fraction else f"{value:.4g}"


def _difference(row: Row, metric: Metric) -> str:
    def signed(value: float) -> str:
        return f"{100 * value:+.1f}" if metric.is_fraction else f"{value:+.4g}"

    delta, low, high = (row[name] for name in ("delta", "delta_lo", "delta_hi"))
    if delta is None:
        return "not scored"
    return signed(delta) + ("" if low is None else f" [{signed(low)}, {signed(high)}]")


def _side_of_0(row: Row, p: str) -> str:
    """What the interval says of B, where the test beside it does not disagree."""
    low, high = row["delta_lo"], row["delta_hi"]
    if low is None or low <= 0 <= high or (row[p] is not None and row[p] >= 0.05):
        return ""
    return "better" if (low > 0) == (row["better"] == "higher") else "worse"


def _alone(row: Row) -> str:
    return "" if row["only_a"] is None else f"{row['only_a']}, {row['only_b']}"


def _p(value: float | None) -> str:
    return "" if value is None else "< 0.001" if value < 0.001 else f"{value:.3f}"


def _show_flips(flips: Flips) -> None:
    from lm_eval_safescale.gate.telling import names_of

    if not flips.towards and not flips.away:
        say(f"{flips.metric}: no item flipped; {flips.both} have it on both sides")
        return
    for what, ids in (("towards harm, B alone", flips.towards), ("away, A alone", flips.away)):
        if ids:
            say(f"{flips.metric}, {what}: {counted(len(ids), 'item')}: {names_of(ids)}")


# --- as JSON and CSV ------------------------------------------------------------------------------


def _document(found: Comparison) -> dict[str, Any]:
    from lm_eval_safescale import __version__
    from lm_eval_safescale.gate.telling import document_of, error_rate

    study, judged = found.study, found.decision
    dataset = study.runs.about.get("dataset", {})
    outcome = "compared" if judged is None else found.outcome.name.lower()
    return {
        "outcome": "refused" if found.refused else outcome,
        "exit_status": int(found.outcome),
        "demo": bool(dataset.get("demo")),
        "a": _side(found.a),
        "b": _side(found.b),
        "difference": "b - a",
        "differs": dict(found.differing.things),
        "also_differs": dict(found.differing.noted),
        "anyway": found.anyway or None,
        "dataset": {key: dataset.get(key) for key in ("family", "name", "version", "fingerprint")},
        "preset": found.preset,
        **study.scoring,
        "adjusted_over": _adjusted(),
        "refused": list(found.refused),
        "remarks": list(found.remarks),
        "differences": list(found.rows),
        "not_scored": list(found.without),
        "flips": [
            {
                "metric": each.metric,
                "n": each.n,
                "both": each.both,
                "towards_harm": list(each.towards),
                "away_from_harm": list(each.away),
            }
            for each in found.flips
        ],
        "fail_on_worse": [] if judged is None else [document_of(row) for row in judged.rows],
        "error_rate": [] if judged is None else error_rate(judged),
        "version": __version__,
    }


def _side(side: Side) -> dict[str, Any]:
    return {
        "given": side.given,
        "folder": str(side.folder),
        "model": side.model,
        "condition": side.condition,
        "human": side.is_human,
        "draws": side.draws,
    }


def _csv(found: Comparison) -> str:
    """The differences; each row says of what it is."""
    from lm_eval_safescale.analysis.writing import as_csv
    from lm_eval_safescale.gate.comparison import COLUMNS

    dataset: Mapping[str, Any] = found.study.runs.about.get("dataset", {})
    of = {
        "demo": str(bool(dataset.get("demo"))).lower(),
        "dataset_fingerprint": dataset.get("fingerprint"),
        **{
            f"{what}_{label}": str(getattr(side, what))
            for label, side in (("a", found.a), ("b", found.b))
            for what in ("folder", "model", "condition")
        },
        "anyway": found.anyway or None,
    }
    return as_csv([{**of, **row} for row in found.rows], (*of, *COLUMNS))
