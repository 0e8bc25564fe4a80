"""`safescale export`: results in the formats of others, from stored runs and submissions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from zipfile import is_zipfile

import typer

from lm_eval_safescale.cli.data import load_named
from lm_eval_safescale.cli.examples import example
from lm_eval_safescale.cli.options import (
    ColumnsOption,
    ExcludedItemsOption,
    FirstIndexOption,
    data_settings,
    use_one_thread,
)
from lm_eval_safescale.cli.screen import say, working
from lm_eval_safescale.words import counted

if TYPE_CHECKING:
    from lm_eval_safescale.datasets import Dataset
    from lm_eval_safescale.exporting import Exported, Opened, Output, Subject

app = typer.Typer(
    help="Results in the formats of others, from runs and submissions; demo data are marked DEMO.",
    no_args_is_help=True,
)

RunsArgument = Annotated[
    list[Path],
    typer.Argument(
        metavar="RUNS...", help="Folders of runs and submissions, of any number of data sets."
    ),
]
FolderOption = Annotated[
    Path, typer.Option("--output", "-o", metavar="OUT", help="The folder to write into.")
]
PresetOption = Annotated[
    str, typer.Option(help="default, radsafe-2026, noharm-2025 or noharm-2026: which intervals.")
]
ThresholdOption = Annotated[
    float | None,
    typer.Option(
        min=0,
        max=1,
        help="Confidence from which harm is dangerous overconfidence, in place of the runs' own.",
    ),
]
MetricOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="A metric to give; may stand several times."),
]
DateOption = Annotated[
    str | None,
    typer.Option(
        metavar="DATE",
        help="When the models were asked (ISO 8601), where the runs do not say it.",
    ),
]
OverwriteOption = Annotated[
    bool, typer.Option("--overwrite", help="Write over files that are there.")
]
HubDatasetOption = Annotated[
    str | None, typer.Option(metavar="ORG/NAME", help="The data set's name on the hub.")
]
SourceOption = Annotated[
    str | None,
    typer.Option("--source-url", metavar="URL", help="Where more can be read of the results."),
]


@app.command("every-eval-ever", epilog=example("export every-eval-ever"))
def every_eval_ever(
    runs: RunsArgument,
    output: FolderOption,
    preset: PresetOption = "default",
    threshold: ThresholdOption = None,
    metric: MetricOption = None,
    date: DateOption = None,
    organization: Annotated[
        str, typer.Option(metavar="NAME", help="Who provides these results.")
    ] = "unknown",
    relationship: Annotated[
        str,
        typer.Option(
            help=(
                "What they are to the model's developer: first_party, third_party, collaborative "
                "or other."
            )
        ),
    ] = "other",
    developer: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Who made the models whose names do not say it."),
    ] = None,
    hub_dataset: HubDatasetOption = None,
    instances: Annotated[
        bool,
        typer.Option(
            help="Write a line for each item and headline metric, with the model's own output."
        ),
    ] = True,
    texts: Annotated[
        bool,
        typer.Option(
            "--texts",
            help="Put questions and keys into these lines too; the data set's licence must allow.",
        ),
    ] = False,
    dataset: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|FILE",
            help="The data set of --texts, where the runs do not say where it is.",
        ),
    ] = None,
    columns: ColumnsOption = None,
    first_index: FirstIndexOption = None,
    exclude_items: ExcludedItemsOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """The JSON of every_eval_ever (schema 0.3.0): OUT/data/DATASET/DEVELOPER/MODEL/UUID.json, and
    beside it UUID_samples.jsonl, a line for each item.

    All metrics with standard errors, intervals and settings. What is not scored is left out, and
    named.
    """
    from lm_eval_safescale.exporting import Provider, write_every_eval_ever
    from lm_eval_safescale.exporting.every_eval_ever import relationship_named
    from lm_eval_safescale.exporting.hub import checked_hub_id

    provider = Provider(
        organization,
        relationship_named(relationship),
        developer,
        hub_dataset and checked_hub_id(hub_dataset),
    )
    subjects = _opened(runs, preset, threshold, metric, date, texts=instances)
    shown = (
        _texts_of(subjects, dataset, **data_settings(columns, first_index, exclude_items))
        if texts and instances
        else {}
    )
    with working("writing ..."):
        done = write_every_eval_ever(
            subjects, _output(output, overwrite), provider, instances=instances, texts=shown
        )
    _say(done, subjects, output)


@app.command("hf-eval-results", epilog=example("export hf-eval-results"))
def hf_eval_results(
    runs: RunsArgument,
    output: FolderOption,
    hub_dataset: Annotated[
        str,
        typer.Option(metavar="ORG/NAME", help="The data set on the hub, where its leaderboard is."),
    ],
    preset: PresetOption = "default",
    threshold: ThresholdOption = None,
    metric: MetricOption = None,
    date: DateOption = None,
    source_url: SourceOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Evaluation results of the Hugging Face hub: OUT/MODEL/.eval_results/DATASET.yaml, for the
    model's repository. Shares in percent.

    The headline metrics of the benchmark, unless others are named.
    """
    from lm_eval_safescale.exporting import write_eval_results

    subjects = _opened(runs, preset, threshold, metric, date)
    done = write_eval_results(subjects, _output(output, overwrite), hub_dataset, source_url)
    _say(done, subjects, output)


@app.command("model-index", epilog=example("export model-index"))
def model_index(
    runs: RunsArgument,
    output: FolderOption,
    preset: PresetOption = "default",
    threshold: ThresholdOption = None,
    metric: MetricOption = None,
    date: DateOption = None,
    hub_dataset: HubDatasetOption = None,
    source_url: SourceOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """Metadata of model cards: OUT/MODEL/model-index.yaml, for the head of the model's README.md.
    Shares in percent.

    The headline metrics of the benchmark, unless others are named.
    """
    from lm_eval_safescale.exporting import write_model_index

    subjects = _opened(runs, preset, threshold, metric, date)
    done = write_model_index(subjects, _output(output, overwrite), hub_dataset, source_url)
    _say(done, subjects, output)


@app.command("csv", epilog=example("export csv"))
def csv(
    runs: RunsArgument,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The file to write.")
    ],
    preset: PresetOption = "default",
    threshold: ThresholdOption = None,
    metric: MetricOption = None,
    date: DateOption = None,
    overwrite: OverwriteOption = False,
) -> None:
    """One CSV file: every metric of every model under every condition, overall and by group, with
    data, versions and settings. Shares are fractions; what is not scored is an empty cell.
    """
    from lm_eval_safescale.exporting import write_csv

    subjects = _opened(runs, preset, threshold, metric, date)
    _say(write_csv(subjects, _output(output.parent, overwrite), output.name), subjects, output)


def _output(folder: Path, overwrite: bool) -> Output:
    from lm_eval_safescale.exporting import Output

    return Output(folder, overwrite)


def _opened(
    runs: list[Path],
    preset: str,
    threshold: float | None,
    metrics: list[str] | None,
    date: str | None,
    *,
    texts: bool = False,
) -> list[Subject]:
    use_one_thread()
    from lm_eval_safescale.exporting import subjects_of
    from lm_eval_safescale.stats.presets import preset_named

    chosen = preset_named(preset)
    with working("reading ..."):
        opened = [_open(path, texts=texts) for path in runs]
        return subjects_of(
            opened,
            chosen,
            threshold=threshold,
            metrics=metrics or (),
            asked_at=date,
        )


def _open(path: Path, *, texts: bool) -> Opened:
    """A folder of runs, or a submission that was not refused."""
    from lm_eval_safescale.exporting import open_folder

    if not (is_zipfile(path) or (path.suffix == ".zip" and path.is_file())):
        return open_folder(path, texts=texts)
    from lm_eval_safescale.leaderboard.opening import open_submission
    from lm_eval_safescale.leaderboard.verify import Verdicts

    opened, verdict = open_submission(path)
    is_verified = verdict is Verdicts.VERIFIED
    more = "" if is_verified else ": not all of it can be verified here (safescale submit verify)"
    say(f"{path}: {verdict}{more}", style="green" if is_verified else "yellow")
    return opened


def _texts_of(subjects: list[Subject], name: str | None, **others: Any) -> dict[str, Dataset]:
    """The data sets of the runs, by fingerprint; SafescaleError where one is another."""
    from lm_eval_safescale.runs.provenance import imported_from
    from lm_eval_safescale.runs.sources import dataset_of, other_than

    found: dict[str, Dataset] = {}
    for subject in subjects:
        data = (
            dataset_of(subject.dataset, imported_from(subject.study.runs))
            if name is None
            else load_named(name, subject.dataset.get("family", ""), **others)
        )
        if other := other_than(subject.dataset, data):
            raise other
        found[data.fingerprint] = data
    return found


def _say(done: Exported, subjects: list[Subject], output: Path) -> None:
    """What was written, and what of it must be known."""
    for subject in subjects:
        say(subject.said_of_data(), style="bold")
    say(f"{counted(len(done.files), 'file')} in {output}" if output.is_dir() else f"{output}")
    if done.not_scored:
        say(
            f"{counted(done.not_scored, 'result')} without a value (not scored), which this "
            "format cannot hold"
        )
