"""Options that several commands have, and the settings that they stand for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lm_eval_safescale.errors import SafescaleError

if TYPE_CHECKING:
    from lm_eval_safescale.settings import Settings

DatasetOption = Annotated[
    str | None,
    typer.Option(metavar="NAME|FILE", help="A data set's name, or a JSON, JSONL or CSV file."),
]
ColumnsOption = Annotated[
    str | None,
    typer.Option(
        help=(
            'Our field names to the file\'s columns, as JSON: \'{"question": "Stem", '
            '"option_a": "Choice 1"}\'.'
        )
    ),
]
FirstIndexOption = Annotated[
    int | None,
    typer.Option(help="Where numbers that are keys count the options from: 0 or 1."),
]
ExcludedItemsOption = Annotated[
    str | None,
    typer.Option(help="Ids of items to leave out, comma-separated, or a file with one a line."),
]
CorpusOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|PATH", help="A corpus's name, or a JSONL file or a folder of texts."
    ),
]
ContextsOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="Contexts built ahead that were shown; may be repeated."),
]

ExcludeOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE.json",
        help="Disputed items: every headline is given with and without them (docs/analysis.md).",
    ),
]

JsonOption = Annotated[
    Path | None, typer.Option("--json", metavar="OUT", help="Also write all of it as JSON.")
]
CsvOption = Annotated[
    Path | None, typer.Option("--csv", metavar="OUT", help="Also write the table as CSV.")
]
TextsDatasetOption = Annotated[
    str | None,
    typer.Option(
        "--dataset",
        help=(
            "Where the items' texts are, by name or as a file, where the data set that the runs "
            "name is not at hand."
        ),
    ),
]
TextsPathOption = Annotated[
    Path | None, typer.Option("--dataset-path", help="The same, always as a file.")
]


def use_one_thread() -> None:
    """Let the linear algebra, which is loaded after this, compute in one thread unless told
    otherwise: its products are many and small, and threads would wait for each other."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def given_settings(metadata: str, options: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of `--metadata`, and those that have an option of their own; a data set or
    corpus there may be a path.

    Raises
    ------
    SafescaleError
        If `--metadata` is no JSON object, or says otherwise than an option.
    """
    from lm_eval_safescale.assembly import setting_of_corpus, setting_of_dataset

    given = _metadata_of(metadata)
    either = {"dataset": setting_of_dataset, "corpus": setting_of_corpus}
    for option, value in options.items():
        if value is None:
            continue
        setting = either[option](value) if option in either else option
        others = {
            name: given[name] for name in (option, f"{option}_path") if given.get(name) is not None
        }
        if others and others != {setting: value}:
            said = ", ".join(f"{name} = {other!r}" for name, other in others.items())
            shown = f"--{option.replace('_', '-')} {value}"
            raise SafescaleError(f"{shown}, but --metadata has {said}; give it once")
        given[setting] = value
    return given


def _metadata_of(text: str) -> dict[str, Any]:
    """Settings from `--metadata`; SafescaleError if it is no JSON object."""
    from lm_eval_safescale.json_text import decode_json

    try:
        given = decode_json(text)
    except ValueError as error:
        raise SafescaleError(
            f'--metadata is not JSON ({error}); expected for example \'{{"corpus_path": '
            '"articles.jsonl"}\''
        ) from None
    if not isinstance(given, dict):
        raise SafescaleError("--metadata: expected a JSON object of settings")
    return given


def data_settings(
    columns: str | None, first_index: int | None, exclude_items: str | None
) -> dict[str, Any]:
    """How a data set's file is read, as it was asked for."""
    return {"columns": columns, "first_index": first_index, "exclude_items": exclude_items}


def settings_of_texts(name: str | None, path: Path | None, **others: Any) -> Settings | None:
    """Where the items' texts are, as it was asked for, with other settings of data; None for where
    the runs say."""
    from lm_eval_safescale.assembly import settings_of_named
    from lm_eval_safescale.settings import load_settings

    if name is not None and path is not None:
        raise SafescaleError("expected --dataset or --dataset-path, not both")
    if path is not None:
        given = {"dataset_path": str(path), **others}
        return load_settings(given, environ={}, given_by="command line")
    return None if name is None else settings_of_named(name, **others)
