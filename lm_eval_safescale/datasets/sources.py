"""Where data sets come from: files, records, and sources that are asked for by name. Never one for
another.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from lm_eval_safescale.datasets.choices import parse_choices
from lm_eval_safescale.datasets.columns import Given, parts
from lm_eval_safescale.datasets.dataset import Dataset
from lm_eval_safescale.datasets.files import PlainRecords, read_records
from lm_eval_safescale.datasets.problems import DataError, Problem, has_errors
from lm_eval_safescale.datasets.record import Record
from lm_eval_safescale.inputs import read_yaml
from lm_eval_safescale.records import Item

Columns = Given | None
Names = Collection[str]


class Parse(Protocol):
    """Records to the items of a family, with every problem found on the way."""

    def __call__(
        self, records: Collection[Record], *, columns: Columns, evidence: Names, groups: Names
    ) -> tuple[Sequence[Item], list[Problem]]:
        """`columns`: the user's mapping of our field names to theirs; `evidence`: names that no
        item may lack; `groups`: columns that are groups besides."""
        ...


@dataclass(frozen=True, slots=True)
class Source:
    """A data set that can be asked for by name, as it is registered."""

    name: str
    description: str
    load: Callable[..., Dataset]
    """`load(...)` gives the data set. Its parameters are its settings (`dataset_args`), but for
    these, which it may take too: `columns` (the user's mapping of column names), `evidence` (names
    of evidence that no item may lack), `groups` (columns that are groups besides), `first_index`
    (where numbers that are keys count from), `local_only` (do not use the network)."""
    family: str = ""
    """Name of the family whose items they are; empty: any family's that can read them, as
    multiple-choice questions are."""


def load_file(
    path: Path,
    columns: Columns = None,
    evidence: Names = (),
    *,
    groups: Names = (),
    parse: Parse = parse_choices,
    name: str | None = None,
    version: str | None = None,
) -> Dataset:
    """A data set from a JSON, JSONL or CSV file, named after it unless told, versioned by its
    fingerprint.

    Parameters
    ----------
    columns, evidence, groups
        See `Parse`.
    parse
        Of the family whose items they are (`Family.parse`); without it multiple-choice questions
        under plain names.

    Raises
    ------
    DataError
        With every problem of the file at once.
    """
    items, problems = _read(path, columns, evidence, groups, parse)
    return _dataset(str(path), name or path.name, version, items, problems, groups)


def dataset_from_records(
    records: Iterable[Mapping[str, Any]],
    *,
    name: str,
    version: str | None = None,
    columns: Columns = None,
    evidence: Names = (),
    groups: Names = (),
    parse: Parse = parse_choices,
) -> Dataset:
    """A data set from plain records with the fields that a file may have (`docs/data.md`), checked
    as a file is.

    Raises
    ------
    DataError
        With every problem at once; a record's number, from 1, stands for its line.
    """
    given = tuple(dict(record) for record in records)
    numbered = [Record(number, record) for number, record in enumerate(given, 1)]
    items, problems = parse(numbered, columns=columns, evidence=evidence, groups=groups)
    dataset = _dataset(
        name,
        name,
        version,
        items,
        [*([] if numbered else [Problem("no records")]), *problems],
        groups,
    )
    return replace(dataset, records=given)


def recheck(
    dataset: Dataset, evidence: Names = (), *, groups: Names = (), parse: Parse = parse_choices
) -> Dataset:
    """A data set that somebody else's code made, with its items checked as those of a file;
    DataError if they do not pass."""
    checked = dataset_from_records(
        dataset.records or [item.as_record() for item in dataset],
        name=dataset.name,
        version=dataset.version,
        evidence=evidence,
        groups=groups,
        parse=parse,
    )
    warnings = checked.warnings if dataset.records else (*dataset.warnings, *checked.warnings)
    return replace(
        checked, warnings=warnings, is_demo=checked.is_demo or dataset.is_demo, records=()
    )


def check_file(
    path: Path,
    columns: Columns = None,
    evidence: Names = (),
    *,
    groups: Names = (),
    parse: Parse = parse_choices,
) -> list[Problem]:
    """Every problem of a data file, errors and warnings; empty if there is none."""
    try:
        items, problems = _read(path, columns, evidence, groups, parse)
    except DataError as error:
        return list(error.problems)
    return problems + _unknown_groups(items, groups)


def _read(
    path: Path, columns: Columns, evidence: Names, groups: Names, parse: Parse
) -> tuple[Sequence[Item], list[Problem]]:
    records: Collection[Record] | None = PlainRecords.of(path)
    problems: list[Problem] = []
    # else they are read one by one: those of a large file would fill the memory
    if records is None:
        mapped = [each for column in (columns or {}).values() for each in parts(column)]
        records, problems = read_records(path, [*mapped, *groups])
    items, found = parse(records, columns=columns, evidence=evidence, groups=groups)
    return items, problems + found


def _dataset(
    source: str,
    name: str,
    version: str | None,
    items: Sequence[Item],
    problems: list[Problem],
    groups: Names,
) -> Dataset:
    problems = problems + _unknown_groups(items, groups)
    if has_errors(problems):
        raise DataError(source, problems)
    dataset = Dataset.of(name, version or "", items, problems)
    return replace(
        dataset,
        version=version or dataset.fingerprint[:12],
        is_demo=dataset.fingerprint in demo_fingerprints(),
    )


def _unknown_groups(items: Sequence[Item], groups: Names) -> list[Problem]:
    known = dict.fromkeys(name for item in items for name in item.groups)
    return [
        Problem(
            f"no item has a group {name!r}; expected a column of the file, or one of "
            f"{', '.join(known) or 'none'}",
            field="groups",
        )
        for name in groups
        if items and name not in known
    ]


def data_folder() -> Path:
    """The bundled data: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "data"
    return installed if installed.is_dir() else package.parent / "data"


def about_demo(name: str) -> dict[str, str]:
    """What bundled demo data say of themselves: version and fingerprint."""
    about: dict[str, str] = read_yaml(data_folder() / name / "about.yaml")
    return about


@functools.cache
def demo_fingerprints() -> frozenset[str]:
    """Of all bundled demo data: a copy of them is known, whatever the file's name."""
    return frozenset(
        about_demo(path.parent.name)["fingerprint"] for path in data_folder().glob("*/about.yaml")
    )
