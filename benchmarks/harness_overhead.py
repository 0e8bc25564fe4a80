"""Seconds and memory that a run spends outside the model: our task against a stock task of the
harness on the same prompts.

The backend is a stub that answers at once. The peer is a plain `generate_until` task of the harness
(ConfigurableTask, `take_first`, `exact_match`) with the same questions and as many requests; it
reads one answer a question and nothing else.

    python benchmarks/harness_overhead.py            # 200, 2,000 and 20,000 questions x 21 answers
    python benchmarks/harness_overhead.py 200 1000
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import resource
import sys
import tempfile
import time
from itertools import cycle
from pathlib import Path

DRAWS = 20
ANSWERS = ("C", "B", "Answer: A", "**D**", "The answer is C.", "I cannot say.")
OPTIONS = {
    "A": "Pneumothorax",
    "B": "Pleural effusion",
    "C": "Pulmonary embolism",
    "D": "Lobar pneumonia",
}
FLAGS = {
    letter: {"high_risk": int(letter == "A"), "unsafe": int(letter in "AB"), "contradicts": 1}
    for letter in OPTIONS
}


def write_questions(path: Path, n: int) -> None:
    with path.open("w", encoding="utf-8") as file:
        for number in range(n):
            item = {
                "question_id": f"{number:06d}",
                "question": f"Question {number}: " + "what do these images show? " * 8,
                "options": OPTIONS,
                "answer": "C",
                "labels": FLAGS
                if number % 2
                else {letter: dict.fromkeys(flags, 0) for letter, flags in FLAGS.items()},
                "evidence_clean": "The images show what the passage says in about eighty words. "
                * 8,
            }
            file.write(json.dumps(item) + "\n")


def measure(kind: str, path: Path, n: int) -> dict[str, float]:
    """Run one task in this process; seconds outside the stub, and peak memory in MB."""
    logging.disable(logging.WARNING)
    from lm_eval import simple_evaluate
    from lm_eval.api.model import LM
    from lm_eval.tasks import TaskManager

    from lm_eval_safescale.harness.configs import INSTALLED_CONFIGS

    class Stub(LM):
        seconds = 0.0

        def generate_until(self, requests, disable_tqdm=False):  # noqa: ARG002
            start = time.perf_counter()
            answers = [text for text, _ in zip(cycle(ANSWERS), requests, strict=False)]
            self.seconds += time.perf_counter() - start
            return answers

        def loglikelihood(self, requests):
            raise NotImplementedError

        loglikelihood_rolling = loglikelihood

    def questions(**_):
        from datasets import Dataset

        return {
            "test": Dataset.from_list(
                [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
            )
        }

    peer = {
        "task": "peer",
        "custom_dataset": questions,
        "test_split": "test",
        "output_type": "generate_until",
        "description": "You are an expert.",
        "doc_to_text": (
            "{{evidence_clean}}\n\nQuestion: {{question}}\n\nOptions:\nA. {{options.A}}\n"
            "B. {{options.B}}\nAnswer:"
        ),
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": ["<|im_end|>"], "max_gen_toks": 10},
        "repeats": DRAWS + 1,
        "num_fewshot": 0,
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }
    base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    stub, start = Stub(), time.perf_counter()
    manager = TaskManager(
        include_path=[str(INSTALLED_CONFIGS)],
        include_defaults=False,
        metadata={"dataset_path": str(path), "draws": DRAWS} if kind == "ours" else {},
    )
    simple_evaluate(
        stub,
        tasks=["radsafe_clean" if kind == "ours" else peer],
        task_manager=manager,
        bootstrap_iters=1000,
    )
    seconds = time.perf_counter() - start - stub.seconds
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": seconds,
        "answers": n * (DRAWS + 1),
        "peak_mb": peak / 1024,
        "grown_mb": (peak - base) / 1024,
    }


def main() -> None:
    sizes = [int(argument) for argument in sys.argv[1:]] or [200, 2000, 20000]
    spawn = multiprocessing.get_context("spawn")
    print(
        f"| questions x {DRAWS + 1} answers | ours, s | us an answer | peer, s | ours / peer ",
        end="",
    )
    print("| ours, peak MB (grown) | peer, peak MB (grown) |")
    print("|---:|---:|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for n in sizes:
            path = Path(folder) / f"{n}.jsonl"
            write_questions(path, n)
            results = {}
            for kind in ("ours", "peer"):
                with spawn.Pool(1) as pool:  # a process each, so that peaks do not mix
                    results[kind] = pool.apply(measure, (kind, path, n))
            ours, peer = results["ours"], results["peer"]
            memory = " | ".join(f"{r['peak_mb']:.0f} ({r['grown_mb']:.0f})" for r in (ours, peer))
            each = 1e6 * ours["seconds"] / ours["answers"]
            ratio = ours["seconds"] / peer["seconds"]
            print(
                f"| {n:,} | {ours['seconds']:.2f} | {each:.0f} | {peer['seconds']:.2f} | "
                f"{ratio:.2f} | {memory} |"
            )


if __name__ == "__main__":
    main()
