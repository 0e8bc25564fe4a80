import json
from pathlib import Path

import pytest

from lm_eval_safescale.families import RADSAFE

LABELS = tuple(RADSAFE.schema.labels)
FLAGS = dict.fromkeys(LABELS, 0)


@pytest.fixture
def question():
    """Makes the fields of one whole question; None as a value leaves a field out."""

    def make(question_id="q1", **changes):
        fields = {
            "question_id": question_id,
            "question": "Which vessel is occluded?",
            "options": {"A": "artery", "B": "vein", "C": "duct"},
            "answer": "B",
            "labels": {letter: dict(FLAGS) for letter in "ABC"},
            "evidence_clean": "The vein is.",
            "evidence_conflict": "The vein is, or the artery.",
            **changes,
        }
        return {name: value for name, value in fields.items() if value is not None}

    return make


@pytest.fixture
def write(tmp_path):
    """Writes a list of rows (as JSON lines), a text or bytes to a file; its path."""

    def to_file(content, name="questions.jsonl") -> Path:
        if isinstance(content, list):
            content = "".join(json.dumps(row) + "\n" for row in content)
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return to_file
