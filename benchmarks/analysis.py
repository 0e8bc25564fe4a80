"""Seconds and memory from answers to tables: `safescale import-release` and `safescale analyze`, beside straightforward peers.

The answers are synthetic: models x 10 conditions x 200 questions x (1 greedy + 20 samples), written by this script in the published
layout. Each row is a process of its own, the best of three; Python's start and imports are in it, with byte code compiled before, as it is
once a package was used. CPU seconds count all cores. The peers do a part of the work with what is at hand: Python's `json`; pandas, a
loop over models and conditions, and SciPy's bootstrap and binomial test, measured on a few models and scaled up.

    python benchmarks/analysis.py                                 # 34 models
    python benchmarks/analysis.py 34 --growth 100 300 1000        # how time and memory grow
    python benchmarks/analysis.py 100 --peer-models 0             # without the peers
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml

ROOT = Path(__file__).parents[1]
RUNS, QUESTIONS, SAMPLES = 3, 200, 20
CONDITIONS = (
    *("zero_shot", "evidence_clean", "evidence_conflict", "top_1", "top_5", "top_10"),
    *("deep_research", "context_32k", "context_100k", "context_max"),
)
RESULTS = "phase4_checking_results/results"


def model_names(models: int) -> list[str]:
    """Those of the panel first: only for them there are lines over size, shares of variance and ensembles."""
    known = [model["name"] for model in yaml.safe_load((ROOT / "data" / "panel.yaml").read_text())["models"]]
    return [*known, *(f"model-{number:04d}" for number in range(len(known), models))][:models]


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
    for model in model_names(models):
        right = rng.random((QUESTIONS, len(CONDITIONS), 1 + SAMPLES)) < rng.uniform(0.5, 0.95)
        letters = np.where(right, keys[:, None, None], rng.integers(-1, 4, right.shape))
        path = folder / RESULTS / model / "risk_radiorag_checked.jsonl"
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


# --- works of a process of their own ------------------------------------------------------------------------------------


def all_in_one(release: Path, output: Path) -> None:
    """JSON lines to all tables without storing the runs, as in Python."""
    from lm_eval_safescale.analysis import COLUMNS, Study, about, make_tables, preset_named, write_tables
    from lm_eval_safescale.runs import import_release

    study = Study(import_release(release))
    preset = preset_named("default")
    tables, failed = make_tables(study, preset)
    assert not failed, failed
    write_tables(tables, about(study, preset.name), output, COLUMNS)


def plain_json(release: Path, _: Path) -> None:
    """Peer: JSON lines to the letters in nested dictionaries."""
    kept: dict = {}
    for path in sorted((release / RESULTS).glob("*/*.jsonl")):
        with path.open() as file:
            for text in file:
                line = json.loads(text)
                for name, each in line["conditions"].items():
                    checked = [each["greedy"]["checked_answer"], *each["stochastic"]["checked_answers"]]
                    kept[path.parent.name, name, line["question_id"]] = [one["confirmed_answer"] for one in checked]


def pandas_and_scipy(stored: Path, models: str) -> None:
    """Peer: rates with BCa intervals and McNemar tests of greedy and majority answers; no other table, no labels, no confidence."""
    from itertools import combinations

    import pandas as pd
    from scipy.stats import binomtest, bootstrap

    answers = pd.read_parquet(stored / "answers.parquet", columns=["model", "condition", "question_id", "draw", "letter"])
    items = pd.read_parquet(stored / "items.parquet").set_index("question_id")["answer"]
    for model in answers["model"].unique()[: int(models)]:
        own = answers[answers["model"] == model]
        values: dict = {}
        for condition, rows in own.groupby("condition", observed=True):
            wide = rows.pivot(index="question_id", columns="draw", values="letter").astype(object)
            key = items.loc[wide.index.astype(str)].to_numpy()
            voted = wide.drop(columns=0).apply(lambda row: row.value_counts(dropna=False).idxmax(), axis=1)
            share = (wide.drop(columns=0).to_numpy() == key[:, None]).mean(axis=1)
            values[condition] = {"greedy": (wide[0].to_numpy() == key) * 1.0, "majority": (voted.to_numpy() == key) * 1.0}
            for column in (*values[condition].values(), share):
                bootstrap((column,), np.mean, n_resamples=1000, rng=np.random.default_rng(42))
        for (_, left), (_, right) in combinations(values.items(), 2):
            for decode in ("greedy", "majority"):
                difference = left[decode] - right[decode]
                b, c = int((difference > 0).sum()), int((difference < 0).sum())
                if b + c:
                    binomtest(b, b + c)
                bootstrap((difference,), np.mean, n_resamples=1000, rng=np.random.default_rng(42))


WORKS = {work.__name__: work for work in (all_in_one, plain_json, pandas_and_scipy)}


# --- measuring ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, order=True)
class Cost:
    seconds: float
    cpu: float
    megabytes: float


class Bench:
    """Runs commands with the byte code of one folder, so that the first run alone compiles."""

    def __init__(self, folder: Path) -> None:
        self.environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
        self.environment |= {"PYTHONPYCACHEPREFIX": str(folder / "bytecode"), "PYTHONPATH": str(ROOT)}
        self.environment["OPENBLAS_NUM_THREADS"] = "1"  # `safescale analyze` does so itself

    def once(self, *arguments: object) -> Cost:
        before = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)], env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        complaint = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(complaint.decode())
        return Cost(time.perf_counter() - before, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024)

    def best(self, *arguments: object) -> Cost:
        self.once(*arguments)
        return min(self.once(*arguments) for _ in range(RUNS))

    def safescale(self, *arguments: object) -> Cost:
        return self.best("-m", "lm_eval_safescale", *arguments)

    def work(self, name: str, *arguments: object) -> Cost:
        return self.best(__file__, "--work", name, *arguments)


def costs(bench: Bench, release: Path, stored: Path, models: int, peer_models: int) -> Iterator[tuple[str, Cost]]:
    output = stored.parent / "tables"
    yield "`safescale --help`", bench.safescale("--help")
    yield "JSON lines to stored runs, `import-release`", bench.safescale("import-release", release, "-o", stored, "--force")
    yield "stored runs to all tables, `analyze`", bench.safescale("analyze", stored, "-o", output)
    yield "the same, radsafe-2026", bench.safescale("analyze", stored, "-o", output, "--preset", "radsafe-2026")
    yield "JSON lines to all tables, in one process", bench.work("all_in_one", release, output)
    if peer_models:
        yield "peer: JSON lines to dictionaries, json", bench.work("plain_json", release, output)
        bench.once(__file__, "--work", "pandas_and_scipy", stored, 0)  # compiles
        few, more = (bench.once(__file__, "--work", "pandas_and_scipy", stored, number) for number in (0, peer_models))
        scale = models / peer_models
        whole = Cost(
            *(start + scale * (end - start) for start, end in ((few.seconds, more.seconds), (few.cpu, more.cpu))),
            more.megabytes,
        )
        yield "peer: stored runs to rates and tests of accuracy, pandas and SciPy", whole


def print_costs(bench: Bench, folder: Path, models: int, peer_models: int) -> None:
    release, stored = folder / "release", folder / "runs"
    write_release(release, models)
    megabytes = sum(path.stat().st_size for path in release.rglob("*.jsonl")) / 1e6
    answers = models * len(CONDITIONS) * QUESTIONS * (1 + SAMPLES)
    print(f"{models} models, {answers:,} answers, {megabytes:,.0f} MB of JSON lines\n")
    print("| what | s | CPU s | peak MB | times `analyze` |\n|---|---:|---:|---:|---:|")
    found = list(costs(bench, release, stored, models, peer_models))
    own = next(cost.seconds for name, cost in found if name.endswith("`analyze`"))
    for name, cost in found:
        print(f"| {name} | {cost.seconds:.2f} | {cost.cpu:.2f} | {cost.megabytes:,.0f} | {cost.seconds / own:.1f} |")


def print_growth(bench: Bench, folder: Path, sizes: list[int]) -> None:
    """The import is measured once: it takes longest, and is done once."""
    print(
        "\n| models | import, s | peak MB | analyze, s | CPU s | peak MB | MB a model |\n|---:|---:|---:|---:|---:|---:|---:|"
    )
    for models in sizes:
        release, stored = folder / f"release-{models}", folder / f"runs-{models}"
        write_release(release, models)
        read = bench.once("-m", "lm_eval_safescale", "import-release", release, "-o", stored)
        cost = bench.once("-m", "lm_eval_safescale", "analyze", stored, "-o", folder / "tables")
        print(
            f"| {models:,} | {read.seconds:.1f} | {read.megabytes:,.0f} | {cost.seconds:.1f} | {cost.cpu:.1f} | "
            f"{cost.megabytes:,.0f} | {cost.megabytes / models:.1f} |",
            flush=True,
        )
        for made in (release, stored):
            shutil.rmtree(made)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="?", type=int, default=34)
    parser.add_argument("--growth", nargs="*", type=int, default=[])
    parser.add_argument("--peer-models", type=int, default=2)
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        name, source, target = options.work
        WORKS[name](Path(source), target if name == "pandas_and_scipy" else Path(target))
        return
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        print_costs(bench, Path(name), options.models, options.peer_models)
        if options.growth:
            print_growth(bench, Path(name), options.growth)


if __name__ == "__main__":
    main()
