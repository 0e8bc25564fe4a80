"""`safescale contexts`: build what is shown above the questions ahead of a run, and look at it."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from lm_eval_safescale.datasets import printable
from lm_eval_safescale.errors import SafescaleError

app = typer.Typer(help="Contexts: what is shown above the questions, built ahead and inspected.", no_args_is_help=True)
console = Console(highlight=False, soft_wrap=True, emoji=False)


@app.command()
def build(
    condition: Annotated[
        str, typer.Argument(help="A condition, for example rag or max_context (safescale plugins lists them).")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The .jsonl file to write.")],
    dataset: Annotated[str | None, typer.Option(help="Data set, by name.")] = None,
    corpus: Annotated[str | None, typer.Option(help="Corpus, by name.")] = None,
    retriever: Annotated[str | None, typer.Option(help="Retriever, by name.")] = None,
    top_k: Annotated[int | None, typer.Option(help="Passages shown.")] = None,
    metadata: Annotated[str, typer.Option(help="Any other settings as JSON (docs/settings.md).")] = "{}",
    force: Annotated[bool, typer.Option("--force", help="Write over a file made of other data or settings.")] = False,
) -> None:
    """Build the contexts of a condition for a whole data set, for --metadata '{"contexts": "FILE"}'."""
    from lm_eval_safescale import assembly
    from lm_eval_safescale.contexts import write_contexts
    from lm_eval_safescale.plugins import plugins
    from lm_eval_safescale.settings import load_settings

    options = {"dataset": dataset, "corpus": corpus, "retriever": retriever, "top_k": top_k}
    given = _metadata(metadata) | {name: value for name, value in options.items() if value is not None}
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
    with Console(stderr=True).status(f"building the contexts of {part.name} for {len(data)} items ..."):
        made = assembly.contexts_of(part, data, settings)
    if made is None:
        raise SafescaleError(f"{part.name} shows nothing above the question: there is nothing to build")
    _refuse_other(output, made.about, force=force)
    write_contexts(output, made)
    console.print(f"{output}: {len(made.contexts)} contexts", style="bold", markup=False)
    _summary(made)


@app.command()
def show(
    file: Annotated[Path, typer.Argument(help="A file that safescale contexts build made.")],
    item: Annotated[str | None, typer.Argument(help="A question id, to see its context with its passages.")] = None,
) -> None:
    """What a file of contexts was made of and how good its retrieval is; or one of its contexts, with passages and scores."""
    from lm_eval_safescale.contexts import read_contexts

    made = read_contexts(file)
    if item is None:
        _summary(made)
        return
    if item not in made.contexts:
        some = ", ".join(list(made.contexts)[:5])
        raise SafescaleError(f"{file}: no item {item!r}; its ids are {some}, ...")
    _show(item, made.contexts[item])


def _metadata(text: str) -> dict[str, Any]:
    from lm_eval_safescale.datasets.files import decode_json

    try:
        given = decode_json(text)
    except ValueError as error:
        raise SafescaleError(
            f'--metadata is not JSON ({error}); expected for example \'{{"corpus_path": "articles.jsonl"}}\''
        ) from None
    if not isinstance(given, dict):
        raise SafescaleError("--metadata: expected a JSON object of settings")
    return given


def _refuse_other(path: Path, about: Mapping[str, Any], *, force: bool) -> None:
    """A file that is there already may be replaced by the same, never by something else unasked."""
    if force or not path.exists():
        return
    from lm_eval_safescale.contexts import read_contexts

    hint = "choose another name, or --force"
    try:
        there = read_contexts(path).about
    except SafescaleError as error:
        raise SafescaleError(f"{path} is there and cannot be read as contexts ({error}); {hint}") from None
    about = json.loads(json.dumps(about))
    if differing := [name for name in {**there, **about} if there.get(name) != about.get(name)]:
        raise SafescaleError(f"{path} is there, built otherwise (differs: {', '.join(differing)}); {hint}")


def _summary(made: Any) -> None:
    about, summary = made.about, made.summary()
    builder, data = about["builder"], about["dataset"]
    settings = ", ".join(f"{name} {value}" for name, value in builder["settings"].items())
    _print(
        f"condition    {about['condition']}, by {builder['name']} ({builder['provided_by']}){': ' + settings if settings else ''}"
    )
    _print(f"data set     {data['name']} {data['version']}: {about['items']} items")
    if "corpus" in about:
        corpus, retriever = about["corpus"], about["retriever"]
        its = ", ".join(f"{name} {value}" for name, value in retriever["settings"].items())
        _print(
            f"corpus       {corpus['corpus']}: {corpus['articles']:,} articles, {corpus['passages']:,} passages of "
            f"{corpus['size']} tokens, {corpus['overlap']} shared ({corpus['tokenizer']})"
        )
        _print(f"retriever    {retriever['retriever']} ({retriever['provided_by']}){': ' + its if its else ''}")
    tokens = summary["tokens"]
    window = f", window {about['window']:,}" if about.get("window") else ""
    _print(f"tokens       {tokens['least']:,} to {tokens['most']:,}, mean {tokens['mean']:,.0f} ({about['tokenizer']}{window})")
    for name, value in summary["measures"].items():
        scored = "not scored" if value is None else f"{value:.3f} over {summary['scored'][name]} items"
        _print(f"{name:<25}{scored}")
    _print(f"flagged      {summary['flagged']} contexts hold text that imitates a prompt")
    if summary["truncated"]:
        _print(f"truncated    {summary['truncated']}")


def _show(item: str, context: Any) -> None:
    _print(
        f"{item}: {context.tokens:,} tokens ({context.tokenizer}), by {context.builder}, {context.fingerprint[:12]}",
        style="bold",
    )
    if context.passages:
        grid = Table("rank", "score", Column("passage", overflow="fold"))
        for passage in context.passages:
            grid.add_row(str(passage.rank), f"{passage.score:.4f}", Text(printable(passage.id)))
        console.print(grid)
    for name, value in {**context.measures, **context.notes}.items():
        _print(f"{name:<25}{'not scored' if value is None else f'{value:.3f}' if isinstance(value, float) else value}")
    for flag in context.flags:
        _print(f"flag: {flag.kind}{' in ' + flag.passage if flag.passage else ''}: {flag.excerpt!r}", style="yellow")
    console.print()
    _print("\n".join(textwrap.fill(line, 110) for line in context.text.split("\n")))


def _print(text: str, style: str | None = None) -> None:
    console.print(printable(text), style=style, markup=False)
