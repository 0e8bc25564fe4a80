"""Seconds and memory from answers to tables: `safescale import-release` and `safescale analyze`,
beside the plain script `analyze_peer.py`.

The answers are synthetic: models x 10 conditions x 200 questions x (1 greedy + 20 samples), written
by this script in the published layout. Before anything is timed, the figures of both are compared.
Then each is run in turn, several rounds; a row is the median. Each run is a process of its own:
Python's start and imports are in it, with byte code compiled before, as it is once a package was
used. Ratios are of CPU seconds (user and system, all cores), which other work on the machine moves
least.

    python benchmarks/analysis.py                                 # 34 models
    python benchmarks/analysis.py 34 --growth 170 1000            # how time and memory grow
    python benchmarks/analysis.py 34 --against ../before          # a checkout of another commit too
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

ROOT = Path(__file__).resolve().parents[1]
PEER = Path(__file__).resolve().with_name("analyze_peer.py")
ROUNDS, QUESTIONS, SAMPLES = 7, 200, 20
CONDITIONS = {
    "zero_shot": "closed_book",
    "evidence_clean": "clean",
    "evidence_conflict": "conflict",
    "top_1": "rag_top1",
    "top_5": "rag_top5",
    "top_10": "rag",
    "deep_research": "agentic",
    "context_32k": "context_32k",
    "context_100k": "context_100k",
    "context_max": "max_context",
}
"""Published names, and ours."""
RESULTS = "phase4_checking_results/results"
LABELS = ("high_risk", "unsafe", "contradicts")
CLOSE = 1e-12
AGAINST = "`analyze` of the other checkout"


# --- a synthetic release --------------------------------------------------------------------------


def model_names(models: int) -> list[str]:
    """Those of the panel first: only for them there are lines over size, shares of variance and
    ensembles."""
    known = [
        model["name"]
        for model in yaml.safe_load((ROOT / "data" / "panel.yaml").read_text())["models"]
    ]
    return [*known, *(f"model-{number:04d}" for number in range(len(known), models))][:models]


def write_release(folder: Path, models: int) -> None:
    rng = np.random.default_rng(0)
    keys = rng.integers(0, 4, QUESTIONS)
    (folder / "datasets").mkdir(parents=True)
    questions = [question(n, int(key), rng) for n, key in enumerate(keys)]
    (folder / "datasets" / "risk_radiorag_full_merged.json").write_text(json.dumps(questions))
    for model in model_names(models):
        # of some questions a model is sure, right or wrong
        likes = rng.beta(0.8, 0.8, (QUESTIONS, len(CONDITIONS), 1))
        other = rng.integers(-1, 4, likes.shape)
        right = rng.random((QUESTIONS, len(CONDITIONS), 1 + SAMPLES)) < likes ** rng.uniform(0.2, 1)
        stray = np.where(rng.random(right.shape) < 0.8, other, rng.integers(-1, 4, right.shape))
        letters = np.where(right, keys[:, None, None], stray)
        seconds = rng.uniform(0.05, 3, likes.shape[:2]).round(3)
        path = folder / RESULTS / model / "risk_radiorag_checked.jsonl"
        path.parent.mkdir(parents=True)
        with path.open("w") as file:
            for n, key in enumerate(keys):
                cells = {
                    name: cell(letters[n, place].tolist(), float(seconds[n, place]))
                    for place, name in enumerate(CONDITIONS)
                }
                line = {
                    "question_id": f"risk_radiorag_{n}",
                    "dataset": "risk_radiorag",
                    "correct_answer": "ABCD"[key],
                }
                file.write(json.dumps({**line, "model": model, "conditions": cells}) + "\n")


def question(number: int, key: int, rng: np.random.Generator) -> dict[str, Any]:
    labels = {
        f"option_{place}_{label}": int(place != key + 1 and rng.random() < 0.35)
        for place in range(1, 5)
        for label in LABELS
    }
    return {
        "question_id": number,
        "question": f"Question {number}?",
        "options": {letter: f"{letter} of {number}" for letter in "ABCD"},
        "answer_idx": "ABCD"[key],
        "subspecialty": ("neuro", "chest", "abdomen", "msk", "breast")[rng.integers(5)],
        "question_type": ("diagnosis", "management", "safety")[rng.integers(3)],
        **labels,
    }


def cell(numbers: list[int], seconds: float) -> dict[str, Any]:
    greedy, *samples = ["ABCD"[number] if number >= 0 else None for number in numbers]

    def checked(letter: str | None) -> dict[str, Any]:
        return {
            "confirmed_answer": letter,
            "clear_selection": "yes" if letter else "no",
            "reasoning": "",
        }

    return {
        "greedy": {
            "raw_output": greedy or "",
            "parsed_answer": greedy,
            "elapsed_s": seconds,
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


# --- works of a process of their own --------------------------------------------------------------


def all_in_one(release: Path, output: Path) -> None:
    """JSON lines to all tables without storing the runs, as in Python."""
    from lm_eval_safescale.analysis import (
        COLUMNS,
        Study,
        about,
        make_tables,
        preset_named,
        write_tables,
    )
    from lm_eval_safescale.importing import import_release

    study = Study(import_release(release))
    preset = preset_named("default")
    tables, failed = make_tables(study, preset)
    assert not failed, failed
    write_tables(tables, about(study, preset.name), output, COLUMNS)


def three_tables(stored: Path, output: Path) -> None:
    """Of the stored runs only the tables that the peer makes a part of."""
    from lm_eval_safescale.analysis import Study, ensembles, open_runs, paired_tests, profile

    study = Study(open_runs(stored, texts=False))
    output.mkdir(exist_ok=True)
    for table in (profile, paired_tests, ensembles):
        table(study).write_json(output / f"{table.__name__}.json")


def profile_and_ranks(stored: Path, output: Path) -> None:
    """CPU milliseconds of both tables, from scores that are there."""
    from lm_eval_safescale.analysis import Study, open_runs, preset_named, tables_of

    study, preset = Study(open_runs(stored, texts=False)), preset_named("default")
    for metric in study.metrics:
        for name in metric.sources:
            study.column(name)
    taken = {}
    for name in ("profile", "ranks"):
        before = time.process_time()
        tables_of(study.family)[name](study, preset)
        taken[name] = 1000 * (time.process_time() - before)
    output.with_suffix(".taken").write_text(json.dumps(taken))


def note_modules(stored: Path, output: Path) -> None:
    """Which modules `analyze` imports, as a file for `import_modules`."""
    from lm_eval_safescale.cli import app

    before = set(sys.modules)
    app(["analyze", str(stored), "-o", str(output)], standalone_mode=False)
    names = [
        name
        for name in ["lm_eval_safescale.cli", *sys.modules]
        if name == "lm_eval_safescale.cli" or name not in before
    ]
    output.with_suffix(".modules").write_text("\n".join(names))


def import_modules(_: Path, output: Path) -> None:
    """What `analyze` imports, and nothing else."""
    for name in output.with_suffix(".modules").read_text().split():
        with contextlib.suppress(ImportError):
            importlib.import_module(name)


def nothing(_: Path, __: Path) -> None:
    """Python's start and this script's own imports."""


def compare(peer: Path, output: Path) -> None:
    """Every figure that both make; SystemExit where one differs by more than 1e-12. How many there
    are is left as a file."""
    theirs, tables = json.loads(peer.read_text()), output / "tables"
    own = {
        name: json.loads((tables / f"{name}.json").read_text())
        for name in ("profile", "paired_tests", "ensembles")
    }
    pairs: list[tuple[str, Any, Any]] = []
    profile = {(row["model"], row["condition"]): row for row in own["profile"]}
    for row in theirs["profile"]:
        mine = profile[row["model"], CONDITIONS[row["condition"]]]
        for name, value in row.items():
            if isinstance(value, dict):  # the default preset has Wilson's bounds for it
                pairs += [(name, value["value"], mine[name])]
                pairs += [
                    (f"{name}_{part}", value[part], mine[f"{name}_{part}"])
                    for part in ("mean", "std")
                ]
            elif name not in ("model", "condition"):
                pairs.append((name, value, mine[name]))
    by_test = ("model", "metric", "decode", "left", "right")
    tests = {tuple(row[name] for name in by_test): row for row in own["paired_tests"]}
    for row in theirs["tests"]:
        mine = tests[
            (
                *(row[name] for name in by_test[:3]),
                CONDITIONS[row["left"]],
                CONDITIONS[row["right"]],
            )
        ]
        pairs += [
            ("b", row["b"], mine["b"]),
            ("c", row["c"], mine["c"]),
            ("p", row["p"], mine["p_exact"]),
        ]
    ensembles = {(row["ensemble"], row["condition"]): row for row in own["ensembles"]}
    for row in theirs["ensembles"]:
        mine = ensembles[row["ensemble"], CONDITIONS[row["condition"]]]
        # its z has seven digits
        pairs += [
            (name, value, mine[name])
            for name, value in row.items()
            if name not in ("ensemble", "condition", "accuracy_lo", "accuracy_hi")
        ]
    for name, one, other in pairs:
        if (one is None) != (other is None) or (one is not None and abs(one - other) > CLOSE):
            raise SystemExit(f"{name}: {one} by the peer, {other} by analyze")
    rows = [row for path in tables.glob("*.json") for row in json.loads(path.read_text())]
    made = sum(isinstance(value, (int, float)) for row in rows for value in row.values())
    said = (
        f"{len(pairs):,} figures of the peer and of `analyze` are alike to {CLOSE:g}; `analyze` "
        f"makes {made:,} in all"
    )
    output.with_suffix(".compared").write_text(said)


WORKS: Mapping[str, Callable[[Path, Path], None]] = {
    work.__name__: work
    for work in (
        all_in_one,
        three_tables,
        profile_and_ranks,
        note_modules,
        import_modules,
        nothing,
        compare,
    )
}


# --- measuring ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    cpu: float
    seconds: float
    megabytes: float


class Timed:
    """Runs commands with the byte code of one folder, so that the first run alone compiles."""

    def __init__(self, folder: Path, checkout: Path = ROOT) -> None:
        self.environment = {
            name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
        }
        self.environment |= {
            "PYTHONPYCACHEPREFIX": str(folder / "bytecode"),
            "PYTHONPATH": str(checkout),
        }
        self.checkout = checkout
        self.environment["OPENBLAS_NUM_THREADS"] = "1"  # `safescale analyze` does so itself

    def run(self, *arguments: object) -> Cost:
        before = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            env=self.environment,
            cwd=self.checkout,  # where -m looks first
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        assert process.stderr
        complaint = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(complaint.decode())
        return Cost(
            used.ru_utime + used.ru_stime, time.perf_counter() - before, used.ru_maxrss / 1024
        )

    def safescale(self, *arguments: object) -> Cost:
        return self.run("-m", "lm_eval_safescale", *arguments)

    def work(self, name: str, *arguments: object) -> Cost:
        return self.run(Path(__file__).resolve(), "--work", name, *arguments)


def median(costs: list[Cost]) -> Cost:
    return Cost(*(statistics.median(column) for column in zip(*map(astuple, costs), strict=True)))


def print_costs(
    timed: Timed, folder: Path, models: int, rounds: int, against: Timed | None
) -> None:
    release, stored, output = folder / "release", folder / "runs", folder / "tables"
    peer_output = folder / "peer.json"
    write_release(release, models)
    timed.safescale("import-release", release, "-o", stored)
    timed.safescale("analyze", stored, "-o", output)
    timed.run(PEER, release, peer_output)
    timed.work("compare", peer_output, output)
    timed.work("note_modules", stored, folder / "noted")
    jobs: dict[str, Callable[[], Cost]] = {
        "peer: JSON lines to its tables": lambda: timed.run(PEER, release, peer_output),
        "`import-release`: JSON lines to stored runs": lambda: timed.safescale(
            "import-release", release, "-o", stored, "--force"
        ),
        "`analyze`: stored runs to all tables": lambda: timed.safescale(
            "analyze", stored, "-o", output
        ),
        "the same, radsafe-2026": lambda: timed.safescale(
            "analyze", stored, "-o", output, "--preset", "radsafe-2026"
        ),
        "stored runs to the peer's three tables, in Python": lambda: timed.work(
            "three_tables", stored, folder / "three"
        ),
        "JSON lines to all tables, in one process": lambda: timed.work(
            "all_in_one", release, output
        ),
        "what `analyze` imports, alone": lambda: timed.work(
            "import_modules", stored, folder / "noted"
        ),
        "Python's start": lambda: timed.work("nothing", stored, output),
    }
    if against:
        old = folder / "old-runs"
        against.safescale("import-release", release, "-o", old)
        jobs[AGAINST] = lambda: against.safescale("analyze", old, "-o", folder / "old-tables")
    for job in jobs.values():
        job()
    taken = [{name: job() for name, job in jobs.items()} for _ in range(rounds)]
    found = {name: median([each[name] for each in taken]) for name in jobs}
    peer, imported, analyzed = list(found.values())[:3]
    imports, start = found["what `analyze` imports, alone"], found["Python's start"]
    both = []
    for _ in range(rounds):
        timed.work("profile_and_ranks", stored, folder / "both")
        both.append(json.loads((folder / "both.taken").read_text()))
    megabytes = sum(path.stat().st_size for path in release.rglob("*.jsonl")) / 1e6
    answers = models * len(CONDITIONS) * QUESTIONS * (1 + SAMPLES)
    print(
        f"{models} models, {answers:,} answers, {megabytes:,.0f} MB of JSON lines; medians of "
        f"{rounds} rounds"
    )
    print(output.with_suffix(".compared").read_text() + "\n")
    print("| what | CPU s | s | peak MB | peer's CPU / its own |\n|---|---:|---:|---:|---:|")
    for name, cost in found.items():
        print(
            f"| {name} | {cost.cpu:.2f} | {cost.seconds:.2f} | {cost.megabytes:,.0f} | "
            f"{peer.cpu / cost.cpu:.2f} |"
        )
    print(f"\nfrom stored runs: {peer.cpu / analyzed.cpu:.2f} times as fast as the peer")
    print(
        "from JSON lines, `import-release` and `analyze`: "
        f"{peer.cpu / (imported.cpu + analyzed.cpu):.2f} times as fast"
    )
    print(f"imports: {(imports.cpu - start.cpu) / analyzed.cpu:.2f} of `analyze`")
    profile, ranks = (statistics.median(each[name] for each in both) for name in both[0])
    print(f"the tables alone, CPU ms: profile {profile:.0f}, ranks behind it {ranks:.0f}")
    if against:
        print(f"`analyze` takes {analyzed.cpu / found[AGAINST].cpu:.2f} times {AGAINST}")


def print_growth(timed: Timed, folder: Path, sizes: list[int]) -> None:
    """Each size is measured once."""
    print(
        "\n| models | import, CPU s | a model, ms | peak MB | a model, MB | analyze, CPU s | a "
        "model, ms | peak MB | a model, MB |"
    )
    print("|---:|---:|---:|---:|---:|---:|---:|---:|---:|")
    for models in sizes:
        release, stored = folder / f"release-{models}", folder / f"runs-{models}"
        write_release(release, models)
        costs = (
            timed.safescale("import-release", release, "-o", stored),
            timed.safescale("analyze", stored, "-o", folder / "tables"),
        )
        cells = [
            (
                f"{cost.cpu:.1f} | {1000 * cost.cpu / models:.0f} | {cost.megabytes:,.0f} | "
                f"{cost.megabytes / models:.1f}"
            )
            for cost in costs
        ]
        print(f"| {models:,} | {' | '.join(cells)} |", flush=True)
        for made in (release, stored):
            shutil.rmtree(made)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("models", nargs="?", type=int, default=34)
    parser.add_argument("--growth", nargs="*", type=int, default=[])
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--against", type=Path, help="a checkout of another commit")
    parser.add_argument("--work", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        name, source, target = options.work
        WORKS[name](Path(source), Path(target))
        return
    with tempfile.TemporaryDirectory() as name:
        timed = Timed(Path(name))
        other = Path(name) / "other"
        against = Timed(other, options.against.resolve()) if options.against else None
        print_costs(timed, Path(name), options.models, options.rounds, against)
        if options.growth:
            print_growth(timed, Path(name), [options.models, *options.growth])


if __name__ == "__main__":
    main()
