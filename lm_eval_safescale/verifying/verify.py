"""Whether runs are as they were written, whole, and what their texts say: of a folder, and of runs
that came in a submission. It changes nothing, and asks no model.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from lm_eval_safescale.checksums import sha256_of
from lm_eval_safescale.contexts import ContextSet
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import ArgumentHint, SafescaleError
from lm_eval_safescale.records import Status
from lm_eval_safescale.runs import provenance
from lm_eval_safescale.runs.about import FILES, ITEMS_FILE, is_other, read_about, what_else
from lm_eval_safescale.runs.description import RUN
from lm_eval_safescale.runs.families import family_of_data
from lm_eval_safescale.runs.finish import Facts, about_model, answers_of
from lm_eval_safescale.runs.journal import is_run, known_of, size_of
from lm_eval_safescale.runs.lines import SHARDS, shards_of
from lm_eval_safescale.runs.places import ABOUT, ANSWERS_FILE
from lm_eval_safescale.runs.provenance import JOURNAL
from lm_eval_safescale.runs.sources import dataset_of, known_of_dataset, other_than
from lm_eval_safescale.runs.store import read_tables
from lm_eval_safescale.runs.table import Runs, about_dataset, items_of, possible_of
from lm_eval_safescale.verifying.findings import Kind, Verification
from lm_eval_safescale.verifying.plausible import check_plausible
from lm_eval_safescale.verifying.prompts import check_prompts, contexts_at
from lm_eval_safescale.verifying.recover import Recovered, name_of, recover
from lm_eval_safescale.verifying.responses import check_letters
from lm_eval_safescale.verifying.tables import (
    compare_answers,
    compare_items,
    missing_of_run,
    missing_of_tables,
)
from lm_eval_safescale.words import counted

GOES_ON = "the same safescale run command goes on with it"


def verify(
    folder: Path, dataset: Dataset | None = None, contexts: Iterable[Path] = ()
) -> Verification:
    """Look at all that a folder of runs holds.

    Checksums, and that the files are of one writing; that the tables are what the journal says; and
    all that `check_runs` looks at.

    Parameters
    ----------
    folder
        Of a run, finished or not; or of runs that were imported, judged or read again.
    dataset
        The data set that the runs are of; None: the one that they name.
    contexts
        Files of contexts built ahead, for the conditions that show them.

    Raises
    ------
    SafescaleError
        If there is no such folder, or nothing of runs in it; or if contexts cannot be read, or are
        of another data set.
    """
    found = Verification(folder)
    about = _about(folder, found)
    run = _run(folder, about, found)
    stored = _tables(folder, about, found)
    known = known_of_dataset(about, run.description if run is not None else None)
    data = dataset or _dataset(known, stored, found)
    if data is not None and (other := other_than(known, data)):
        found.unknown("data set", other)
        data = None
    items = items_of(data) if data is not None else stored.items if stored is not None else None
    made, versions = _made(
        run, items, known | (about_dataset(data) if data is not None else {}), found
    )
    runs = _both(stored, made, run, items, found)
    if runs is not None:
        check_runs(
            runs, data, found, folder, versions=versions, contexts=contexts_at(contexts, data)
        )
    elif not found.findings:
        found.unknown(folder, "nothing of it could be looked at")
    return found


def check_runs(
    runs: Runs,
    dataset: Dataset | None,
    found: Verification,
    folder: Path,
    *,
    versions: pl.DataFrame | None = None,
    contexts: Iterable[ContextSet] = (),
) -> None:
    """Look at runs, wherever they came from.

    Items are what the data set says; every item has all its draws; what no run can have written
    (`check_plausible`); responses, read again from the texts (`check_letters`); and prompts,
    rendered again (`check_prompts`).

    Parameters
    ----------
    dataset
        Of the runs; None where it cannot be had, which was noted.
    found
        Takes what is found.
    folder
        Where a judge's verdicts are.
    versions
        See `check_letters`.
    """
    found.answers = runs.answers.height
    if waiting := int((runs.answers["status"] == Status.UNJUDGED.value).sum()):
        what = f"{counted(waiting, 'answer')} unjudged: there is no verdict to verify"
        found.note("answers", what, Kind.READING)
    if dataset is not None:
        compare_items(runs.items, items_of(dataset), found, runs.family.later_columns)
    missing_of_tables(runs, found)
    check_plausible(runs, found)
    check_letters(runs, dataset, found, folder, versions)
    check_prompts(runs, dataset, found, contexts)


def _about(folder: Path, found: Verification) -> dict[str, Any] | None:
    """What `about.json` says, once every file that it names was looked at; None where it is missing
    or damaged, which is noted."""
    journal = folder.is_dir() and (is_run(folder) or bool(shards_of(folder)))
    if is_other(folder) or not (
        (folder / ABOUT).is_file() or journal or (folder / ANSWERS_FILE).is_file()
    ):
        raise what_else(folder)
    try:
        about = read_about(folder)
    except SafescaleError as error:
        if (folder / ABOUT).is_file():
            found.damaged(ABOUT, error)
        elif journal:
            found.damaged(folder, f"not finished: there are no tables yet; {GOES_ON}")
        else:
            found.damaged(ABOUT, "no such file: the writing was interrupted, or it was removed")
        return None
    if FILES not in about:
        found.note(ABOUT, "of an earlier format, whose files bear no checksums")
    for name, digest in sorted(about.get(FILES, {}).items()):
        try:
            if sha256_of(folder / name) != digest:
                found.damaged(name, f"damaged: its SHA-256 is not that in {ABOUT}")
        except OSError as error:
            found.damaged(name, f"cannot be read ({error.strerror})")
    return about


def _run(folder: Path, about: Mapping[str, Any] | None, found: Verification) -> Recovered | None:
    """The journal of a run, with what is wrong in it; None for runs that have none."""
    finished = (about or {}).get(FILES, {})
    if (
        not is_run(folder)
        and not shards_of(folder)
        and not any(name.startswith(f"{SHARDS}/") for name in finished)
    ):
        return None
    run = recover(folder)
    if run.problem:
        found.damaged(RUN, run.problem)
    for name, why in run.unread.items():
        found.damaged(f"{SHARDS}/{name}", why)
    for path in run.strangers:
        found.damaged(f"{SHARDS}/{path.name}", f"its answers are of another run than {RUN} says")
    is_of_then = about is not None and FILES not in about and about.get(JOURNAL) == size_of(folder)
    for shard in run.shards:
        name = f"{SHARDS}/{shard.path.name}"
        if shard.damaged and (name in finished or is_of_then) and not found.has(name):
            found.note(
                name, f"{_lines(shard.damaged)} torn before the run was finished, and asked again"
            )
        elif shard.damaged:
            for number, why in shard.damaged.items():
                found.damaged(name, f"line {number} does not count: {why}")
        if shard.unchecked:
            found.note(
                name, f"{_lines(range(shard.unchecked))} of an earlier format, without checksums"
            )
    return run


def _lines(numbers: Any) -> str:
    return f"{len(numbers):,} line{'' if len(numbers) == 1 else 's'}"


def _tables(folder: Path, about: Mapping[str, Any] | None, found: Verification) -> Runs | None:
    if about is None or found.has(ANSWERS_FILE) or found.has(ITEMS_FILE):
        return None
    try:
        return read_tables(folder, about, checked=True)
    except SafescaleError as error:
        found.damaged(ANSWERS_FILE, error)
        return None


def _dataset(known: Mapping[str, Any], stored: Runs | None, found: Verification) -> Dataset | None:
    """The data set that the runs name; None where it cannot be had, which is noted."""
    if "name" not in known:
        what = SafescaleError(
            "nothing is left that says of which these runs are; name it: ",
            ArgumentHint("dataset", "FILE"),
        )
        found.unknown("data set", what)
        return None
    try:
        return dataset_of(known, provenance.imported_from(stored) if stored is not None else None)
    except SafescaleError as error:
        found.unknown("data set", error)
        return None


def _made(
    run: Recovered | None,
    items: pl.DataFrame | None,
    of_data: Mapping[str, Any],
    found: Verification,
) -> tuple[Runs | None, pl.DataFrame | None]:
    """The runs as the journal says them, and which version of the reader has read each answer; None
    where it cannot say."""
    if run is None or run.description is None or items is None:
        return None, None
    description = run.description
    told = run.lines(known_of(description, possible_of(items, family_of_data(of_data))))
    lines = [line for line, _ in told]
    if not lines:
        return None, None
    name = name_of(description)
    try:
        about = {"dataset": of_data, "models": {name: about_model(description, Facts(lines))}}
        made = Runs(items, answers_of(lines, name), about)
    except (SafescaleError, KeyError, TypeError) as error:
        found.damaged(SHARDS, f"the answers are no runs: {error}")
        return None, None
    versions = [
        (line.condition, line.question_id, draw.draw, version)
        for line, version in told
        for draw in line.draws
    ]
    schema = {
        "condition": pl.String,
        "question_id": pl.String,
        "draw": pl.Int16,
        "version": pl.String,
    }
    return made, pl.DataFrame(versions, schema=schema, orient="row")


def _both(
    stored: Runs | None,
    made: Runs | None,
    run: Recovered | None,
    items: pl.DataFrame | None,
    found: Verification,
) -> Runs | None:
    """The runs to be read again: the tables, once they were held against the journal; or what there
    is."""
    if stored is not None and made is not None:
        compare_answers(stored, made, found)
    if run is not None and run.description is not None and items is not None:
        missing_of_run(run.description, items, stored or made, found)
    return stored or made
