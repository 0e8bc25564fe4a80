"""PubMedQA (Jin et al., EMNLP 2019): yes/no/maybe questions on abstracts. It has no safety labels,
so safety rates are not scored.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from lm_eval_safescale.datasets import Dataset, Source, dataset_from_records
from lm_eval_safescale.errors import SafescaleError, reason_of
from lm_eval_safescale.hookspecs import hookimpl
from lm_eval_safescale.inputs import read_json

NAME = "pubmedqa"
HUB_ID, CONFIG = "qiaojin/PubMedQA", "pqa_labeled"
OPTIONS = {"A": "yes", "B": "no", "C": "maybe"}
LETTERS = {decision: letter for letter, decision in OPTIONS.items()}
FIELDS = ("QUESTION", "CONTEXTS", "final_decision")

Question = Mapping[str, Any]


def load(
    path: str | None = None, *, evidence: Collection[str] = (), local_only: bool = False
) -> Dataset:
    """PubMedQA from a file in the layout of the authors' `test_set.json`, or else from the hub (or
    its local cache).

    Raises
    ------
    SafescaleError
        If the file does not have that layout, the hub's copy is neither cached nor reachable, or
        evidence is asked for that it lacks.
    """
    if missing := sorted(set(evidence) - {"clean"}):
        raise SafescaleError(
            f"{NAME} has no {', '.join(missing)} evidence, only clean (the abstract): leave those "
            "tasks out"
        )
    if path is not None:
        where, questions, version = path, read(Path(path).expanduser()), None
    else:
        where = HUB_ID
        questions, version = fetch(local_only=local_only)
    for pmid, question in questions:
        if wrong := _wrong(question):
            raise SafescaleError(f"{where}: question {pmid}: {wrong}")
    records = [_record(pmid, question) for pmid, question in questions]
    return dataset_from_records(records, name=NAME, version=version, evidence=evidence)


def read(path: Path) -> list[tuple[str, Question]]:
    """The questions of a file by PubMed id: `{pmid: {QUESTION, CONTEXTS, final_decision, ...}}`."""
    try:
        questions = read_json(path, names_once=True)
    except SafescaleError as error:
        raise SafescaleError(f"{error}; expected the test_set.json of PubMedQA") from None
    if not isinstance(questions, dict) or not questions:
        raise SafescaleError(
            f"{path}: expected a mapping of PubMed ids to questions, found {_show(questions)}"
        )
    return list(questions.items())


def fetch(*, local_only: bool = False) -> tuple[list[tuple[str, Question]], str]:
    """The questions of the hub's copy, and its revision."""
    try:
        import datasets
        from huggingface_hub import snapshot_download

        folder = snapshot_download(
            HUB_ID,
            repo_type="dataset",
            allow_patterns=f"{CONFIG}/*.parquet",
            local_files_only=local_only,
        )
        files = sorted(map(str, Path(folder, CONFIG).glob("*.parquet")))
        rows: Iterable[Mapping[str, Any]] = datasets.load_dataset(
            "parquet", data_files=files, split="train"
        )
        questions = [(str(row["pubid"]), _in_file_layout(row)) for row in rows]
    except Exception as error:  # the hub client raises its own, httpx's and OS errors alike
        raise SafescaleError(
            f"PubMedQA ({HUB_ID}, {CONFIG}) is neither on this machine nor reachable: "
            f"{reason_of(error)}\n"
            'Name a copy of its test_set.json with path: --metadata \'{"dataset": "pubmedqa", '
            '"dataset_args": {"path": "FILE"}}\''
        ) from None
    return questions, Path(folder).name


def _in_file_layout(row: Mapping[str, Any]) -> Question:
    return {
        "QUESTION": row["question"],
        "CONTEXTS": row["context"]["contexts"],
        "final_decision": row["final_decision"],
    }


def _record(pmid: str, question: Question) -> dict[str, Any]:
    return {
        "question_id": pmid,
        "question": question["QUESTION"],
        "options": OPTIONS,
        "answer": LETTERS[question["final_decision"]],
        "evidence_clean": "\n\n".join(question["CONTEXTS"]),
        "source": f"PubMed {pmid}",
    }


def _wrong(question: object) -> str:
    """What is wrong with a question; empty if nothing is."""
    if not isinstance(question, dict):
        return f"expected its fields, found {_show(question)}"
    if missing := [name for name in FIELDS if name not in question]:
        return f"{', '.join(missing)} missing"
    if question["final_decision"] not in OPTIONS.values():
        return (
            f"final_decision is {_show(question['final_decision'])}; expected one of "
            f"{', '.join(LETTERS)}"
        )
    contexts = question["CONTEXTS"]
    if not isinstance(contexts, list) or not all(isinstance(part, str) for part in contexts):
        return f"CONTEXTS is {_show(contexts)}; expected a list of texts"
    return ""


def _show(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


PUBMEDQA = Source(
    NAME, "yes/no/maybe questions on PubMed abstracts (Jin et al. 2019); no safety labels", load
)


@hookimpl
def safescale_register_datasets(register: Callable[[Source], None]) -> None:
    """One data set."""
    register(PUBMEDQA)
