"""RadSaFE's own data sets: the benchmark, from the hub or its local cache, and the bundled demo.
Never one for the other.
"""

from __future__ import annotations

import os
from collections.abc import Collection
from functools import partial
from pathlib import Path

from lm_eval_safescale.datasets import (
    DEMO,
    TEXTS,
    Dataset,
    Given,
    Schema,
    Source,
    data_folder,
    load_file,
    parse_choices,
)
from lm_eval_safescale.datasets.sources import about_demo
from lm_eval_safescale.errors import SafescaleError, SettingsHint, reason_of

FAMILY = "radsafe"
DEFAULT_DATASET = "RadSaFE-200"
HUB_ID = "soroosharasteh/RadSaFE-200"
PUBLISHED_OF = (DEFAULT_DATASET, "risk_radiorag")
"""What the published means are of; the second is its name in the published files."""
DEMO_FOLDER = "radsafe_demo"

SCHEMA = Schema(
    labels={
        "high_risk": ("highrisk", "high_risk_error", "is_high_risk"),
        "unsafe": ("unsafe_answer", "is_unsafe"),
        "contradicts": (
            "contradiction",
            "contradictory",
            "contradicts_evidence",
            "is_contradiction",
        ),
    },
    evidence={
        "clean": ("clean_evidence", "evidence_text", "context_clean", "clean_context"),
        "conflict": (
            "conflict_evidence",
            "conflicting_evidence",
            "context_conflict",
            "conflict_context",
        ),
        "agentic": ("agentic_report", "report", "deep_research", "deep_research_report"),
    },
    groups={
        "subspecialty": ("subspeciality", "specialty", "speciality", "category"),
        "question_type": ("type", "item_type"),
    },
    fallbacks={"evidence_clean": ("contexts",)},
)
"""What clinicians say of an option (PROTOCOL §1): choosing it could lead to serious harm; it is no
answer to act on; it is at odds with the clean evidence. An option may carry any of them, even the
correct one. A file's other names for them, for evidence and groups."""
parse = partial(parse_choices, schema=SCHEMA)

Names = Collection[str]


def load_demo(columns: Given | None = None, evidence: Names = (), groups: Names = ()) -> Dataset:
    """The bundled demo questions."""
    path = data_folder() / DEMO_FOLDER / "questions.jsonl"
    version = about_demo(DEMO_FOLDER)["version"]
    return load_file(
        path, columns, evidence, groups=groups, parse=parse, name=DEMO, version=version
    )


def load_hub(
    columns: Given | None = None,
    evidence: Names = (),
    groups: Names = (),
    *,
    first_index: int | None = None,
    local_only: bool = False,
) -> Dataset:
    """RadSaFE-200 from the hub, or from the local cache where there is no network."""
    path, revision = fetch_hub(local_only=local_only)
    return load_fetched(path, revision, columns, evidence, groups, first_index)


def load_fetched(
    path: Path,
    revision: str,
    columns: Given | None = None,
    evidence: Names = (),
    groups: Names = (),
    first_index: int | None = None,
) -> Dataset:
    """RadSaFE-200 from its file."""
    return load_file(
        path,
        columns,
        evidence,
        groups=groups,
        parse=partial(parse, first_index=first_index),
        name=DEFAULT_DATASET,
        version=revision,
    )


def fetch_hub(*, local_only: bool = False) -> tuple[Path, str]:
    """Download RadSaFE-200 (or find it in the cache); its data file and the revision it has.

    Raises
    ------
    SafescaleError
        If it is neither reachable nor cached, or holds no file that can be told to be the data.
    """
    from huggingface_hub import snapshot_download

    patterns = [f"*{suffix}" for suffix in TEXTS]
    try:
        folder = Path(
            snapshot_download(
                HUB_ID, repo_type="dataset", allow_patterns=patterns, local_files_only=local_only
            )
        )
    except Exception as error:
        # the hub client raises its own, requests', httpx's and OS errors alike
        raise _unreachable(error) from None
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in TEXTS and not path.name.startswith(".")
    )
    if len(files) != 1:
        names = ", ".join(str(path.relative_to(folder)) for path in files) or "none"
        raise SafescaleError(
            f"{HUB_ID} should hold one data file, but holds: {names}; choose with dataset_path, in "
            f"{os.fspath(folder)}"
        )
    return files[0], folder.name


def _unreachable(error: Exception) -> SafescaleError:
    return SafescaleError(
        f"the data set {DEFAULT_DATASET} ({HUB_ID}) is neither on this machine nor reachable: "
        f"{reason_of(error)}\n"
        "Two ways on:\n"
        "  1. Get the real data: run `safescale data fetch` where the hub is reachable (accept "
        "the data set's terms, and log in\n"
        "     with `hf auth login` if it asks), or name a local copy: ",
        SettingsHint({"dataset_path": "FILE.csv"}),
        "\n  2. Try things on the bundled demo questions: SAFESCALE_DATASET=demo (or ",
        SettingsHint({"dataset": "demo"}),
        ").\n     Its results are marked DEMO and say nothing about RadSaFE-200.",
    )


SOURCES: tuple[Source, ...] = (
    Source(
        DEFAULT_DATASET,
        f"200 radiology questions with clinicians' labels ({HUB_ID} on the hub)",
        load_hub,
        FAMILY,
    ),
    Source(
        DEMO,
        "60 questions written to exercise this software; no clinical claim may rest on them",
        load_demo,
        FAMILY,
    ),
)
"""Our own."""
