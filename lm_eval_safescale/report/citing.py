"""Tables for papers, and how to cite a report: LaTeX and BibTeX. It knows no page."""

from __future__ import annotations

import re
from collections.abc import Mapping

from lm_eval_safescale.figures import DataTable
from lm_eval_safescale.report.tables import shown_table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "_": r"\_",
    "%": r"\%",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "\N{MINUS SIGN}": r"$-$",
    "\N{EN DASH}": "--",
    "\N{NO-BREAK SPACE}": "~",
    "\N{MIDDLE DOT}": r"$\cdot$",
}
_ANY = re.compile("|".join(map(re.escape, _SPECIAL)))
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]+")


def latex_of(table: DataTable, caption: str, label: str) -> str:
    """A table in LaTeX, for the package booktabs; intervals in brackets behind their values."""
    shown = shown_table(table)
    heads = [f"{head.words}{f', {head.unit}' if head.unit else ''}" for head in shown.heads]
    rows = [
        [f"{cell.text} [{cell.interval}]" if cell.interval else cell.text for cell in row]
        for row in shown.rows
    ]
    spec = "".join("r" if head.is_number else "l" for head in shown.heads)
    return "\n".join(
        [
            "% needs \\usepackage{booktabs}",
            r"\begin{table}",
            rf"\caption{{{escaped(caption)}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{{spec}}}",
            r"\toprule",
            _line(heads),
            r"\midrule",
            *map(_line, rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def bibtex_of(key: str, fields: Mapping[str, str]) -> str:
    """An entry of a BibTeX file."""
    told = [f"  {name} = {{{escaped(value)}}}" for name, value in fields.items()]
    return f"@misc{{{key},\n" + ",\n".join(told) + "\n}\n"


def escaped(text: str) -> str:
    """A text that LaTeX prints as it is."""
    return _ANY.sub(lambda found: _SPECIAL[found[0]], _CONTROL.sub(" ", text))


def _line(cells: list[str]) -> str:
    return " & ".join(map(escaped, cells)) + r" \\"
