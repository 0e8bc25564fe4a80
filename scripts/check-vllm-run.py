"""On one vLLM engine: `safescale run` gives the greedy answers of the stock harness, and goes on
after a stop.

python scripts/check-vllm-run.py MODEL OUT [ITEMS]

OUT gets the run of the command, for `safescale analyze` and the like.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lm_eval

from lm_eval_safescale.cli import app
from lm_eval_safescale.harness import SafetyTask, loading
from lm_eval_safescale.running.runner import Model, Report, run
from lm_eval_safescale.runs import Runs, open_runs

CONDITIONS = ("closed_book", "clean", "conflict", "rag")
DRAWS = 3
SETTINGS = {"dataset": "demo", "corpus": "demo", "draws": DRAWS}
SHORT = {"top_k": 3}
"""Passages of `rag`, so that its prompts do not take most of the time."""
METADATA = SETTINGS | SHORT


class Stop(Exception):
    """Stands for a kill: raised in the middle of a run."""


@contextmanager
def one_engine() -> Iterator[None]:
    """Only the first run starts an engine: that takes as long as all that is asked of it here."""
    load, loaded = loading.load_backend, []

    def once(*given: Any, **options: Any) -> Any:
        if not loaded:
            loaded.append(load(*given, **options))
        return loaded[0]

    with patch.object(loading, "load_backend", once):
        yield


def run_by_command(args: dict[str, Any], folder: Path, items: int) -> Runs:
    """What `safescale run` stores."""
    settings = [
        *(f"--{name}={value}" for name, value in SETTINGS.items()),
        f"--metadata={json.dumps(SHORT)}",
    ]
    model_args = ",".join(f"{name}={value}" for name, value in args.items())
    asked = [f"--conditions={','.join(CONDITIONS)}", f"--limit={items}", *settings]
    command = ["run", "--model=vllm", f"--model_args={model_args}", *asked, "-o", str(folder)]
    assert not app(command, standalone_mode=False), "not every question was answered"
    return open_runs(folder)


def run_with_a_stop(args: dict[str, Any], folder: Path, items: int) -> Report:
    """The same run, stopped in its middle and started again."""

    def ours(stop_at: int = 0) -> Report:
        def watch(standing: Any) -> None:
            if stop_at and standing.done >= stop_at:
                raise Stop

        return run(
            Model("vllm", args),
            folder,
            CONDITIONS,
            metadata=METADATA,
            limit=items,
            on_progress=watch,
        )

    try:
        ours(stop_at=items * len(CONDITIONS))
    except Stop:
        return ours()
    raise SystemExit("the run was not stopped")


def stock_texts(args: dict[str, Any], items: int) -> dict[tuple[str, str], str]:
    """Greedy texts by condition and question, as the stock harness has them."""
    tasks = [
        SafetyTask(
            config={"task": f"radsafe_{each}", "condition": each, "metadata": {**args, **METADATA}}
        )
        for each in CONDITIONS
    ]
    stock = lm_eval.simple_evaluate(
        model=loading.load_backend("vllm", args),
        tasks=tasks,
        limit=items,
        apply_chat_template=True,
        bootstrap_iters=0,
    )
    return {
        (sample["doc"]["condition"], sample["doc"]["question_id"]): sample["resps"][0][0]
        for samples in stock["samples"].values()
        for sample in samples
    }


def main() -> None:
    """Asks the demo questions three times; an AssertionError where something is not as it is said
    to be."""
    folder, out, items = (
        sys.argv[1],
        Path(sys.argv[2]),
        int(sys.argv[3]) if len(sys.argv) > 3 else 3,
    )
    args = {"pretrained": folder, "dtype": "float32", "max_model_len": 4096, "enforce_eager": True}
    args |= {"gpu_memory_utilization": 0.3}  # of the machine's memory, in which it is not alone
    with one_engine(), tempfile.TemporaryDirectory() as temporary:
        whole = run_by_command(args, out, items).answers
        resumed = run_with_a_stop(args, Path(temporary), items)
        again = open_runs(Path(temporary)).answers
        stock = stock_texts(args, items)

    assert not resumed.failures
    known = resumed.standing.known
    assert known, "nothing was kept of the run that was stopped"
    assert whole.height == again.height == items * len(CONDITIONS) * (1 + DRAWS)
    same = ["condition", "question_id", "draw", "seed", "prompt_sha256", "prompt_tokens"]
    assert whole.select(same).equals(again.select(same))
    greedy = whole.filter(draw=0)
    texts = {
        (condition, question): text
        for condition, question, text in greedy.select(*same[:2], "text").iter_rows()
    }
    differing = {name: (text, stock[name]) for name, text in texts.items() if stock[name] != text}
    assert not differing, differing
    assert greedy["latency_s"].null_count() == greedy["concurrency"].null_count() == 0
    equal = int((whole["text"] == again["text"]).sum())
    print(
        f"vLLM: {len(texts)} greedy answers as the stock harness gives them; after a stop {known} "
        f"answers were kept, and {equal} of {whole.height} texts are those of the run that was not "
        "stopped"
    )


if __name__ == "__main__":
    main()
