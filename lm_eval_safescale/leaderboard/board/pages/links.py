"""Where the cells of a board's tables lead: to an entry's report, to its cases, to a page. Filters
come from us alone; nothing that a submission says is an address.
"""

from __future__ import annotations

from collections.abc import Mapping

from lm_eval_safescale.report.building import INDEX
from lm_eval_safescale.report.cases.links import link as link_to_cases

ENTRY, FILE = "entry", "file"
"""Filters besides those of the case browser: the folder of an entry's pages, and a file of the
board."""
UP = "../../"
"""From an entry's pages to the board's."""


def folder_of(slug: str) -> str:
    """Where the pages of an entry are."""
    return f"models/{slug}"


def link(filters: Mapping[str, str]) -> str:
    """The address of what the filters name; empty where they name neither entry nor file."""
    cases = {name: value for name, value in filters.items() if name not in (ENTRY, FILE)}
    if slug := filters.get(ENTRY):
        return f"{folder_of(slug)}/{link_to_cases(cases) if cases else INDEX}"
    return filters.get(FILE, "")
