"""`safescale contexts`: build what is shown above the questions ahead of a run, and look at it."""

from __future__ import annotations

import json
import textwrap
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Column, Table
from rich.text import Text

from lm_eval_safescale.cli.examples import example
from lm_eval_safescale.cli.options import (
    ColumnsOption,
    CorpusOption,
    CsvOption,
    DatasetOption,
    ExcludedItemsOption,
    FirstIndexOption,
    JsonOption,
    data_settings,
    given_settings,
)
from lm_eval_safescale.cli.screen import Progress, complain, console, say, working
from lm_eval_safescale.datasets import printable
from lm_eval_safescale.errors import CommandHint, SafescaleError, writing
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.chat import ChatModel
    from lm_eval_safescale.contexts import BuildProgress, ContextComparison, ContextSet
    from lm_eval_safescale.plugins import Part

app = typer.Typer(
    help="Contexts: what is shown above the questions, built ahead and inspected.",
    no_args_is_help=True,
)


@app.command(epilog=example("contexts build"))
def build(
    condition: Annotated[
        str,
        typer.Argument(
            help="A condition, for example rag or max_context (safescale plugins list shows them)."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .jsonl file to write.")],
    dataset: DatasetOption = None,
    columns: ColumnsOption = None,
    first_index: FirstIndexOption = None,
    exclude_items: ExcludedItemsOption = None,
    corpus: CorpusOption = None,
    retriever: Annotated[str | None, typer.Option(help="Retriever, by name.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Passages shown.")] = None,
    metadata: Annotated[
        str, typer.Option(help="Any other settings as JSON (docs/settings.md).")
    ] = "{}",
    model: Annotated[
        str | None,
        typer.Option(
            help=(
                "What writes reports: a backend of lm_eval (hf, vllm, ...), or endpoint for an "
                "OpenAI-compatible server."
            )
        ),
    ] = None,
    model_args: Annotated[
        str,
        typer.Option(
            "--model_args",
            help=(
                "As for lm_eval; for endpoint: base_url=http://HOST/v1,model=NAME (key: "
                "OPENAI_API_KEY)."
            ),
        ),
    ] = "",
    writer_model: Annotated[
        str | None,
        typer.Option(
            "--writer_model",
            help="Another model for research and sections; --model then plans only.",
        ),
    ] = None,
    writer_model_args: Annotated[
        str, typer.Option("--writer_model_args", help="Its arguments.")
    ] = "",
    batch_size: Annotated[
        str | None, typer.Option("--batch_size", help="As for lm_eval; auto for engines, else 8.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="As for lm_eval.")] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Write over a file made of other data or settings.")
    ] = False,
) -> None:
    """Build the contexts of a condition for a whole data set, for --metadata '{"contexts":
    "FILE"}'.

    Reports (agentic) are written by a model. Every step is stored beside FILE, in FILE.steps.jsonl:
    after an interruption the same command goes on from there.
    """
    from lm_eval_safescale import assembly
    from lm_eval_safescale.contexts import write_contexts
    from lm_eval_safescale.plugins import plugins
    from lm_eval_safescale.settings import load_settings

    options = {"dataset": dataset, "corpus": corpus, "retriever": retriever, "top_k": top_k}
    options |= data_settings(columns, first_index, exclude_items)
    given = given_settings(metadata, options)
    settings = load_settings(given, given_by="command line", strict=True)
    settings = settings.model_copy(update={"contexts": None})
    if output.suffix.lower() not in (".jsonl", ".ndjson"):
        raise SafescaleError(f"{output}: expected a name that ends in .jsonl")
    part = plugins().find("condition", condition)
    for name, fixed in part.thing.args.items():
        if given.get(name) is not None and getattr(settings, name) != fixed:
            option = f"--{name.replace('_', '-')}" if options.get(name) is not None else name
            raise SafescaleError(f"{part.name} fixes {name} at {fixed!r}; leave {option} out")
    data = assembly.load_dataset(settings, [part.thing.evidence] if part.thing.evidence else [])
    builder = assembly.builder_of(part, settings)
    if builder is None:
        raise SafescaleError(
            f"{part.name} shows nothing above the question: there is nothing to build"
        )
    if builder.thing.needs_chat != (model is not None):
        raise _about_model(part, builder, assembly.build_command(part, settings))
    steps = output.with_suffix(".steps.jsonl")
    with working(f"building the contexts of {part.name} for {len(data)} items ...") as progress:
        chat = None
        if model is not None:
            progress("loading the model ...")
            models = _models(model, model_args, writer_model, writer_model_args, batch_size, device)
            chat = assembly.Chat(models, steps, _Progress(progress, len(data)), overwrite=force)
        try:
            made = assembly.contexts_of(part, data, settings, chat=chat)
        except KeyboardInterrupt:
            if chat is None:
                raise
            raise SafescaleError(
                f"interrupted; what was written is stored in {steps}, and the same command goes on "
                "from there"
            ) from None
    assert made is not None
    if not made.contexts:
        raise SafescaleError(
            f"no report could be made; {_reasons(made.failed)}\nevery step: {steps}"
        )
    _refuse_other(output, made.about, force=force)
    write_contexts(output, made)
    say(f"{output}: {len(made.contexts)} contexts", style="bold")
    _summary(made)
    if chat is not None:
        say(f"every step   {steps}")
    if made.failed:
        complain(
            f"{len(made.failed)} of {len(data)} reports could not be made (above), and the "
            "condition leaves their items out. The same command tries again what the model gave no "
            "reply to."
        )
        raise typer.Exit(1)


@app.command(epilog=example("contexts show"))
def show(
    file: Annotated[Path, typer.Argument(help="A file that safescale contexts build made.")],
    item: Annotated[
        str | None, typer.Argument(help="A question id, to see its context with its passages.")
    ] = None,
) -> None:
    """What a file of contexts was made of and how good its retrieval is; or one of its contexts,
    with passages and scores."""
    from lm_eval_safescale.contexts import read_contexts
    from lm_eval_safescale.runs.places import Kind, refuse_others

    refuse_others(file, Kind.CONTEXTS)
    made = read_contexts(file)
    if item is None:
        _summary(made)
        return
    if item in made.failed:
        say(f"{item}: FAILED, no report could be made: {made.failed[item]}", style="red")
        return
    if item not in made.contexts:
        some = ", ".join(list(made.contexts)[:5])
        raise SafescaleError(f"{file}: no item {item!r}; its ids are {some}, ...")
    _show(item, made.contexts[item])


@app.command(epilog=example("contexts compare"))
def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A file of contexts to compare with.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="The file that is compared.")],
    dataset: DatasetOption = None,
    metadata: Annotated[
        str, typer.Option(help="Settings of the data set as JSON (docs/settings.md).")
    ] = "{}",
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Compare also contexts from two corpora.")
    ] = False,
    as_json: JsonOption = None,
    as_csv: CsvOption = None,
) -> None:
    """Two files of contexts on the same items: every measure's difference B - A with its interval,
    and the items that changed most.

    With --dataset, items of one unit are resampled together; without it each item is drawn by
    itself.
    """
    from lm_eval_safescale.contexts import compare_contexts, read_contexts
    from lm_eval_safescale.runs.places import Kind, refuse_others

    for file in (a, b):
        refuse_others(file, Kind.CONTEXTS)
    sides = read_contexts(a), read_contexts(b)
    units = _units_of(dataset, metadata, sides, (a, b))
    found = compare_contexts(*sides, units, anyway=anyway)
    _show_differences(found, a, b)
    about = _compared(found, sides, (a, b), by_units=any((units or {}).values()))
    if as_json is not None:
        text = json.dumps(about, indent=1, ensure_ascii=False, allow_nan=False)
        with writing(as_json):
            as_json.write_text(text + "\n", "utf-8")
    if as_csv is not None:
        from lm_eval_safescale.analysis.writing import as_csv as csv_of
        from lm_eval_safescale.contexts.comparing import COLUMNS

        of = {"a": str(a), "b": str(b), "dataset_fingerprint": about["dataset"]["fingerprint"]}
        with writing(as_csv):
            as_csv.write_text(csv_of([{**of, **row} for row in found.rows], (*of, *COLUMNS)))


def _units_of(
    dataset: str | None, metadata: str, sides: Sequence[ContextSet], files: Sequence[Path]
) -> dict[str, str] | None:
    """The unit of each item, where the data set is named."""
    from lm_eval_safescale import assembly
    from lm_eval_safescale.contexts import check_belongs
    from lm_eval_safescale.settings import load_settings

    given = given_settings(metadata, {"dataset": dataset})
    if not given:
        return None
    data = assembly.load_dataset(load_settings(given, given_by="command line", strict=True))
    for made, file in zip(sides, files, strict=True):
        check_belongs(made, data, file)
    return {item.question_id: item.unit for item in data}


def _show_differences(found: ContextComparison, a: Path, b: Path) -> None:
    from lm_eval_safescale.cli.table import Column as Cells
    from lm_eval_safescale.cli.table import print_columns

    say(f"B compared with A, {counted(found.items, 'item')}", style="bold")
    say(f"A: {a}\nB: {b}")
    say(f"Made otherwise: {', '.join(found.differs) or 'nothing'}")
    if found.failed:
        say(f"Left out, without a context on a side: {', '.join(found.failed)}", style="yellow")
    columns = [
        Cells("measure", [row["measure"] for row in found.rows]),
        Cells("A", [f"{row['value_a']:.4g}" for row in found.rows], "right"),
        Cells("B", [f"{row['value_b']:.4g}" for row in found.rows], "right"),
        Cells("B - A [95 %]", [_difference(row) for row in found.rows], "right"),
        Cells("n", [f"{row['n']:,}" for row in found.rows], "right"),
        Cells("units", [f"{row['units']:,}" for row in found.rows], "right"),
        Cells(
            "alone",
            ["" if row["only_a"] is None else f"{row['only_a']}, {row['only_b']}"
             for row in found.rows], "right",
        ),
    ]  # fmt: skip
    print_columns(console, columns)
    say(
        "n: items scored on both sides; alone: items that have it only in A, and only in B. "
        "Intervals: Tango's where every value is 0 or 1, else BCa bootstrap; each is of one "
        "measure by itself.",
        style="dim",
    )
    for measure, changes in found.changed.items():
        if changes:
            some = (f"{each.question_id} {each.a:.4g} -> {each.b:.4g}" for each in changes[:3])
            say(f"{measure}, changed most: {', '.join(some)}")
    for measure, reason in found.without.items():
        say(f"Not compared: {measure} ({reason})", style="yellow")


def _difference(row: Mapping[str, Any]) -> str:
    low, high = row["delta_lo"], row["delta_hi"]
    return f"{row['delta']:+.4g}" + ("" if low is None else f" [{low:+.4g}, {high:+.4g}]")


def _compared(
    found: ContextComparison, sides: Sequence[ContextSet], files: Sequence[Path], *, by_units: bool
) -> dict[str, Any]:
    from lm_eval_safescale import __version__

    return {
        "a": {"file": str(files[0]), **sides[0].about},
        "b": {"file": str(files[1]), **sides[1].about},
        "difference": "b - a",
        "dataset": sides[0].about["dataset"],
        "items": found.items,
        "failed": list(found.failed),
        "differs": list(found.differs),
        "by_units": by_units,
        "differences": list(found.rows),
        "changed": {
            measure: [asdict(change) for change in changes]
            for measure, changes in found.changed.items()
        },
        "not_compared": dict(found.without),
        "version": __version__,
    }


class _Progress:
    """Tells how far the reports are; marks the end of each wave."""

    def __init__(self, progress: Progress, items: int) -> None:
        self._progress, self._items, self._started, self._wave = (
            progress,
            items,
            time.monotonic(),
            0,
        )

    def __call__(self, now: BuildProgress) -> None:
        seconds = time.monotonic() - self._started
        known = f" ({now.known:,} known from before)" if now.known else ""
        known += f" ({counted(now.damaged, 'damaged line')}: asked again)" if now.damaged else ""
        line = (
            f"wave {now.wave}: {now.asked:,} of {now.of:,} steps; {now.made} of {self._items} "
            f"reports made, {now.failed} failed; {now.replied + now.known:,} steps{known}, "
            f"{seconds:,.0f} s"
        )
        mark = (
            now.wave != self._wave and now.asked == now.of
        ) or now.made + now.failed == self._items
        if mark:
            self._wave = now.wave
        self._progress(line, mark=mark)


def _models(
    model: str,
    model_args: str,
    writer: str | None,
    writer_args: str,
    batch_size: str | None,
    device: str | None,
) -> dict[str, ChatModel]:
    from lm_eval_safescale.contexts import ORCHESTRATE, WRITE
    from lm_eval_safescale.harness.chat import load_chat_model

    if writer_args and writer is None:
        raise SafescaleError("--writer_model_args without --writer_model")
    planning = load_chat_model(model, model_args, batch_size=batch_size, device=device)
    writing = (
        planning
        if writer is None
        else load_chat_model(writer, writer_args, batch_size=batch_size, device=device)
    )
    return {ORCHESTRATE: planning, WRITE: writing}


def _about_model(part: Part, builder: Part, command: CommandHint) -> SafescaleError:
    if builder.thing.needs_chat:
        return SafescaleError(f"{part.name} is written by a model; name one:\n  ", command)
    return SafescaleError(
        f"{part.name} is not written by a model ({builder.name}); leave --model out"
    )


def _reasons(failed: Mapping[str, str]) -> str:
    """The failures by reason, the commonest first."""
    by_reason: dict[str, list[str]] = {}
    for item, reason in failed.items():
        by_reason.setdefault(reason, []).append(item)
    ranked = sorted(by_reason.items(), key=lambda each: -len(each[1]))
    return "why:\n" + "\n".join(f"  {', '.join(items)}: {reason}" for reason, items in ranked)


def _refuse_other(path: Path, about: Mapping[str, Any], *, force: bool) -> None:
    """A file that is there already may be replaced by the same, never by something else unasked."""
    if force or not path.exists():
        return
    from lm_eval_safescale.contexts import read_contexts

    hint = "choose another name, or --force"
    try:
        there = read_contexts(path).about
    except SafescaleError as error:
        raise SafescaleError(
            f"{path} is there and cannot be read as contexts (", error, f"); {hint}"
        ) from None
    if differing := [name for name in {**there, **about} if there.get(name) != about.get(name)]:
        raise SafescaleError(
            f"{path} is there, built otherwise (differs: {', '.join(differing)}); {hint}"
        )


def _summary(made: Any) -> None:
    from lm_eval_safescale.contexts import notices_of

    about, summary = made.about, made.summary()
    builder, data = about["builder"], about["dataset"]
    settings = ", ".join(f"{name} {value}" for name, value in builder["settings"].items())
    say(
        f"condition    {about['condition']}, "
        f"by {builder['name']} "
        f"({builder.get('provided_by', '?')}){': ' + settings if settings else ''}"
    )
    say(f"data set     {data['name']} {data['version']}: {about['items']} items")
    if about.get("corpus") and about.get("retriever"):
        corpus, retriever = about["corpus"], about["retriever"]
        its = ", ".join(f"{name} {value}" for name, value in retriever["settings"].items())
        say(
            f"corpus       {corpus['corpus']}: {corpus['articles']:,} articles, "
            f"{corpus['passages']:,} passages of {corpus['size']} tokens, {corpus['overlap']} "
            f"shared ({corpus['tokenizer']})"
        )
        say(
            f"retriever    {retriever['retriever']} "
            f"({retriever['provided_by']}){': ' + its if its else ''}"
        )
    for role, each in about.get("models", {}).items():
        args = each.get("model_args") or {
            name: value for name, value in each.items() if name != "backend"
        }
        say(
            f"{role:<13}{each['backend']}: "
            f"{', '.join(f'{name} {value}' for name, value in args.items())}"
        )
    tokens = summary["tokens"]
    window = f", window {about['window']:,}" if about.get("window") else ""
    say(
        f"tokens       {tokens['least']:,} to {tokens['most']:,}, mean {tokens['mean']:,.0f} "
        f"({about['tokenizer']}{window})"
    )
    for name, value in summary["measures"].items():
        scored = (
            "not scored" if value is None else f"{value:.3f} over {summary['scored'][name]} items"
        )
        say(f"{name:<25}{scored}")
    if made.failed:
        say(
            f"FAILED       {len(made.failed)}, left out by the condition; {_reasons(made.failed)}",
            style="red",
        )
    if any("fallbacks" in context.notes for context in made.contexts.values()):
        fallbacks, steps = Counter[str](), 0
        for context in made.contexts.values():
            fallbacks.update(_counts(context.notes.get("fallbacks")))
            steps += _counts(context.notes).get("steps", 0)
        their = ", ".join(f"{name} {count}" for name, count in fallbacks.most_common()) or "none"
        say(f"fallbacks    {their} (of {steps:,} steps)")
    if leaking := [name for name, context in made.contexts.items() if context.measures.get("leak")]:
        say(
            f"LEAKS        {len(leaking)} reports give the answer away: {', '.join(leaking)}",
            style="yellow",
        )
    say(f"flagged      {summary['flagged']} contexts hold text that imitates a prompt")
    if summary["truncated"]:
        say(f"truncated    {summary['truncated']}")
    for notice in notices_of(made):
        say(f"WARNING      {notice}", style="yellow")


def _counts(notes: Any) -> dict[str, int]:
    """Of notes, which may be anything, the counts."""
    return (
        {name: value for name, value in notes.items() if type(value) is int}
        if isinstance(notes, dict)
        else {}
    )


def _show(item: str, context: Any) -> None:
    say(
        f"{item}: {context.tokens:,} tokens ({context.tokenizer}), by {context.builder}, "
        f"{context.fingerprint[:12]}",
        style="bold",
    )
    if context.passages:
        grid = Table("", "rank", "score", Column("passage", overflow="fold"))
        for number, passage in enumerate(context.passages, 1):
            grid.add_row(
                Text(f"[{number}]"),
                str(passage.rank),
                f"{passage.score:.4f}",
                Text(printable(passage.id)),
            )
        console.print(grid)
    for name, value in {**context.measures, **context.notes}.items():
        if isinstance(value, list):
            say(f"{name:<25} {len(value)}")
            say("\n".join(f"  {each}" for each in value))
        elif isinstance(value, dict):
            say(f"{name:<25} {', '.join(f'{each} {its}' for each, its in value.items()) or 'none'}")
        else:
            lacking = "not scored" if name in context.measures else "unknown"
            shown = f"{value:.3f}" if isinstance(value, float) else value
            say(f"{name:<25} {lacking if value is None else shown}")
    for flag in context.flags:
        say(
            f"flag: {flag.kind}{' in ' + flag.passage if flag.passage else ''}: {flag.excerpt!r}",
            style="yellow",
        )
    say("")
    say(
        "\n".join(textwrap.fill(line, 110) for line in context.text.split("\n"))
        or "(nothing: the question is asked alone)"
    )
