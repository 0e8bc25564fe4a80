"""The page *more*: sections that plugins register, and our own of what stood above the questions;
one that fails costs itself alone, and is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lm_eval_safescale.errors import FAILURES, reason_of
from lm_eval_safescale.plugins import Part
from lm_eval_safescale.report.drawing import Palette, draw
from lm_eval_safescale.report.plugged import Made, made_sections, rows_of_runs
from lm_eval_safescale.report.report import Report
from lm_eval_safescale.sections import Page, Section
from lm_eval_safescale.sentences import listed
from lm_eval_safescale.words import counted

MOST_NAMED = 4


def more(report: Report) -> Page | None:
    """None where no section has anything to say."""
    palette = Palette.of(report.family, report.model_families)
    rows = rows_of_runs(report.study)
    alike: list[tuple[Made, list[str]]] = []
    for model in report.models:
        for made in made_sections(rows.get(model, [])):
            drawn = _drawn(made, palette)
            same = next((models for each, models in alike if each == drawn), None)
            if same is None:
                alike.append((drawn, [model]))
            else:
                same.append(model)
    if not alike:
        return None
    alike.sort(key=lambda each: each[0].part.full_name)
    sections = [_section(made, models, len(report.models)) for made, models in alike]
    failed = len({made.part.full_name for made, _ in alike if made.fault})
    titles = list(dict.fromkeys(made.section.title for made, _ in alike if made.section))
    by = {made.part.provided_by: made.part for made, _ in alike}
    return Page(
        "more",
        "More",
        f"{listed(titles, MOST_NAMED)}." if titles else "Nothing could be made.",
        _doubt(list(by.values()), failed),
        tuple(_apart(sections)),
    )


def _drawn(made: Made, palette: Palette) -> Made:
    """The same; a section whose figures cannot be drawn has failed."""
    try:
        for figure in made.section.figures if made.section else ():
            draw(figure, palette)
    except FAILURES as error:
        return Made(made.part, fault=f"{type(error).__name__}: {reason_of(error)}")
    return made


def _section(made: Made, models: Sequence[str], of: int) -> Section:
    """With the models that it is of, where these are not all."""
    whose = "" if len(models) == of else f": {listed(models, MOST_NAMED)}"
    if made.section is None:
        return Section(f"{made.part.name}{whose}", lead=f"{made.complaint}.")
    return replace(made.section, title=f"{made.section.title}{whose}")


def _apart(sections: Sequence[Section]) -> list[Section]:
    """Figures of one page have names of their own."""
    return [
        replace(
            section,
            figures=tuple(
                replace(figure, name=f"{number}-{figure.name}") for figure in section.figures
            ),
        )
        for number, section in enumerate(sections, 1)
    ]


def _doubt(parts: Sequence[Part], failed: int) -> str:
    others = [part.provided_by for part in parts if not part.is_ours]
    said = f"Made by {listed(others, MOST_NAMED)}, of the runs of each model. " if others else ""
    return said + (f"{counted(failed, 'section')} failed, as is said below." if failed else "")
