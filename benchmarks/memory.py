"""What a whole `safescale run` holds in memory as a study grows, and what it takes to open its
journal again.

    python benchmarks/memory.py            # 200 and 20,000 items x 6 conditions x 21 answers
    python benchmarks/memory.py --quick    # 200 and 2,000

No language model: the backend is a stub in the process that answers at once. Every question has
texts of its own, the reports of `agentic` stand in a file that was built ahead, and `rag` and
`max_context` search the demo corpus. Each run is the command itself in a process of its own, so
that its peak is its own; so is each opening of its journal, beside the same bytes read by msgspec
into the same types.
"""

from __future__ import annotations

import argparse
import importlib
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec

DATA = Path(__file__).parent.parent / "data" / "radsafe_demo"
DRAWS, WINDOW = 20, 8192
SAID = ("C", "B", "Answer: A", "**D**", "The answer is C.", "I cannot say.")
FIELDS = (
    "question",
    "options",
    "answer",
    "subspecialty",
    "question_type",
    "labels",
    "evidence_clean",
    "evidence_conflict",
)
SIZES, QUICK = (200, 20_000), (200, 2_000)
ROUNDS = 3
"""In which a journal is read either way by turns; the best of each counts."""


class AtOnce:
    """A backend that answers every request at once."""

    batch_size, max_length = 32, WINDOW

    def __init__(self) -> None:
        self._said = cycle(SAID)

    def generate_until(self, instances: Sequence[Any], disable_tqdm: bool = False) -> list[str]:  # noqa: ARG002
        return list(islice(self._said, len(instances)))

    def tok_encode(self, text: str) -> range:
        return range(len(text) // 4)

    def apply_chat_template(
        self,
        turns: Sequence[dict[str, str]],
        add_generation_prompt: bool = True,  # noqa: ARG002
    ) -> str:
        return "\n".join(turn["content"] for turn in turns)


def write_study(folder: Path, items: int) -> dict[str, Any]:
    """Questions and reports for them; the settings that name them."""
    from lm_eval_safescale.contexts.files import ContextSet, read_contexts, write_contexts
    from lm_eval_safescale.families import RADSAFE

    known = [
        json.loads(line)
        for line in (DATA / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    questions = folder / "questions.jsonl"
    with questions.open("w", encoding="utf-8") as file:
        for number in range(items):
            question = {name: known[number % len(known)][name] for name in FIELDS}
            words = str(question["question"]).split()
            random.Random(number).shuffle(words)
            question |= {"question_id": f"q{number:06d}", "question": " ".join(words)}
            file.write(json.dumps(question) + "\n")
    dataset, demo = RADSAFE.load(questions), read_contexts(DATA / "agentic.jsonl")
    whose = {
        "dataset": {
            "name": dataset.name,
            "version": dataset.version,
            "fingerprint": dataset.fingerprint,
        },
        "items": items,
    }
    reports = list(demo.contexts.values())
    contexts = {
        item.question_id: replace(
            reports[number % len(reports)],
            text=f"{item.question_id}\n{reports[number % len(reports)].text}",
        )
        for number, item in enumerate(dataset)
    }
    write_contexts(folder / "agentic.jsonl", ContextSet({**demo.about, **whose}, contexts))
    return {
        "dataset_path": str(questions), "contexts": str(folder / "agentic.jsonl"), "corpus": "demo",
        "draws": DRAWS, "max_context_tokens": WINDOW, "context_tokenizer": "words",
    }  # fmt: skip


def peak() -> float:
    """Of this process, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(folder: Path) -> dict[str, float]:
    """The command, with the stub for a model."""
    from lm_eval_safescale.harness import loading

    command = importlib.import_module("lm_eval_safescale.cli.run")

    figures: dict[str, float] = {}
    started = time.perf_counter()
    told = command._Told.__call__

    def note(self: Any, now: Any) -> None:
        if not now.what and not figures:
            figures.update(first=time.perf_counter() - started, at_first=peak())
        told(self, now)

    metadata = (folder / "metadata.json").read_text(encoding="utf-8")
    with (
        patch.object(loading, "load_backend", lambda *_, **__: AtOnce()),
        patch.object(command._Told, "__call__", note),
    ):
        command.run("dummy", folder / "runs", conditions="all", metadata=metadata)
    return figures | {"seconds": time.perf_counter() - started, "peak": peak()}


def reopening(folder: Path) -> dict[str, float]:
    """Seconds to open the journal of a finished run, and to read the same bytes by msgspec
    alone."""
    from lm_eval_safescale.runs.description import read_run
    from lm_eval_safescale.runs.journal import Journal
    from lm_eval_safescale.runs.lines import Line, shards_of

    decode = msgspec.json.Decoder(Line).decode
    responses = dict.fromkeys(
        (
            json.loads(line)["question_id"]
            for line in (folder / "questions.jsonl").open(encoding="utf-8")
        ),
        frozenset("ABCD"),
    )
    runs = folder / "runs"
    about = read_run(runs)
    best = {"opened": float("inf"), "msgspec": float("inf")}
    for _ in range(ROUNDS):
        started = time.perf_counter()
        journal = Journal(runs, about["identity"], about["starts"][0], responses)
        best["opened"] = min(best["opened"], time.perf_counter() - started)
        journal.close()
        del journal
        started = time.perf_counter()
        for shard in shards_of(runs):
            # the first line is a header
            deque(map(decode, filter(None, shard.read_bytes().split(b"\n")[1:])), maxlen=0)
        best["msgspec"] = min(best["msgspec"], time.perf_counter() - started)
    return best


def measured(what: str, folder: Path) -> dict[str, float]:
    """The figures of a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--part", what, str(folder)],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of items")
    parser.add_argument("--part", nargs=2, metavar=("WHAT", "FOLDER"), help="used by itself")
    args = parser.parse_args()
    if args.part:
        what, folder = args.part
        print(json.dumps({"run": run, "reopening": reopening}[what](Path(folder))))
        return
    print(
        (
            "| items x 6 x 21 | first request, s | peak MB there | whole run, s | us an answer | "
            "peak MB | above the first row | journal, MB | opened, s | msgspec, s | ratio |\n|---:|"
        )
        + "---:|" * 10
    )
    least = 0.0
    for items in args.sizes or (QUICK if args.quick else SIZES):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            (folder / "metadata.json").write_text(
                json.dumps(write_study(folder, items)), encoding="utf-8"
            )
            a_run, again = measured("run", folder), measured("reopening", folder)
            size = (
                sum(path.stat().st_size for path in (folder / "runs" / "answers").iterdir()) / 1e6
            )
        least = least or a_run["peak"]
        print(
            (
                f"| {items:,} | {a_run['first']:.1f} | {a_run['at_first']:,.0f} | "
                f"{a_run['seconds']:.1f} | "
                f"{1e6 * (a_run['seconds'] - a_run['first']) / (items * 6 * (1 + DRAWS)):.0f} | "
                f"{a_run['peak']:,.0f} | {a_run['peak'] - least:,.0f} | {size:,.0f} | "
                f"{again['opened']:.2f} | {again['msgspec']:.2f} | "
                f"{again['opened'] / again['msgspec']:.2f} |"
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
