"""Where data sets come from: the hub (or its local cache), a local file, or the bundled demo. Never one for another."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING

from lm_eval_safescale.datasets.columns import map_columns
from lm_eval_safescale.datasets.dataset import DEFAULT_DATASET, DEMO, Dataset
from lm_eval_safescale.datasets.files import FORMATS, read_records
from lm_eval_safescale.datasets.items import build_items
from lm_eval_safescale.datasets.problems import DataError, Problem, has_errors
from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.records import LABEL_NAMES, Item

if TYPE_CHECKING:
    from lm_eval_safescale.settings import Settings

HUB_ID = "soroosharasteh/RadSaFE-200"

Columns = Mapping[str, str] | None
Names = Collection[str]


@dataclass(frozen=True, slots=True)
class Source:
    """A data set that can be asked for by name."""

    name: str
    description: str
    load: Callable[[Columns, Names], Dataset]
    """The data set, from a column mapping and the evidence that no item may lack."""
    find: Callable[[], Dataset]
    """The data set from this machine only, whatever evidence it has."""


def load_dataset(settings: Settings, evidence: Names = ()) -> Dataset:
    """The data set a run asks for; no item may lack the evidence named.

    Raises
    ------
    DataError
        If the data cannot be used, with every problem found.
    SafescaleError
        If there is no such data set, or it cannot be had here; the message names the ways on.
    """
    if settings.dataset_path is not None:
        return load_file(settings.dataset_path, settings.columns, evidence)
    source = SOURCES.get(settings.dataset.casefold())
    if source is None:
        hint = "; for a file use dataset_path" if Path(settings.dataset).suffix.lower() in FORMATS else ""
        known = ", ".join(source.name for source in SOURCES.values())
        raise SafescaleError(f"dataset: there is no data set {settings.dataset!r}; known: {known}{hint}")
    return source.load(settings.columns, evidence)


def load_file(
    path: Path, columns: Columns = None, evidence: Names = (), *, name: str | None = None, version: str | None = None
) -> Dataset:
    """A data set from a JSON, JSONL or CSV file, named after it unless told, versioned by its fingerprint.

    Raises
    ------
    DataError
        With every problem of the file at once.
    """
    items, problems = _read(path, columns, evidence)
    if has_errors(problems):
        raise DataError(str(path), problems)
    dataset = Dataset.of(name or path.name, version or "", items, problems)
    is_demo = dataset.fingerprint == _about_demo()["fingerprint"]
    return replace(dataset, version=version or dataset.fingerprint[:12], is_demo=is_demo)


def check_file(path: Path, columns: Columns = None, evidence: Names = ()) -> list[Problem]:
    """Every problem of a data file, errors and warnings; empty if there is none."""
    try:
        return _read(path, columns, evidence)[1]
    except DataError as error:
        return list(error.problems)


def _read(path: Path, columns: Columns, evidence: Names) -> tuple[list[Item], list[Problem]]:
    records, problems = read_records(path)
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
    import yaml

    about: dict[str, str] = yaml.safe_load((data_folder() / "radsafe_demo" / "about.yaml").read_text(encoding="utf-8"))
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


SOURCES: dict[str, Source] = {
    source.name.casefold(): source
    for source in (
        Source(
            DEFAULT_DATASET,
            f"200 radiology questions with clinicians' labels ({HUB_ID} on the hub)",
            load_hub,
            partial(load_hub, local_only=True),
        ),
        Source(
            DEMO, "60 questions written to exercise this software; no clinical claim may rest on them", load_demo, load_demo
        ),
    )
}
