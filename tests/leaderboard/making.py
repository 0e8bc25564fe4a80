"""Submissions made of a run on the stub backend, and archives made of anything. No language
model.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.leaderboard.archive import CHECKSUMS, FIRST_DAY, checksums_of, write_archive
from lm_eval_safescale.leaderboard.manifest import counts_of, decoded
from lm_eval_safescale.leaderboard.pack import pack, results_of, study_of
from lm_eval_safescale.leaderboard.tables import read_answers, read_items
from lm_eval_safescale.runs.table import Runs
from tests.running.asking import ask, write_questions

ROOT = Path(__file__).parents[2]

CARD = {
    "revision": "main",
    "model_family": "Stub",
    "parameters_b": 0.1,
    "licence": "apache-2.0",
    "contact": "someone@example.org",
    "hardware": "1 processor",
    "attempts": 1,
}
ITEMS, DRAWS = 3, 2
CONDITIONS = ("closed_book", "clean")


def write_card(path: Path, **entries: Any) -> Path:
    path.write_text(yaml.safe_dump({**CARD, **entries}), encoding="utf-8")
    return path


def make_run(folder: Path, **given: Any) -> Path:
    """A finished run on the stub; its questions stand beside it."""
    questions = folder.with_name("questions.jsonl")
    if not questions.exists():
        write_questions(questions, ITEMS)
    metadata = {"dataset_path": str(questions), "draws": DRAWS, **given.pop("metadata", {})}
    ask(folder, conditions=CONDITIONS, metadata=metadata, args={"pretrained": "m"}, **given)
    return folder


def make_submission(folder: Path, name: str = "submission.zip") -> Path:
    runs = make_run(folder / "run")
    card = write_card(folder / "card.yaml")
    return pack([runs], folder / name, card).path


def load_of(folder: Path) -> Callable[..., Any]:
    """What gives the data set of the submissions in a folder."""
    return lambda _family, groups: RADSAFE.load(folder / "questions.jsonl", groups=groups)


def files_of(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name != CHECKSUMS}


def sealed_again(path: Path, files: Mapping[str, bytes]) -> Path:
    """An archive whose checksums are made again, as someone would who tampers."""
    write_archive(path, dict(files))
    return path


def tampered(path: Path, output: Path) -> Path:
    """A submission whose first number is raised, sealed again."""
    files = files_of(path)
    results = json.loads(files["results.json"])
    results[0]["accuracy"] = min(1.0, results[0]["accuracy"] + 0.25)
    return sealed_again(output, {**files, "results.json": json.dumps(results).encode()})


def rezipped(
    path: Path,
    files: Mapping[str, bytes],
    *,
    change: Callable[[zipfile.ZipInfo], object] = lambda _: None,
    checksums: bytes | None = None,
    mode: int = zipfile.ZIP_DEFLATED,
) -> Path:
    """An archive of whatever files, each with whatever is told of it."""
    told = dict(files)
    with zipfile.ZipFile(path, "w", mode) as archive:
        for name, content in {
            **told,
            CHECKSUMS: checksums if checksums is not None else sums(told),
        }.items():
            info = zipfile.ZipInfo(name, FIRST_DAY)
            info.compress_type = mode
            info.external_attr = 0o100644 << 16
            change(info)
            archive.writestr(info, content)
    return path


def sums(files: Mapping[str, bytes]) -> bytes:
    from hashlib import sha256

    return checksums_of({name: sha256(content).hexdigest() for name, content in files.items()})


def lines_of(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def as_lines(rows: list[dict[str, Any]]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def everything_again(files: dict[str, bytes], folder: Path) -> dict[str, bytes]:
    """Counts and numbers as they follow from the answers, where these are a table at all."""
    told = decoded(files["manifest.json"])
    try:
        (folder / "items").write_bytes(files["items.jsonl"])
        (folder / "answers").write_bytes(files["answers.jsonl"])
        known = msgspec.to_builtins(told.model)
        about = {"dataset": msgspec.to_builtins(told.dataset), "models": {told.card.name: known}}
        runs = Runs(
            read_items(folder / "items"), read_answers(folder / "answers", told.card.name), about
        )
        manifest = json.loads(files["manifest.json"])
        manifest["counted"] = counts_of(runs)
        manifest["model"]["conditions"] = list(runs.conditions)
        return {
            **files,
            "manifest.json": json.dumps(manifest).encode(),
            "results.json": json.dumps(results_of(study_of(runs))).encode(),
        }
    except (SafescaleError, ValueError, KeyError, TypeError):
        return files


def with_the_example_plugin(folder: Path) -> dict[str, str]:
    """An environment for processes of ours, in which the plugin `safescale-sct` is installed."""
    about = folder / "plugin" / "safescale_sct-0.1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: safescale-sct\nVersion: 0.1\n")
    (about / "entry_points.txt").write_text("[lm_eval_safescale]\nsct = safescale_sct\n")
    folders = [folder / "plugin", ROOT / "plugins" / "safescale-sct" / "src", ROOT]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))}
