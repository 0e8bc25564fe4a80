"""Draws docs/architecture.svg and docs/data-flow.svg from the two tables of docs/architecture.md.

python scripts/draw-architecture.py
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
WIDTH, MARGIN = 1040, 16
STYLE = """<style>
  svg { font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif;
    --paper: #fff; --ink: #1f2328; --soft: #59636e; --line: #d1d9e0; --box: #eef4fb; --edge: \
#7aa5d2 }
  @media (prefers-color-scheme: dark) { svg {
    --paper: #0d1117; --ink: #f0f6fc; --soft: #9198a1; --line: #3d444d; --box: #15233a; --edge: \
#4d7fb8 } }
  .paper { fill: var(--paper); stroke: var(--line) } .line { stroke: var(--line) }
  .box { fill: var(--box); stroke: var(--edge) } .to-come { stroke-dasharray: 4 3 }
  .arrow { stroke: var(--soft); stroke-width: 1.5; fill: none } .head { fill: var(--soft) }
  text { fill: var(--ink) } .soft { fill: var(--soft) } .strong { font-weight: 600 }
  .code { font: 12px ui-monospace, SFMono-Regular, Consolas, "DejaVu Sans Mono", monospace }
</style>"""


def rows(text: str, header: str) -> list[list[str]]:
    """The rows of the table that begins with this line."""
    lines = text[text.index(header) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def parts(cell: str) -> list[str]:
    """The names in backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def wrapped(words: Iterable[str], most: int, between: str) -> list[str]:
    """Lines of at most so many characters."""
    lines = [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + len(between) + len(word) > most:
            lines.append("")
        lines[-1] += between * bool(lines[-1]) + word
    return lines


def written(x: float, y: float, line: str, kind: str = "", anchor: str = "") -> str:
    """A text."""
    given = "".join(
        f' {name}="{value}"' for name, value in (("class", kind), ("text-anchor", anchor)) if value
    )
    return f'<text x="{x:g}" y="{y:g}"{given}>{escape(line, quote=False)}</text>'


def page(height: float, title: str, shapes: Iterable[str]) -> str:
    """A picture on paper of its own, so that it can be read on a page of either colour."""
    return "\n".join(
        [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:g}" '
                f'role="img" aria-label="{escape(title)}">'
            ),
            STYLE,
            (
                f'<rect class="paper" x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1:g}" '
                'rx="8"/>'
            ),
            *shapes,
            "</svg>\n",
        ]
    )


def layers(text: str) -> str:
    """The layers, one above the other, in bands."""
    shapes, y, left, box, said = [], 14.0, 120, 310, 446
    for band, names, sentence in rows(text, "| | layer | what it knows |"):
        if band:
            if shapes:
                y += 5
                shapes.append(
                    f'<line class="line" x1="{MARGIN}" x2="{WIDTH - MARGIN}" y1="{y:g}" '
                    f'y2="{y:g}"/>'
                )
                y += 7
            shapes.append(written(MARGIN + 2, y + 17, band, "strong"))
        lines = wrapped(parts(names), 40, " · ")
        sentences = wrapped(sentence.replace("`", "").split(), 84, " ")
        height = 9 + 17 * max(len(lines), len(sentences))
        kind = " to-come" if sentence.startswith("to come") else ""
        shapes.append(
            f'<rect class="box{kind}" x="{left}" y="{y:g}" width="{box}" height="{height}" rx="4"/>'
        )
        shapes += [
            written(left + 10, y + 17 + 17 * number, line, "code")
            for number, line in enumerate(lines)
        ]
        shapes += [
            written(said, y + 17 + 17 * number, line, "soft" if kind else "")
            for number, line in enumerate(sentences)
        ]
        y += height + 4
    return page(y + 10, "The layers of the package; each imports only from those below it", shapes)


def flow(text: str) -> str:
    """What becomes of the items, from left to right."""
    shapes, table = [], rows(text, "| what | made by | on disk |")
    step = (WIDTH - 2 * MARGIN) / len(table)
    box = step - 34
    for number, (what, by, disk) in enumerate(table):
        x = MARGIN + number * step + 17
        middle = x + box / 2
        if number:
            shapes.append(f'<path class="arrow" d="M{x - 32:g} 77H{x - 8:g}"/>')
            shapes.append(f'<path class="head" d="M{x - 10:g} 72l8 5l-8 5z"/>')
        above = wrapped(by.replace("`", "").split(), 20, " ")
        shapes += [
            written(middle, 48 - 16 * (len(above) - 1 - n), line, "soft", "middle")
            for n, line in enumerate(above)
        ]
        shapes.append(f'<rect class="box" x="{x:g}" y="60" width="{box:g}" height="34" rx="4"/>')
        shapes.append(written(middle, 82, what, "strong", "middle"))
        below = wrapped(disk.replace("`", "").split(), 22, " ")
        shapes += [
            written(middle, 116 + 16 * n, line, "", "middle") for n, line in enumerate(below)
        ]
    return page(
        176, "From items to results, what makes each step and what it leaves on disk", shapes
    )


def pictures() -> dict[str, str]:
    """Every picture by the name of its file."""
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    return {"architecture.svg": layers(text), "data-flow.svg": flow(text)}


if __name__ == "__main__":
    for name, picture in pictures().items():
        (DOCS / name).write_text(picture, encoding="utf-8")
