"""Addresses of views of the case browser. They know no file but its page."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

PAGE = "cases.html"
FILTERS: Mapping[str, str] = {
    "condition": "only answers under it",
    "model": "only answers of it",
    "kind": "cases with such an answer (`AnswerKind.name`); `right`, `not_scored`",
    "by": "`all`: every scored answer is of the kind, and not `any` of them",
    "group": "`NAME:VALUE`, cases of this group",
    "text": "cases whose texts hold it",
    "marked": "`yes`: cases that are disputed; `no`: all others",
    "with": "`MODEL@CONDITION` (the last `@` parts them), compared with `model` under `condition`",
    "pair": "A is model under condition, B is with: `a_right_b_wrong`, `a_wrong_b_right`, "
    "`harm_gone`, `harm_come`",
    "sort": "`count` (most answers of the kind first), `id`, `confidence`",
    "item": "the case that is open, by its id",
    "answer": "`MODEL@CONDITION`, the answer to it whose text is open",
}
"""What an address can hold, in this order."""


def link(filters: Mapping[str, str]) -> str:
    """The address of a view: `cases.html#condition=clean&kind=high_risk_error`.

    Parameters
    ----------
    filters
        By the names of `FILTERS`; a name that is not given, or empty, filters nothing.

    Raises
    ------
    ValueError
        For a name that is none of `FILTERS`.
    """
    if unknown := sorted(set(filters) - set(FILTERS)):
        raise ValueError(
            f"cases cannot be filtered by {', '.join(unknown)}; expected {', '.join(FILTERS)}"
        )
    given = [
        f"{name}={quote(filters[name], safe='', errors='replace')}"
        for name in FILTERS
        if filters.get(name)
    ]
    return f"{PAGE}#{'&'.join(given)}" if given else PAGE
