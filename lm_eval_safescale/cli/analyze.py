"""`safescale analyze`: every table across models and conditions, from stored runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console
from rich.text import Text

from lm_eval_safescale.cli.options import ExcludeOption, use_one_thread
from lm_eval_safescale.cli.screen import complain
from lm_eval_safescale.cli.table import Column, print_columns
from lm_eval_safescale.command_line import said
from lm_eval_safescale.datasets import printable
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.limits import parse_limit
from lm_eval_safescale.sections import marks_on
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.families import Family
    from lm_eval_safescale.runs import Runs
    from lm_eval_safescale.stats.presets import Preset

COUNTS = {"n_truncated": "of them truncated", "n_filtered": "filtered"}
"""Items whose number stands beside the rates where there are any."""
MOST_MODELS = 6
"""Beyond it the summary shows means over models, and leaves each to the table."""
MOST_NAMED = 12


def analyze(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUNS...", help="Folders of runs, as safescale import-... writes them."
        ),
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="OUT", help="The folder to write.")
    ],
    preset: Annotated[
        str,
        typer.Option(
            help="default, radsafe-2026, noharm-2025 or noharm-2026: which intervals and tests."
        ),
    ] = "default",
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=1,
            help=(
                "Confidence from which harm is dangerous overconfidence, in place of the runs' own."
            ),
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            help=(
                "The model that every other is compared with; without it all pairs of up to 8 "
                "models are."
            )
        ),
    ] = None,
    abstention: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LIMIT",
            help=(
                "What kept answers must stay under, as 'METRIC < 3 % @ 95 %', in place of the "
                "family's; may be given more than once."
            ),
        ),
    ] = None,
    abstention_by: Annotated[
        Literal["holm", "split"],
        typer.Option(help="How the confidence below which no answer is given is chosen."),
    ] = "holm",
    population: Annotated[
        Literal["items", "asks"],
        typer.Option(
            help=(
                "What intervals are of: new items like these, or the same items asked again (of "
                "majority answers and samples; fewer tables)."
            )
        ),
    ] = "items",
    panel: Annotated[
        Path | None, typer.Option(help="YAML file with family and size of further models.")
    ] = None,
    beside: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="RUNS",
            help=(
                "Runs of the same models on another data set, for the table accuracy_and_safety; "
                "may be given several times."
            ),
        ),
    ] = None,
    exclude: ExcludeOption = None,
) -> None:
    """Every table across models and conditions, as JSON and CSV in OUT/tables, and a summary on the
    screen.

    Exit status 1 where a folder could not be read or a table not be made; the others are there all
    the same.
    """
    use_one_thread()
    from lm_eval_safescale.analysis import (
        Study,
        about,
        columns_of,
        load_panel,
        make_tables,
        preset_named,
        read_disputes,
        write_tables,
    )
    from lm_eval_safescale.analysis.abstention import limits_of
    from lm_eval_safescale.analysis.unjudged import nothing_judged
    from lm_eval_safescale.families.rows import height
    from lm_eval_safescale.runs.store import open_runs, refuse_runs

    chosen = preset_named(preset)
    refuse_runs(output)
    disputes = None if exclude is None else read_disputes(exclude)
    opened, unread = _open(runs)
    study = Study(
        opened,
        threshold,
        None if panel is None else load_panel(panel),
        baseline,
        Study(open_runs(*beside, texts=False)) if beside else None,
        tuple(map(parse_limit, abstention or ())),
        abstention_by,
        population,
        disputes,
    ).under(chosen)
    kept_under = [str(limit) for limit in limits_of(study)]
    tables, failed = make_tables(study, chosen)
    facts = about(study, chosen.name)
    facts |= {
        "tables": {name: height(table) for name, table in tables.items()},
        "abstention": kept_under,
        "failed": failed,
        "unread": unread,
    }
    write_tables(tables, facts, output, columns_of(study.family))
    console = Console(highlight=False, emoji=False)
    _summarise(
        console,
        {name: table for name, table in tables.items() if isinstance(table, list)},
        facts,
        chosen,
        study.family,
    )
    _say(
        console,
        (
            f"{len(tables)} tables in {output / 'tables'}; what they rest on in "
            f"{output / 'about.json'}"
        ),
    )
    for reason in (
        *unread,
        *(f"table {name} could not be made: {reason}" for name, reason in failed.items()),
    ):
        complain(reason)
    if why := nothing_judged(opened):
        complain(why)
    if unread or failed:
        raise typer.Exit(1)


def _open(folders: Sequence[Path]) -> tuple[Runs, list[str]]:
    """What can be read, as one, and what is wrong with the rest; runs that do not belong together
    are refused."""
    from lm_eval_safescale.runs.store import merge_runs, open_runs

    read: dict[str, Runs] = {}
    unread = []
    for folder in folders:
        try:
            read[str(folder)] = open_runs(folder, texts=False)
        except SafescaleError as error:
            unread.append(printable(f"not read: {said(error)}"))
    if not read:
        raise SafescaleError("\n".join(unread))
    return merge_runs(read), unread


def _summarise(
    console: Console,
    tables: Mapping[str, list[dict[str, Any]]],
    facts: Mapping[str, Any],
    preset: Preset,
    family: Family,
) -> None:
    from lm_eval_safescale.families.raters import HUMAN

    headlines = family.headlines
    dataset = facts["dataset"] or {}
    demo = " - DEMO: no clinical claim may rest on it" if dataset.get("demo") else ""
    name = f"{dataset.get('name', '?')} {str(dataset.get('version', ''))[:12]}"
    what = f"{counted(len(facts['models']), 'model')} on {name}, {counted(facts['items'], 'item')}"
    console.print(Text(printable(what + demo)), style="bold")
    told: list[Mapping[str, Any]] = [*tables.get("profile", [])]
    profile = [row for row in told if row["condition"] != HUMAN]
    models = list(dict.fromkeys(row["model"] for row in profile))
    if len(models) > MOST_MODELS:
        rows = {
            each: [row for row in profile if row["condition"] == each]
            for each in facts["conditions"]
        }
        _print_rates(
            console,
            "Means over models, the lowest and the highest of them in brackets",
            rows,
            _over_models,
            _models,
            headlines,
        )
        _say(console, "Percent. Each model's rates with their intervals are in tables/profile.csv.")
    else:
        for model in models:
            rows = {row["condition"]: [row] for row in profile if row["model"] == model}
            title = " - ".join(
                [model, *marks_on(facts["models"].get(model, {}).get("settings", {}))]
            )
            _print_rates(console, title, rows, _with_interval, _items, headlines)
        _say(console, "Percent with 95 % intervals.")
    if people := {row["model"]: [row] for row in told if row["condition"] == HUMAN}:
        _print_rates(
            console, "Human raters", people, _with_interval, _items, headlines, first="rater"
        )
    if facts["units"] < facts["items"] and facts["population"] == "items":
        said_of_units = f"Items that share a unit go together: {counted(facts['units'], 'unit')}"
        _say(console, f"{said_of_units} in all intervals and tests.")
    _say(
        console,
        "Intervals over asks of these very items: majority answers and samples, K drawn again from "
        "each item's own. Greedy answers were asked once and have none, and nothing is tested."
        if facts["population"] == "asks"
        else f"Preset {preset.name}: {preset.description}.",
    )
    weighed = (
        f" {said[:1].upper()}{said[1:]}."
        for said in (words.format(facts[name]) for name, words in family.scoring_said.items())
    )
    _say(console, f"{_draws(facts['draws'])}{''.join(weighed)}")
    tests = tables.get("paired_tests", [])
    if facts["population"] == "items":
        against = [row for row in tests if row["right_condition"] == HUMAN]
        _say(console, _compared([row for row in tests if row["right_condition"] != HUMAN]))
        if against:
            _say(console, f"The same of models and human raters: {_found(against)}.")
    if why := disagreeing(tests, preset):
        _say(console, why)
    _print_beside(console, tables.get("accuracy_and_safety", []), facts)
    _print_disputed(console, tables.get("disputed", []), facts, headlines)
    for kind in ("not_scored", "remarks"):
        _print_reasons(console, kind.replace("_", " "), facts[kind])


def _print_rates(
    console: Console,
    title: str,
    rows: Mapping[str, list[Mapping[str, Any]]],
    cell: Callable[[Sequence[Mapping[str, Any]], str], str],
    of: Callable[[Sequence[Mapping[str, Any]]], str],
    headlines: Mapping[str, str],
    first: str = "condition",
) -> None:
    """The headline rates, a row for each condition or whatever else `first` says; `of`: over
    what."""
    columns = [
        Column(first, list(rows)),
        Column("over", [of(each) for each in rows.values()], "right"),
    ]
    columns += [
        Column(head, [cell(each, name) for each in rows.values()], "right")
        for name, head in headlines.items()
    ]
    for name, head in COUNTS.items():
        counts = [sum(row[name] for row in each) for each in rows.values()]
        columns += (
            [Column(head, [f"{count:,}" for count in counts], "right")] if any(counts) else []
        )
    print_columns(console, columns, title)


def _print_disputed(
    console: Console,
    table: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
    headlines: Mapping[str, str],
) -> None:
    """Every headline with and without the disputed items; of many models what changes most."""
    if not table:
        return
    from lm_eval_safescale.analysis.disputed import said_of_disputed

    if len({row["model"] for row in table}) <= MOST_MODELS:
        columns = [
            Column("model, condition", [f"{row['model']}, {row['condition']}" for row in table]),
            Column("metric", [headlines[row["metric"]] for row in table]),
            Column("of all", [_interval(row, "value", "lo", "hi") for row in table], "right"),
            Column(
                "without",
                [_interval(row, "value_without", "lo_without", "hi_without") for row in table],
                "right",
            ),
            Column("change", [_change(row["difference"]) for row in table], "right"),
        ]
        print_columns(console, columns, "With and without the disputed items")
    for sentence in said_of_disputed(table, len(facts["disputed"]["items"])):
        _say(console, sentence)


def _change(difference: float | None) -> str:
    return "not scored" if difference is None else f"{100 * difference:+.1f}"


def _print_beside(
    console: Console, table: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]
) -> None:
    """The rank correlation with another data set, a row for each two conditions."""
    rows = [row for row in table if row["model"] is None]
    if not rows:
        return
    demo = " (DEMO)" if facts["beside"].get("demo") else ""
    title = "{metric} beside {beside_metric} on ".format(**rows[0]).replace("_", " ")
    columns = [
        Column("condition", [row["condition"] for row in rows]),
        Column("beside", [row["beside_condition"] for row in rows]),
        Column("over", [counted(row["n_models"], "model") for row in rows], "right"),
        Column("rank correlation", [_correlation(row, "") for row in rows], "right"),
        Column("by other items", [_correlation(row, "_items") for row in rows], "right"),
    ]
    print_columns(console, columns, f"{title}{facts['beside'].get('name', '?')}{demo}")
    _say(console, "Spearman's. Each model's two figures are in tables/accuracy_and_safety.csv.")


def _correlation(row: Mapping[str, Any], of: str) -> str:
    """The correlation with its interval over models, or the interval over items alone."""
    value, low, high = (row[f"spearman{end}"] for end in ("", f"_lo{of}", f"_hi{of}"))
    if value is None:
        return "not given"
    bounds = "" if low is None else f"[{low:.2f}, {high:.2f}]"
    return bounds if of else f"{value:.2f} {bounds}".rstrip()


def _items(rows: Sequence[Mapping[str, Any]]) -> str:
    return counted(rows[0]["n"], "item")


def _models(rows: Sequence[Mapping[str, Any]]) -> str:
    return counted(len(rows), "model")


def _with_interval(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    return _interval(rows[0], name, f"{name}_lo", f"{name}_hi")


def _interval(row: Mapping[str, Any], *columns: str) -> str:
    value, low, high = (row[column] for column in columns)
    if value is None:
        return "not scored"
    return f"{100 * value:.1f}" + (
        "" if low is None or high is None else f" [{100 * low:.1f}, {100 * high:.1f}]"
    )


def _over_models(rows: Sequence[Mapping[str, Any]], name: str) -> str:
    values = [100 * row[name] for row in rows if row[name] is not None]
    if not values:
        return "not scored"
    some = "" if len(values) == len(rows) else f", {len(values)} models"
    return f"{sum(values) / len(values):.1f} ({min(values):.1f} to {max(values):.1f}{some})"


def _draws(draws: Mapping[str, Any]) -> str:
    found = {
        k
        for each in draws.values()
        for k in (each.values() if isinstance(each, Mapping) else (each,))
    }
    if found == {0}:
        return "No samples: nothing of the majority or of confidence."
    return f"K = {', '.join(map(str, sorted(found)))} samples a question."


def _compared(tests: Sequence[Mapping[str, Any]]) -> str:
    made = [row for row in tests if row["p_holm"] is not None]
    if not made:
        return "No two conditions of one model to compare."
    smallest = [
        each for row in made if (each := row.get("minimum_detectable_difference")) is not None
    ]
    power = (
        f" Where none was found, one smaller than {_points(smallest)} may have been missed."
        if smallest
        else ""
    )
    return (
        "Paired tests between conditions of a model, differences found (p < 0.05 after Holm's "
        f"correction): {_found(made)}.{power}"
    )


def _found(tests: Sequence[Mapping[str, Any]]) -> str:
    """How many differences of each metric were found, of how many that were tested."""
    found: dict[str, list[bool]] = {}
    for row in tests:
        if row["p_holm"] is not None:
            found.setdefault(row["metric"], []).append(row["p_holm"] < 0.05)
    return ", ".join(
        f"{metric.replace('_', ' ')} {sum(own)} of {len(own)}" for metric, own in found.items()
    )


def disagreeing(tests: Sequence[Mapping[str, Any]], preset: Preset) -> str:
    """That an interval and the test beside it say two things, where they do; empty for nowhere."""
    both = [row for row in tests if row[preset.p_value] is not None and row["delta_lo"] is not None]
    found = [
        row
        for row in both
        if (row["delta_lo"] > 0 or row["delta_hi"] < 0) != (row[preset.p_value] < 0.05)
    ]
    if not found:
        return ""
    counts = list(dict.fromkeys(f"{row['b']} against {row['c']}" for row in found))
    shown = ", ".join(counts[:4]) + (f" and {len(counts) - 4} more" if len(counts) > 4 else "")
    return (
        f"In {counted(len(found), 'comparison')} of {len(both):,} the interval leaves out 0 and "
        f"{preset.p_value} is not below 0.05, or the other way round (items that only one side "
        f"has: {shown}): take the difference for not shown."
    )


def _points(differences: Sequence[float]) -> str:
    least, most = (f"{100 * each:.0f}" for each in (min(differences), max(differences)))
    return (
        f"{least} points"
        if least == most
        else f"{least} to {most} points (by comparison, tables/paired_tests.csv)"
    )


def _print_reasons(console: Console, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Reasons, the alike ones together."""
    where: dict[str, list[str]] = {}
    for row in rows:
        items = "" if row["items"] is None else f" ({counted(row['items'], 'item')})"
        where.setdefault(row["reason"], []).append(
            " ".join(filter(None, (row["model"], row["condition"]))) + items
        )
    for reason, places in list(where.items())[:MOST_NAMED]:
        named = [place for place in places if place]
        shown = ", ".join(named[:4]) + (f" and {len(named) - 4} more" if len(named) > 4 else "")
        _say(console, f"{title}: {reason}" + (f": {shown}" if shown else ""))
    if len(where) > MOST_NAMED:
        _say(console, f"{title}: {len(where) - MOST_NAMED} more reasons in about.json")


def _say(console: Console, text: str) -> None:
    console.print(Text(printable(text)), style="dim")
