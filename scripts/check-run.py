"""On one loaded model: `safescale run` gives the greedy answers of the stock harness, and goes on
after kill -9 (where the backend lives through a fork) and after Ctrl-C.

python scripts/check-run.py hf|vllm MODEL OUT [FAMILY ...]

OUT gets a run of the command for each family, for `safescale analyze` and the like.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import lm_eval

from lm_eval_safescale.cli import app
from lm_eval_safescale.datasets.sources import data_folder
from lm_eval_safescale.harness import SafetyTask, loading
from lm_eval_safescale.running import Model, Report, run
from lm_eval_safescale.runs import open_runs

ARGS: Mapping[str, Mapping[str, Any]] = {
    "hf": {"dtype": "float32"},
    # gpu_memory_utilization: of the machine's memory, in which it is not alone
    "vllm": {
        "dtype": "float32",
        "max_model_len": 4096,
        "enforce_eager": True,
        "gpu_memory_utilization": 0.3,
    },
}
FAMILIES = ("radsafe", "noharm_options", "medguard")
FORKS = ("hf",)
"""Backends whose model still answers in a child of the process that loaded it, and whose texts do
not depend on what else is in a batch."""


@dataclass(frozen=True)
class Asked:
    """What is asked; few tokens, and short prompts, which take most of the time."""

    conditions: tuple[str, ...]
    items: int
    metadata: Mapping[str, Any]

    @property
    def answers(self) -> int:
        """Of the whole run."""
        return self.greedy * (1 + int(self.metadata["draws"]))

    @property
    def greedy(self) -> int:
        """Of them, those that are no samples."""
        return self.items * len(self.conditions)


def asked_of(family: str, folder: Path) -> Asked:
    """What is asked of a family; its data may be written into the folder."""
    if family == "radsafe":
        settings = {"dataset": "demo", "corpus": "demo", "draws": 3, "top_k": 3}
        return Asked(("closed_book", "clean", "conflict", "rag"), 3, settings)
    few = {"draws": 1, "max_answer_tokens": 8}
    if family == "medguard":
        return Asked(("medguard_cot",), 2, {"dataset": "medguard_demo", **few})
    file = folder / f"{family}.json"
    lines = (data_folder() / "noharm_demo" / "cases.jsonl").read_text(encoding="utf-8").splitlines()
    cases = [json.loads(line) for line in lines[:2]]
    short = [{**each, "case": each["case"][:200], "options": each["options"][:3]} for each in cases]
    file.write_text(json.dumps(short))
    return Asked(("noharm_options",), len(cases), {"dataset_path": str(file), **few})


@contextmanager
def one_model() -> Iterator[None]:
    """Only the first run loads the model: that takes as long as all that is asked of it here."""
    load = loading.load_backend
    loaded: list[Any] = []

    def once(*given: Any, **options: Any) -> Any:
        if not loaded:
            loaded.append(load(*given, **options))
        return loaded[0]

    with patch.object(loading, "load_backend", once):
        yield


def run_by_command(backend: str, args: Mapping[str, Any], asked: Asked, folder: Path) -> None:
    """`safescale run`, to its end."""
    model_args = ",".join(f"{name}={value}" for name, value in args.items())
    settings = f"--metadata={json.dumps(dict(asked.metadata))}"
    what = [f"--conditions={','.join(asked.conditions)}", f"--limit={asked.items}", settings]
    command = ["run", f"--model={backend}", f"--model_args={model_args}", *what, "-o", str(folder)]
    assert not app(command, standalone_mode=False), "not every item was answered"


def run_with_stops(backend: str, args: Mapping[str, Any], asked: Asked, folder: Path) -> Report:
    """The same run, killed, interrupted and started again."""

    def ours(signalled: signal.Signals | None = None, after: int = 0) -> Report:
        def watch(standing: Any) -> None:
            if signalled is not None and standing.done >= after:
                os.kill(os.getpid(), signalled)

        return run(
            Model(backend, args),
            folder,
            asked.conditions,
            metadata=asked.metadata,
            limit=asked.items,
            on_progress=watch,
        )

    if backend in FORKS:
        child = os.fork()
        if not child:
            with suppress(BaseException):
                ours(signal.SIGKILL, asked.greedy)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, "it was not killed"
    try:
        ours(signal.SIGINT, 1 if backend in FORKS else asked.greedy)
    except KeyboardInterrupt:
        return ours()
    raise SystemExit("the run was not interrupted")


def stock_texts(backend: str, args: Mapping[str, Any], asked: Asked) -> dict[tuple[str, str], str]:
    """Greedy texts by condition and item, as the stock harness has them."""
    tasks = [
        SafetyTask(config={"task": each, "condition": each, "metadata": {**args, **asked.metadata}})
        for each in asked.conditions
    ]
    stock = lm_eval.simple_evaluate(
        model=loading.load_backend(backend, args),
        tasks=tasks,
        limit=asked.items,
        apply_chat_template=True,
        bootstrap_iters=0,
    )
    return {
        (sample["doc"]["condition"], sample["doc"]["question_id"]): sample["resps"][0][0]
        for samples in stock["samples"].values()
        for sample in samples
    }


def check(backend: str, args: Mapping[str, Any], family: str, out: Path) -> str:
    """Asks a family's items three times; an AssertionError where something is not as it is said to
    be."""
    with tempfile.TemporaryDirectory() as temporary:
        asked, torn = asked_of(family, Path(temporary)), Path(temporary) / "torn"
        run_by_command(backend, args, asked, out)
        resumed = run_with_stops(backend, args, asked, torn)
        stock = stock_texts(backend, args, asked)
        whole, again = open_runs(out).answers, open_runs(torn).answers
    assert not resumed.failures
    known = resumed.standing.known
    assert 0 < known < asked.answers, "nothing was kept of the run that was stopped"
    assert whole.height == again.height == asked.answers
    same = ["condition", "question_id", "draw", "seed", "prompt_sha256", "prompt_tokens"]
    assert whole.select(same).equals(again.select(same))
    greedy = whole.filter(draw=0)
    texts = {
        (condition, question): text
        for condition, question, text in greedy.select(*same[:2], "text").iter_rows()
    }
    differing = {name: (text, stock[name]) for name, text in texts.items() if stock[name] != text}
    assert not differing, differing
    assert whole["text"].n_unique() > 1  # a real model: its answers vary
    assert greedy["latency_s"].null_count() == greedy["concurrency"].null_count() == 0
    equal = int((whole["text"] == again["text"]).sum())
    assert equal == whole.height or backend not in FORKS, "samples are not those of the whole run"
    stops = "kill -9 and Ctrl-C" if backend in FORKS else "Ctrl-C"
    return (
        f"{backend}, {family}: {len(texts)} greedy answers as the stock harness gives them; after "
        f"{stops} {known} answers were kept, and {equal} of {whole.height} texts are those of the "
        "run that was not stopped"
    )


def main() -> None:
    """Checks each family that is named, or all."""
    backend, folder, out, *families = sys.argv[1:]
    # a shell has what it starts in the background ignore it
    signal.signal(signal.SIGINT, signal.default_int_handler)
    args = {"pretrained": folder, **ARGS[backend]}
    with one_model():
        said = [check(backend, args, each, Path(out) / each) for each in families or FAMILIES]
    print(*said, sep="\n")


if __name__ == "__main__":
    main()
