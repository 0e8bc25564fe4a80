"""Pages with one look, and the files that belong to them: style, script, figures and tables to
save. It knows neither a study nor a benchmark.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from lm_eval_safescale.figures import DataTable, Figure
from lm_eval_safescale.report.citing import latex_of
from lm_eval_safescale.report.tables import Link, csv_of, shown_table
from lm_eval_safescale.sections import Page

ASSETS = Path(__file__).parent / "assets"
_HYPHENATED = re.compile(r"(?<![\w-])[A-Za-z]{1,12}-[A-Za-z]{1,12}(?![\w-])")
FIGURES, TABLES = "figures", "tables"
Draw = Callable[[Figure], str]


@dataclass(frozen=True)
class Choice:
    """Pages of which each shows the same of something else: of another condition, say."""

    words: str
    """What is chosen."""
    pages: Sequence[tuple[str, str]]
    """File and words of each."""
    chosen: str
    """The file of the page that is looked at."""
    place: str = ""
    """The file of the page that stands for all of them in the list of pages."""


@dataclass(frozen=True)
class Site:
    """A folder of pages that lead to each other.

    A leaderboard makes its pages with it as a report does: `page` for pages as data, `render` for
    templates of its own, which extend `base.html`.
    """

    title: str
    """Before every page's own title."""
    pages: Sequence[tuple[str, str]]
    """File and words of each page in the list of pages."""
    note: str = ""
    """Said above every page: that the data are a demo."""
    up: tuple[str, str] | None = None
    """File and words of the page above this site, where it is one of several."""
    foot: str = ""
    """Said below every page and table: of what, made by which version."""
    cite: str = ""
    """File of a BibTeX entry that every page leads to."""
    draw: Draw | None = None
    """A figure as inline SVG; None: its table alone is shown."""
    saved: Draw | None = None
    """A figure as an SVG file by itself."""
    link: Link | None = None
    """Filters of the case browser to an address; None: there is no such page."""
    styles: Mapping[str, str] = field(default_factory=dict)
    """Further style sheets by their file names: the colours of figures."""
    files: dict[str, str] = field(default_factory=dict)
    """Every file but `assets/`, by its path in the folder; filled by `page` and `add`."""

    def page(self, page: Page, file: str, choice: Choice | None = None) -> None:
        """Add a page, and the files that its figures and tables are saved as."""
        sections, ids = [], set[str]()
        for section in page.sections:
            name = slug(section.title, ids)
            sections.append(
                {
                    "id": name,
                    "section": section,
                    "figures": [self._figure(page.name, each) for each in section.figures],
                    "table": section.data
                    and self._table(f"{page.name}-{name}", section.data, section.title),
                }
            )
        place = choice.place if choice and choice.place else file
        text = self.render("page.html", place, page=page, sections=sections, choice=choice)
        self.add(file, text)

    def render(self, template: str, file: str, **values: Any) -> str:
        """A page from a template that extends `base.html`; every text in it is escaped."""
        return environment().get_template(template).render(site=self, file=file, **values)

    def add(self, path: str, text: str) -> None:
        """Add a file."""
        self.files[path] = text

    def write(self, folder: Path) -> None:
        """Write every file."""
        assets = {
            f"assets/{path.relative_to(ASSETS).as_posix()}": path.read_text("utf-8")
            for path in sorted(ASSETS.rglob("*.*"))
        }
        styles = {f"assets/{name}": text for name, text in self.styles.items()}
        for path, text in {**assets, **styles, **self.files}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, "utf-8", errors="backslashreplace")

    def _figure(self, page: str, figure: Figure) -> dict[str, Any]:
        name = f"{page}-{slug(figure.name)}"
        found: dict[str, Any] = {
            "id": name,
            "figure": figure,
            "svg": self.draw and self.draw(figure),
            "table": self._table(name, figure.data),
            "saved": "",
        }
        if self.saved:
            found["saved"] = f"{FIGURES}/{name}.svg"
            self.add(found["saved"], self.saved(figure))
        return found

    def _table(self, name: str, table: DataTable, caption: str = "") -> dict[str, Any]:
        """A table as a page shows it, and its files; one with a caption in LaTeX, too."""
        csv, tex = (f"{TABLES}/{name}.{ending}" for ending in ("csv", "tex"))
        self.add(csv, csv_of(table))
        if caption:
            self.add(tex, latex_of(table, f"{caption}. {self.foot}", name))
        return {
            "id": f"table-{name}",
            "csv": csv,
            "tex": tex if caption else "",
            "shown": shown_table(table, self.link),
        }


def environment() -> Environment:
    """Templates of this package; whatever a run holds is text in them."""
    made = Environment(
        loader=PackageLoader("lm_eval_safescale.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["whole"] = _whole
    return made


def _whole(text: str) -> Markup:
    """A text as HTML in which no line breaks inside high-risk, closed-book and the like."""
    return Markup(_HYPHENATED.sub(r'<span class="whole">\g<0></span>', escape(text)))


def slug(text: str, taken: set[str] | None = None) -> str:
    """A text as a name of a file or of a place in a page; another one where it is taken."""
    name = re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")[:60] or "part"
    taken = set() if taken is None else taken
    number, own = 2, name
    while own in taken:
        own, number = f"{name}-{number}", number + 1
    taken.add(own)
    return own
