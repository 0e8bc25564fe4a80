"""A good folder of what is left of a damaged run. The damaged one is left as it is."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl

from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import OTHER_FOLDER, ArgumentHint, SafescaleError, writing
from lm_eval_safescale.jsonlog import LogFile
from lm_eval_safescale.records import OF_DRAW, OF_REQUEST
from lm_eval_safescale.runs.about import FILES, read_about
from lm_eval_safescale.runs.description import RUN, sync_folder, write_run
from lm_eval_safescale.runs.families import family_of_data
from lm_eval_safescale.runs.finish import OF_CONDITION, Facts, about_model, answers_of
from lm_eval_safescale.runs.held import FirstDraws
from lm_eval_safescale.runs.journal import is_run, known_of, size_of
from lm_eval_safescale.runs.lines import (
    SHARDS,
    Draw,
    Line,
    encoded,
    fault_of,
    header_of,
    read_shard,
    shards_of,
)
from lm_eval_safescale.runs.provenance import JOURNAL, setting_of
from lm_eval_safescale.runs.sources import dataset_of, known_of_dataset, other_than
from lm_eval_safescale.runs.store import read_tables, write_runs
from lm_eval_safescale.runs.table import KEYS, Runs, about_dataset, items_of, possible_of
from lm_eval_safescale.verifying.recover import Recovered, name_of, recover
from lm_eval_safescale.words import counted

SALVAGED = "salvaged"
"""Of `run.json`: where its answers are from, and what was lost."""


@dataclass(slots=True)
class Salvaged:
    """What was made of a damaged run."""

    folder: Path
    """The new one."""
    answers: int = 0
    """Draws in it."""
    from_tables: int = 0
    """Of them, draws whose lines were damaged and whose rows were not."""
    lost: list[str] = field(default_factory=list)
    """What could not be saved, and what of the folder it was made without."""
    goes_on: bool = False
    """Whether the same `safescale run` command goes on with it: it is known whose answers these
    are."""
    has_tables: bool = False
    """Whether it can be analysed."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Lines of one start."""

    start: Mapping[str, Any]
    lines: Sequence[Line]


def salvage(folder: Path, target: Path, dataset: Dataset | None = None) -> Salvaged:
    """Make a good folder of what is left of a damaged run.

    Whole lines of the journal are taken over, and answers that are lost there from whole tables.
    Whose they are is known from `run.json`, or else from the headers of the answers.

    Parameters
    ----------
    folder
        Of `safescale run`; nothing in it is changed.
    target
        A new or empty folder.
    dataset
        The data set that the run is of; None: the one that it names.

    Raises
    ------
    SafescaleError
        If there is nothing to save, if `dataset` is not the one that the run is of, if `target` is
        not free, or cannot be written.
    """
    _refuse(folder, target)
    made = Salvaged(target)
    run, stored = recover(folder), _tables(folder, made)
    known = known_of_dataset(stored.about if stored is not None else None, run.description)
    if dataset is not None and (other := other_than(known, dataset)):
        raise other
    data = dataset or _dataset(known)
    items = items_of(data) if data is not None else stored.items if stored is not None else None
    if run.description is not None and stored is not None:
        _add_conditions(run.description["conditions"], stored)
    parts = [*_of_journal(run, items, known, made)]
    if stored is not None:
        parts.append(_of_tables(stored, parts, made))
    lines = [line for part in parts for line in part.lines]
    made.answers = sum(len(line.draws) for line in lines)
    if not made.answers:
        raise SafescaleError(f"{folder}: not one whole answer is left in it; nothing can be saved")
    if run.description is not None:
        _write_journal(target, run.description, parts, folder, made)
        made.goes_on = True
    if items is not None:
        of_data = known | (about_dataset(data) if data is not None else {})
        _write_tables(target, run, stored, of_data, items, lines, folder, made)
    elif run.description is None:
        raise SafescaleError(
            f"{folder}: neither {RUN}, nor headers of the answers, nor tables, nor the data set "
            "are left: name the data set (",
            ArgumentHint("dataset", "FILE"),
            "), and the answers can be analysed",
        )
    return made


def _refuse(folder: Path, target: Path) -> None:
    if not folder.is_dir():
        raise SafescaleError(f"{folder}: no such folder")
    if not is_run(folder) and not shards_of(folder):
        raise SafescaleError(
            f"{folder}: holds no answers as they came ({RUN}, {SHARDS}/*.jsonl), so there is "
            "nothing to save; answers that were imported, judged or read again are made again from "
            "where they came"
        )
    if target.resolve() == folder.resolve() or folder.resolve() in target.resolve().parents:
        raise SafescaleError(
            f"{target}: within the damaged folder, which stays as it is; ", OTHER_FOLDER
        )
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise SafescaleError(f"{target}: there already, and not empty; ", OTHER_FOLDER)


def _tables(folder: Path, made: Salvaged) -> Runs | None:
    """The tables, where they are whole."""
    try:
        about = read_about(folder)
    except SafescaleError as error:
        made.lost.append(f"the tables: {_what(error)}")
        return None
    there = {f"{SHARDS}/{path.name}" for path in shards_of(folder)}
    made.lost += [
        f"{name}: no such file"
        for name in about.get(FILES, {})
        if name.startswith(f"{SHARDS}/") and name not in there
    ]
    try:
        return read_tables(folder, about)
    except SafescaleError as error:
        made.lost.append(f"the tables: {_what(error)}")
        return None


def _what(problem: object) -> str:
    """What is wrong, without what to do about it: that is being done."""
    return str(problem).partition(";")[0]


def _dataset(known: Mapping[str, Any]) -> Dataset | None:
    """The data set that the run names, where it can be had, and is the same."""
    try:
        dataset = dataset_of(known) if "name" in known else None
    except SafescaleError:
        return None
    return None if dataset is None or other_than(known, dataset) else dataset


def _add_conditions(known: dict[str, dict[str, Any]], stored: Runs) -> None:
    """Conditions that tables alone still know: the headers that named them may be damaged."""
    model = stored.models[0]
    for condition in stored.conditions:
        told = {
            name: setting_of(stored, model, condition, setting)
            for name, setting in OF_CONDITION.items()
        }
        known.setdefault(
            condition, {name: value for name, value in told.items() if value is not None}
        )


def _of_journal(
    run: Recovered, items: pl.DataFrame | None, of_data: Mapping[str, Any], made: Salvaged
) -> list[_Part]:
    """The whole lines, by start; each draw once."""
    if run.problem:
        made.lost.append(_what(run.problem))
    made.lost += [f"{SHARDS}/{name}: {why}" for name, why in run.unread.items()]
    made.lost += [f"{SHARDS}/{path.name}: of another run" for path in run.strangers]
    responses = None if items is None else possible_of(items, family_of_data(of_data))
    known, first, parts = known_of(run.description, responses), FirstDraws(), []
    for shard in run.own:
        has_unknown = any(fault_of(line, known) for line in shard.lines)
        # again, for the numbers of such lines
        read = read_shard(shard.path, known) if has_unknown else shard
        made.lost += [
            f"{SHARDS}/{shard.path.name}: line {number}: {why}"
            for number, why in read.damaged.items()
        ]
        parts.append(
            _Part(
                read.headers[-1]["start"] if read.headers else {},
                [line for line in read.lines if first.of(line)],
            )
        )
    return [
        _Part(part.start, [line for line in part.lines if line.draws or line.failed])
        for part in parts
    ]


def _of_tables(stored: Runs, parts: Sequence[_Part], made: Salvaged) -> _Part:
    """Answers that the tables have and the journal has no more."""
    there = {
        (line.condition, line.question_id, draw.draw)
        for part in parts
        for line in part.lines
        for draw in line.draws
    }
    failed = {
        (line.condition, line.question_id, draw)
        for part in parts
        for line in part.lines
        for draw in line.failed
    }
    plain = stored.answers.with_columns(
        pl.col(name).cast(pl.String) for name in (*KEYS[:3], "response", "status")
    )
    lines = []
    for row in plain.iter_rows(named=True):
        key = row["condition"], row["question_id"], row["draw"]
        if row["text"] is None and key not in failed | there:
            lines.append(
                Line(
                    *key[:2], failed=[row["draw"]], error="the reason was lost with a damaged line"
                )
            )
        elif row["text"] is not None and key not in there:
            lines.append(
                Line(
                    draws=[Draw(**{name: row[name] for name in OF_DRAW})],
                    seed=row["seed"],
                    **{name: row[name] for name in OF_REQUEST},
                )
            )
    made.from_tables = sum(len(line.draws) for line in lines)
    model = next(iter(stored.about["models"].values()))
    return _Part({"reader_version": model["settings"].get("reader_version")}, lines)


def _write_journal(
    target: Path,
    description: Mapping[str, Any],
    parts: Sequence[_Part],
    folder: Path,
    made: Salvaged,
) -> None:
    about = {
        "from": str(folder.resolve()),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "lost": made.lost,
    }
    with writing(target):
        (target / SHARDS).mkdir(parents=True, exist_ok=True)
        for number, part in enumerate((each for each in parts if each.lines), 1):
            header = header_of(description["identity"], description["conditions"], part.start)
            with LogFile(
                target / SHARDS / f"{number:06d}-{uuid.uuid4().hex[:8]}.jsonl", new=True
            ) as file:
                file.append(header, *map(encoded, part.lines))
                file.sync()
        sync_folder(target / SHARDS)
        # last: without it, nobody takes the folder for a run
        write_run(target, {**description, SALVAGED: about})


def _write_tables(
    target: Path,
    run: Recovered,
    stored: Runs | None,
    of_data: Mapping[str, Any],
    items: pl.DataFrame,
    lines: Sequence[Line],
    folder: Path,
    made: Salvaged,
) -> None:
    """What is left as runs, which say of what."""
    before = stored.about["models"] if stored is not None else {}
    name = (
        name_of(run.description, next(iter(before), ""))
        if run.description is not None
        else next(iter(before), folder.name)
    )
    if run.description is not None:
        known = about_model(run.description, Facts(lines))
    else:
        known = before.get(name) or {
            "source": SALVAGED,
            "conditions": family_of_data(of_data).in_order(line.condition for line in lines),
            "settings": {},
        }
    reason = (
        f"salvaged from {folder}, with {counted(len(made.lost), 'thing')} damaged or lost there"
    )
    about: dict[str, Any] = {
        "dataset": of_data,
        "models": {name: known},
        "left_out": [{"model": name, "condition": None, "reason": reason}],
    }
    if made.goes_on:
        about[JOURNAL] = size_of(target)
    runs = Runs(items, answers_of(lines, name), about)
    write_runs(runs, target, [f"{SHARDS}/{path.name}" for path in shards_of(target)])
    made.has_tables = True
