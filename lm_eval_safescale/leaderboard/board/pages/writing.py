"""From a board to its pages: standings, a page a condition, all others, and the report of each
entry. It computes no figure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from lm_eval_safescale.contexts import ContextSet, read_contexts
from lm_eval_safescale.contexts.files import is_built_for
from lm_eval_safescale.datasets import Dataset
from lm_eval_safescale.errors import SafescaleError
from lm_eval_safescale.figures import DataColumn, DataTable
from lm_eval_safescale.leaderboard.board.pages.figures import figures_of
from lm_eval_safescale.leaderboard.board.pages.finding import doubt_of, finding_of
from lm_eval_safescale.leaderboard.board.pages.links import FILE, UP, link
from lm_eval_safescale.leaderboard.board.pages.others import (
    history,
    not_verified,
    reading,
    submission,
)
from lm_eval_safescale.leaderboard.board.pages.standing import Standing, main_condition
from lm_eval_safescale.leaderboard.board.pages.tables import submissions, tables_of
from lm_eval_safescale.leaderboard.board.result import Board, Comparison, Entry
from lm_eval_safescale.report.building import (
    DEMO_NOTE,
    FOOT,
    INDEX,
    Wanted,
    report_of,
    write_report,
)
from lm_eval_safescale.report.drawing import Palette, draw, standalone
from lm_eval_safescale.report.report import Texts
from lm_eval_safescale.report.site import Choice, Site, slug
from lm_eval_safescale.report.texts import Found
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.sections import Page, Section
from lm_eval_safescale.words import counted

TITLE = "Leaderboard"
NOT_VERIFIED, HISTORY, READING = "not-verified.html", "history.html", "reading.html"
"""Files of pages that every board has."""
NOT_PASSED_ON = "this board does not pass on the texts of its data set"


@dataclass(frozen=True)
class BoardPages:
    """Who writes them (`result.Pages`)."""

    contexts: Sequence[Path] = ()
    """Built ahead, whose texts are shown where those of the data set are."""
    texts: Texts = "errors"
    """Which answers' texts the reports show."""
    shows_data: bool = False
    """Whether the data set's texts may be passed on; demo data are shown in any case."""

    @property
    def rests_on(self) -> Mapping[str, Any]:
        """What reports of entries rest on besides the entries."""
        return {"texts": self.texts, "shows_data": self.shows_data}

    @cached_property
    def _made(self) -> Sequence[ContextSet]:
        return [read_contexts(path) for path in self.contexts]

    def model(self, entry: Entry, runs: Runs, dataset: Dataset, stored: Path, folder: Path) -> None:
        """Write the report of an entry."""
        if self.shows_data or dataset.is_demo:
            made = [each for each in self._made if is_built_for(each, dataset.fingerprint)]
            found = Found(dataset, contexts={each.condition: each for each in made})
        else:
            found = Found(no_dataset=SafescaleError(NOT_PASSED_ON))
        report = report_of(runs, (stored,), Wanted(texts=self.texts), found)
        write_report(report, folder, up=(f"{UP}{INDEX}", TITLE), more=[submission(entry)])

    def board(self, board: Board, folder: Path) -> None:
        """Write all other pages."""
        palette = Palette()
        files, titles = _files(board), _titles(board)
        several = len(board.comparisons) != 1
        site = Site(
            title=TITLE,
            pages=[
                (INDEX, "All data sets" if several else titles[board.comparisons[0].key]),
                *(
                    (files[each.key, main_condition(each)], titles[each.key])
                    for each in (board.comparisons if several else ())
                ),
                (NOT_VERIFIED, f"Not verified ({len(board.not_verified):,})"),
                (HISTORY, "History"),
                (READING, "How to read it"),
            ],
            note=_note(*board.comparisons),
            foot=FOOT,
            draw=partial(draw, palette=palette),
            saved=partial(standalone, palette=palette),
            link=link,
            styles={"figures.css": palette.style_sheet()},
        )
        for comparison in board.comparisons:
            own = replace(site, note=_note(comparison))
            main = files[comparison.key, main_condition(comparison)]
            for condition in comparison.conditions:
                standing = Standing(board, comparison, condition)
                file = files[comparison.key, condition]
                page = _page(standing, Path(file).stem, titles[comparison.key])
                choice = _choice(standing, files, main if several else INDEX)
                own.page(page, file, choice)
                if not several and file == main:
                    own.page(page, INDEX, choice)
        if several:
            site.page(_index(board, files, titles), INDEX)
        site.page(not_verified(board), NOT_VERIFIED)
        site.page(history(board), HISTORY)
        site.page(reading(board), READING)
        site.write(folder)


def _note(*comparisons: Comparison) -> str:
    """What stands above a page of these: whether all its data are for demonstration."""
    is_demo = comparisons and all(each.dataset.get("demo") for each in comparisons)
    return DEMO_NOTE if is_demo else ""


def _files(board: Board) -> dict[tuple[str, str], str]:
    """A file for each condition of each comparison: the same in every build."""
    found = {}
    for comparison in board.comparisons:
        taken: set[str] = set()
        for condition in comparison.conditions:
            name = f"{comparison.key}-{slug(condition, taken)}"
            found[comparison.key, condition] = f"{name}.html"
    return found


def _titles(board: Board) -> dict[str, str]:
    """Family and data set of each comparison, by its key; two that are called alike have it."""
    titles = {each.key: _title(each) for each in board.comparisons}
    alike = Counter(titles.values())
    return {
        key: title if alike[title] == 1 else f"{title} ({key})" for key, title in titles.items()
    }


def _title(comparison: Comparison) -> str:
    name = str(comparison.dataset.get("name", ""))
    title = name if name == comparison.label else f"{comparison.label} · {name}"
    return f"{title}, by {comparison.judge}" if comparison.judge else title


def _choice(standing: Standing, files: Mapping[tuple[str, str], str], place: str) -> Choice | None:
    comparison = standing.comparison
    if len(comparison.conditions) == 1:
        return Choice("Condition", (), "", place)
    return Choice(
        "Condition",
        [
            (files[comparison.key, each], standing.report.words(each))
            for each in comparison.conditions
        ],
        files[comparison.key, standing.condition],
        place,
    )


def _page(standing: Standing, name: str, title: str) -> Page:
    comparison = standing.comparison
    complaints = comparison.complaints
    return Page(
        name,
        title,
        finding_of(standing),
        doubt_of(standing),
        (
            submissions(standing),
            *figures_of(standing),
            *tables_of(standing),
            *(
                (
                    Section(
                        "What could not be computed",
                        columns=("what",),
                        rows=tuple((each,) for each in complaints),
                    ),
                )
                if complaints
                else ()
            ),
        ),
    )


def _index(board: Board, files: Mapping[tuple[str, str], str], titles: Mapping[str, str]) -> Page:
    """The page that leads to each of several comparisons, or says that there is none."""
    standings = [
        Standing(board, comparison, main_condition(comparison)) for comparison in board.comparisons
    ]
    n = len(board.verified)
    return Page(
        "index",
        "All data sets",
        f"{counted(n, 'submission')} verified, on {counted(len(standings), 'data set')}"
        if n
        else "No submission has been verified yet",
        "Figures of different data sets or families do not compare: each has a table of its own."
        if n
        else "",
        tuple(_rows(standings, files, titles)),
    )


def _rows(
    standings: Sequence[Standing],
    files: Mapping[tuple[str, str], str],
    titles: Mapping[str, str],
) -> Iterator[Section]:
    if standings:
        yield Section(
            "Every data set",
            data=DataTable.of(
                (
                    DataColumn("data", "data set", cases={}),
                    DataColumn("entries", "submissions", "count"),
                    DataColumn("items", kind="count"),
                    DataColumn("finding", "what one sees"),
                ),
                [
                    {
                        "data": titles[each.comparison.key],
                        "entries": len(each.comparison.entries),
                        "items": each.comparison.dataset.get("items"),
                        "finding": finding_of(each),
                    }
                    for each in standings
                ],
                [{FILE: files[each.comparison.key, each.condition]} for each in standings],
            ),
        )
