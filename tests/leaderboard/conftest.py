"""Submissions that are made once."""

from __future__ import annotations

from unittest.mock import patch

import pytest

from lm_eval_safescale.harness import engines
from tests.leaderboard.making import files_of, make_submission, sealed_again
from tests.running import asking
from tests.running.asking import seeded

TEXTS = (
    "A",
    "Answer: B",
    "C",
    "I cannot say.",
    "<think>Is it C?</think>\n\nAnswer: D",
    "<think>The image shows",
    "The answer is B.",
)


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A folder with a run, its questions, and its submission."""
    folder = tmp_path_factory.mktemp("submission")
    with patch.object(engines, "sys", seeded), patch.object(asking, "TEXTS", TEXTS):
        make_submission(folder)
    return folder


@pytest.fixture(scope="session")
def files(made):
    """What is in it, but for the checksums."""
    return files_of(made / "submission.zip")


@pytest.fixture(scope="session")
def tampered(made, tmp_path_factory):
    """The submission with one text changed, its checksums made again."""
    files = files_of(made / "submission.zip")
    files["answers.jsonl"] = files["answers.jsonl"].replace(b"Answer: B", b"Answer: C", 1)
    return sealed_again(tmp_path_factory.mktemp("tampered") / "tampered.zip", files)
