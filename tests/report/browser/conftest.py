"""Pages of a report in a real Chromium, from disk and without a network.

Of the package and not of the session: while Playwright is open its event loop runs, and no other
test of the process could start one.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from lm_eval_safescale.leaderboard.pack import pack
from tests.leaderboard.making import tampered, write_card
from tests.leaderboard.synthetic import Maker
from tests.report import studies
from tests.report.judged import judged_runs
from tests.report.making import stored
from tests.running.asking import STUB
from tests.storing import command

NAMES = ("chromium", "chromium-browser", "google-chrome")
RUN = "only => axe.run({resultTypes: ['violations'], preload: false, runOnly: only || undefined})"
"""Without preloading: it would ask for style sheets, which the policy of the pages forbids."""


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Chromium; tests that need it are skipped where it, Playwright or axe-core is not."""
    packages = ("playwright", "axe_playwright_python")
    if missing := [name for name in packages if not importlib.util.find_spec(name)]:
        pytest.skip(f"{' and '.join(missing)} not installed: pip install -e .[dev]")
    found = filter(None, map(shutil.which, filter(None, (os.environ.get("CHROMIUM"), *NAMES))))
    chromium = next(found, None)
    if chromium is None:
        pytest.skip("no Chromium; scripts/browser.sh installs it, or CHROMIUM names one")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # root, as which containers run, may not use Chromium's sandbox
        started = playwright.chromium.launch(executable_path=chromium, chromium_sandbox=False)
        yield started
        started.close()


class Opened:
    """A page and what went wrong in it: errors, dialogs, and requests beyond its folder."""

    def __init__(self, page: Any, folder: Path) -> None:
        self.page, self.faults = page, list[str]()
        own = folder.resolve().as_uri() + "/"
        page.on("console", lambda said: said.type in ("error", "warning") and self.note(said.text))
        page.on("pageerror", lambda error: self.note(f"error: {error}"))
        page.on("dialog", lambda dialog: (self.note(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "request",
            lambda request: (
                request.url.startswith((own, "data:", "blob:"))
                or self.note(f"request: {request.url}")
            ),
        )
        page.on("requestfailed", lambda request: self.note(f"not loaded: {request.url}"))

    def note(self, fault: str) -> None:
        self.faults.append(fault)


Open = Callable[..., Any]


@pytest.fixture
def open_page(browser: Any) -> Iterator[Open]:
    """`open_page(file, hash="", dark=False, scripts=True, **more)`: the page, as a window of its
    own. At the end of the test nothing may have gone wrong in any of them."""
    opened: list[Opened] = []
    contexts = []

    def open_(
        file: Path, hash: str = "", dark: bool = False, scripts: bool = True, **more: Any
    ) -> Any:
        context = browser.new_context(
            offline=True,
            color_scheme="dark" if dark else "light",
            java_script_enabled=scripts,
            accept_downloads=True,
            **more,
        )
        contexts.append(context)
        context.set_default_timeout(10_000)
        page = context.new_page()
        opened.append(Opened(page, file.parent))
        page.goto(file.resolve().as_uri() + (f"#{hash}" if hash else ""))
        return page

    yield open_
    for context in contexts:
        context.close()
    assert [fault for each in opened for fault in each.faults] == []


@pytest.fixture(scope="package")
def axe() -> str:
    """The script of axe-core."""
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")


@pytest.fixture
def violations(axe: str) -> Callable[..., list[str]]:
    """`violations(page, only=None)`: what axe-core finds fault with in a page as it stands, by all
    its rules or these."""

    def found(page: Any, only: list[str] | None = None) -> list[str]:
        page.evaluate(axe)
        return [
            f"{each['id']}: {node['html'][:200]} {node['failureSummary']}"
            for each in page.evaluate(RUN, only)["violations"]
            for node in each["nodes"]
        ]

    return found


# --- reports --------------------------------------------------------------------------------------


def _wide(folder: Path) -> list[object]:
    runs = studies.write_study(folder, studies.questions(40), studies.panel(34), draws=5)
    return [runs, "--baseline", studies.panel(34)[0], "--dataset", folder / studies.QUESTIONS]


def _middle(folder: Path) -> list[object]:
    """Small enough for axe-core, which looks at each cell, and with something for each page."""
    conditions = ("closed_book", "clean", "conflict", "rag", "agentic")
    models = studies.panel(34)[::3]
    runs = studies.write_study(folder, studies.questions(40), models, conditions)
    return [runs, "--dataset", folder / studies.QUESTIONS]


def _hostile(folder: Path) -> list[object]:
    return [studies.hostile_study(folder), "--dataset", folder / studies.QUESTIONS]


def _small(
    folder: Path,
    conditions: str = "clean,conflict",
    dataset: str = "demo",
    model: str = "choose-at-random",
) -> list[object]:
    """One model, of demo data: a control that answers by chance, or the stub, whose texts hold half
    characters."""
    runs = folder / "runs"
    words = ["--model", model, "--dataset", dataset, "--limit", "12", "--draws", "2"]
    ran = command("run", *words, "--conditions", conditions, "-o", runs)
    assert ran.exit_code == 0, ran.output
    return [runs]


def _judged(folder: Path, **given: Any) -> list[object]:
    """Advice that a judge has read: a team, its Advisor, and another model."""
    return [stored(judged_runs(**given), folder / "runs")]


def _hostile_judged(folder: Path) -> list[object]:
    """Names, texts, evidence, reasons, flags and a judge that are code, links or directions."""
    models = dict.fromkeys(studies.HOSTILE_MODELS[4:], 0.6)
    texts, team = studies.HOSTILE, studies.HOSTILE_MODELS[-1]
    return _judged(
        folder, models=models, draws=1, texts=texts, flags=texts[:3], judge=texts[0], team=team
    )


def _families(folder: Path) -> list[object]:
    medguard = partial(_small, conditions="medguard", dataset="medguard_demo")
    return [*_small(folder / "radsafe"), *medguard(folder / "medguard")]


STUDIES: Mapping[str, Callable[[Path], list[object]]] = {
    "wide": _wide,
    "middle": _middle,
    "hostile": _hostile,
    "one": partial(_small, conditions="clean"),
    "noharm": partial(_small, conditions="noharm_options", dataset="noharm_demo"),
    "families": _families,
    "judged": _judged,
    "hostile judged": _hostile_judged,
    "halves": partial(_small, model=STUB),
}


# --- boards ---------------------------------------------------------------------------------------


def _board(folder: Path) -> list[object]:
    """More submissions than need a filter: two with one name, one model under two names, one that
    was tampered with, and a file that is none."""
    maker, submissions = Maker(folder), folder / "runs"
    for number in range(13):
        maker.submission(submissions / f"{number:02}.zip", f"Model {number:02}", number)
    maker.submission(submissions / "another.zip", "Model 03", 103, revision="2")
    maker.submission(submissions / "renamed.zip", "Quite other", 5)
    tampered(submissions / "07.zip", submissions / "tampered.zip")
    (submissions / "broken.zip").write_bytes(b"PK, and no more")
    return [submissions, "--dataset", maker.questions]


def _hostile_board(folder: Path) -> list[object]:
    """Names, cards, answers and names of files that are code, links or directions elsewhere."""
    maker, submissions = Maker(folder, items=6, conditions=("clean",), draws=1), folder / "runs"
    texts = studies.HOSTILE
    for number, name in enumerate([*studies.HOSTILE_MODELS, *texts]):
        claim = texts[number % len(texts)][:200]
        claims = dict.fromkeys(("model_family", "licence", "contact", "hardware", "notes"), claim)
        maker.submission(
            submissions / f"{number}.zip",
            name[:200],
            number,
            lambda letter, n: f"{texts[n % len(texts)]}. The answer is {letter}.",
            **claims,
        )
    for name in ("<img src=x onerror=alert(1)>", "javascript:alert(2)", "\u202ezip", "x" * 200):
        (submissions / f"{name}.zip").write_bytes(b"none")
    return [submissions, "--dataset", maker.questions]


def _families_board(folder: Path) -> list[object]:
    """Demo data of three families, answered by chance."""
    submissions = folder / "submissions"
    submissions.mkdir(parents=True)
    for condition, dataset in (
        ("clean", "demo"),
        ("noharm_options", "noharm_demo"),
        ("medguard", "medguard_demo"),
    ):
        for seed in (1, 2):
            own = folder / f"{dataset}{seed}"
            (runs,) = _small(own, condition, dataset)
            card = write_card(own / "card.yaml", name=f"By chance {seed}")
            pack([runs], submissions / f"{own.name}.zip", card, allow_demo=True)
    return [submissions, "--allow-demo"]


BOARDS: Mapping[str, Callable[[Path], list[object]]] = {
    "board": _board,
    "hostile board": _hostile_board,
    "families board": _families_board,
}


@pytest.fixture(scope="session")
def report_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """`report_of(name)`: the folder of the report of one of `STUDIES`, or of one of `BOARDS`, made
    once by whichever process comes first; its runs or submissions are in the folder `runs` beside
    it."""
    base = tmp_path_factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def of(name: str) -> Path:
        folder, done = shared / f"report-{name}", shared / f"report-{name}.done"
        with (shared / f"report-{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not done.exists():
                words = ("leaderboard", "build") if name in BOARDS else ("report",)
                given = {**STUDIES, **BOARDS}[name](folder)
                made = command(*words, *given, "-o", folder / "report")
                assert made.exit_code == 0, made.output
                done.touch()
        return folder / "report"

    return of
