"""Seconds and memory from answers on the disk to arrays: the published layout (JSON lines) and stored runs (Parquet).

The answers are synthetic: models x conditions x questions x (1 greedy + samples), written by this script in the published layout. The peer
reads the same JSON lines with Python's own `json` and keeps nothing but the letters in nested dictionaries. Each run is a process of its
own, started cold; imports of the package are measured.

    python benchmarks/analysis.py                    # 34 models
    python benchmarks/analysis.py 100 --peer no      # another number of models, without the peer
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

QUESTIONS, SAMPLES = 200, 20
CONDITIONS = (
    *("zero_shot", "evidence_clean", "evidence_conflict", "top_1", "top_5", "top_10"),
    *("deep_research", "context_32k", "context_100k", "context_max"),
)


def write_release(folder: Path, models: int) -> None:
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 4, QUESTIONS)
    labels = {f"option_{n}_{name}": int(n == 2) for n in range(1, 5) for name in ("high_risk", "unsafe", "contradicts")}
    questions = [
        {
            "question_id": n,
            "question": f"Question {n}?",
            "options": {x: f"{x} of {n}" for x in "ABCD"},
            "answer_idx": "ABCD"[key],
            **labels,
        }
        for n, key in enumerate(keys)
    ]
    (folder / "datasets").mkdir(parents=True)
    (folder / "datasets" / "risk_radiorag_full_merged.json").write_text(json.dumps(questions))
    for model in range(models):
        right = rng.random((QUESTIONS, len(CONDITIONS), 1 + SAMPLES)) < 0.8
        letters = np.where(right, keys[:, None, None], rng.integers(-1, 4, right.shape))
        path = folder / "phase4_checking_results" / "results" / f"model-{model:04d}" / "risk_radiorag_checked.jsonl"
        path.parent.mkdir(parents=True)
        with path.open("w") as file:
            for n, key in enumerate(keys):
                cells = {name: cell(letters[n, place].tolist()) for place, name in enumerate(CONDITIONS)}
                line = {"question_id": f"risk_radiorag_{n}", "correct_answer": "ABCD"[key], "model": "m", "conditions": cells}
                file.write(json.dumps(line) + "\n")


def cell(numbers: list[int]) -> dict:
    greedy, *samples = ["ABCD"[number] if number >= 0 else None for number in numbers]

    def checked(letter: str | None) -> dict:
        return {"confirmed_answer": letter, "clear_selection": "yes" if letter else "no", "reasoning": ""}

    return {
        "greedy": {
            "raw_output": greedy or "",
            "parsed_answer": greedy,
            "elapsed_s": 0.5,
            "input_tokens": 100,
            "output_tokens": 1,
            "error": None,
            "checked_answer": checked(greedy),
        },
        "stochastic": {
            "raw_outputs": [letter or "" for letter in samples],
            "parsed_answers": samples,
            "elapsed_s": 1.0,
            "error": None,
            "checked_answers": [checked(letter) for letter in samples],
        },
    }


def from_json_lines(release: Path, _: Path) -> None:
    from lm_eval_safescale.runs import cubes, import_release

    cubes(import_release(release))


def import_and_store(release: Path, stored: Path) -> None:
    from lm_eval_safescale.runs import import_release, write_runs

    write_runs(import_release(release), stored)


def from_parquet(_: Path, stored: Path) -> None:
    from lm_eval_safescale.runs import cubes, open_runs

    cubes(open_runs(stored, texts=False))


def plain_python(release: Path, _: Path) -> None:
    kept: dict = {}
    for path in sorted(release.glob("phase4_checking_results/results/*/*.jsonl")):
        with path.open() as file:
            for text in file:
                line = json.loads(text)
                for name, each in line["conditions"].items():
                    checked = [each["greedy"]["checked_answer"], *each["stochastic"]["checked_answers"]]
                    kept[path.parent.name, name, line["question_id"]] = [one["confirmed_answer"] for one in checked]


def measured(work, release: Path, stored: Path, results) -> None:
    before, used = time.perf_counter(), time.process_time()
    work(release, stored)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    results.put((time.perf_counter() - before, time.process_time() - used, peak))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="?", type=int, default=34)
    parser.add_argument("--peer", choices=("yes", "no"), default="yes")
    options = parser.parse_args()
    works = {
        "JSON lines to arrays": from_json_lines,
        "JSON lines to stored runs": import_and_store,
        "stored runs to arrays": from_parquet,
    }
    if options.peer == "yes":
        works["JSON lines to dictionaries, json (peer)"] = plain_python
    spawn = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        release, stored = Path(folder) / "release", Path(folder) / "runs"
        write_release(release, options.models)
        megabytes = sum(path.stat().st_size for path in release.rglob("*.jsonl")) / 1e6
        answers = options.models * len(CONDITIONS) * QUESTIONS * (1 + SAMPLES)
        print(f"{options.models} models, {answers:,} answers, {megabytes:,.0f} MB of JSON lines\n")
        print("| what | s | CPU s | peak MB |\n|---|---:|---:|---:|")
        for name, work in works.items():
            best = min(one_run(spawn, work, release, stored) for _ in range(3))
            print(f"| {name} | {best[0]:.2f} | {best[1]:.2f} | {best[2]:,.0f} |", flush=True)


def one_run(spawn, work, release: Path, stored: Path) -> tuple[float, float, float]:
    results = spawn.SimpleQueue()
    process = spawn.Process(target=measured, args=(work, release, stored, results))
    process.start()
    process.join()
    if process.exitcode:
        raise SystemExit(process.exitcode)
    return results.get()


if __name__ == "__main__":
    main()
