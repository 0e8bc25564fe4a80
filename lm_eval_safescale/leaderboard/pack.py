"""Runs of one model, packed into an archive that others can check. It asks no model, and changes
nothing of the runs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl

from lm_eval_safescale import __version__
from lm_eval_safescale.analysis.profile import values_of
from lm_eval_safescale.analysis.study import Study
from lm_eval_safescale.analysis.unjudged import refuse_unjudged
from lm_eval_safescale.chat.step_log import MARK
from lm_eval_safescale.checksums import LINE, with_checksum
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.datasets.files import read_records
from lm_eval_safescale.errors import ArgumentHint, CommandHint, SafescaleError
from lm_eval_safescale.families.judge import ROLE
from lm_eval_safescale.jsonlog import read_log
from lm_eval_safescale.judging.advice import CORRECTIONS_FILE
from lm_eval_safescale.judging.corrections import CORRECTIONS
from lm_eval_safescale.judging.judging import STEPS_FILE, VERDICTS_FILE
from lm_eval_safescale.leaderboard import manifest as of
from lm_eval_safescale.leaderboard.archive import write_archive
from lm_eval_safescale.leaderboard.card import read_card, template
from lm_eval_safescale.leaderboard.manifest import Manifest, decoded, encoded, manifest_of
from lm_eval_safescale.leaderboard.tables import write_answers, write_items, write_verdicts
from lm_eval_safescale.plugins import OURS
from lm_eval_safescale.runs import open_runs, provenance
from lm_eval_safescale.runs.description import read_run
from lm_eval_safescale.runs.journal import is_run
from lm_eval_safescale.runs.sources import dataset_of
from lm_eval_safescale.runs.table import Runs, named
from lm_eval_safescale.verifying.findings import Verdict
from lm_eval_safescale.verifying.verify import verify

OF_START = (
    "at", "version", "batch_size", "device", "conditions", "items", "latency", "reader_version",
)  # fmt: skip
"""What of a start is told: nothing of where it ran."""
OF_CORRECTION = ("condition", "question_id", "draw", "option", "verdict", "reason", "action")
"""What of a person's verdict is packed."""
SHOWN = 3


@dataclass(frozen=True, slots=True)
class Packed:
    """A submission that was written."""

    path: Path
    root: str
    manifest: Manifest


def template_of(folders: Sequence[Path], model: str = "") -> str:
    """A card to fill in for the runs in folders; SafescaleError where they cannot be opened."""
    return template(_of_one_model(open_runs(*folders), model), folders)


def pack(
    folders: Sequence[Path],
    output: Path,
    card: Path | None = None,
    *,
    model: str = "",
    dataset: Dataset | None = None,
    allow_demo: bool = False,
    include_data: bool = False,
) -> Packed:
    """Pack the runs of one model.

    Parameters
    ----------
    folders
        Of runs; several are packed as one.
    output
        The archive; one that is there is replaced.
    card
        A YAML file of what the runs do not say of the model (`template_of`).
    model
        Which one, where the runs are of several.
    dataset
        That of the runs; None: the one that they name. Without it they are packed, too.
    allow_demo
        Take demo data, which are marked.
    include_data
        Pack the texts of the data set, too.

    Raises
    ------
    SafescaleError
        If the runs are damaged, or are not what their texts say; if they wait for a judge, or are
        of demo data; if the card lacks something; or if the archive cannot be written.
    """
    for folder in folders:
        found = verify(folder, dataset)
        if found.verdict is Verdict.DAMAGED:
            first = [f"\n  {each.where}: {each.what}" for each in found.of(Verdict.DAMAGED)][:SHOWN]
            raise SafescaleError(
                f"{folder}: not packed, for whoever verifies it would refuse it:{''.join(first)}"
                "\nall that is wrong: ",
                CommandHint(f"safescale runs verify {folder}", {}),
            )
    runs = _of_one_model(open_runs(*folders), model)
    refuse_unjudged(runs)
    if runs.about["dataset"].get("demo") and not allow_demo:
        raise SafescaleError(
            f"{', '.join(map(str, folders))}: of demo data, on which no claim may rest; to try "
            "things out, ",
            ArgumentHint("allow-demo"),
        )
    manifest = manifest_of(
        runs, read_card(card, runs, folders), _starts(folders), f"{OURS} {__version__}"
    )
    try:
        decoded(encoded(manifest))
    except ValueError as error:
        raise SafescaleError(
            f"{', '.join(map(str, folders))}: not packed, for whoever verifies it would refuse it: "
            f"{of.MANIFEST}: {error}"
        ) from None
    with TemporaryDirectory(prefix="safescale-pack-") as name:
        files = _written(Path(name), runs, folders, manifest)
        if include_data:
            files[of.DATA] = _data(dataset or _dataset(runs), Path(name))
        return Packed(output, write_archive(output, files), manifest)


def study_of(runs: Runs) -> Study:
    """What the numbers of a submission are computed by: the family's own threshold, where it has
    one, whatever the runs were made with."""
    family = runs.family
    return Study(runs, family.scoring[family.threshold] if family.threshold else None)


def results_of(study: Study) -> list[dict[str, Any]]:
    """Every metric over all items, a row for each condition."""
    return [
        {name: value for name, value in row.items() if name != "model"} for row in values_of(study)
    ]


def _of_one_model(runs: Runs, model: str) -> Runs:
    if model and model not in runs.models:
        raise SafescaleError(f"no model {model!r} in these runs; they are of {named(runs.models)}")
    if not model and len(runs.models) > 1:
        raise SafescaleError(
            f"runs of {len(runs.models)} models ({named(runs.models)}); a submission is of one: ",
            ArgumentHint("model", "NAME"),
        )
    name = model or runs.models[0]
    about = {
        **runs.about,
        "models": {name: runs.about["models"][name]},
        "left_out": [each for each in runs.about.get("left_out", ()) if each["model"] == name],
    }
    plain = [each for each, kind in runs.answers.schema.items() if isinstance(kind, pl.Enum)]
    own = runs.answers.filter(pl.col("model") == name).with_columns(
        pl.col(each).cast(pl.String) for each in plain
    )
    return Runs(runs.items, own, about)


def _starts(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """What is known of when and on what the answers were made."""
    return [
        {name: start[name] for name in OF_START if start.get(name) is not None}
        for folder in folders
        if is_run(folder)
        for start in read_run(folder)["starts"]
    ]


def _written(
    folder: Path, runs: Runs, folders: Sequence[Path], manifest: Manifest
) -> dict[str, bytes | Path]:
    write_answers(runs, folder / of.ANSWERS)
    write_items(runs, folder / of.ITEMS)
    results = json.dumps(results_of(study_of(runs)), indent=1, allow_nan=False)
    files: dict[str, bytes | Path] = {
        of.MANIFEST: encoded(manifest),
        of.RESULTS: results.encode() + b"\n",
        of.ANSWERS: folder / of.ANSWERS,
        of.ITEMS: folder / of.ITEMS,
    }
    if not _is_judged(runs):
        return files
    if len(folders) > 1:
        raise SafescaleError("runs that a judge has read are packed from one folder, not several")
    if runs.family.judge is None:  # else the responses hold all verdicts
        verdicts = pl.read_parquet(folders[0] / VERDICTS_FILE)
        write_verdicts(
            verdicts.filter(pl.col("model").cast(pl.String) == runs.models[0]), folder / of.VERDICTS
        )
        files[of.VERDICTS] = folder / of.VERDICTS
    (known,) = runs.about["models"].values()
    if CORRECTIONS in (known["settings"].get(provenance.READING) or {}):
        files[of.CORRECTIONS] = _corrections(folders[0] / CORRECTIONS_FILE, runs)
    with suppress(FileNotFoundError):
        files[of.STEPS] = _public_lines(folders[0] / STEPS_FILE)
    return files


def _corrections(path: Path, runs: Runs) -> bytes:
    """A person's verdicts on these answers, and nothing else that stands beside them. The model is
    the only one of a submission, whatever its card calls it."""
    (model,) = runs.models
    rows = [
        {name: record.fields[name] for name in OF_CORRECTION if name in record.fields}
        for record in read_records(path)[0]
        if record.fields.get("model", model) == model
    ]
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def _is_judged(runs: Runs) -> bool:
    (model,) = runs.models
    return any(
        (provenance.setting_of(runs, model, condition, provenance.READING) or {}).get("by") == ROLE
        for condition in runs.conditions
    )


def _public_lines(path: Path) -> bytes:
    """The whole lines of a log, whose headers say nothing of where anything lies."""
    lines = []
    for line in read_log(path.read_bytes()).lines:
        value = json.loads(line.data)
        if MARK in value:
            value.pop(LINE, None)
            told = json.dumps(of.public(value), ensure_ascii=False).encode()
            lines.append(with_checksum(told) if line.is_checked else told)
        else:
            lines.append(line.data)
    return b"".join(line + b"\n" for line in lines)


def _dataset(runs: Runs) -> Dataset:
    return dataset_of(runs.about["dataset"], provenance.imported_from(runs))


def _data(dataset: Dataset, folder: Path) -> Path:
    path = folder / of.DATA
    with path.open("w", encoding="utf-8") as file:
        for item in dataset:
            file.write(json.dumps(item.as_record(), ensure_ascii=False) + "\n")
    return path
