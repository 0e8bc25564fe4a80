"""From folders of runs to a folder of pages: a report of each family and data set. It knows no
command line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from lm_eval_safescale import __version__
from lm_eval_safescale.analysis import (
    Disputes,
    Panel,
    Preset,
    Study,
    about,
    make_tables,
    preset_named,
)
from lm_eval_safescale.analysis.unjudged import refuse_unjudged
from lm_eval_safescale.command_line import said
from lm_eval_safescale.errors import FAILURES, SafescaleError, reason_of
from lm_eval_safescale.gate import Policy
from lm_eval_safescale.report.cases.links import PAGE as CASES
from lm_eval_safescale.report.cases.links import link
from lm_eval_safescale.report.cases.writing import write_cases
from lm_eval_safescale.report.citing import bibtex_of
from lm_eval_safescale.report.drawing import Palette, draw, standalone
from lm_eval_safescale.report.folder import refuse_card, refuse_other, whole_folder
from lm_eval_safescale.report.methods.card import write_card
from lm_eval_safescale.report.pages import PAGES
from lm_eval_safescale.report.pages.of_family import of_family
from lm_eval_safescale.report.report import Report, Texts
from lm_eval_safescale.report.site import Site, slug
from lm_eval_safescale.report.texts import Found, find_texts
from lm_eval_safescale.runs import Runs
from lm_eval_safescale.runs.store import merge_runs, open_runs
from lm_eval_safescale.sections import Page
from lm_eval_safescale.sentences import listed
from lm_eval_safescale.settings import Settings
from lm_eval_safescale.words import counted

INDEX, CITE = "index.html", "cite.bib"
FOOT = f"Made by lm_eval_safescale {__version__}."
DEMO_NOTE = "DEMO data, written to exercise this software: no clinical claim may rest on it."
Say = Callable[[str], object]


@dataclass(frozen=True)
class Wanted:
    """What is asked of a report."""

    baseline: str | None = None
    preset: Preset = field(default_factory=lambda: preset_named("default"))
    threshold: float | None = None
    panel: Panel | None = None
    dataset: Settings | None = None
    """Where the items' texts are; None: where the runs say."""
    disputes: Disputes | None = None
    contexts: Sequence[Path] = ()
    texts: Texts | None = None
    policy: Policy | None = None
    card: Path | None = None
    """Where the card of the chosen model is to be written: of two data sets, one beside the other
    with its name."""


@dataclass(frozen=True)
class Built:
    """A report that was built."""

    first: Path
    """The page to open."""
    pages: int
    complaints: tuple[str, ...] = ()
    """What could not be read, made or found; the pages say it, too."""
    notes: tuple[str, ...] = ()
    """Which texts of answers are not in it; the pages say it, too."""


def build_report(
    folders: Sequence[Path], output: Path, wanted: Wanted, say: Say = lambda _: None
) -> Built:
    """Write the pages of runs into a folder, in place of a report that is there.

    Parameters
    ----------
    say
        Told in a line what is being done.

    Raises
    ------
    SafescaleError
        If no folder holds runs, the runs do not belong together, a name is none of theirs, or the
        output folder holds something else than a report.
    """
    refuse_other(output)
    if wanted.card is not None:
        refuse_card(wanted.card, output)
    say("reading the runs ...")
    opened, complaints = _opened(folders)
    groups = _by_data(opened)
    if wanted.baseline is not None and not any(
        wanted.baseline in runs.models for runs in opened.values()
    ):
        models = sorted({model for runs in opened.values() for model in runs.models})
        raise SafescaleError(
            f"baseline {wanted.baseline!r} is none of the models {', '.join(models)}"
        )
    reports: list[tuple[str, Report]] = []
    notes: list[str] = []
    for name, group in zip(_names(groups), groups, strict=True):
        say(f"making the tables of {name} ...")
        report = _report(group, wanted, several=len(groups) > 1)
        reports.append((name, report))
        complaints += [
            *(f"table {table} could not be made: {why}" for table, why in report.failed.items()),
            *map(said, report.found.no_contexts),
        ]
        if (why := report.found.no_dataset) is not None:
            (notes if wanted.dataset is None else complaints).append(said(why))
    if wanted.disputes is not None and all(each.study.disputes is None for _, each in reports):
        wanted.disputes.refuse_unknown(
            [name for _, each in reports for name in each.study.items.ids]
        )
    pages = 0
    with whole_folder(output, _about_folder(reports)) as unfinished:
        for name, report in reports:
            if len(reports) == 1:
                written = write_report(report, unfinished, say)
            else:
                up = "../index.html", "All"
                written = write_report(report, unfinished / name, say, up)
            pages += written.pages
            notes += written.notes
            complaints += written.complaints
        if len(reports) > 1:
            _write_index(reports, unfinished)
            pages += 1
    if wanted.card is not None:
        for name, report in reports:
            path = wanted.card
            if len(reports) > 1:
                path = path.with_stem(f"{path.stem}-{name}")
            write_card(report, path)
            notes.append(f"model card of {report.chosen}: {path}")
    return Built(output / INDEX, pages, tuple(complaints), tuple(notes))


def report_of(
    runs: Runs,
    folders: Sequence[Path],
    wanted: Wanted,
    found: Found,
    disputes: Disputes | None = None,
) -> Report:
    """The report of runs of one family and one data set, its tables made.

    Parameters
    ----------
    folders
        The runs, from which texts of answers are read.
    found
        Texts of the items.
    disputes
        Of this data set.
    """
    refuse_unjudged(runs)
    baseline = wanted.baseline if wanted.baseline in runs.models else None
    study = Study(runs, wanted.threshold, wanted.panel, baseline, disputes=disputes)
    study = study.apart(wanted.preset)
    tables, failed = make_tables(study, wanted.preset)
    return Report(
        study=study,
        preset=wanted.preset,
        tables=tables,
        failed=failed,
        about=about(study, wanted.preset.name),
        folders=tuple(folders),
        found=found,
        texts=wanted.texts,
        policy=wanted.policy,
    )


def write_report(
    report: Report,
    folder: Path,
    say: Say = lambda _: None,
    up: tuple[str, str] | None = None,
    more: Sequence[Page] = (),
) -> Built:
    """Write the pages of one report: those of `PAGES`, the family's, `more`, and the cases."""
    say("making the pages ...")
    made, complaints = _pages(report)
    made += more
    taken = {Path(INDEX).stem, Path(CASES).stem}
    files = [INDEX, *(f"{slug(page.name, taken)}.html" for page in made[1:])]
    palette = Palette.of(report.family, report.model_families)
    listed_pages = [(file, page.title) for file, page in zip(files, made, strict=True)]
    listed_pages.insert(-1, (CASES, "Cases"))  # the last is how it was done
    site = Site(
        title=report.title,
        pages=listed_pages,
        note=DEMO_NOTE if report.is_demo else "",
        up=up,
        foot=f"{report.subject}. {FOOT}",
        draw=partial(draw, palette=palette),
        saved=partial(standalone, palette=palette),
        styles={"figures.css": palette.style_sheet()},
        link=link,
        cite=CITE,
    )
    site.add(CITE, _citation(report))
    for file, page in zip(files, made, strict=True):
        site.page(page, file)
    site.add(CASES, site.render("cases.html", CASES))
    say("writing ...")
    folder.mkdir(parents=True, exist_ok=True)
    site.write(folder)
    say("writing the cases ...")
    notes = write_cases(report, folder).notes
    return Built(folder / INDEX, len(site.pages), tuple(complaints), notes)


def _pages(report: Report) -> tuple[list[Page], list[str]]:
    """The pages that can be made, and why others cannot: one never costs the others."""
    made: list[Page] = []
    complaints: list[str] = []
    first, *others = ((make.__name__, make) for make in PAGES)
    makers: list[tuple[str, Callable[[Report], Page | Sequence[Page] | None]]] = [
        first,
        (report.family.name, of_family),
        *others,
    ]
    for name, make in makers:
        try:
            found = make(report)
            made += [found] if isinstance(found, Page) else found or []
        except FAILURES as error:
            why = f"{type(error).__name__}: {reason_of(error)}"
            complaints.append(f"page {name} could not be made: {why}")
            finding = f"The page {name.replace('_', ' ')} could not be made"
            made.append(Page(f"failed-{name}", name.replace("_", " ").capitalize(), finding, why))
    return made, complaints


def _citation(report: Report) -> str:
    """A BibTeX entry for a report: of which data, by which version."""
    known = report.about["dataset"]
    fingerprint = known["fingerprint"]
    fields = {
        "title": f"{report.title}: report on {counted(len(report.models), 'model')}",
        "howpublished": f"Made with lm_eval_safescale {__version__}",
        "note": f"{report.subject}; preset {report.preset.name}; data fingerprint {fingerprint}",
    }
    return bibtex_of(f"safescale-{slug(report.family.name)}-{fingerprint[:8]}", fields)


def _opened(folders: Sequence[Path]) -> tuple[dict[Path, Runs], list[str]]:
    """What can be read, and what is wrong with the rest."""
    read: dict[Path, Runs] = {}
    unread: list[SafescaleError] = []
    for folder in folders:
        try:
            read[folder] = open_runs(folder, texts=False)
        except SafescaleError as error:
            unread.append(error)
    if not read:
        raise unread[0]
    return read, [f"not read: {said(error)}" for error in unread]


def _by_data(opened: Mapping[Path, Runs]) -> list[dict[Path, Runs]]:
    """Runs of one family and one data set together, in the order in which they were named."""
    groups: dict[tuple[Any, ...], dict[Path, Runs]] = {}
    for folder, runs in opened.items():
        known = runs.about.get("dataset", {})
        key = (runs.family.name, known.get("fingerprint"))
        groups.setdefault(key, {})[folder] = runs
    return list(groups.values())


def _names(groups: Sequence[Mapping[Path, Runs]]) -> list[str]:
    """A folder name for each."""
    taken: set[str] = set()
    names = []
    for group in groups:
        runs = next(iter(group.values()))
        names.append(slug(f"{runs.family.name}-{runs.about['dataset'].get('name', '')}", taken))
    return names


def _report(group: Mapping[Path, Runs], wanted: Wanted, *, several: bool = False) -> Report:
    """`several`: whether it is one of several reports, of which disputes are one's."""
    runs = merge_runs({str(folder): each for folder, each in group.items()})
    disputes = wanted.disputes
    if disputes is not None and several and not disputes.ids & set(runs.items["question_id"]):
        disputes = None  # they are of another data set
    found = find_texts(runs, wanted.dataset, wanted.contexts)
    return report_of(runs, tuple(group), wanted, found, disputes)


def _about_folder(reports: Sequence[tuple[str, Report]]) -> dict[str, Any]:
    """What a report says of itself to programs."""
    return {
        "version": __version__,
        "reports": [
            {
                "folder": name if len(reports) > 1 else "",
                "dataset": report.about["dataset"],
                "models": list(report.models),
                "conditions": list(report.conditions),
                "preset": report.preset.name,
            }
            for name, report in reports
        ],
    }


def _write_index(reports: Sequence[tuple[str, Report]], folder: Path) -> None:
    """The page that leads to each of several reports."""
    site = Site(title="safescale", pages=[(INDEX, "All reports")], foot=FOOT)
    links = [
        {
            "href": f"{name}/{INDEX}",
            "words": report.title,
            "said": f"{report.subject}: {listed(report.models, 6)}",
        }
        for name, report in reports
    ]
    heading = f"{counted(len(reports), 'report')}: these runs are not of one data set"
    why = "Figures of different data sets or families do not compare; each has a report of its own."
    site.add(INDEX, site.render("index.html", INDEX, heading=heading, why=why, reports=links))
    site.write(folder)
