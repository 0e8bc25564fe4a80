"""Where data sets come from: the hub (or its local cache), a local file, or the bundled demo. Never one for another."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_lowercase
from typing import Any

from lm_eval_safescale.datasets.columns import map_columns
from lm_eval_safescale.datasets.dataset import DEFAULT_DATASET, DEMO, Dataset
from lm_eval_safescale.datasets.files import FORMATS, PlainRecords, Record, read_records
from lm_eval_safescale.datasets.items import build_items
from lm_eval_safescale.datasets.problems import DataError, Problem, has_errors
from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.inputs import read_yaml
from lm_eval_safescale.records import LABEL_NAMES, Item

HUB_ID = "soroosharasteh/RadSaFE-200"

Columns = Mapping[str, str] | None
Names = Collection[str]


@dataclass(frozen=True, slots=True)
class Source:
    """A data set that can be asked for by name, as it is registered."""

    name: str
    description: str
    load: Callable[..., Dataset]
    """`load(...)` gives the data set. Its parameters are its settings (`dataset_args`), but for these, which it may take too: `columns`
    (the user's mapping of column names), `evidence` (names of evidence that no item may lack), `local_only` (do not use the network)."""


def load_file(
    path: Path, columns: Columns = None, evidence: Names = (), *, name: str | None = None, version: str | None = None
) -> Dataset:
    """A data set from a JSON, JSONL or CSV file, named after it unless told, versioned by its fingerprint.

    Raises
    ------
    DataError
        With every problem of the file at once.
    """
    return _dataset(str(path), name or path.name, version, *_read(path, columns, evidence))


def dataset_from_records(
    records: Iterable[Mapping[str, Any]],
    *,
    name: str,
    version: str | None = None,
    columns: Columns = None,
    evidence: Names = (),
) -> Dataset:
    """A data set from plain records with the fields that a file may have (`docs/data.md`), checked as a file is.

    Raises
    ------
    DataError
        With every problem at once; a record's number, from 1, stands for its line.
    """
    numbered = [Record(number, dict(record)) for number, record in enumerate(records, 1)]
    problems = [] if numbered else [Problem("no records")]
    return _dataset(name, name, version, *_build(numbered, problems, columns, evidence))


def recheck(dataset: Dataset, evidence: Names = ()) -> Dataset:
    """A data set that somebody else's code made, with its items checked as those of a file; DataError if they do not pass."""
    checked = dataset_from_records(
        [_as_record(item) for item in dataset], name=dataset.name, version=dataset.version, evidence=evidence
    )
    return replace(checked, warnings=(*dataset.warnings, *checked.warnings), is_demo=checked.is_demo or dataset.is_demo)


def _as_record(item: Item) -> dict[str, Any]:
    record = item.as_dict() | {"source": item.source} | {f"evidence_{name}": text for name, text in item.evidence.items()}
    del record["evidence"]
    if item.labels is None:
        del record["labels"]
    return record


def _dataset(source: str, name: str, version: str | None, items: list[Item], problems: list[Problem]) -> Dataset:
    if has_errors(problems):
        raise DataError(source, problems)
    dataset = Dataset.of(name, version or "", items, problems)
    is_demo = dataset.fingerprint == _about_demo()["fingerprint"]
    return replace(dataset, version=version or dataset.fingerprint[:12], is_demo=is_demo)


def check_file(path: Path, columns: Columns = None, evidence: Names = ()) -> list[Problem]:
    """Every problem of a data file, errors and warnings; empty if there is none."""
    try:
        return _read(path, columns, evidence)[1]
    except DataError as error:
        return list(error.problems)


def _read(path: Path, columns: Columns, evidence: Names) -> tuple[list[Item], list[Problem]]:
    records = PlainRecords.of(path)
    if records is not None:  # those of a large file would fill the memory
        return _build(records, [], columns, evidence)
    return _build(*read_records(path), columns, evidence)


def _build(
    records: Collection[Record], problems: list[Problem], columns: Columns, evidence: Names
) -> tuple[list[Item], list[Problem]]:
    mapping, found = map_columns((column for record in records for column in record.fields), columns)
    problems += found
    required: list[tuple[str, ...]] = [("question_id",), ("question",), ("options", "option_a"), ("answer", "answer_idx")]
    required += [(f"evidence_{name}", "evidence") for name in evidence]
    if any(field.startswith(f"{name}_") for name in LABEL_NAMES for field in mapping):  # all three labels or none
        required += [tuple(f"{name}_{letter}" for letter in ascii_lowercase) for name in LABEL_NAMES]
    missing = [names[0] for names in required if records and not set(names) & set(mapping)]
    if missing:
        seen = ", ".join(dict.fromkeys(column for record in records for column in record.fields))
        said = {problem.field for problem in problems if problem.is_error}
        for name in missing:
            if name not in said:
                problems.append(Problem(f"no column read as this; the file has {seen}; map it with `columns`", field=name))
        return [], problems
    items, found = build_items(records, mapping, evidence)
    return items, problems + found


def data_folder() -> Path:
    """The bundled data: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "data"
    return installed if installed.is_dir() else package.parent / "data"


def load_demo(columns: Columns = None, evidence: Names = ()) -> Dataset:
    """The bundled demo questions."""
    path = data_folder() / "radsafe_demo" / "questions.jsonl"
    return load_file(path, columns, evidence, name=DEMO, version=_about_demo()["version"])


def _about_demo() -> dict[str, str]:
    about: dict[str, str] = read_yaml(data_folder() / "radsafe_demo" / "about.yaml")
    return about


def load_hub(columns: Columns = None, evidence: Names = (), *, local_only: bool = False) -> Dataset:
    """RadSaFE-200 from the hub, or from the local cache where there is no network."""
    path, revision = fetch_hub(local_only=local_only)
    return load_file(path, columns, evidence, name=DEFAULT_DATASET, version=revision)


def fetch_hub(*, local_only: bool = False) -> tuple[Path, str]:
    """Download RadSaFE-200 (or find it in the cache); its data file and the revision it has.

    Raises
    ------
    SafescaleError
        If it is neither reachable nor cached, or holds no file that can be told to be the data.
    """
    from huggingface_hub import snapshot_download

    patterns = [f"*{suffix}" for suffix in FORMATS]
    try:
        folder = Path(snapshot_download(HUB_ID, repo_type="dataset", allow_patterns=patterns, local_files_only=local_only))
    except Exception as error:  # the hub client raises its own, requests', httpx's and OS errors alike
        raise SafescaleError(_unreachable(error)) from None
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in FORMATS and not path.name.startswith("."))
    if len(files) != 1:
        names = ", ".join(str(path.relative_to(folder)) for path in files) or "none"
        raise SafescaleError(
            f"{HUB_ID} should hold one data file, but holds: {names}; choose with dataset_path, in {os.fspath(folder)}"
        )
    return files[0], folder.name


def _unreachable(error: Exception) -> str:
    return (
        f"the data set {DEFAULT_DATASET} ({HUB_ID}) is neither on this machine nor reachable: {reason_of(error)}\n"
        "Two ways on:\n"
        "  1. Get the real data: run `safescale data fetch` where the hub is reachable (accept the data set's terms, and log in\n"
        '     with `hf auth login` if it asks), or name a local copy: --metadata \'{"dataset_path": "FILE.csv"}\'\n'
        '  2. Try things on the bundled demo questions: SAFESCALE_DATASET=demo (or --metadata \'{"dataset": "demo"}\').\n'
        "     Its results are marked DEMO and say nothing about RadSaFE-200."
    )


SOURCES: tuple[Source, ...] = (
    Source(DEFAULT_DATASET, f"200 radiology questions with clinicians' labels ({HUB_ID} on the hub)", load_hub),
    Source(DEMO, "60 questions written to exercise this software; no clinical claim may rest on them", load_demo),
)
"""Our own."""
