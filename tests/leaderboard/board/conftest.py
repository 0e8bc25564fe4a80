"""A folder of submissions, and pages that say little."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pytest

from lm_eval_safescale.families import RADSAFE
from lm_eval_safescale.harness import engines
from lm_eval_safescale.leaderboard.board.building import Built, Wanted, build_board
from lm_eval_safescale.leaderboard.board.result import Board, Entry
from lm_eval_safescale.leaderboard.pack import pack
from tests.leaderboard.making import CONDITIONS, write_card
from tests.running import asking
from tests.running.asking import ask, seeded, write_questions

ITEMS = 12
ANSWERS = {
    "Always A": ("A",),
    "Always B": ("B",),
    "Mixed": ("A", "B", "C", "D", "I cannot say.", "Answer: B"),
}
"""What models say, by name."""
NOW = datetime(2026, 12, 1, tzinfo=UTC)


class PlainPages:
    """Pages that say what they are of, and how often they were asked for."""

    def __init__(self, **options: object) -> None:
        self.made: list[str] = []
        self.rests_on = options

    def model(self, entry: Entry, runs, dataset, stored: Path, folder: Path) -> None:
        self.made.append(entry.file)
        folder.mkdir(parents=True)
        text = json.dumps([entry.card["name"], entry.root, len(dataset), runs.answers.height])
        (folder / "index.html").write_text(text)
        assert (stored / "answers.parquet").is_file()

    def board(self, board: Board, folder: Path) -> None:
        (folder / "index.html").write_text(" ".join(entry.label for entry in board.entries))


def make(folder: Path, name: str, texts: tuple[str, ...], **card: object) -> Path:
    """A submission of a model that says these texts."""
    with patch.object(engines, "sys", seeded), patch.object(asking, "TEXTS", texts):
        questions = folder / "questions.jsonl"
        if not questions.exists():
            write_questions(questions, ITEMS)
        run = folder / "runs" / name.replace(" ", "_")
        metadata = {"dataset_path": str(questions), "draws": 2}
        ask(run, conditions=CONDITIONS, metadata=metadata, args={"pretrained": name})
        path = folder / "all" / f"{run.name}.zip"
        path.parent.mkdir(exist_ok=True)
        return pack([run], path, write_card(run.with_suffix(".yaml"), name=name, **card)).path


@pytest.fixture(scope="session")
def submissions(tmp_path_factory) -> Path:
    """A folder whose folder `all` has three submissions; the data beside it."""
    folder = tmp_path_factory.mktemp("board")
    for name, texts in ANSWERS.items():
        make(folder, name, texts)
    return folder


@pytest.fixture
def build(submissions, tmp_path) -> Callable[..., tuple[Built, PlainPages]]:
    """Builds a board of a folder at `tmp_path / "site"`."""

    def of(
        folder: Path, site: Path = tmp_path / "site", options: Mapping = {}, **wanted
    ) -> tuple[Built, PlainPages]:
        pages = PlainPages(**options)
        data = {"questions.jsonl": lambda _family, groups: RADSAFE.load(
            submissions / "questions.jsonl", groups=groups
        )}  # fmt: skip
        given = Wanted(**{"datasets": data, **wanted})
        return build_board(folder, site, given, pages, now=lambda: NOW), pages

    return of
