"""On one vLLM engine: `safescale run` and the stock harness give the same greedy answers, and a run that was stopped goes on.

python scripts/check-vllm-run.py MODEL [ITEMS]
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lm_eval

from lm_eval_safescale.harness import SafetyTask, loading
from lm_eval_safescale.runs.runner import Model, Report, run

CONDITIONS = ("closed_book", "clean", "conflict")
DRAWS = 3


class Stop(Exception):
    """Stands for a kill: raised in the middle of a run."""


def main() -> None:
    """Asks the demo questions three times; an AssertionError where something is not as it is said to be."""
    folder, items = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 6
    args = {"pretrained": folder, "dtype": "float32", "max_model_len": 4096, "enforce_eager": True}
    backend = loading.load_backend("vllm", loading.with_defaults("vllm", args))
    metadata = {"dataset": "demo", "draws": DRAWS}

    def ours(path: Path, stop_at: int = 0) -> Report:
        def watch(standing: Any) -> None:
            if stop_at and standing.done >= stop_at:
                raise Stop

        with patch.object(loading, "load_backend", lambda *_, **__: backend):
            return run(Model("vllm", args), path, CONDITIONS, metadata=metadata, limit=items, on_progress=watch)

    with tempfile.TemporaryDirectory() as temporary:
        whole = ours(Path(temporary) / "whole")
        try:
            ours(Path(temporary) / "stopped", stop_at=items * 3)
            raise SystemExit("the run was not stopped")
        except Stop:
            pass
        resumed = ours(Path(temporary) / "stopped")
    assert not whole.failures
    assert not resumed.failures
    assert resumed.standing.known, "nothing was kept of the run that was stopped"
    assert whole.runs.answers.height == resumed.runs.answers.height == items * len(CONDITIONS) * (1 + DRAWS)
    compared = ["condition", "question_id", "draw", "text", "seed", "prompt_sha256", "prompt_tokens"]
    same = (whole.runs.answers.select(compared) == resumed.runs.answers.select(compared)).select("text").to_series()
    assert (
        whole.runs.answers.drop("text")
        .select(compared[:3] + compared[4:])
        .equals(resumed.runs.answers.select(compared[:3] + compared[4:]))
    )
    greedy = {
        (condition, question): text
        for condition, question, draw, text in whole.runs.answers.select("condition", "question_id", "draw", "text").iter_rows()
        if draw == 0
    }
    tasks = [
        SafetyTask(config={"task": f"radsafe_{each}", "condition": each, "metadata": {**args, **metadata}})
        for each in CONDITIONS
    ]
    stock = lm_eval.simple_evaluate(model=backend, tasks=tasks, limit=items, apply_chat_template=True, bootstrap_iters=0)
    texts = {
        (sample["doc"]["condition"], sample["doc"]["question_id"]): sample["resps"][0][0]
        for samples in stock["samples"].values()
        for sample in samples
    }
    differing = {name: (text, texts[name]) for name, text in greedy.items() if texts[name] != text}
    assert not differing, differing
    timed = whole.runs.answers.filter(whole.runs.answers["draw"] == 0)
    assert timed["latency_s"].null_count() == timed["concurrency"].null_count() == 0
    print(
        f"vLLM: {len(greedy)} greedy answers as the stock harness gives them; after a stop {resumed.standing.known} answers were kept, and "
        f"{int(same.sum())} of {len(same)} texts are those of the run that was not stopped"
    )


if __name__ == "__main__":
    main()
