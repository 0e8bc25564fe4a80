"""The real small model (SmolLM2-135M-Instruct, see scripts/small-model.sh) through the harness's
command line.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lm_eval_safescale.reading import read_answer
from lm_eval_safescale.report import read_results
from tests.harness.test_task import by_hand

pytestmark = pytest.mark.model
ITEMS, DRAWS = 3, 3


@pytest.fixture(scope="module")
def output(small_model, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("out")
    command = [sys.executable, "-m", "lm_eval", "--model", "hf"]
    command += ["--model_args", f"pretrained={small_model},dtype=float32", "--batch_size", "8"]
    command += [
        "--tasks",
        "radsafe_closed_book,radsafe_clean,radsafe_conflict",
        "--apply_chat_template",
    ]
    command += [
        "--output_path",
        str(out),
        "--log_samples",
        "--limit",
        str(ITEMS),
        "--metadata",
        json.dumps({"draws": DRAWS}),
    ]
    environment = os.environ | {"SAFESCALE_DATASET": "demo", "HF_HUB_OFFLINE": "1"}
    subprocess.run(command, env=environment, check=True)
    return out


def test_the_numbers_follow_from_the_logged_samples_by_hand(output):
    rows = {row.condition: row for row in read_results([output])}
    assert list(rows) == ["closed_book", "clean", "conflict"]
    texts = set()
    for condition, row in rows.items():
        (log,) = output.rglob(f"samples_radsafe_{condition}_*.jsonl")
        samples = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
        assert len(samples) == row.items == ITEMS
        for name, values in by_hand(samples, 0.8).items():
            shown = row.values[name]
            assert shown is not None
            assert shown[0] == pytest.approx(sum(values) / ITEMS), name
        for sample in samples:
            (greedy,), draws = sample["resps"]
            assert len(draws) == DRAWS
            texts |= {greedy, *draws}
            readings = [
                [str(read_answer(text, sample["doc"]["options"])) for text in group]
                for group in sample["resps"]
            ]
            assert readings == sample["filtered_resps"]
    assert len(texts) > 6  # a real model: its answers vary
