"""Runs as a folder that describes itself: two Parquet files and about.json. It knows nothing of who
made the answers.

The three files carry one id. They are replaced one by one, about.json last, so that a folder in
which two writings meet is recognised, whatever the file system.
"""

from __future__ import annotations

import functools
import os
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any

import polars as pl

from lm_eval_safescale.checksums import sha256_of
from lm_eval_safescale.errors import (
    OTHER_FOLDER,
    ArgumentHint,
    CommandHint,
    SafescaleError,
    is_panic,
    panics_as_errors,
    reason_of,
    unwritten,
)
from lm_eval_safescale.families import Family
from lm_eval_safescale.runs.about import (
    FILES,
    ITEMS_FILE,
    OF_FOLDER,
    UNCHECKED,
    about_document,
    again,
    other_writing,
    read_about,
    refuse_damaged,
    sums_of,
)
from lm_eval_safescale.runs.description import sync_folder
from lm_eval_safescale.runs.families import family_of_data
from lm_eval_safescale.runs.journal import PARAMETERS_B, is_run, size_of
from lm_eval_safescale.runs.judges import judges_apart
from lm_eval_safescale.runs.places import ABOUT, ANSWERS_FILE, MARK, holds_runs
from lm_eval_safescale.runs.provenance import JOURNAL, merged_provenance, merged_team, settings_of
from lm_eval_safescale.runs.table import ANSWERS, Runs, categories
from lm_eval_safescale.settings import MAKE_SCORES
from lm_eval_safescale.words import meant

NO_STATISTIC = (
    "rule", "text", "seed", "concurrency", "prompt_sha256", "prompt_tokens", "completion_tokens",
    "context_fingerprint", "finish_reason", "read_as", "served_model",
    "system_fingerprint", "reply_id",
)  # fmt: skip
"""Columns of the answers that statistics do without."""
NO_RATE = (*NO_STATISTIC, "context_tokens", "recall", "evidence_coverage")
"""Columns that rates over all items do without: these three are an axis of them."""
OF_LENGTH = ("completion_tokens", "finish_reason")
"""Those of them that tell how an answer ended: of a family whose answers a judge reads as they
stand, cut off or not, they are always read."""
NOTED = frozenset({"version", "reader_version", "reasoning_opened", "prompt_frame"})
"""Settings of a model that differ where answers are alike: earlier versions did not note them, and
each version is another."""
ROW_GROUP = 1 << 14
"""Rows that are compressed together."""
READ_TOGETHER = 1 << 16
"""Rows of a table that are in memory at a time where it is read cell by cell."""
UNFINISHED = ".unfinished"
"""How names of files end that are still being written; they begin with a dot."""


def write_runs(runs: Runs, folder: Path, others: Sequence[str] = ()) -> None:
    """Write runs into a folder, over runs that are there already; other files in it stay as they
    are.

    Parameters
    ----------
    others
        Files of the folder, with `/` between the parts of their names, that belong to these runs
        and are written to the end: about.json has their SHA-256, too.

    Raises
    ------
    SafescaleError
        If it cannot be written. What was there is then whole, or recognised as half-written.
    """
    if "fingerprint" not in runs.about.get("dataset", {}) or "models" not in runs.about:
        raise SafescaleError(
            f"{folder}: these runs do not say of which data set and models they are; expected both "
            "in `about`"
        )
    write_pieces(runs.items, [runs.answers], lambda: runs.about, folder, others)


def write_pieces(
    items: pl.DataFrame,
    pieces: Iterable[pl.DataFrame],
    about: Callable[[], Mapping[str, Any]],
    folder: Path,
    others: Sequence[str] = (),
) -> None:
    """Write runs whose answers come piece by piece, as `write_runs` does.

    Parameters
    ----------
    items, pieces
        As they stand in a `Runs`; the pieces in order, each by `checked_answers`.
    about
        As of a `Runs`; asked for once all pieces were taken.

    Raises
    ------
    SafescaleError
        As `write_runs`; and what the pieces raise.
    """
    mark = uuid.uuid4().hex
    unfinished = {
        name: folder / f".{name}.{mark[:8]}{UNFINISHED}"
        for name in (ANSWERS_FILE, ITEMS_FILE, ABOUT)
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        sums = sums_of(folder, others)
        rows = _write_joined(pieces, unfinished[ANSWERS_FILE], {MARK: mark})
        items.write_parquet(unfinished[ITEMS_FILE], compression="zstd", metadata={MARK: mark})
        for name in (ANSWERS_FILE, ITEMS_FILE):
            _to_disk(unfinished[name])
            sums[name] = sha256_of(unfinished[name])
        unfinished[ABOUT].write_bytes(about_document(about(), mark, rows, sums))
        _to_disk(unfinished[ABOUT])
        for name, path in unfinished.items():
            path.replace(folder / name)
        sync_folder(folder)
    except BaseException as error:  # Polars raises its own errors for a full disk
        if not isinstance(error, Exception) and not is_panic(error):
            raise  # by what is left, the next start knows that this one was cut off
        for path in unfinished.values():
            with suppress(OSError):
                path.unlink()
        if isinstance(error, SafescaleError):
            raise
        raise unwritten(folder, error) from None


def _write_joined(pieces: Iterable[pl.DataFrame], path: Path, metadata: dict[str, str]) -> int:
    """Write frames of one schema as one Parquet file, and no more than a few of them in memory; the
    number of rows."""
    first, *more = islice(pieces := iter(pieces), 2)
    if not more:
        first.write_parquet(path, compression="zstd", metadata=metadata)
        return first.height
    enums = {name: kind for name, kind in first.schema.items() if isinstance(kind, pl.Enum)}
    rows, parts = 0, list[Path]()
    try:
        for number, piece in enumerate(chain([first], more, pieces)):
            rows += piece.height
            parts.append(
                path.with_name(f"{path.name.removesuffix(UNFINISHED)}.{number}{UNFINISHED}")
            )
            # else each has all names
            piece.cast(dict.fromkeys(enums, pl.String)).write_parquet(parts[-1], compression="zstd")
        joined = pl.scan_parquet(parts).with_columns(
            pl.col(name).cast(kind) for name, kind in enums.items()
        )
        joined.sink_parquet(path, compression="zstd", metadata=metadata, row_group_size=ROW_GROUP)
    finally:
        for part in parts:
            with suppress(OSError):
                part.unlink()
    return rows


def open_runs(*folders: Path | str, texts: bool = True) -> Runs:
    """The runs of one folder, or of several as one.

    Parameters
    ----------
    folders
        As written by `write_runs`.
    texts
        Whether raw outputs are read too, and the other columns that no statistic needs
        (`NO_STATISTIC`): the most of a large table.

    Raises
    ------
    SafescaleError
        If a folder holds no whole runs, is of a newer format, or is of another data set than the
        first; if an answer stands in two; or if a model under one condition was asked or read
        otherwise in two.
    """
    if not folders:
        raise SafescaleError("no runs named; give one or more folders of runs")
    return merge_runs({str(folder): _open(Path(folder), texts=texts) for folder in folders})


def open_by_condition(folder: Path) -> Iterator[Runs]:
    """The runs of one folder, one condition after the other, without what rates over all items do
    without (`NO_RATE`).

    Raises
    ------
    SafescaleError
        As `open_runs`.
    """
    about = read_about(folder)
    for file in (ITEMS_FILE, ANSWERS_FILE):
        refuse_damaged(folder / file, about)
    own, items = _of_runs(folder, about), _read_parquet(folder / ITEMS_FILE, about)
    needless = _needless(NO_RATE, about)
    there = _read_parquet(
        folder / ANSWERS_FILE, about, lambda frame: frame.select(pl.col("condition").unique())
    )
    for name in family_of_data(about["dataset"]).in_order(there["condition"].cast(pl.String)):
        wanted = functools.partial(_rows_of, condition=name, needless=needless)
        yield Runs(items, _read_parquet(folder / ANSWERS_FILE, about, wanted), own)


def open_item(folders: Sequence[Path], question_id: str) -> Runs:
    """The runs of one item alone, with all that is stored of its answers.

    Raises
    ------
    SafescaleError
        As `open_runs`; for an item that no folder has, with the nearest one, or that nobody
        answered.
    """
    read: dict[str, Runs] = {}
    known: dict[str, None] = {}
    for folder in folders:
        about = read_about(folder)
        for file in (ITEMS_FILE, ANSWERS_FILE):
            refuse_damaged(folder / file, about)
        items = _read_parquet(folder / ITEMS_FILE, about).with_columns(
            pl.col("question_id").cast(pl.String)
        )
        known |= dict.fromkeys(items["question_id"])
        own = items.filter(pl.col("question_id") == question_id)
        wanted = functools.partial(_rows_of_item, question_id=question_id)
        if own.height and (rows := _read_parquet(folder / ANSWERS_FILE, about, wanted)).height:
            read[str(folder)] = Runs(own, rows, _of_runs(folder, about))
    if question_id not in known:
        raise SafescaleError(
            f"no item {question_id!r:.200} in these runs{meant(question_id[:200], known)}"
        )
    if not read:
        raise SafescaleError(f"item {question_id!r:.200}: there is no answer to it in these runs")
    return merge_runs(read)


def answers_by_cell(
    folder: Path, columns: Sequence[str]
) -> Iterator[tuple[tuple[str, str], pl.DataFrame]]:
    """The answers of each model under each condition of one folder, as they stand there: a pair
    comes again where its rows do not stand together. Few are in memory at a time, whatever their
    texts hold.

    Parameters
    ----------
    columns
        Those that are read, of `ANSWERS`; null where the file lacks one.

    Raises
    ------
    SafescaleError
        As `open_runs`; that the files are whole was looked at when the runs were opened.
    """
    about, path = read_about(folder), folder / ANSWERS_FILE
    pair = ("model", "condition")
    sizes = _read_parquet(path, about, _lengths_of_cells)
    start, cells = 0, sizes.select(*pair, "len").rows()
    for first, last in _batches([rows for *_, rows in cells]):
        rows = sum(each for *_, each in cells[first:last])
        wanted = functools.partial(_part_of, start=start, rows=rows, columns=(*pair, *columns))
        part = _read_parquet(path, about, wanted)
        place = 0
        for model, condition, own in cells[first:last]:
            yield (model, condition), part.slice(place, own)
            place += own
        start += rows


def _batches(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Neighbours that are read together: of `READ_TOGETHER` rows, or one by itself."""
    first = rows = 0
    for place, size in enumerate(sizes):
        if place > first and rows + size > READ_TOGETHER:
            yield first, place
            first, rows = place, 0
        rows += size
    if sizes:
        yield first, len(sizes)


def contexts_of(folder: Path, model: str, condition: str) -> dict[str, str | None]:
    """SHA-256 of what stood above each question for a model under a condition, by the item's id;
    None where nothing did, or it is not known. SafescaleError as of `open_runs`."""

    def wanted(frame: pl.LazyFrame) -> pl.LazyFrame:
        rows = (pl.col("model") == model) & (pl.col("condition") == condition)
        return frame.filter(rows & (pl.col("draw") == 0)).select(
            pl.col("question_id").cast(pl.String), pl.col("context_fingerprint")
        )

    return dict(_read_parquet(folder / ANSWERS_FILE, read_about(folder), wanted).iter_rows())


def cell_of(runs: Runs, pair: tuple[str, str], name: str) -> Runs:
    """The answers of one model under one condition as runs of their own, the model by another
    name."""
    model, condition = pair
    own = {**runs.about["models"].get(model, {"source": ""}), "conditions": [condition]}
    own.pop("by_condition", None)
    left_out = [
        row
        for row in runs.about.get("left_out", ())
        if row.get("model") in (None, model) and row.get("condition") in (None, condition)
    ]
    left_out = [row | {"model": row.get("model") and name} for row in left_out]
    answers = runs.answers.filter(
        (pl.col("model") == model) & (pl.col("condition") == condition)
    ).with_columns(pl.lit(name).alias("model"))
    models = {name: own | {"settings": settings_of(runs, *pair)}}
    return Runs(runs.items, answers, {**runs.about, "models": models, "left_out": left_out})


def merge_runs(runs: Mapping[str, Runs]) -> Runs:
    """Several runs as one; `runs` by the name by which an error calls them. Verdicts of several
    judges on the answers of one model are a model each (`runs.judges`).

    Raises
    ------
    SafescaleError
        If they are of different data sets, if an answer stands in two, or if a model under one
        condition was asked or read otherwise.
    """
    if len(runs) == 1:
        return next(iter(runs.values()))
    (first, reference), *others = runs.items()
    for name, other in others:
        _refuse_other_data(first, reference.about["dataset"], name, other.about["dataset"])
    runs = judges_apart(runs)
    _refuse_overlap(runs)
    family = reference.family
    items = _merged_items(runs)
    kinds = _categories_of_all(runs.values(), family)
    answers = pl.concat(
        [
            each.answers.with_columns(pl.col(name).cast(kind) for name, kind in kinds.items())
            for each in runs.values()
        ]
    )
    return Runs(items, answers, merge_about([each.about for each in runs.values()]))


def _merged_items(runs: Mapping[str, Runs]) -> pl.DataFrame:
    """The items of all; what one of them does not say (a group that it was not asked for, say),
    another may."""
    every = [
        each.items.with_columns(pl.col("question_id").cast(pl.String)) for each in runs.values()
    ]
    told = (
        pl.concat(every, how="diagonal_relaxed")
        .group_by("question_id")
        .agg(pl.all().drop_nulls().unique())
    )
    values = [name for name in told.columns if name != "question_id"]
    twice = told.filter(pl.any_horizontal(pl.col(name).list.len() > 1 for name in values))
    if twice.height:
        raise SafescaleError(
            f"{', '.join(runs)}: item {twice['question_id'].sort()[0]} differs between them, "
            "though their data set is said to be the same; import the answers again"
        )
    return told.with_columns(pl.col(name).list.first() for name in values)


def merge_about(abouts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What is known of all of them together."""
    family = family_of_data(abouts[0].get("dataset", {}))
    models: dict[str, dict[str, Any]] = {}
    for about in abouts:
        for model, known in about["models"].items():
            models[model] = _merged(models[model], known, family) if model in models else known
    merged = {**abouts[0], "models": dict(sorted(models.items()))}
    for name in ("left_out", UNCHECKED):
        if name == "left_out" or any(name in about for about in abouts):
            merged[name] = [each for about in abouts for each in about.get(name, ())]
    return merged


def refuse_other(folder: Path, imported: Mapping[str, Any], *, force: bool = False) -> None:
    """SafescaleError if what stands at `folder` is anything but runs imported from the same place,
    unless `force`."""
    hint = "choose another folder, or ", ArgumentHint("force")
    if folder.is_file():
        raise SafescaleError(f"{folder} is a file; expected a folder for the runs")
    there = folder / ABOUT
    if force or not folder.is_dir() or not any(folder.iterdir()):
        return
    if not there.is_file():
        if is_interrupted(folder):
            return
        raise SafescaleError(f"{folder} is there, and holds other things than runs; ", *hint)
    try:
        before = read_about(folder).get("imported")
    except SafescaleError as error:
        raise SafescaleError(
            f"{folder} is there, and cannot be read as runs (", error, "); ", *hint
        ) from None
    if before != imported:
        told = ", ".join(f"{name} {origin}" for name, origin in before.items()) if before else ""
        raise SafescaleError(
            f"{folder} is there, and holds other runs ({told or 'of another origin'}); ", *hint
        )


def refuse_runs(folder: Path) -> None:
    """SafescaleError if runs stand at `folder`: what is to be written there would take their
    about.json's place."""
    if holds_runs(folder):
        raise SafescaleError(f"{folder}: runs stand there, and are kept; ", OTHER_FOLDER)


def is_interrupted(folder: Path, also: Sequence[str] = ()) -> bool:
    """Whether a folder holds nothing but what a writing left that was cut off before its end,
    `also` files by these names.

    It may be written again: no runs stand there, and nothing of anyone else.
    """
    names = {each.name for each in folder.iterdir()}
    unfinished = {name for name in names if name.startswith(".") and name.endswith(UNFINISHED)}
    return bool(unfinished) and names - unfinished <= {ANSWERS_FILE, ITEMS_FILE, *also}


# --- reading --------------------------------------------------------------------------------------


def _open(folder: Path, *, texts: bool) -> Runs:
    about = read_about(folder)
    if is_run(folder) and about.get(JOURNAL, size_of(folder)) != size_of(folder):
        reason = (
            "asked for more since, and not to the end: the tables lack these answers until the "
            "same safescale run command finishes it"
        )
        about["left_out"] = [
            *about["left_out"],
            *({"model": name, "condition": None, "reason": reason} for name in about["models"]),
        ]
    return read_tables(folder, about, texts=texts)


def read_tables(
    folder: Path, about: Mapping[str, Any], *, texts: bool = True, checked: bool = False
) -> Runs:
    """The tables of a folder; `about` as `read_about` gives it. SafescaleError as for `open_runs`.
    `checked`: the SHA-256 are right."""
    for name in () if checked else (ITEMS_FILE, ANSWERS_FILE):
        refuse_damaged(folder / name, about)
    items = _read_parquet(folder / ITEMS_FILE, about)
    slim = functools.partial(_without, columns=_needless(NO_STATISTIC, about))
    answers = _read_parquet(folder / ANSWERS_FILE, about, _all if texts else slim)
    if answers.height != about["rows"]:
        raise SafescaleError(
            f"{folder / ANSWERS_FILE}: {answers.height} rows, but {ABOUT} says {about['rows']}; "
            f"{again(folder)}"
        )
    try:
        return Runs(items, answers, _of_runs(folder, about))
    except SafescaleError as error:
        raise SafescaleError(f"{folder}: ", error) from None


def _of_runs(folder: Path, about: Mapping[str, Any]) -> dict[str, Any]:
    """What a folder says of its runs."""
    own = {name: value for name, value in about.items() if name not in OF_FOLDER}
    return own if FILES in about else {**own, UNCHECKED: [str(folder)]}


def _all(frame: pl.LazyFrame) -> pl.LazyFrame:
    return frame


def _needless(columns: Iterable[str], about: Mapping[str, Any]) -> list[str]:
    """Those of some columns that these runs do without."""
    used = OF_LENGTH if family_of_data(about["dataset"]).judged else ()
    return [name for name in columns if name not in used]


def _without(frame: pl.LazyFrame, columns: Iterable[str]) -> pl.LazyFrame:
    return frame.drop(columns, strict=False)


def _rows_of(frame: pl.LazyFrame, condition: str, needless: Iterable[str]) -> pl.LazyFrame:
    """What rates over all items need of one condition."""
    return _without(frame.filter(pl.col("condition") == condition), needless)


def _rows_of_item(frame: pl.LazyFrame, question_id: str) -> pl.LazyFrame:
    return frame.with_columns(pl.col(pl.Enum, pl.Categorical).cast(pl.String)).filter(
        pl.col("question_id") == question_id
    )


def _part_of(frame: pl.LazyFrame, start: int, rows: int, columns: Sequence[str]) -> pl.LazyFrame:
    """Rows in the order in which they stand."""
    there = frame.collect_schema().names()
    return frame.select(
        pl.col(name) if name in there else pl.lit(None, ANSWERS[name]).alias(name)
        for name in columns
    ).slice(start, rows)


def _lengths_of_cells(frame: pl.LazyFrame) -> pl.LazyFrame:
    """Models and conditions, each with the number of rows that stand together."""
    pair = pl.struct(pl.col("model", "condition").cast(pl.String)).rle().alias("run")
    return frame.select(pair).unnest("run").unnest("value")


def _read_parquet(
    path: Path, about: Mapping[str, Any], wanted: Callable[[pl.LazyFrame], pl.LazyFrame] = _all
) -> pl.DataFrame:
    """What is wanted of a file's table."""
    try:
        with panics_as_errors(quiet=FILES not in about):  # what bears a checksum is whole
            mark = pl.read_parquet_metadata(path).get(MARK)
            read = wanted(pl.scan_parquet(path)).collect() if mark == about["id"] else None
    except Exception as error:
        # what Polars raises for a file that is cut off varies with where it is cut
        what = "cut off or damaged, or no Parquet file" if path.is_file() else "no such file"
        raise SafescaleError(f"{path}: {what} ({reason_of(error)}); {again(path.parent)}") from None
    if read is None:
        raise SafescaleError(other_writing(path))
    return read


def _to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


# --- merging --------------------------------------------------------------------------------------


def _refuse_other_data(
    first: str, expected: Mapping[str, Any], name: str, found: Mapping[str, Any]
) -> None:
    families = [family_of_data(about).name for about in (expected, found)]
    if families[0] != families[1]:
        raise SafescaleError(
            f"{first} is of the family {families[0]}, {name} of {families[1]}: they have no metric "
            "in common; analyse them apart, or the one with the other beside it (",
            ArgumentHint("beside", name),
            ")",
        )
    if expected["fingerprint"] != found["fingerprint"]:
        raise SafescaleError(
            f"{first} is of the data set {data_named(expected)}, {name} of {data_named(found)}: "
            "answers to different questions have no common rate; analyse them apart"
        )


def data_named(about: Mapping[str, Any]) -> str:
    """What an error calls a data set."""
    return f"{about.get('name')} {about.get('version')} (fingerprint {about['fingerprint'][:12]})"


def _refuse_overlap(runs: Mapping[str, Runs]) -> None:
    """Said by folder, which the check of the whole table could not."""
    seen: dict[tuple[str, str], list[tuple[str, Runs]]] = {}
    for name, each in runs.items():
        for pair in each.draws:
            for other, before in seen.setdefault(pair, []):
                shared = _keys(each, pair).join(
                    _keys(before, pair), on=["question_id", "draw"], how="semi"
                )
                if shared.height:
                    raise SafescaleError(
                        f"{other} and {name} both hold answers of {pair[0]}, {pair[1]} "
                        f"({shared.height} rows stand in both, the first of item "
                        f"{shared['question_id'][0]}); leave one out"
                    )
                own, theirs = _settings(each, pair), _settings(before, pair)
                if differing := sorted(
                    setting
                    for setting in {**own, **theirs}
                    if own.get(setting) != theirs.get(setting)
                ):
                    raise SafescaleError(
                        f"{other} and {name} both hold answers of {pair[0]}, {pair[1]}, got "
                        f"otherwise (differs: {', '.join(differing)}): they have no common rate; "
                        "leave one out"
                    )
            seen[pair].append((name, each))


def _settings(runs: Runs, pair: tuple[str, str]) -> dict[str, Any]:
    """How a model was asked and read under a condition; what is only noted of it does not matter,
    nor how it was weighed."""
    settings = settings_of(runs, *pair)
    return {name: value for name, value in settings.items() if name not in NOTED | MAKE_SCORES}


def _keys(runs: Runs, pair: tuple[str, str]) -> pl.DataFrame:
    rows = runs.answers.filter((pl.col("model") == pair[0]) & (pl.col("condition") == pair[1]))
    return rows.select(pl.col("question_id").cast(pl.String), "draw")


def _categories_of_all(runs: Collection[Runs], family: Family) -> dict[str, pl.Enum]:
    """The names of all: only with the same ones can answers be put below one another."""

    def every(names: Callable[[Runs], Iterable[str]]) -> set[str]:
        return set().union(*map(names, runs))

    names = {
        "model": sorted(every(lambda each: each.models)),
        "condition": family.in_order(every(lambda each: each.conditions)),
        "question_id": sorted(every(lambda each: each.items["question_id"].cast(pl.String))),
        "response": family.vocabulary
        or sorted(every(lambda each: categories(each.answers["response"]))),
    }
    return {name: pl.Enum(its) for name, its in names.items()}


def _merged(one: Mapping[str, Any], other: Mapping[str, Any], family: Family) -> dict[str, Any]:
    """One model known from two places: settings by condition where they differ."""
    sources = list(dict.fromkeys([one["source"], other["source"]]))
    first, second = _weights(one), _weights(other)
    if first and second and first != second:
        raise SafescaleError(
            f"two models have the same name: {first} and {second}; a table would take them for "
            "one. Import one of them under another name (",
            CommandHint("safescale import-lm-eval", {"model": "NAME"}),
            ", ",
            CommandHint("safescale run", {"name": "NAME"}),
            ")",
        )
    by_condition = {**_by_condition(one), **_by_condition(other)}
    size = {
        name: value
        for known in (one, other)
        for name, value in known.items()
        if name == PARAMETERS_B
    }
    return (
        known_of_model(", ".join(sources), by_condition, family)
        | size
        | merged_provenance(one, other)
        | merged_team(one, other)
    )


def _weights(known: Mapping[str, Any]) -> str:
    """Which model it is, as far as its arguments say; the same name in another folder may be
    another model."""
    args = known["settings"].get("model_args")
    if isinstance(args, str):
        args = dict(part.partition("=")[::2] for part in args.split(","))
    return (
        str(args.get("pretrained") or args.get("model") or "") if isinstance(args, Mapping) else ""
    )


def _by_condition(known: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    own = known.get("by_condition", {})
    return {
        condition: {**known["settings"], **own.get(condition, {})}
        for condition in known["conditions"]
    }


def known_of_model(
    source: str, by_condition: Mapping[str, Mapping[str, Any]], family: Family
) -> dict[str, Any]:
    """What `Runs.about` says of a model.

    Parameters
    ----------
    source
        Where its answers come from.
    by_condition
        Settings under each condition, as JSON values.

    Returns
    -------
    `source`, `conditions`, `settings` that all conditions share, and where some differ
    `by_condition`.
    """
    each = list(by_condition.values())
    missing = object()
    shared = {
        name: value
        for name, value in each[0].items()
        if all(other.get(name, missing) == value for other in each)
    }
    differing = {
        condition: own
        for condition, settings in by_condition.items()
        if (own := {name: value for name, value in settings.items() if name not in shared})
    }
    known: dict[str, Any] = {
        "source": source,
        "conditions": family.in_order(by_condition),
        "settings": shared,
    }
    return {**known, "by_condition": differing} if differing else known
