"""Texts in an SVG: escaped, of a length that fits, with nothing in them that steers the page. It
knows no figure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from html import escape

from lm_eval_safescale.datasets.problems import printable

MOST = 1_000
"""Characters of a text that is said whole where a mark is pointed at."""
EM = 12.0
"""Size of the type."""
_BLANKS = re.compile(r"[^\S\N{NO-BREAK SPACE}]+")


def shown(text: str) -> str:
    """One line of at most `MOST` characters, as it may stand in an SVG."""
    line = _line(text)
    line = line if len(text) <= MOST else line[:MOST] + "…"
    return escape(isolated(line), quote=True)


def _line(text: str) -> str:
    """The beginning of a text on one line; what cannot be shown is spelled out."""
    return printable(_BLANKS.sub(" ", text[: MOST + 1])).strip()


def isolated(line: str) -> str:
    """The line; one that is written from right to left is kept from turning round its
    neighbours."""
    if any(unicodedata.bidirectional(character) in ("R", "AL", "AN") for character in line):
        return f"\u2068{line}\u2069"
    return line


def width_of(text: str, size: float = EM) -> float:
    """About how wide a text is."""
    return size * sum(_em(character) for character in text[:MOST])


def _em(character: str) -> float:
    if unicodedata.combining(character):
        return 0.0
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    if character in "il.,:;'|!j()[] \N{NO-BREAK SPACE}":
        return 0.34
    if character in "mwMW%@—…":
        return 0.92
    return 0.66 if character.isupper() else 0.58


def fitted(text: str, width: float, size: float = EM) -> str:
    """The text, or its beginning that fits with an ellipsis behind it."""
    line = _line(text)
    if len(text) <= MOST and width_of(line, size) <= width:
        return line
    room = width - width_of("…", size)
    for place, character in enumerate(line):
        room -= size * _em(character)
        if room < 0:
            return line[:place].rstrip() + "…"
    return line + "…"


def wrapped(text: str, width: float, most: int, size: float = EM) -> list[str]:
    """Lines of at most that width, the last of them shortened."""
    line = _line(text)
    lines = [""]
    for word in _words(line):
        trial = f"{lines[-1]}{word}"
        if lines[-1] and width_of(trial.rstrip(), size) > width and len(lines) < most:
            lines[-1] = lines[-1].rstrip()
            lines.append(word)
        else:
            lines[-1] = trial
    cut = "…" if len(text) > MOST else ""
    return [fitted(each.rstrip() + cut * (each is lines[-1]), width, size) for each in lines]


def _words(line: str) -> Iterable[str]:
    return re.findall(r"[^ _/-]*(?:[_/-]+| +|$)", line)


def written(
    x: float, y: float, text: str, classes: str = "", *, width: float = 1e9, size: float = EM
) -> str:
    """A text element; what does not fit is said whole in its title."""
    line = fitted(text, width, size)
    title = "" if line == text else f"<title>{shown(text)}</title>"
    given = f' class="{classes}"' if classes else ""
    return f'<text x="{x:.1f}" y="{y:.1f}"{given}>{escape(isolated(line))}{title}</text>'
