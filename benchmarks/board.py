"""What a board costs: 200 submissions against 20, a build in which nothing has changed, and how
long a reader waits in the browser.

    python benchmarks/board.py                 # 20 and 200 submissions
    python benchmarks/board.py --few 5 --many 20 --times 3

Submissions are synthetic: items x conditions x (1 greedy + 2 samples), every prompt rendered again.
Each build is a process of its own; CPU seconds, start and imports included. Then Chromium opens the
larger board from disk ten times, each time with nothing stored. *First paint* is the browser's own,
of content; *filter* begins with a text typed and ends in the frame that shows the rows left.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from analysis import Cost, Timed  # noqa: E402
from report import CHROMIUM, PAINT  # noqa: E402

from tests.leaderboard.synthetic import Maker  # noqa: E402
from tests.report.studies import QUESTIONS  # noqa: E402

FILTER = """text => new Promise(done => {
  const field = document.querySelector('.tools input'), began = performance.now();
  const body = field.closest('div.table').querySelector('tbody');
  new MutationObserver((_, watcher) => {
    watcher.disconnect();
    requestAnimationFrame(() => setTimeout(() => done(performance.now() - began)));
  }).observe(body, {childList: true, subtree: true, attributes: true});
  field.value = text;
  field.dispatchEvent(new Event('input'));
})"""
"""Milliseconds."""


def make(folder: Path, submissions: int, items: int) -> None:
    maker = Maker(folder, items)
    for number in range(submissions):
        maker.submission(folder / "submissions" / f"{number:04}.zip", f"Model {number:04}", number)


def part_of(folder: Path, few: int, name: str) -> Path:
    """A folder of the first so many submissions."""
    part = folder / name
    part.mkdir()
    for path in sorted((folder / "submissions").iterdir())[:few]:
        shutil.copy(path, part)
    return part


def pages_of(site: Path) -> dict[str, str]:
    """SHA-256 of every page, by its name."""
    return {
        str(path.relative_to(site)): sha256(path.read_bytes()).hexdigest()
        for path in site.rglob("*.html")
    }


def print_builds(timed: Timed, folder: Path, few: int, many: int) -> Path:
    """Returns the site of many."""

    def build(submissions: Path, site: Path) -> Cost:
        data = ("--dataset", folder / QUESTIONS)
        return timed.safescale("leaderboard", "build", submissions, "-o", site, *data)

    small, large = part_of(folder, few, "few"), folder / "submissions"
    timed.safescale("leaderboard", "--help")  # its byte code is not what is measured
    build(part_of(folder, 2, "two"), folder / "two-site")
    print("| build | CPU s | s | CPU s a submission | peak MB |\n|---|---:|---:|---:|---:|")
    site = folder / "many-site"
    for n, name, source, output in (
        (few, "", small, folder / "few-site"),
        (many, "", large, site),
        (many, ", unchanged", large, site),
    ):
        before = pages_of(output) if output.exists() else {}
        cost = build(source, output)
        print(
            f"| {n} submissions{name} | {cost.cpu:.1f} | {cost.seconds:.1f} "
            f"| {cost.cpu / n:.3f} | {cost.megabytes:,.0f} |",
            flush=True,
        )
    print(f"\nunchanged: {sum(before[n] == d for n, d in pages_of(site).items())} of ", end="")
    print(f"{len(before)} pages the same to the byte")
    files = [path for path in site.rglob("*") if path.is_file()]
    print(f"{len(files)} files, {sum(path.stat().st_size for path in files) / 1e6:.1f} MB\n")
    return site


def print_waits(site: Path, times: int) -> None:
    from playwright.sync_api import sync_playwright

    paints, filters = [], []
    with sync_playwright() as playwright:
        chromium = next(filter(None, map(shutil.which, CHROMIUM)))
        browser = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=False)
        for number in range(times):
            context = browser.new_context(offline=True)
            page = context.new_page()
            page.goto((site / "index.html").as_uri())
            paints.append(page.evaluate(PAINT))
            filters.append(page.evaluate(FILTER, f"model 00{number:02}"))
            context.close()
        print(f"Chromium {browser.version}, medians of {times}:\n")
        browser.close()
    print("| | ms | most |\n|---|---:|---:|")
    for name, taken in (("table: first paint", paints), ("a filter", filters)):
        print(f"| {name} | {statistics.median(taken):,.0f} | {max(taken):,.0f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--few", type=int, default=20)
    parser.add_argument("--many", type=int, default=200)
    parser.add_argument("--items", type=int, default=40)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--make", nargs=3, metavar=("FOLDER", "SUBMISSIONS", "ITEMS"))
    given = parser.parse_args()
    if given.make:
        folder, (submissions, items) = Path(given.make[0]), map(int, given.make[1:])
        make(folder, submissions, items)
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        timed, made_in = Timed(folder), folder / "made"
        # by a process of its own: the peak of a child is never below that of its parent
        timed.run(Path(__file__).resolve(), "--make", made_in, given.many, given.items)
        print_waits(print_builds(timed, made_in, given.few, given.many), given.times)


if __name__ == "__main__":
    main()
