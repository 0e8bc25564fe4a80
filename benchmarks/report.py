"""What a report costs: its build compared with `safescale analyze` on the same runs, its size, and
how long a reader waits in the browser.

    python benchmarks/report.py            # 34 models x 10 conditions x 200 items x 21 draws
    python benchmarks/report.py --large    # 34 x 10 x 5,000 items, greedy; texts of errors only

The runs are synthetic, every answer with a text. `analyze` and `report` are run in turn, each a
process of its own, several rounds; a row is the median. Then Chromium opens pages from disk ten
times, each time with nothing stored. *First paint* is the browser's own, of content; *ready* is
when the cases can be used. *Filter* and *case* begin with the change of a control or of the address
and end in the frame that shows what came of it.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from analysis import Timed, median  # noqa: E402

from tests.report.studies import QUESTIONS, panel, questions, write_study  # noqa: E402

MODELS, ROUNDS, TIMES = 34, 3, 10
LARGE = ("--texts", "errors")
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
PAINT = """() => new Promise(done => new PerformanceObserver(found => {
  for (const each of found.getEntriesByName('first-contentful-paint')) done(each.startTime);
}).observe({type: 'paint', buffered: true}))"""
READY = """() => new Promise(done => {
  const look = () => document.documentElement.dataset.ready ? done(performance.now())
    : requestAnimationFrame(look);
  look();
})"""
CHANGED = """([change, id]) => new Promise(done => {
  const began = performance.now();
  new MutationObserver((_, watcher) => {
    watcher.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
  }).observe(document.getElementById(id), {childList: true});
  if (change.item === undefined) {
    const select = document.getElementById('kind');
    select.selectedIndex = change.kind;
    select.dispatchEvent(new Event('change'));
  } else document.querySelectorAll('#list a')[change.item].click();
})"""
"""Milliseconds from a change to the frame after the part `id` was drawn."""


def print_build(timed: Timed, runs: Path, report: Path, rounds: int, more: Sequence[str]) -> None:
    named = ["--dataset", runs.parent / QUESTIONS, *more]
    taken = [
        (
            timed.safescale("analyze", runs, "-o", runs.parent / "tables"),
            timed.safescale("report", runs, "-o", report, *named),
        )
        for _ in range(rounds)
    ]
    analyzed, built = (median(list(costs)) for costs in zip(*taken, strict=True))
    print("| what | CPU s | s | peak MB |\n|---|---:|---:|---:|")
    for name, cost in (("`analyze`", analyzed), ("`report`", built)):
        print(f"| {name} | {cost.cpu:.2f} | {cost.seconds:.2f} | {cost.megabytes:,.0f} |")
    held = pl.read_parquet(runs / "answers.parquet").estimated_size("mb")
    print(
        f"\n`report` takes {built.cpu / analyzed.cpu:.2f} times the CPU time of `analyze`, ", end=""
    )
    print(f"{built.seconds / analyzed.seconds:.2f} times its seconds, and at its peak ", end="")
    print(f"{built.megabytes / held:.2f} times the {held:,.0f} MB of the answers in memory")
    files = [path for path in report.rglob("*") if path.is_file()]
    print(f"{len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB\n")


def print_waits(report: Path, times: int) -> None:
    from playwright.sync_api import sync_playwright

    found: dict[str, list[float]] = {}
    with sync_playwright() as playwright:
        chromium = next(filter(None, map(shutil.which, CHROMIUM)))
        browser = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=False)
        for number in range(times):
            for name, taken in _waits(browser, report, number):
                found.setdefault(name, []).append(taken)
        print(f"Chromium {browser.version}, medians of {times}:\n")
        browser.close()
    print("| | ms | most |\n|---|---:|---:|")
    for name, taken in found.items():
        print(f"| {name} | {statistics.median(taken):,.0f} | {max(taken):,.0f} |")


def _waits(browser: Any, report: Path, number: int) -> Iterator[tuple[str, float]]:
    """What one reader waits for, in milliseconds."""
    context = browser.new_context(offline=True)
    page = context.new_page()
    page.goto((report / "index.html").as_uri())
    yield "overview: first paint", page.evaluate(PAINT)
    page.goto((report / "cases.html").as_uri())
    yield "cases: ready", page.evaluate(READY)
    yield "cases: first paint", page.evaluate(PAINT)
    yield "a filter by kind", page.evaluate(CHANGED, [{"kind": 1 + number % 3}, "list"])
    yield "a case", page.evaluate(CHANGED, [{"item": number}, "case"])
    context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--times", type=int, default=TIMES)
    parser.add_argument("--make", nargs=4, metavar=("FOLDER", "ITEMS", "DRAWS", "WORDS"))
    given = parser.parse_args()
    if given.make:
        folder, (items, draws, words) = Path(given.make[0]), map(int, given.make[1:])
        write_study(folder, questions(items), panel(MODELS), draws=draws, words=words)
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        timed, study = Timed(folder), folder / "study"
        size, more = ((200, 20, 20), []) if not given.large else ((5_000, 0, 50), LARGE)
        # by a process of its own: the peak of a child is never below that of its parent
        timed.run(Path(__file__).resolve(), "--make", study, *size)
        print_build(timed, study / "runs", folder / "report", given.rounds, more)
        print_waits(folder / "report", given.times)


if __name__ == "__main__":
    main()
