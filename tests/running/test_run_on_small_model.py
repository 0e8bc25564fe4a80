"""`safescale run` with the real small model (see scripts/small-model.sh): the stock harness's
greedy texts, and no trace of a kill.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lm_eval_safescale.runs import open_runs

pytestmark = pytest.mark.model
CONDITION, ITEMS, DRAWS = "closed_book", 3, 2
SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "check-run.py"
KILLED_AFTER = 4
"""Answers: the greedy ones, and some of the samples."""
KILLS_ITSELF = """
import os, signal, sys
from pathlib import Path
from lm_eval_safescale.harness.loading import parse_model_args
from lm_eval_safescale.running import runner

def on_progress(standing):
    if standing.done >= int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)

runner.run(runner.Model("hf", parse_model_args(sys.argv[1])), Path(sys.argv[2]), [sys.argv[4]],
           metadata={"dataset": "demo", "draws": int(sys.argv[5])}, limit=int(sys.argv[6]),
           on_progress=on_progress)
"""


@pytest.fixture(scope="module")
def model_args(small_model) -> str:
    return f"pretrained={small_model},dtype=float32"


def command(*words: object) -> int:
    """The exit status of Python with these arguments."""
    environment = os.environ | {
        "HF_HUB_OFFLINE": "1",
        "OMP_NUM_THREADS": "1",
    }  # threads that wait for each other cost most of the time
    return subprocess.run(
        [sys.executable, *map(str, words)], env=environment, check=False
    ).returncode


def safescale_run(model_args: str, folder: Path) -> int:
    return command(
        "-m", "lm_eval_safescale", "run", "--model", "hf", "--model_args", model_args,
        "--conditions", CONDITION, "--dataset", "demo", "--draws", DRAWS, "--limit", ITEMS, "-o",
        folder,
    )  # fmt: skip


@pytest.fixture(scope="module")
def uninterrupted(model_args, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert safescale_run(model_args, folder) == 0
    return folder


def test_the_run_says_what_computed_its_answers(uninterrupted):
    ((_, model),) = open_runs(uninterrupted).about["models"].items()
    (start,) = model["provenance"]["starts"]
    engine = start["engine"]
    assert engine["version"] == start["surroundings"]["packages"]["transformers"] is not None
    assert (engine["package"], engine["dtype"]) == ("transformers", "float32")
    assert (engine["quantization"], engine["device"]) == ("none", "cpu")
    assert engine["window"] > 0


def test_greedy_texts_are_those_of_the_stock_harness(uninterrupted, model_args, tmp_path):
    metadata = json.dumps({"dataset": "demo", "draws": DRAWS})
    status = command(
        "-m", "lm_eval", "--model", "hf", "--model_args", model_args, "--batch_size", 8, "--tasks",
        f"radsafe_{CONDITION}", "--apply_chat_template", "--output_path", tmp_path, "--log_samples",
        "--limit", ITEMS, "--metadata", metadata,
    )  # fmt: skip
    assert status == 0
    (log,) = tmp_path.rglob(f"samples_radsafe_{CONDITION}_*.jsonl")
    samples = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    stock = {sample["doc"]["question_id"]: sample["resps"][0][0] for sample in samples}
    greedy = open_runs(uninterrupted).answers.filter(draw=0)
    assert dict(greedy.select("question_id", "text").iter_rows()) == stock
    assert len(set(stock.values())) > 1  # a real model: its answers vary


def test_a_run_that_was_killed_ends_with_the_table_of_one_that_was_not(
    uninterrupted, model_args, tmp_path
):
    folder = tmp_path / "killed"
    status = command("-c", KILLS_ITSELF, model_args, folder, KILLED_AFTER, CONDITION, DRAWS, ITEMS)
    assert status == -signal.SIGKILL
    assert safescale_run(model_args, folder) == 0
    same = [
        "model",
        "condition",
        "question_id",
        "draw",
        "response",
        "status",
        "text",
        "prompt_tokens",
        "completion_tokens",
    ]
    whole, killed = (
        open_runs(each).answers.select(same).sort(same[:4]) for each in (uninterrupted, folder)
    )
    assert whole.height == ITEMS * (1 + DRAWS)
    assert killed.equals(whole)


def test_other_families_are_asked_as_the_stock_harness_asks_and_show_no_trace_of_two_stops(
    small_model, tmp_path
):
    """In one process, as the model takes longest to load (see the script)."""
    families = ["noharm_options", "medguard"]
    assert command(SCRIPT, "hf", small_model, tmp_path, *families) == 0
    for family in families:
        assert open_runs(tmp_path / family).about["dataset"]["family"] == family
